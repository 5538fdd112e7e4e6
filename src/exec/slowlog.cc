// SPDX-License-Identifier: BSD-3-Clause
#include "exec/slowlog.h"

namespace cairn {
namespace {
constexpr size_t kArgumentsMax = 32;
constexpr size_t kArgumentBytesMax = 128;
}  // namespace

void Slowlog::Add(Arguments arguments, int64_t time_s, int64_t duration_us, std::string address,
                  std::string client_name, size_t entries_max) {
  SlowlogEntry entry{0, time_s, duration_us, {}, std::move(address), std::move(client_name)};
  const size_t count = arguments.size() > kArgumentsMax ? kArgumentsMax : arguments.size();
  for (size_t i = 0; i < count; ++i) {
    if (count < arguments.size() && i == count - 1) {
      entry.args.push_back("... (" + std::to_string(arguments.size() - count + 1) +
                           " more arguments)");
    } else if (arguments[i].size() > kArgumentBytesMax) {
      entry.args.push_back(std::string(arguments[i].substr(0, kArgumentBytesMax)) + "... (" +
                           std::to_string(arguments[i].size() - kArgumentBytesMax) +
                           " more bytes)");
    } else {
      entry.args.emplace_back(arguments[i]);
    }
  }
  std::lock_guard guard(mutex_);
  entry.id = next_id_++;
  entries_.push_front(std::move(entry));
  while (entries_.size() > entries_max) entries_.pop_back();
}

std::vector<SlowlogEntry> Slowlog::Get(int64_t count) const {
  std::lock_guard guard(mutex_);
  const size_t n = count < 0 ? entries_.size() : std::min<size_t>(entries_.size(), count);
  return {entries_.begin(), entries_.begin() + static_cast<std::ptrdiff_t>(n)};
}

size_t Slowlog::size() const {
  std::lock_guard guard(mutex_);
  return entries_.size();
}

void Slowlog::Reset() {
  std::lock_guard guard(mutex_);
  entries_.clear();
}

}  // namespace cairn
