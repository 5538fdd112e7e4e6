// SPDX-License-Identifier: BSD-3-Clause
#include "base/large_block.h"

#include <stdio.h>
#include <stdlib.h>

#include <algorithm>

#include "base/check.h"

#ifndef CAIRN_NO_JEMALLOC
#include <jemalloc/jemalloc.h>
#endif

namespace cairn {

#ifndef CAIRN_NO_JEMALLOC

namespace {

// Made with the first block; 0, which is a thread's, if there can be no more arenas.
unsigned SharedArena() {
  static const unsigned arena = [] {
    unsigned made = 0;
    size_t length = sizeof made;
    return mallctl("arenas.create", &made, &length, nullptr, 0) == 0 ? made : 0;
  }();
  return arena;
}

// By what it is rounded up to, as no more can be told of a block.
bool IsOwn(size_t bytes) { return nallocx(bytes, 0) < kSharedBlockBytes; }

}  // namespace

void* AllocateLarge(size_t bytes) {
  void* block =
      IsOwn(bytes)
          ? malloc(bytes)
          : mallocx(bytes, static_cast<int>(MALLOCX_ARENA(SharedArena())) | MALLOCX_TCACHE_NONE);
  CHECK(block != nullptr);
  return block;
}

size_t GrowLarge(void* block, size_t bytes_min, size_t bytes) {
  // One of the thread's own arena does not become one that would lie in the shared one.
  if (sallocx(block, 0) < kSharedBlockBytes) {
    if (!IsOwn(bytes_min)) return 0;
    if (!IsOwn(bytes)) bytes = std::max(bytes_min, kSharedBlockBytes - kSharedBlockBytes / 8);
  }
  // Not by xallocx's `extra`: where there is room for the least only, jemalloc 5.3 takes that and
  // says, and counts, that it took nothing.
  size_t length = xallocx(block, bytes, 0, 0);
  if (length < bytes_min) length = xallocx(block, bytes_min, 0, 0);
  return length >= bytes_min ? length : 0;
}

void DecayLarge() {
  char name[64];
  snprintf(name, sizeof name, "arena.%u.decay", SharedArena());
  mallctl(name, nullptr, nullptr, nullptr, 0);
}

#else

void* AllocateLarge(size_t bytes) {
  void* block = malloc(bytes);
  CHECK(block != nullptr);
  return block;
}

size_t GrowLarge(void*, size_t, size_t) { return 0; }

void DecayLarge() {}

#endif

}  // namespace cairn
