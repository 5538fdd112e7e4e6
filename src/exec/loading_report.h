// SPDX-License-Identifier: BSD-3-Clause
//
// LoadingReport: how far a load is, for who looks on. Where messages go to a terminal it is one
// line, drawn anew over itself and gone in the end; elsewhere a message now and then.
//
// Thread rule: Add from any thread, one object a load.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

namespace cairn {

struct Engine;

// "Loading the WHAT: 41.3% of 512.0 MiB, 350.2 MiB/s, 1 s left". `total` 0: it is not known.
std::string LoadingText(const char* what, uint64_t loaded, uint64_t total, int64_t elapsed_ms);

class LoadingReport {
 public:
  static constexpr int64_t kDrawEveryMs = 100;  // on a terminal
  static constexpr int64_t kTellEveryMs = 2000;

  // Once engine->loading has begun. `what` is a literal.
  LoadingReport(Engine* engine, const char* what);
  ~LoadingReport();
  LoadingReport(const LoadingReport&) = delete;
  LoadingReport& operator=(const LoadingReport&) = delete;

  // So many bytes more are loaded; also noted in engine->loading.
  void Add(uint64_t bytes);

 private:
  Engine& engine_;
  const char* const what_;
  const bool terminal_;
  const int64_t start_ms_;
  std::atomic<int64_t> told_ms_;
};

}  // namespace cairn
