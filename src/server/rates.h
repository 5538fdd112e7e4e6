// SPDX-License-Identifier: BSD-3-Clause
//
// Rates: how fast counters have grown of late, for INFO's instantaneous_* fields. A sample every
// 100 ms goes into a ring of 16, as in Redis, so a rate is that of the last 1.6 seconds.
//
//   [t0 c0] [t1 c1] ... [t15 c15]      rate = (newest - oldest count) / (newest - oldest time)
//
// Thread rule: Sample on one thread; PerSecond on any.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace cairn {

class Rate {
 public:
  static constexpr size_t kSamples = 16;

  void Sample(int64_t now_ms, uint64_t count) {
    const Point oldest = ring_[next_ % kSamples];
    ring_[next_++ % kSamples] = {now_ms, count};
    const bool full = next_ > kSamples;
    const Point& since = full ? oldest : ring_[0];
    // A counter may have been reset, a clock set back.
    if (now_ms <= since.ms || count < since.count) return per_second_.store(0, kRelaxed);
    const uint64_t grown = count - since.count;
    per_second_.store(grown * 1000 / static_cast<uint64_t>(now_ms - since.ms), kRelaxed);
  }
  uint64_t PerSecond() const { return per_second_.load(kRelaxed); }

 private:
  static constexpr auto kRelaxed = std::memory_order_relaxed;
  struct Point {
    int64_t ms = 0;
    uint64_t count = 0;
  };
  Point ring_[kSamples];
  size_t next_ = 0;
  std::atomic<uint64_t> per_second_{0};
};

}  // namespace cairn
