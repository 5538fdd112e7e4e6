// SPDX-License-Identifier: BSD-3-Clause
#include "exec/field_expiry.h"

#include "exec/engine.h"
#include "exec/executor.h"
#include "journal/journal.h"
#include "types/hash.h"

namespace cairn {

size_t ExpireFields(Unit& unit, int db, uint64_t hash, Entry* entry, size_t limit) {
  Hash& target = entry->object<Hash>();
  const int64_t next_ms = target.NextExpiry();
  if (unit.expiry_mode() != ExpiryMode::kNormal || next_ms == Hash::kNoExpiry ||
      next_ms >= unit.now_ms())
    return 0;
  const std::string key(entry->key());
  std::vector<std::string> fields;
  unit.BeforeChange(db, entry, hash);
  target.ExpireDue(unit.now_ms(), limit, [&](std::string_view field) { fields.emplace_back(field); });
  std::vector<std::string_view> parts = {"HDEL", key};
  parts.insert(parts.end(), fields.begin(), fields.end());
  unit.Effect(db, parts);
  unit.Changed(db, key, hash);
  unit.Event(kNotifyHash, "hexpired", db, key);
  if (target.empty()) {
    unit.Dispose(unit.Remove(db, hash, entry));
    unit.Event(kNotifyGeneric, "del", db, key);
  }
  return fields.size();
}

}  // namespace cairn
