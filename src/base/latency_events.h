// SPDX-License-Identifier: BSD-3-Clause
//
// LatencyEvents: what took longer than an operator wants, by kind of event (LATENCY). Of each kind
// the latest kSamplesMax samples are kept, one a second: the worst of that second.
//
// Any thread; whoever is below the threshold, which is the rule, pays one load.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace cairn {

struct LatencySample {
  int64_t time_s;
  int64_t latency_ms;
};

struct LatencyEvent {
  std::string name;
  int64_t max_ms = 0;  // ever since the last reset
  std::vector<LatencySample> samples;  // oldest first, never empty
};

class LatencyEvents {
 public:
  static constexpr size_t kSamplesMax = 160;

  // 0: nothing is recorded.
  void set_threshold_ms(int64_t threshold_ms) {
    threshold_ms_.store(threshold_ms, std::memory_order_relaxed);
  }
  int64_t threshold_ms() const { return threshold_ms_.load(std::memory_order_relaxed); }

  // Names are constants of the code: their number is bounded.
  void AddIfSlow(const char* name, int64_t duration_us, int64_t time_s) {
    const int64_t threshold_ms = this->threshold_ms();
    if (threshold_ms > 0 && duration_us / 1000 >= threshold_ms) [[unlikely]]
      Add(name, duration_us / 1000, time_s);
  }

  std::vector<LatencyEvent> All() const;  // by name
  // Without samples if there is no such event.
  LatencyEvent Find(std::string_view name) const;
  // How many were forgotten; no names: all.
  size_t Reset(const std::vector<std::string_view>& names);

 private:
  struct Series {
    int64_t max_ms = 0;
    std::deque<LatencySample> samples;
  };
  void Add(const char* name, int64_t latency_ms, int64_t time_s);
  static LatencyEvent Copy(const std::string& name, const Series& series);

  std::atomic<int64_t> threshold_ms_{0};
  mutable std::mutex mutex_;
  std::map<std::string, Series, std::less<>> events_;
};

}  // namespace cairn
