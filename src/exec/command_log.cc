// SPDX-License-Identifier: BSD-3-Clause
#include "exec/command_log.h"

namespace cairn {
namespace {
constexpr size_t kArgumentsMax = 32;
constexpr size_t kArgumentBytesMax = 128;
}  // namespace

std::vector<std::string> CommandLog::Shorten(Arguments arguments) {
  std::vector<std::string> shown;
  const size_t count = arguments.size() > kArgumentsMax ? kArgumentsMax : arguments.size();
  for (size_t i = 0; i < count; ++i) {
    if (count < arguments.size() && i == count - 1) {
      shown.push_back("... (" + std::to_string(arguments.size() - count + 1) + " more arguments)");
    } else if (arguments[i].size() > kArgumentBytesMax) {
      shown.push_back(std::string(arguments[i].substr(0, kArgumentBytesMax)) + "... (" +
                      std::to_string(arguments[i].size() - kArgumentBytesMax) + " more bytes)");
    } else {
      shown.emplace_back(arguments[i]);
    }
  }
  return shown;
}

void CommandLog::Add(CommandLogType type, CommandLogEntry entry, size_t entries_max) {
  std::lock_guard guard(mutex_);
  Log& into = log(type);
  entry.id = into.next_id++;
  into.entries.push_front(std::move(entry));
  while (into.entries.size() > entries_max) into.entries.pop_back();
}

std::vector<CommandLogEntry> CommandLog::Get(CommandLogType type, int64_t count) const {
  std::lock_guard guard(mutex_);
  const auto& entries = log(type).entries;
  const size_t n = count < 0 ? entries.size() : std::min<size_t>(entries.size(), count);
  return {entries.begin(), entries.begin() + static_cast<std::ptrdiff_t>(n)};
}

size_t CommandLog::size(CommandLogType type) const {
  std::lock_guard guard(mutex_);
  return log(type).entries.size();
}

void CommandLog::Reset(CommandLogType type) {
  std::lock_guard guard(mutex_);
  log(type).entries.clear();
}

}  // namespace cairn
