// SPDX-License-Identifier: BSD-3-Clause
#include "commands/latency_text.h"

#include <stdarg.h>
#include <stdio.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>

namespace cairn {
namespace {

constexpr size_t kColumns = 80;
constexpr int kRows = 4;
constexpr std::string_view kFill = "_o#";  // a row shows three heights

std::string Format(const char* format, ...) __attribute__((format(printf, 1, 2)));
std::string Format(const char* format, ...) {
  char text[512];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  return text;
}

std::string Age(int64_t seconds) {
  if (seconds < 60) return std::to_string(seconds) + "s";
  if (seconds < 3600) return std::to_string(seconds / 60) + "m";
  if (seconds < 86400) return std::to_string(seconds / 3600) + "h";
  return std::to_string(seconds / 86400) + "d";
}

struct Bar {
  int64_t height;
  std::string label;
};

// The bars' rows from the top, then an empty row, then the labels downwards.
std::string DrawBars(const std::vector<Bar>& bars, int64_t low, int64_t high) {
  const int64_t steps = kRows * static_cast<int64_t>(kFill.size());
  const double range = static_cast<double>(std::max<int64_t>(high - low, 1));
  std::string text;
  for (int row = 0; row < kRows; ++row) {
    for (const Bar& bar : bars) {
      const double share = static_cast<double>(bar.height - low) / range;
      const int64_t step =
          std::clamp<int64_t>(static_cast<int64_t>(share * static_cast<double>(steps)), 0, steps - 1);
      const int64_t below = (kRows - row - 1) * static_cast<int64_t>(kFill.size());
      if (step < below) {
        text += ' ';
      } else {
        const auto part = static_cast<size_t>(step - below);
        text += part < kFill.size() ? kFill[part] : '|';
      }
    }
    text += '\n';
  }
  size_t longest = 0;
  for (const Bar& bar : bars) longest = std::max(longest, bar.label.size());
  text += std::string(bars.size(), ' ') + "\n";
  for (size_t i = 0; i < longest; ++i) {
    for (const Bar& bar : bars) text += i < bar.label.size() ? bar.label[i] : ' ';
    text += '\n';
  }
  return text;
}

struct Advice {
  const char* event;  // a prefix of the events' names
  const char* text;
};
constexpr Advice kAdvices[] = {
    {"command", "Commands of O(N) were slow: look for them in SLOWLOG GET, and for their data with "
                "MEMORY USAGE. SCAN and its relatives do in steps what KEYS or SMEMBERS do at once."},
    {"fast-command", "Commands that take constant time were slow: most often the machine has fewer "
                     "cores to give than threads want, or it swaps."},
    {"expire-cycle", "Many keys expire together: spread their times, or lower "
                     "active-expire-effort."},
    {"eviction", "Eviction is busy: give maxmemory more room, or clients fewer large values."},
    {"snapshot-in-place", "Scripts, expiry or eviction changed big values that a snapshot had yet to "
                          "write: smaller values, or commands instead of scripts, which can wait."},
    {"aof-write", "Writing the journal was slow: the disk is shared with something, or full."},
    {"aof-fsync-always", "Every write waits for the disk (appendfsync always) and the disk was "
                         "slow: everysec waits for none."},
};

std::string Describe(size_t number, const LatencyEvent& event, int64_t now_s) {
  int64_t sum = 0, deviations = 0;
  for (const LatencySample& sample : event.samples) sum += sample.latency_ms;
  const auto count = static_cast<int64_t>(event.samples.size());
  const int64_t average = sum / count;
  for (const LatencySample& sample : event.samples)
    deviations += std::abs(sample.latency_ms - average);
  const double period =
      static_cast<double>(now_s - event.samples.front().time_s) / static_cast<double>(count);
  return Format(
      "%zu. %s: %lld latency spikes (average %lldms, mean deviation %lldms, period %.2f sec). "
      "Worst all time event %lldms.\n",
      number, event.name.c_str(), static_cast<long long>(count), static_cast<long long>(average),
      static_cast<long long>(deviations / count), period, static_cast<long long>(event.max_ms));
}

}  // namespace

std::string LatencyGraph(const LatencyEvent& event, int64_t now_s) {
  const size_t count = std::min(event.samples.size(), kColumns);
  const auto* first = event.samples.data() + (event.samples.size() - count);
  std::vector<Bar> bars;
  int64_t low = first->latency_ms, high = low;
  for (size_t i = 0; i < count; ++i) {
    low = std::min(low, first[i].latency_ms);
    high = std::max(high, first[i].latency_ms);
    bars.push_back({first[i].latency_ms, Age(now_s - first[i].time_s)});
  }
  return Format("%s - high %lld ms, low %lld ms (all time high %lld ms)\n", event.name.c_str(),
                static_cast<long long>(high), static_cast<long long>(low),
                static_cast<long long>(event.max_ms)) +
         std::string(kColumns, '-') + "\n" + DrawBars(bars, low, high);
}

std::string LatencyReport(const std::vector<LatencyEvent>& events, const DoctorFacts& facts) {
  if (events.empty() && facts.threshold_ms == 0)
    return "Latency monitoring is disabled. CONFIG SET latency-monitor-threshold <milliseconds> "
           "enables it: choose what is too slow for your clients.\n";
  if (events.empty())
    return Format("Nothing took %lld ms or longer since this was last asked to be watched.\n",
                  static_cast<long long>(facts.threshold_ms));
  std::string text = "Latency spikes were seen:\n\n";
  for (size_t i = 0; i < events.size(); ++i) text += Describe(i + 1, events[i], facts.now_s);
  text += "\nWhat may help:\n\n";
  for (const Advice& advice : kAdvices) {
    const bool seen = std::any_of(events.begin(), events.end(), [&](const LatencyEvent& event) {
      return event.name.starts_with(advice.event);
    });
    if (seen) text += std::string("- ") + advice.text + "\n";
  }
  if (facts.slowlog_us < 0 || facts.slowlog_us > facts.threshold_ms * 1000)
    text += Format("- SLOWLOG does not show all of these commands: CONFIG SET "
                   "slowlog-log-slower-than %lld\n",
                   static_cast<long long>(std::max<int64_t>(facts.threshold_ms, 1) * 1000));
  return text;
}

}  // namespace cairn
