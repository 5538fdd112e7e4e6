// SPDX-License-Identifier: BSD-3-Clause
#include "base/latency_events.h"

#include <algorithm>

namespace cairn {

void LatencyEvents::Add(const char* name, int64_t latency_ms, int64_t time_s) {
  std::lock_guard guard(mutex_);
  Series& series = events_[name];
  series.max_ms = std::max(series.max_ms, latency_ms);
  if (!series.samples.empty() && series.samples.back().time_s == time_s) {
    int64_t& worst = series.samples.back().latency_ms;
    worst = std::max(worst, latency_ms);
    return;
  }
  series.samples.push_back({time_s, latency_ms});
  if (series.samples.size() > kSamplesMax) series.samples.pop_front();
}

LatencyEvent LatencyEvents::Copy(const std::string& name, const Series& series) {
  return {name, series.max_ms, {series.samples.begin(), series.samples.end()}};
}

std::vector<LatencyEvent> LatencyEvents::All() const {
  std::lock_guard guard(mutex_);
  std::vector<LatencyEvent> all;
  for (const auto& [name, series] : events_) all.push_back(Copy(name, series));
  return all;
}

LatencyEvent LatencyEvents::Find(std::string_view name) const {
  std::lock_guard guard(mutex_);
  auto found = events_.find(name);
  if (found == events_.end()) return {};
  return Copy(found->first, found->second);
}

size_t LatencyEvents::Reset(const std::vector<std::string_view>& names) {
  std::lock_guard guard(mutex_);
  size_t forgotten = 0;
  if (names.empty()) {
    forgotten = events_.size();
    events_.clear();
  }
  for (std::string_view name : names) {
    auto found = events_.find(name);
    if (found == events_.end()) continue;
    events_.erase(found);
    ++forgotten;
  }
  return forgotten;
}

}  // namespace cairn
