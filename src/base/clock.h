// SPDX-License-Identifier: BSD-3-Clause
//
// Time as an interface, so that tests can move it. Wall time is for what users see (TTLs, log
// timestamps), monotonic time for intervals. Any thread.
#pragma once

#include <cstdint>

namespace cairn {

class Clock {
 public:
  virtual ~Clock() = default;
  virtual int64_t WallUs() = 0;       // microseconds since the Unix epoch
  virtual int64_t MonotonicUs() = 0;  // microseconds since an arbitrary start

  int64_t WallMs() { return WallUs() / 1000; }
  int64_t MonotonicMs() { return MonotonicUs() / 1000; }
};

// The machine's clock. One object for the process, never deleted.
Clock* SystemClock();

}  // namespace cairn
