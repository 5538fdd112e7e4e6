// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstdint>

namespace cairn {

// A counter with one writer: no locked instruction.
inline void Bump(std::atomic<uint64_t>* counter, uint64_t by) {
  counter->store(counter->load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
}

}  // namespace cairn
