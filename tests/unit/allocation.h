// SPDX-License-Identifier: BSD-3-Clause
//
// What the calling thread allocated and freed, in bytes, as the allocator of the build counts it:
// jemalloc, or the sanitizer's own, which is told by its hooks.
#pragma once

#include <cstdint>

namespace cairn {

uint64_t AllocatedByThisThread();
uint64_t FreedByThisThread();

}  // namespace cairn
