// SPDX-License-Identifier: BSD-3-Clause
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/time.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "base/audit_chain.h"

namespace cairn {
namespace {
// The characters Redis marks levels with, so that log tools keep working.
constexpr char kLevelMarks[] = ".-*#";
constexpr size_t kLineBytesMax = 4096;
}  // namespace

Log::~Log() {
  if (fd_ > 2) close(fd_);
}

Status Log::Open(const std::string& path) {
  int fd = STDOUT_FILENO;
  if (!path.empty()) {
    fd = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    if (fd < 0) return Status::FromErrno("Can't open the log file " + path, errno);
  }
  std::lock_guard guard(mutex_);
  if (fd_ > 2) close(fd_);
  fd_ = fd;
  return Status::Ok();
}

void Log::OpenSyslog(const char* ident, int facility) {
  openlog(ident, LOG_PID | LOG_NDELAY | LOG_NOWAIT, facility);
  syslog_ = true;
}

std::string Log::JsonLine(LogLevel level, const timeval& now, const char* message) const {
  constexpr const char* kLevels[] = {"debug", "verbose", "notice", "warning"};
  const char role = role_.load();
  tm utc;
  gmtime_r(&now.tv_sec, &utc);
  char text[256];
  size_t n = strftime(text, sizeof text, "{\"time\":\"%Y-%m-%dT%H:%M:%S.", &utc);
  snprintf(text + n, sizeof text - n,
           "%03dZ\",\"pid\":%d,\"role\":\"%s\",\"level\":\"%s\",\"message\":\"",
           static_cast<int>(now.tv_usec / 1000), getpid(),
           role == 'S' ? "replica" : role == 'C' ? "tool" : "master",
           kLevels[static_cast<int>(level)]);
  std::string line = text;
  AppendJsonText(&line, message);
  return line.append("\"}\n");
}

void Log::Write(LogLevel level, const char* format, va_list arguments) {
  char line[kLineBytesMax];
  timeval now;
  gettimeofday(&now, nullptr);
  tm local;
  localtime_r(&now.tv_sec, &local);
  size_t length = static_cast<size_t>(snprintf(line, 32, "%d:%c ", getpid(), role_.load()));
  length += strftime(line + length, 64, "%d %b %Y %H:%M:%S.", &local);
  length += static_cast<size_t>(snprintf(line + length, 16, "%03d %c ",
                                         static_cast<int>(now.tv_usec / 1000),
                                         kLevelMarks[static_cast<int>(level)]));
  const char* const message = line + length;
  int text = vsnprintf(line + length, sizeof line - length - 1, format, arguments);
  if (text < 0) return;
  constexpr int kPriorities[] = {LOG_DEBUG, LOG_INFO, LOG_NOTICE, LOG_WARNING};
  if (syslog_) syslog(kPriorities[static_cast<int>(level)], "%s", message);
  if (json_.load(std::memory_order_relaxed)) {
    const std::string object = JsonLine(level, now, message);
    std::lock_guard guard(mutex_);
    [[maybe_unused]] ssize_t written = write(fd_, object.data(), object.size());
    return;
  }
  length += static_cast<size_t>(text);
  if (length > sizeof line - 1) length = sizeof line - 1;
  line[length++] = '\n';
  std::lock_guard guard(mutex_);
  // A log that cannot be written must not stop the server; there is nobody left to tell.
  [[maybe_unused]] ssize_t written = write(fd_, line, length);
}

#define CAIRN_LOG_BODY(severity)              \
  if (level() > LogLevel::severity) return;   \
  va_list arguments;                          \
  va_start(arguments, format);                \
  Write(LogLevel::severity, format, arguments); \
  va_end(arguments)

void Log::Debug(const char* format, ...) { CAIRN_LOG_BODY(kDebug); }
void Log::Verbose(const char* format, ...) { CAIRN_LOG_BODY(kVerbose); }
void Log::Notice(const char* format, ...) { CAIRN_LOG_BODY(kNotice); }
void Log::Warning(const char* format, ...) { CAIRN_LOG_BODY(kWarning); }

#undef CAIRN_LOG_BODY

}  // namespace cairn
