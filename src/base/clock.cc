// SPDX-License-Identifier: BSD-3-Clause
#include "base/clock.h"

#include <time.h>

namespace cairn {
namespace {

int64_t Now(clockid_t id) {
  timespec t;
  clock_gettime(id, &t);
  return int64_t{t.tv_sec} * 1'000'000 + t.tv_nsec / 1000;
}

class RealClock final : public Clock {
 public:
  int64_t WallUs() override { return Now(CLOCK_REALTIME); }
  int64_t MonotonicUs() override { return Now(CLOCK_MONOTONIC); }
};

}  // namespace

Clock* SystemClock() {
  static RealClock clock;
  return &clock;
}

}  // namespace cairn
