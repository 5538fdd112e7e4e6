// SPDX-License-Identifier: BSD-3-Clause
#include "utils/bench/load/latencies.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace cairn::load {

void Latencies::Add(uint64_t ns, uint64_t count) {
  if (count == 0) return;
  counters_[LatencyHistogram::IndexOf(ns)] += count;
  count_ += count;
  max_ns_ = std::max(max_ns_, ns);
}

void Latencies::Merge(const Latencies& other) {
  for (size_t i = 0; i < counters_.size(); ++i) counters_[i] += other.counters_[i];
  count_ += other.count_;
  max_ns_ = std::max(max_ns_, other.max_ns_);
}

uint64_t Latencies::Percentile(double percent) const {
  const auto wanted =
      static_cast<uint64_t>(std::max(1.0, std::ceil(percent / 100 * static_cast<double>(count_))));
  uint64_t seen = 0;
  for (size_t i = 0; i < counters_.size(); ++i) {
    seen += counters_[i];
    if (seen >= wanted) return std::min(LatencyHistogram::Highest(i), max_ns_);
  }
  return max_ns_;
}

}  // namespace cairn::load
