// SPDX-License-Identifier: BSD-3-Clause
//
// What LATENCY says in words and pictures.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/latency_events.h"

namespace cairn {

// The samples of an event as a row of bars, their age below, as Redis draws them.
std::string LatencyGraph(const LatencyEvent& event, int64_t now_s);

struct DoctorFacts {
  int64_t threshold_ms, slowlog_us, now_s;
};
// What happened, and what to do about it.
std::string LatencyReport(const std::vector<LatencyEvent>& events, const DoctorFacts& facts);

}  // namespace cairn
