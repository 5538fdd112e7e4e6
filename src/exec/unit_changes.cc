// SPDX-License-Identifier: BSD-3-Clause
//
// The part of Unit that touches entries: look-up, and every kind of change with what has to be
// fired before and after it.
#include "exec/access_clock.h"
#include "exec/engine.h"
#include "exec/unit.h"

namespace cairn {

Entry* Unit::Lookup(int db, std::string_view key, uint64_t hash) {
  CHECK(Holds(ShardOf(hash)));
  NoteHash(hash);
  KeyTable* table = keyspace().PeekTable(ShardOf(hash), db);
  if (table == nullptr) return nullptr;
  Entry* entry =
      table->entries.Find(hash, [key](const Entry* candidate) { return candidate->KeyIs(key); });
  if (entry == nullptr || !entry->has_expiry()) [[likely]]
    return entry;
  return LookupExpiring(db, hash, entry);
}

// Its time came between the point that the server was restored to and then.
bool Unit::IsKept(const Entry* entry) const {
  return entry->expiry_ms() < kept_until_ms_;
}

Entry* Unit::LookupExpiring(int db, uint64_t hash, Entry* entry) {
  if (!IsExpired(entry)) return entry;
  if (mode_ == ExpiryMode::kNormal) Expire(db, hash, entry);
  return nullptr;
}

void Unit::Expire(int db, uint64_t hash, Entry* entry) {
  const std::string key(entry->key());
  const size_t told = rare_.invalidations.size();
  NoteHash(hash);  // the cycle does not look up: who finds it gone is answered when that is durable
  Discard(db, hash, entry);
  if (rare_.invalidations.size() > told) rare_.invalidations.back().expired = true;
  const std::string_view parts[] = {"DEL", key};
  ExpiryEffect(db, parts);
  Event(kNotifyExpired, "expired", db, key);
  statistics_->Add(Stat::kExpired);
}

bool Unit::ExpireIfDue(int db, uint64_t hash, Entry* entry) {
  if (mode_ != ExpiryMode::kNormal || !IsExpired(entry)) return false;
  Expire(db, hash, entry);
  return true;
}

void Unit::Access(Entry* entry) {
  const uint32_t clock = NextAccessClock(engine_.config, entry->access(), now_ms_);
  // Unchanged most of the time: a read should not dirty the cache line for nothing.
  if (clock != entry->access()) entry->set_access(clock);
}

void Unit::BeforeChangeSlow(int db, Entry* entry, uint64_t hash) {
  if (keyspace().observer() != nullptr)
    keyspace().observer()->BeforeChange(slot_, &keyspace().Table(ShardOf(hash), db), entry);
  entry->set_epoch(!entry->epoch());
}

void Unit::ChangedSlow(int db, std::string_view key, uint64_t hash) {
  if (putting_back_) return;
  Shard& shard = ShardFor(hash);
  if (shard.watches != nullptr && !(undo_.on() && TellsWatchersLater(db, key, hash)))
    shard.watches->Touch(db, key);
  if (tracking_.active()) Invalidate(key, hash);
}

// An expired entry that look-ups hid gives way to the new one; it has to in replay, too.
void Unit::RemoveHidden(int db, uint64_t hash, std::string_view key) {
  Entry* hidden = FindRaw(db, key, hash);
  if (hidden == nullptr) return;
  Discard(db, hash, hidden);
  const std::string_view parts[] = {"DEL", key};
  ExpiryEffect(db, parts);
}

Entry* Unit::Insert(int db, uint64_t hash, Entry* entry) {
  Shard& shard = ShardFor(hash);
  CHECK(Holds(ShardOf(hash)));
  if (mode_ == ExpiryMode::kHide) [[unlikely]]
    RemoveHidden(db, hash, entry->key());
  if (undo_.on()) [[unlikely]]
    Remember(db, entry->key(), hash, nullptr);
  entry->set_epoch(shard.epoch);
  entry->set_access(FreshAccessClock(engine_.config, now_ms_));
  KeyTable& table = keyspace().Table(ShardOf(hash), db);
  table.entries.InsertAndGrow(hash, entry, entry->has_expiry());
  table.CountIn(hash, entry);
  // Another ref to this key may remember that there was none.
  ++generation_;
  Changed(db, entry->key(), hash);
  Ready(db, entry->key(), hash);
  return entry;
}

void Unit::Relocated(int db, uint64_t hash, const Entry* old, bool had_expiry, Entry* fresh) {
  KeyTable& table = keyspace().Table(ShardOf(hash), db);
  table.entries.Relocate(hash, old, fresh, fresh->has_expiry());
  table.AddVolatile(int64_t{fresh->has_expiry()} - int64_t{had_expiry});
  ++generation_;
}

Entry* Unit::Replace(int db, uint64_t hash, Entry* old, Entry* fresh) {
  if (undo_.on()) [[unlikely]]
    Remember(db, old->key(), hash, old);
  const bool epoch = ShardFor(hash).epoch, owed = old->epoch() != epoch;
  fresh->set_epoch(epoch);
  fresh->set_access(old->access());
  if (old->type() == Type::kHash || fresh->type() == Type::kHash) [[unlikely]]
    FieldExpiryMoved(db, hash, old->NextFieldExpiry(), fresh->NextFieldExpiry());
  Relocated(db, hash, old, old->has_expiry(), fresh);
  // Small strings, by far the usual case, are freed on the spot without the detour.
  if (old->is_string() && !owed) {
    Entry::Free(old);
  } else {
    Free(&keyspace().Table(ShardOf(hash), db), old, owed);
  }
  Changed(db, fresh->key(), hash);
  Ready(db, fresh->key(), hash);
  return fresh;
}

// All of taking an entry out but what is done with it.
void Unit::TakeOut(int db, uint64_t hash, Entry* entry) {
  KeyTable& table = keyspace().Table(ShardOf(hash), db);
  Entry* removed = table.entries.Remove(hash, [entry](const Entry* e) { return e == entry; });
  CHECK(removed == entry);
  table.entries.Maintain();
  table.CountOut(hash, entry);
  ++generation_;
  Changed(db, entry->key(), hash);
  Ready(db, entry->key(), hash);
}

Value Unit::Remove(int db, uint64_t hash, Entry* entry) {
  BeforeChange(db, entry, hash);
  TakeOut(db, hash, entry);
  Value value = entry->TakeValue();
  Entry::FreeShell(entry);
  return value;
}

void Unit::Discard(int db, uint64_t hash, Entry* entry) {
  if (undo_.on()) [[unlikely]]
    Remember(db, entry->key(), hash, entry);
  const bool owed = entry->epoch() != ShardFor(hash).epoch;
  TakeOut(db, hash, entry);
  Free(&keyspace().Table(ShardOf(hash), db), entry, owed);
}

// Of an entry that is in `table` no more; `owed` to a snapshot: it had not been written.
void Unit::Free(KeyTable* table, Entry* entry, bool owed) {
  if (owed && keyspace().observer() != nullptr) [[unlikely]] {
    if (keyspace().observer()->TakeOver(table, entry)) return;
    keyspace().observer()->BeforeChange(slot_, table, entry);
  }
  if (entry->is_string()) return Entry::Free(entry);
  Value value = entry->TakeValue();
  Entry::FreeShell(entry);
  Dispose(std::move(value));
}

void Unit::Dispose(Value value) {
  if (value.type() != Type::kString && value.FreeEffort() > LazyFree::kEffortMin)
    rare().garbage.push_back(std::move(value));
}

bool Unit::Delete(int db, std::string_view key, uint64_t hash) {
  Entry* entry = Lookup(db, key, hash);
  if (entry == nullptr) return false;
  Discard(db, hash, entry);
  return true;
}

void Unit::Flush(int db) {
  CHECK(all_ && !undo_.on());
  rare().garbage_tables.push_back(keyspace().Detach(db));
  ForgetCached();
  ++generation_;
  ReadyAll(db);
}

void Unit::Swap(int db1, int db2) {
  CHECK(all_ && !undo_.on());
  keyspace().Swap(db1, db2);
  ForgetCached();
  ++generation_;
  ReadyAll(db1);
  ReadyAll(db2);
}

}  // namespace cairn
