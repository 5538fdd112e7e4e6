// SPDX-License-Identifier: BSD-3-Clause
#include "server/process.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <mutex>

namespace cairn {
namespace {

constexpr char kOomScoreFile[] = "/proc/self/oom_score_adj";
constexpr int64_t kOomScoreLimit = 1000;

bool Supervises(const Config& config, Supervised which, const char* variable) {
  const Supervised wanted = config.supervised();
  return (wanted == which || wanted == Supervised::kAuto) && getenv(variable) != nullptr;
}

bool NotifySystemd(const char* message) {
  const std::string path = getenv("NOTIFY_SOCKET");
  sockaddr_un name = {};
  name.sun_family = AF_UNIX;
  if (path.size() < 2 || path.size() >= sizeof name.sun_path) return false;
  memcpy(name.sun_path, path.data(), path.size());
  if (path[0] == '@') name.sun_path[0] = '\0';  // a name without a file
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
  const bool sent = sendto(fd, message, strlen(message), MSG_NOSIGNAL,
                           reinterpret_cast<sockaddr*>(&name), length) >= 0;
  close(fd);
  return sent;
}

bool ReadOomScore(int64_t* score) {
  FILE* file = fopen(kOomScoreFile, "r");
  if (file == nullptr) return false;
  long long value = 0;
  const bool read = fscanf(file, "%lld", &value) == 1;
  fclose(file);
  *score = value;
  return read;
}

}  // namespace

bool IsSupervised(const Config& config) {
  return Supervises(config, Supervised::kSystemd, "NOTIFY_SOCKET") ||
         Supervises(config, Supervised::kUpstart, "UPSTART_JOB");
}

void TellSupervisorReady(const Config& config, Log& log) {
  if (Supervises(config, Supervised::kSystemd, "NOTIFY_SOCKET")) {
    log.Notice(
        "supervised by systemd. Please make sure you set appropriate values for "
        "TimeoutStartSec and TimeoutStopSec in your service unit.");
    if (!NotifySystemd("STATUS=Ready to accept connections\nREADY=1\n"))
      log.Warning("Can't tell systemd at %s: %s", getenv("NOTIFY_SOCKET"), strerror(errno));
  } else if (Supervises(config, Supervised::kUpstart, "UPSTART_JOB")) {
    log.Notice("supervised by upstart, will stop to signal readiness.");
    unsetenv("UPSTART_JOB");
    raise(SIGSTOP);
  } else if (config.supervised() == Supervised::kSystemd) {
    log.Warning("systemd supervision requested or auto-detected, but NOTIFY_SOCKET not found");
  } else if (config.supervised() == Supervised::kUpstart) {
    log.Warning("upstart supervision requested, but UPSTART_JOB not found");
  }
}

void TellSupervisorStopping(const Config& config) {
  if (Supervises(config, Supervised::kSystemd, "NOTIFY_SOCKET"))
    (void)NotifySystemd("STATUS=Saving the final state\nSTOPPING=1\n");
}

Status AdjustOomScore(const Config& config, bool follower) {
  // The start and CONFIG SET may meet here.
  static std::mutex mutex;
  std::lock_guard guard(mutex);
  // The rank the process was started with, and whether it has another now.
  static int64_t base = 0;
  static bool base_known = false, adjusted = false;
  if (config.oom_score_adj() == OomScoreAdj::kNo && !adjusted) return Status::Ok();
  if (!base_known && !ReadOomScore(&base)) return Status::FromErrno(kOomScoreFile, errno);
  base_known = true;
  int64_t score = base;
  if (config.oom_score_adj() != OomScoreAdj::kNo) {
    const auto values = config.oom_score_adj_values();
    score = values[follower ? 1 : 0];
    if (config.oom_score_adj() == OomScoreAdj::kRelative) score += base;
    score = std::clamp(score, -kOomScoreLimit, kOomScoreLimit);
  }
  FILE* file = fopen(kOomScoreFile, "w");
  const bool written =
      file != nullptr && fprintf(file, "%lld\n", static_cast<long long>(score)) > 0;
  const bool closed = file != nullptr && fclose(file) == 0;
  if (!written || !closed)
    return Status::FromErrno("Unable to write " + std::to_string(score) + " to " + kOomScoreFile,
                             errno);
  adjusted = config.oom_score_adj() != OomScoreAdj::kNo;
  return Status::Ok();
}

}  // namespace cairn
