// SPDX-License-Identifier: BSD-3-Clause
//
// The slow log: the latest commands that took longer than a bound. Global, any thread.
#pragma once

#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <vector>

#include "spec/command.h"

namespace cairn {

struct SlowlogEntry {
  int64_t id;
  int64_t time_s;
  int64_t duration_us;
  std::vector<std::string> args;  // shortened as Redis does: 32 arguments, 128 bytes each
  std::string address, client_name;
};

class Slowlog {
 public:
  void Add(Arguments arguments, int64_t time_s, int64_t duration_us, std::string address,
           std::string client_name, size_t entries_max);
  // Newest first; count < 0: all.
  std::vector<SlowlogEntry> Get(int64_t count) const;
  size_t size() const;
  void Reset();

 private:
  mutable std::mutex mutex_;
  int64_t next_id_ = 0;
  std::deque<SlowlogEntry> entries_;
};

}  // namespace cairn
