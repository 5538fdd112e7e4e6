// SPDX-License-Identifier: BSD-3-Clause
//
// Latencies: how often a request took how long, in nanoseconds. Debian 12 has HdrHistogram for Java
// and Go only; this counts in its layout, that of base/latency_histogram.h: 32 counters an octave,
// so that a percentile is known to 3 %. The greatest value is kept exactly.
//
// Thread rule: one thread at a time.
#pragma once

#include <cstdint>
#include <vector>

#include "base/latency_histogram.h"

namespace cairn::load {

class Latencies {
 public:
  Latencies() : counters_(LatencyHistogram::kCounters) {}

  void Add(uint64_t ns, uint64_t count);
  void Merge(const Latencies& other);

  uint64_t count() const { return count_; }
  uint64_t max_ns() const { return max_ns_; }
  // The value that `percent` (0 to 100) of all values do not exceed, or 0 without any value.
  uint64_t Percentile(double percent) const;

 private:
  std::vector<uint64_t> counters_;
  uint64_t count_ = 0;
  uint64_t max_ns_ = 0;
};

}  // namespace cairn::load
