// SPDX-License-Identifier: BSD-3-Clause
//
// How fast a counter runs beside a clock. A thread can be interrupted between its look at the one
// and its look at the other, for longer than the whole measurement takes; all that is timed by a
// rate measured so would be wrong for as long as the process lives. So each end of the measurement
// is the best of several looks: the clock between two of the counter that are close together.
#pragma once

#include <stdint.h>

namespace cairn {

inline constexpr int64_t kTickRateNs = 2'000'000;  // how long it takes
inline constexpr int kTickRateLooks = 32;          // at each end

// What both showed at one moment.
struct TickMoment {
  uint64_t ticks;
  int64_t ns;
};

// `ticks()` reads the counter, `clock_ns()` the clock.
template <typename Ticks, typename ClockNs>
TickMoment LookAtBoth(const Ticks& ticks, const ClockNs& clock_ns) {
  TickMoment best = {};
  uint64_t least = ~uint64_t{0};
  for (int i = 0; i < kTickRateLooks; ++i) {
    const uint64_t before = ticks();
    const int64_t ns = clock_ns();
    const uint64_t took = ticks() - before;
    if (took >= least) continue;
    least = took;
    best = {before + took / 2, ns};
  }
  return best;
}

// Ticks a microsecond. Waits for kTickRateNs.
template <typename Ticks, typename ClockNs>
double MeasureTickRate(const Ticks& ticks, const ClockNs& clock_ns) {
  const TickMoment start = LookAtBoth(ticks, clock_ns);
  TickMoment end;
  do end = LookAtBoth(ticks, clock_ns);
  while (end.ns - start.ns < kTickRateNs);
  return static_cast<double>(end.ticks - start.ticks) * 1000 /
         static_cast<double>(end.ns - start.ns);
}

}  // namespace cairn
