// SPDX-License-Identifier: BSD-3-Clause
//
// The server's own messages, one line each: "pid:role time level text", or as JSON
//   {"time":"2026-01-31T10:11:12.345Z","pid":7,"role":"master","level":"notice","message":"..."}
// Any thread; lines are
// whole. Never call it while holding a shard lock: it writes to a file.
#pragma once

#include <sys/time.h>

#include <atomic>
#include <cstdarg>
#include <mutex>
#include <string>

#include "base/status.h"

namespace cairn {

enum class LogLevel : int { kDebug = 0, kVerbose = 1, kNotice = 2, kWarning = 3, kNothing = 4 };

class Log {
 public:
  Log() = default;  // standard output, level notice
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  // "" is standard output. Also used to reopen after rotation.
  Status Open(const std::string& path);
  // A JSON object a line, for tools that collect logs.
  void set_json(bool json) { json_.store(json, std::memory_order_relaxed); }
  // To syslog too, as `ident` and with a facility of syslog(3). At start; `ident` must live on.
  void OpenSyslog(const char* ident, int facility);
  // Where messages go now: for a handler of fatal signals, which may not lock.
  const int* fd() const { return &fd_; }
  void set_level(LogLevel level) { level_.store(level, std::memory_order_relaxed); }
  LogLevel level() const { return level_.load(std::memory_order_relaxed); }
  // 'M' leader, 'S' follower, 'X' sentinel, 'C' child or tool: the letter Redis prints.
  void set_role(char role) { role_.store(role, std::memory_order_relaxed); }

  // Whether messages go to standard output now.
  bool to_stdout() const {
    std::lock_guard guard(mutex_);
    return fd_ == 1;
  }

  void Debug(const char* format, ...) __attribute__((format(printf, 2, 3)));
  void Verbose(const char* format, ...) __attribute__((format(printf, 2, 3)));
  void Notice(const char* format, ...) __attribute__((format(printf, 2, 3)));
  void Warning(const char* format, ...) __attribute__((format(printf, 2, 3)));

 private:
  void Write(LogLevel level, const char* format, va_list arguments);
  std::string JsonLine(LogLevel level, const timeval& now, const char* message) const;

  std::atomic<LogLevel> level_{LogLevel::kNotice};
  std::atomic<char> role_{'M'};
  std::atomic<bool> json_{false};
  mutable std::mutex mutex_;  // guards fd_ against a reopen
  int fd_ = 1;
  bool syslog_ = false;
};

}  // namespace cairn
