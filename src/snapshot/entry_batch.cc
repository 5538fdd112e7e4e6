// SPDX-License-Identifier: BSD-3-Clause
#include "snapshot/entry_batch.h"

#include <string>

#include "base/hash.h"

namespace cairn {

void EntryBatch::Add(int db, Entry* entry) {
  DCHECK(!full());
  items_[count_++] = {entry, HashBytes(entry->key()), db};
}

void EntryBatch::Drop() {
  for (size_t i = 0; i < count_; ++i) Entry::Free(items_[i].entry);
  count_ = 0;
}

// Inside the gate. False: the key is there already, and stays.
bool EntryBatch::InsertOne(const Item& item) {
  const int index = ShardOf(item.hash);
  Shard& shard = keyspace_.shard(index);
  const std::string_view key = item.entry->key();
  shard.lock.Lock();
  KeyTable& table = keyspace_.Table(index, item.db);
  const auto is_key = [key](const Entry* e) { return e->KeyIs(key); };
  Entry* old = merge_ ? table.entries.Remove(item.hash, is_key) : nullptr;
  if (old != nullptr) table.CountOut(item.hash, old);
  const bool fresh = table.entries.Find(item.hash, is_key) == nullptr;
  if (fresh) {
    item.entry->set_epoch(shard.epoch);
    table.entries.Insert(item.hash, item.entry, item.entry->has_expiry());
    // Grown only: a table that was made for more keys must not shrink before they are there.
    if (table.entries.size() > table.entries.bucket_count()) table.entries.Maintain();
    table.CountIn(item.hash, item.entry);
  }
  shard.lock.Unlock();
  if (old != nullptr) Entry::Free(old);
  return fresh;
}

Status EntryBatch::Insert(std::atomic<uint64_t>* keys, std::atomic<uint64_t>* volatile_keys) {
  size_t done = 0, with_expiry = 0;
  keyspace_.gate().Enter(slot_);
  for (size_t i = 0; i < count_; ++i) {
    const KeyTable* table = keyspace_.PeekTable(ShardOf(items_[i].hash), items_[i].db);
    if (table != nullptr) table->entries.PrefetchBucket(items_[i].hash);
  }
  for (; done < count_; ++done) {
    // Once it is there it may be anybody's.
    const bool expires = items_[done].entry->has_expiry();
    if (!InsertOne(items_[done])) break;
    with_expiry += expires;
  }
  keyspace_.gate().Leave(slot_);
  keys->fetch_add(done, std::memory_order_relaxed);
  volatile_keys->fetch_add(with_expiry, std::memory_order_relaxed);
  Status status;
  if (done < count_)
    status = Status::Corrupt("key '" + std::string(items_[done].entry->key().substr(0, 64)) +
                             "' is there twice");
  for (size_t i = done; i < count_; ++i) Entry::Free(items_[i].entry);
  count_ = 0;
  return status;
}

void ReserveTables(Keyspace* keyspace, int slot, int db, uint64_t keys) {
  // The shards' shares differ a little; whoever has more grows by itself.
  const auto share = static_cast<size_t>(keys / kShards);
  if (share == 0) return;
  for (int i = 0; i < kShards; ++i) {
    keyspace->gate().Enter(slot);
    keyspace->shard(i).lock.Lock();
    keyspace->Table(i, db).entries.Reserve(share);
    keyspace->shard(i).lock.Unlock();
    keyspace->gate().Leave(slot);
  }
}

}  // namespace cairn
