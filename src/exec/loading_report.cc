// SPDX-License-Identifier: BSD-3-Clause
#include "exec/loading_report.h"

#include <stdio.h>
#include <unistd.h>

#include <algorithm>
#include <string_view>

#include "exec/engine.h"

namespace cairn {
namespace {

constexpr std::string_view kClearLine = "\r\x1b[K";
// Before, what opening the file took is most of the time, and a rate would be far too low.
constexpr int64_t kRateAfterMs = 500;

double MiB(double bytes) { return bytes / (1 << 20); }

void Draw(const std::string& text) {
  [[maybe_unused]] const ssize_t written = write(STDOUT_FILENO, text.data(), text.size());
}

bool ToTerminal(const Engine& engine) {
  return engine.log.to_stdout() && engine.log.level() <= LogLevel::kNotice &&
         engine.config.log_format() == LogFormat::kLegacy && isatty(STDOUT_FILENO) == 1;
}

}  // namespace

std::string LoadingText(const char* what, uint64_t loaded, uint64_t total, int64_t elapsed_ms) {
  const auto done = static_cast<double>(loaded);
  // Bytes a second.
  const double rate = done * 1000 / static_cast<double>(std::max<int64_t>(elapsed_ms, 1));
  char text[160];
  int length = snprintf(text, sizeof text, "Loading the %s: ", what);  // both are short
  char* const rest = text + length;
  const size_t room = sizeof text - static_cast<size_t>(length);
  const double left = static_cast<double>(total - std::min(total, loaded));
  if (total == 0) {
    length += snprintf(rest, room, "%.1f MiB", MiB(done));
  } else {
    const double percent = 100 - 100 * left / static_cast<double>(total);
    length += snprintf(rest, room, "%.1f%% of %.1f MiB", percent, MiB(static_cast<double>(total)));
  }
  std::string all(text, static_cast<size_t>(length));
  if (elapsed_ms < kRateAfterMs || loaded == 0) return all;
  snprintf(text, sizeof text, ", %.1f MiB/s", MiB(rate));
  all += text;
  if (total == 0) return all;
  snprintf(text, sizeof text, ", %.0f s left", left / rate);
  return all + text;
}

LoadingReport::LoadingReport(Engine* engine, const char* what)
    : engine_(*engine),
      what_(what),
      terminal_(ToTerminal(*engine)),
      start_ms_(engine->clock.MonotonicMs()),
      // On a terminal the first bytes are told of at once.
      told_ms_(terminal_ ? start_ms_ - kDrawEveryMs : start_ms_) {}

LoadingReport::~LoadingReport() {
  if (terminal_) Draw(std::string(kClearLine));
}

void LoadingReport::Add(uint64_t bytes) {
  engine_.loading.Add(bytes);
  const int64_t now_ms = engine_.clock.MonotonicMs();
  int64_t told = told_ms_.load(std::memory_order_relaxed);
  if (now_ms - told < (terminal_ ? kDrawEveryMs : kTellEveryMs) ||
      !told_ms_.compare_exchange_strong(told, now_ms))
    return;
  const std::string text = LoadingText(what_, engine_.loading.loaded_bytes(),
                                       engine_.loading.total_bytes(), now_ms - start_ms_);
  if (!terminal_) return engine_.log.Notice("%s", text.c_str());
  // The cursor goes back to where the line begins: a message of another thread takes its place.
  Draw(std::string(kClearLine) + text + "\r");
}

}  // namespace cairn
