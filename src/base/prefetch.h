// SPDX-License-Identifier: BSD-3-Clause
//
// Asking for memory before it is needed. Any thread; any address.
#pragma once

namespace cairn {

// The cache line will be written: it comes as this core's own, so that the write need not ask the
// other cores for it. The compiler's own request says so only for processors that are sure to have
// the instruction; those without take it for nothing.
inline void PrefetchForWriting(const void* address) {
  asm volatile("prefetchw %0" : : "m"(*static_cast<const char*>(address)));
}

}  // namespace cairn
