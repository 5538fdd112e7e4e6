// SPDX-License-Identifier: BSD-3-Clause
//
// What was refused, newest first, for ACL LOG. The same refusal again within a minute raises the
// count of its entry instead of adding one, so a client in a loop cannot push the others out.
//
// Texts that clients choose (names of keys, channels, users and connections) are kept up to
// kTextBytesMax, where Redis keeps them whole: its log of 128 refused keys may hold gigabytes.
//
// Thread rule: any thread; a mutex of its own, held for no other lock.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "acl/selector.h"

namespace cairn {

struct AclLogEntry {
  int64_t id = 0;
  uint64_t count = 1;
  AclDenial reason = AclDenial::kNone;
  std::string_view context;  // "toplevel", "multi" or "lua"; a literal
  std::string object, user, client_info;
  int64_t created_ms = 0, updated_ms = 0;
};

class AclLog {
 public:
  static constexpr size_t kTextBytesMax = 1024;

  // Keeps at most `entries_max`; with 0 nothing is kept but the counters.
  void Add(AclLogEntry entry, size_t entries_max);
  // The newest `count`.
  std::vector<AclLogEntry> Newest(size_t count) const;
  void Reset();
  // Refusals of one kind since the start.
  uint64_t total(AclDenial reason) const {
    return totals_[static_cast<size_t>(reason)].load(std::memory_order_relaxed);
  }

 private:
  mutable std::mutex mutex_;
  std::deque<AclLogEntry> entries_;
  int64_t next_id_ = 0;
  std::atomic<uint64_t> totals_[static_cast<size_t>(AclDenial::kCertificate) + 1] = {};
};

// "command", "key", "channel", "auth", "database", "tls-cert".
std::string_view NameOf(AclDenial reason);

}  // namespace cairn
