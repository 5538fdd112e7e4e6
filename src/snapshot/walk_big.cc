// SPDX-License-Identifier: BSD-3-Clause
//
// The walk's big values: one at a time, in steps, between which their shard is everybody's.
#include <utility>

#include "snapshot/walk.h"

namespace cairn {
namespace {

// Pieces are handed on in this size: the memory that a value of any size takes.
constexpr size_t kPieceBytes = 1 << 20;
// Who waits for a value has wished for it; this many are remembered, others come again.
constexpr size_t kWishesMax = 1024;

Entry* FindEntry(KeyTable* table, const std::string& key) {
  return table->entries.Find(HashBytes(key),
                             [&key](const Entry* entry) { return entry->key() == key; });
}

}  // namespace

// Under the lock of the entry's shard.
bool SnapshotWalk::Postpone(int shard, int db, const Entry& entry) {
  if (abandoned() || !BigRecord::IsBig(entry)) return false;
  postponed_.store(true);
  if (streaming_.load(std::memory_order_relaxed) == &entry) return true;
  std::lock_guard guard(queue_mutex_);
  for (const Wish& wish : wishes_)
    if (wish.shard == shard && wish.db == db && wish.key == entry.key()) return true;
  if (wishes_.size() < kWishesMax)
    wishes_.push_back({shard, db, nullptr, std::string(entry.key())});
  wished_.store(true, std::memory_order_relaxed);
  return true;
}

void SnapshotWalk::WakePostponed() {
  if (options_.pressure != nullptr && postponed_.exchange(false))
    options_.pressure->OnPostponedReady();
}

void SnapshotWalk::GrantWishes(int slot, PartReceiver* to) {
  while (wished_.load(std::memory_order_relaxed)) {
    Wish wish;
    {
      std::lock_guard guard(queue_mutex_);
      if (wishes_.empty()) {
        wished_.store(false, std::memory_order_relaxed);
        break;
      }
      wish = std::move(wishes_.front());
      wishes_.pop_front();
    }
    TakeBig(slot, nullptr, wish, to);
    EmitPreImages(to);
    WakePostponed();
  }
  if (abandoned()) WakePostponed();
}

// The value of a wish, if it is still owed. `item` is the walker's own.
void SnapshotWalk::TakeBig(int slot, const Item* item, const Wish& wish, PartReceiver* to) {
  std::lock_guard streams(stream_mutex_);
  Shard& shard = keyspace_.shard(wish.shard);
  LockShard(slot, &shard.lock);
  KeyTable* table = item != nullptr ? wish.table : keyspace_.PeekTable(wish.shard, wish.db);
  Entry* entry = nullptr;
  // A detached table is walked as a whole.
  if (table != nullptr && (item == nullptr || item->detached == nullptr))
    entry = FindEntry(table, wish.key);
  if (entry == nullptr || entry->epoch() == shard.epoch) {
    shard.lock.Unlock();
    keyspace_.gate().Leave(slot);
    return;
  }
  Stream(slot, wish.shard, table, entry, to);
}

// Begins under the lock of the shard, and gives it back.
void SnapshotWalk::Stream(int slot, int shard, KeyTable* table, Entry* entry, PartReceiver* to) {
  if (entry->is_string()) return StreamString(slot, shard, table, entry, to);
  ShardLock& lock = keyspace_.shard(shard).lock;
  record_.Begin(table->snapshot_db, *entry, options_.access);
  streaming_.store(entry, std::memory_order_relaxed);
  lock.Unlock();
  keyspace_.gate().Leave(slot);
  const bool written = !abandoned();
  if (written) to->BeginRun();
  std::string piece;
  for (bool more = true; more;) {
    LockShard(slot, &lock);
    more = StreamStep(shard, table, entry, &piece);
    lock.Unlock();
    keyspace_.gate().Leave(slot);
    if (!more || piece.empty()) continue;
    if (written) to->AddToRun(piece);
    if (written && to->failed()) Abandon();
    piece.clear();
  }
  if (written) to->EndRun(piece, record_.version());
  if (written && to->failed()) Abandon();
  WakePostponed();
}

// The same for a string. Its bytes are borrowed and written without a lock; until they are, who can
// wait does, as a change of shared bytes would copy them all under its lock.
void SnapshotWalk::StreamString(int slot, int shard, KeyTable* table, Entry* entry,
                                PartReceiver* to) {
  ShardLock& lock = keyspace_.shard(shard).lock;
  Part part;
  part.Add(table->snapshot_db, *entry, options_.access);
  streaming_.store(entry, std::memory_order_relaxed);
  lock.Unlock();
  keyspace_.gate().Leave(slot);
  EmitPart(&part, to);
  LockShard(slot, &lock);
  // Else somebody changed it, or took it away: with the bytes borrowed, nothing was owed any more.
  if (streaming_.load(std::memory_order_relaxed) == entry) {
    streaming_.store(nullptr, std::memory_order_relaxed);
    entry->set_epoch(keyspace_.shard(shard).epoch);
    --table->snapshot_owed;
    keys_done_.fetch_add(1, std::memory_order_relaxed);
  }
  outliving_bytes_.store(0, std::memory_order_relaxed);
  lock.Unlock();
  keyspace_.gate().Leave(slot);
  WakePostponed();
}

// Under the lock. False: the value is in the image, all bytes that are left are in `piece`.
bool SnapshotWalk::StreamStep(int shard, KeyTable* table, Entry* entry, std::string* piece) {
  if (streaming_.load(std::memory_order_relaxed) == entry) {
    if (abandoned()) {
      record_.Drop();
    } else if (record_.Step()) {
      if (record_.bytes() >= kPieceBytes) record_.TakeInto(piece);
      return true;
    }
    streaming_.store(nullptr, std::memory_order_relaxed);
    entry->set_epoch(keyspace_.shard(shard).epoch);
    --table->snapshot_owed;
    keys_done_.fetch_add(1, std::memory_order_relaxed);
  }
  // Else somebody changed it, having serialised the rest; the entry may be gone.
  record_.TakeInto(piece);
  return false;
}

// The table left the keyspace: nobody else reaches the entry.
void SnapshotWalk::StreamDetached(KeyTable* table, Entry* entry, PartReceiver* to) {
  std::lock_guard streams(stream_mutex_);
  record_.Begin(table->snapshot_db, *entry, options_.access);
  std::string piece;
  to->BeginRun();
  while (record_.Step() && !to->failed()) {
    if (record_.bytes() < kPieceBytes) continue;
    record_.TakeInto(&piece);
    to->AddToRun(piece);
  }
  record_.Drop();
  record_.TakeInto(&piece);
  to->EndRun(piece, record_.version());
  if (to->failed()) Abandon();
  --table->snapshot_owed;
  keys_done_.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace cairn
