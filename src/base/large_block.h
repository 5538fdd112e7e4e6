// SPDX-License-Identifier: BSD-3-Clause
//
// Memory for what is large and comes and goes: strings in blocks, arguments on their way in. From
// kSharedBlockBytes on it comes from one arena of the allocator that all threads share. In arenas
// of their own, as threads have them for everything else, each would keep the pages that it freed
// for its own use, for seconds: under a storm of megabyte values on four threads the process took
// three times the memory that it held. The price is a lock, short beside filling such a block.
//
// Blocks are freed by free(), smaller ones come from malloc. Any thread.
#pragma once

#include <cstddef>

namespace cairn {

inline constexpr size_t kSharedBlockBytes = size_t{128} << 10;

// Never nullptr: a CHECK.
void* AllocateLarge(size_t bytes);
// Makes a block of AllocateLarge longer where it lies: by as much as there is room for, up to
// `bytes` in all, but to `bytes_min` at least. Returns how long it is now; 0: there is no room.
size_t GrowLarge(void* block, size_t bytes_min, size_t bytes);
// Gives back pages of that arena that have long been free, in small steps; to be called now and
// then.
void DecayLarge();

}  // namespace cairn
