// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/allocation.h"

#include <cstddef>

#ifdef CAIRN_NO_JEMALLOC
// Of the sanitizers' runtime; gcc's package has no header that declares them.
extern "C" int __sanitizer_install_malloc_and_free_hooks(void (*allocated)(const volatile void* p,
                                                                           size_t bytes),
                                                         void (*freeing)(const volatile void* p));
extern "C" size_t __sanitizer_get_allocated_size(const volatile void* p);
#else
#include <jemalloc/jemalloc.h>
#endif

namespace cairn {

#ifdef CAIRN_NO_JEMALLOC

namespace {

thread_local uint64_t allocated;
thread_local uint64_t freed;

const int installed = __sanitizer_install_malloc_and_free_hooks(
    [](const volatile void*, size_t bytes) { allocated += bytes; },
    [](const volatile void* p) {
      if (p != nullptr) freed += __sanitizer_get_allocated_size(p);
    });

}  // namespace

uint64_t AllocatedByThisThread() {
  REQUIRE(installed != 0);
  return allocated;
}

uint64_t FreedByThisThread() {
  REQUIRE(installed != 0);
  return freed;
}

#else

namespace {

uint64_t Count(const char* name) {
  uint64_t bytes = 0;
  size_t length = sizeof bytes;
  REQUIRE(mallctl(name, &bytes, &length, nullptr, 0) == 0);
  return bytes;
}

}  // namespace

uint64_t AllocatedByThisThread() {
  return Count("thread.allocated");
}

uint64_t FreedByThisThread() {
  return Count("thread.deallocated");
}

#endif

}  // namespace cairn
