// SPDX-License-Identifier: BSD-3-Clause
//
// CommandLog: the latest commands that cost much, by what they cost: time (SLOWLOG), bytes of their
// request, bytes of their reply (COMMANDLOG, as Valkey 8.1 has it). Global, any thread.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <vector>

#include "spec/command.h"

namespace cairn {

enum class CommandLogType : int { kSlow, kLargeRequest, kLargeReply };
inline constexpr int kCommandLogTypes = 3;

struct CommandLogEntry {
  int64_t id;
  int64_t time_s;
  int64_t cost;                   // microseconds or bytes
  std::vector<std::string> args;  // shortened as Redis does: 32 arguments, 128 bytes each
  std::string address, client_name;
};

class CommandLog {
 public:
  // The id is given here.
  void Add(CommandLogType type, CommandLogEntry entry, size_t entries_max);
  // Newest first; count < 0: all.
  std::vector<CommandLogEntry> Get(CommandLogType type, int64_t count) const;
  size_t size(CommandLogType type) const;
  void Reset(CommandLogType type);

  static std::vector<std::string> Shorten(Arguments arguments);

 private:
  struct Log {
    int64_t next_id = 0;
    std::deque<CommandLogEntry> entries;
  };
  Log& log(CommandLogType type) { return logs_[static_cast<size_t>(type)]; }
  const Log& log(CommandLogType type) const { return logs_[static_cast<size_t>(type)]; }

  mutable std::mutex mutex_;
  std::array<Log, kCommandLogTypes> logs_;
};

}  // namespace cairn
