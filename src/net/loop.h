// SPDX-License-Identifier: BSD-3-Clause
//
// The libuv side of a Worker; only the .cc files of net/ include it, so that another backend could
// take libuv's place without a change above.
#pragma once

#include <uv.h>

#include <atomic>
#include <cstdint>

#include "net/worker.h"

namespace cairn {

struct Worker::Loop {
  uv_loop_t loop;
  uv_async_t wake;
  uv_timer_t timer;
  uv_prepare_t before_wait;
  uv_check_t after_wait;
  uv_idle_t spin;
  int error = 0;  // of the initialisation
};

// A counter with one writer: no locked instruction.
inline void Bump(std::atomic<uint64_t>* counter, uint64_t by) {
  counter->store(counter->load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
}

}  // namespace cairn
