// SPDX-License-Identifier: BSD-3-Clause
#include "exec/field_expiry.h"

#include <string>
#include <utility>
#include <vector>

#include "exec/engine.h"
#include "exec/executor.h"
#include "journal/journal.h"
#include "types/hash.h"

namespace cairn {
namespace {

bool SomeAreDue(const Unit& unit, const Hash& hash) {
  const int64_t next_ms = hash.NextExpiry();
  return unit.expiry_mode() == ExpiryMode::kNormal && next_ms != Hash::kNoExpiry &&
         next_ms < unit.now_ms() && !unit.KeepsFields();
}

// Calls erase(hash, names) to delete fields and collect their names, then settles what follows.
template <typename Erase>
size_t Expire(Unit& unit, int db, uint64_t hash, Entry* entry, const Erase& erase) {
  Hash& target = entry->object<Hash>();
  const int64_t before = target.NextExpiry();
  const std::string key(entry->key());
  std::vector<std::string> fields;
  unit.BeforeChange(db, entry, hash);
  erase(target, &fields);
  if (fields.empty()) return 0;
  unit.NoteHash(hash);  // who finds them gone is answered when that is durable
  std::vector<std::string_view> parts = {"HDEL", key};
  parts.insert(parts.end(), fields.begin(), fields.end());
  unit.ExpiryEffect(db, parts);
  unit.FieldExpiryMoved(db, hash, before, target.NextExpiry());
  unit.Changed(db, key, hash);
  unit.Event(kNotifyHash, "hexpired", db, key);
  if (ThreadStatistics* statistics = unit.engine().thread_statistics(unit.slot()))
    statistics->Add(Stat::kExpiredFields, fields.size());
  if (target.empty()) {
    unit.Discard(db, hash, entry);
    unit.Event(kNotifyGeneric, "del", db, key);
  }
  return fields.size();
}

// The hash that the index names first.
Entry* FirstDue(const KeyTable& table) {
  const uint64_t key_hash = table.field_expiries.next_hash();
  const int64_t next_ms = table.field_expiries.next_ms();
  return table.entries.Find(key_hash, [&](const Entry* entry) {
    return entry->NextFieldExpiry() == next_ms && EntryTraits::Hash(entry) == key_hash;
  });
}

// Works off due fields of one table under its shard's lock.
size_t ExpireFieldsOf(Unit& unit, KeyTable* table, int db, size_t limit) {
  size_t deleted = 0;
  while (deleted < limit && table->field_expiries.next_ms() < unit.now_ms()) {
    const uint64_t key_hash = table->field_expiries.next_hash();
    Entry* entry = FirstDue(*table);
    DCHECK(entry != nullptr);
    if (entry == nullptr) {
      // A change that the index was not told of: better a field that goes late than no server.
      table->field_expiries.Move(key_hash, table->field_expiries.next_ms(), FieldExpiries::kNone);
      continue;
    }
    // A key whose own time has come goes as a whole.
    const size_t gone = unit.ExpireIfDue(db, key_hash, entry)
                            ? 1
                            : ExpireFields(unit, db, key_hash, entry, limit - deleted);
    if (gone == 0) break;  // the mode has changed
    deleted += gone;
  }
  return deleted;
}

}  // namespace

size_t ExpireFields(Unit& unit, int db, uint64_t hash, Entry* entry, size_t limit) {
  if (!SomeAreDue(unit, entry->object<Hash>())) return 0;
  return Expire(unit, db, hash, entry, [&](Hash& target, std::vector<std::string>* fields) {
    target.ExpireDue(unit.now_ms(), limit,
                     [&](std::string_view field) { fields->emplace_back(field); });
  });
}

size_t ExpireNamedFields(Unit& unit, int db, uint64_t hash, Entry* entry, Arguments names,
                         size_t step) {
  if (!SomeAreDue(unit, entry->object<Hash>())) return 0;
  return Expire(unit, db, hash, entry, [&](Hash& target, std::vector<std::string>* fields) {
    for (size_t i = 0; i < names.size(); i += step) {
      const auto expiry = target.GetExpiry(names[i], Hash::kNeverExpired);
      if (!expiry || *expiry == Hash::kNoExpiry || *expiry >= unit.now_ms()) continue;
      target.Delete(names[i], Hash::kNeverExpired);
      fields->emplace_back(names[i]);
    }
  });
}

size_t Executor::ExpireFieldsSlice(int first_shard, int step, size_t limit, int64_t clock_ms) {
  constexpr size_t kFieldsPerLock = 128;
  if (!engine_.active_expire.load(std::memory_order_relaxed) ||
      engine_.kept_until_ms.load(std::memory_order_relaxed) != 0 ||
      CurrentExpiryMode() != ExpiryMode::kNormal || engine_.modes.Has(kModeLoading))
    return 0;
  Keyspace& keyspace = engine_.keyspace;
  std::vector<std::pair<int, int>> due;  // shard, database
  if (!keyspace.gate().EnterUnlessHeld(slot_)) return 0;
  for (int shard = first_shard; shard < kShards; shard += step) {
    for (int db = 0; db < keyspace.databases(); ++db) {
      const KeyTable* table = keyspace.PeekTable(shard, db);
      if (table != nullptr && table->field_expiries.next_ms() < clock_ms)
        due.emplace_back(shard, db);
    }
  }
  keyspace.gate().Leave(slot_);

  size_t deleted = 0;
  for (const auto& [shard, db] : due) {
    for (size_t slice = kFieldsPerLock; slice == kFieldsPerLock && deleted < limit;
         deleted += slice) {
      slice = 0;
      LockPlan plan;
      plan.shards.Add(shard);
      RunUnit(plan, clock_ms, [&](Unit& unit) {
        KeyTable* table = keyspace.PeekTable(shard, db);
        // No appends while the log has no room: fields wait for the next round.
        if (table == nullptr || (engine_.journal != nullptr && !engine_.journal->Admits())) return;
        slice = ExpireFieldsOf(unit, table, db, kFieldsPerLock);
      });
    }
  }
  return deleted;
}

}  // namespace cairn
