// SPDX-License-Identifier: BSD-3-Clause
//
// LatencyHistogram: how often something took how long, in units of the caller's (the processor's
// ticks). Log-linear, as HdrHistogram: 32 counters an octave, so that a value is known to 1/32.
//
//   value        counter
//   0 .. 63      value itself
//   64 .. 127    64 + (value - 64) / 2
//   128 .. 255   96 + (value - 128) / 4      and so on up to kValueMax, which takes all above it
//
// Thread rule: one thread adds, without a locked instruction; any thread reads at any time.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace cairn {

class LatencyHistogram {
 public:
  static constexpr int kSubBits = 5;
  static constexpr uint64_t kValueMax = (uint64_t{1} << 40) - 1;
  static constexpr size_t kCounters = ((40 - kSubBits) << kSubBits) + (1 << kSubBits);

  static constexpr size_t IndexOf(uint64_t value) {
    value = std::min(value, kValueMax);
    const int shift = std::bit_width(value | ((2 << kSubBits) - 1)) - kSubBits - 1;
    return (static_cast<size_t>(shift) << kSubBits) + static_cast<size_t>(value >> shift);
  }
  // The least and the greatest value that a counter takes.
  static constexpr uint64_t Lowest(size_t index) {
    if (index < (2 << kSubBits)) return index;
    const size_t shift = (index >> kSubBits) - 1;
    return static_cast<uint64_t>(index - (shift << kSubBits)) << shift;
  }
  static constexpr uint64_t Highest(size_t index) { return Lowest(index + 1) - 1; }

  void Add(uint64_t value) {
    std::atomic<uint64_t>& counter = counters_[IndexOf(value)];
    counter.store(counter.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }
  uint64_t counter(size_t index) const {
    return counters_[index].load(std::memory_order_relaxed);
  }

 private:
  std::array<std::atomic<uint64_t>, kCounters> counters_{};
};

// The counters of several histograms, added up.
class LatencySum {
 public:
  void Add(const LatencyHistogram& histogram);
  // What was counted before `baseline` was taken does not count.
  void Subtract(const LatencySum& baseline);

  uint64_t count() const;
  // The greatest value of the counter below which `percent` (0 to 100) of all values lie; that of
  // 0 is the least value. Needs count() > 0.
  uint64_t Percentile(double percent) const;
  uint64_t counter(size_t index) const { return counters_.empty() ? 0 : counters_[index]; }

 private:
  std::vector<uint64_t> counters_;  // empty: all are zero
};

}  // namespace cairn
