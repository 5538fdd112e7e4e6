// SPDX-License-Identifier: BSD-3-Clause
#include "base/latency_histogram.h"

#include <cmath>

namespace cairn {

void LatencySum::Add(const LatencyHistogram& histogram) {
  counters_.resize(LatencyHistogram::kCounters);
  for (size_t i = 0; i < counters_.size(); ++i) counters_[i] += histogram.counter(i);
}

void LatencySum::Subtract(const LatencySum& baseline) {
  for (size_t i = 0; i < std::min(counters_.size(), baseline.counters_.size()); ++i)
    counters_[i] -= baseline.counters_[i];
}

uint64_t LatencySum::count() const {
  uint64_t sum = 0;
  for (uint64_t counter : counters_) sum += counter;
  return sum;
}

uint64_t LatencySum::Percentile(double percent) const {
  const auto rank = static_cast<uint64_t>(
      std::ceil(std::min(percent, 100.0) / 100 * static_cast<double>(count())));
  uint64_t seen = 0;
  for (size_t i = 0; i < counters_.size(); ++i) {
    seen += counters_[i];
    if (seen == 0 || seen < rank) continue;
    return rank == 0 ? LatencyHistogram::Lowest(i) : LatencyHistogram::Highest(i);
  }
  return 0;
}

}  // namespace cairn
