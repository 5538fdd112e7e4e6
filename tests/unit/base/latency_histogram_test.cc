// SPDX-License-Identifier: BSD-3-Clause
#include "base/latency_histogram.h"

#include <catch2/catch.hpp>
#include <random>
#include <vector>

#include "base/latency_events.h"

using namespace cairn;

TEST_CASE("Counters of a latency histogram lie side by side", "[base]") {
  using H = LatencyHistogram;
  for (size_t i = 0; i + 1 < H::kCounters; ++i) {
    REQUIRE(H::IndexOf(H::Lowest(i)) == i);
    REQUIRE(H::IndexOf(H::Highest(i)) == i);
    REQUIRE(H::Lowest(i + 1) == H::Highest(i) + 1);
    REQUIRE(H::Highest(i) - H::Lowest(i) <= H::Lowest(i) / 32);
  }
  REQUIRE(H::IndexOf(H::kValueMax) == H::kCounters - 1);
  REQUIRE(H::IndexOf(UINT64_MAX) == H::kCounters - 1);
}

TEST_CASE("Percentiles of a latency histogram are those of the values, to 1/32", "[base]") {
  std::mt19937_64 random(7);
  std::vector<uint64_t> values;
  LatencyHistogram first, second;
  for (int i = 0; i < 10000; ++i) {
    values.push_back(random() >> (24 + random() % 40));
    (i % 3 == 0 ? first : second).Add(values.back());
  }
  std::sort(values.begin(), values.end());
  LatencySum sum;
  sum.Add(first);
  sum.Add(second);
  REQUIRE(sum.count() == values.size());
  for (double percent : {0.1, 25.0, 50.0, 99.0, 99.9, 100.0}) {
    const auto rank = static_cast<size_t>(percent * static_cast<double>(values.size()) / 100) - 1;
    const uint64_t exact = std::min(values[rank], LatencyHistogram::kValueMax);
    REQUIRE(sum.Percentile(percent) >= exact);
    REQUIRE(sum.Percentile(percent) <= exact + exact / 32 + 1);
  }
  REQUIRE(sum.Percentile(0) <= values.front());
  LatencySum baseline;
  baseline.Add(first);
  sum.Subtract(baseline);
  REQUIRE(sum.count() == values.size() - baseline.count());
}

TEST_CASE("Slow events: one sample a second, the worst; the oldest go", "[base]") {
  LatencyEvents events;
  events.AddIfSlow("command", 1'000'000, 5);
  REQUIRE(events.All().empty());  // nobody asked to watch
  events.set_threshold_ms(10);
  events.AddIfSlow("command", 9'999, 5);
  REQUIRE(events.All().empty());
  events.AddIfSlow("command", 10'000, 5);
  events.AddIfSlow("command", 30'000, 5);
  events.AddIfSlow("command", 20'000, 5);
  events.AddIfSlow("command", 11'000, 6);
  const LatencyEvent event = events.Find("command");
  REQUIRE(event.samples.size() == 2);
  REQUIRE(event.samples[0].latency_ms == 30);
  REQUIRE(event.samples[1].latency_ms == 11);
  REQUIRE(event.max_ms == 30);
  for (int64_t second = 7; second < 307; ++second) events.AddIfSlow("command", 12'000, second);
  REQUIRE(events.Find("command").samples.size() == LatencyEvents::kSamplesMax);
  REQUIRE(events.Find("command").samples.back().time_s == 306);
  events.AddIfSlow("expire-cycle", 12'000, 400);
  REQUIRE(events.Reset({"command", "nosuch"}) == 1);
  REQUIRE(events.Reset({}) == 1);
}
