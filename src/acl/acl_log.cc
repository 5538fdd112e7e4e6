// SPDX-License-Identifier: BSD-3-Clause
#include "acl/acl_log.h"

#include <algorithm>

namespace cairn {
namespace {
constexpr int64_t kSameEntryMs = 60'000;
// Only the newest entries are searched for the same refusal.
constexpr size_t kSearched = 10;
}  // namespace

void AclLog::Add(AclLogEntry entry, size_t entries_max) {
  totals_[static_cast<size_t>(entry.reason)].fetch_add(1, std::memory_order_relaxed);
  for (std::string* text : {&entry.object, &entry.user, &entry.client_info}) {
    if (text->size() <= kTextBytesMax) continue;
    text->resize(kTextBytesMax);
    text->shrink_to_fit();
  }
  std::lock_guard guard(mutex_);
  for (size_t i = 0; i < std::min(kSearched, entries_.size()); ++i) {
    AclLogEntry& known = entries_[i];
    if (known.reason != entry.reason || known.context != entry.context ||
        known.object != entry.object || known.user != entry.user ||
        entry.created_ms - known.created_ms > kSameEntryMs)
      continue;
    ++known.count;
    known.updated_ms = entry.created_ms;
    known.client_info = std::move(entry.client_info);
    // It is the newest again.
    std::rotate(entries_.begin(), entries_.begin() + static_cast<std::ptrdiff_t>(i),
                entries_.begin() + static_cast<std::ptrdiff_t>(i) + 1);
    return;
  }
  if (entries_max == 0) return;
  entry.id = next_id_++;
  entry.updated_ms = entry.created_ms;
  entries_.push_front(std::move(entry));
  while (entries_.size() > entries_max) entries_.pop_back();
}

std::vector<AclLogEntry> AclLog::Newest(size_t count) const {
  std::lock_guard guard(mutex_);
  return {entries_.begin(),
          entries_.begin() + static_cast<std::ptrdiff_t>(std::min(count, entries_.size()))};
}

void AclLog::Reset() {
  std::lock_guard guard(mutex_);
  entries_.clear();
}

std::string_view NameOf(AclDenial reason) {
  switch (reason) {
    case AclDenial::kCommand: return "command";
    case AclDenial::kDatabase: return "database";
    case AclDenial::kKey: return "key";
    case AclDenial::kChannel: return "channel";
    case AclDenial::kAuth: return "auth";
    case AclDenial::kCertificate: return "tls-cert";
    case AclDenial::kNone: break;
  }
  return "";
}

}  // namespace cairn
