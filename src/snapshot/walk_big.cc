// SPDX-License-Identifier: BSD-3-Clause
//
// The walk's big values: one at a time, in steps, between which their shard is everybody's.
#include <utility>

#include "keyspace/object_ops.h"
#include "snapshot/walk.h"

namespace cairn {
namespace {

// Pieces are handed on in this size: the memory that a value of any size takes.
constexpr size_t kPieceBytes = 1 << 20;
// Who waits for a value has wished for it; this many are remembered, others come again.
constexpr size_t kWishesMax = 1024;
// A value handed over is measured under its lock if it has no more elements than so many, which takes
// about as long as a step of a walker. Of one that has more a few are looked at, and a walker
// measures it; with so many to be measured who can wait does.
constexpr size_t kElementsMeasured = 4096;
constexpr size_t kElementsSampled = 32;
constexpr size_t kSampledMax = 8;

Entry* FindEntry(KeyTable* table, const std::string& key) {
  return table->entries.Find(HashBytes(key),
                             [&key](const Entry* entry) { return entry->key() == key; });
}

}  // namespace

// Under the lock of the entry's shard.
bool SnapshotWalk::Postpone(int shard, int db, const Entry& entry, bool whole) {
  if (abandoned() || !BigRecord::IsBig(entry)) return false;
  if (whole && handed_bytes_.load(std::memory_order_relaxed) <= options_.preimage_bytes_max &&
      sampled_.load(std::memory_order_relaxed) < kSampledMax)
    return false;
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

// Under the lock of the shard that the entry was in. Of a big string the bytes are enough, once a
// thread has borrowed them: BeforeChange sees to that.
bool SnapshotWalk::TakeOver(KeyTable* table, Entry* entry) {
  const bool streaming = streaming_.load(std::memory_order_relaxed) == entry;
  if (abandoned() || !BigRecord::IsBig(*entry) || (streaming && entry->is_string())) return false;
  const bool sampled =
      !entry->is_string() && ObjectFreeEffort(entry->type(), entry->rep()) > kElementsMeasured;
  const size_t bytes = entry->MemoryUsage(sampled ? kElementsSampled : 0);
  const Handed handed{entry, table->snapshot_db, bytes, sampled};
  if (!streaming &&
      handed_bytes_.load(std::memory_order_relaxed) > options_.preimage_bytes_max)
    return false;
  handed_bytes_.fetch_add(handed.bytes, std::memory_order_relaxed);
  sampled_.fetch_add(sampled, std::memory_order_relaxed);
  --table->snapshot_owed;
  keys_done_.fetch_add(1, std::memory_order_relaxed);
  if (streaming) {
    orphan_ = handed;
    streaming_.store(nullptr, std::memory_order_relaxed);
    return true;
  }
  std::lock_guard guard(queue_mutex_);
  handed_.push_back(handed);
  has_handed_.store(true, std::memory_order_relaxed);
  return true;
}

void SnapshotWalk::FreeHanded(const Handed& handed) {
  Entry::Free(handed.entry);
  handed_bytes_.fetch_sub(handed.bytes, std::memory_order_relaxed);
  sampled_.fetch_sub(handed.sampled, std::memory_order_relaxed);
}

// All of its elements, as ten large ones among a million are in no sample. Nobody else reaches it.
void SnapshotWalk::Measure(Handed* handed) {
  if (!std::exchange(handed->sampled, false)) return;
  const size_t bytes = handed->entry->MemoryUsage(0);
  handed_bytes_.fetch_add(bytes - handed->bytes, std::memory_order_relaxed);
  handed->bytes = bytes;
  sampled_.fetch_sub(1, std::memory_order_relaxed);
}

void SnapshotWalk::MeasureHanded() {
  while (sampled_.load(std::memory_order_relaxed) > 0 && !abandoned()) {
    Handed handed;
    {
      std::lock_guard guard(queue_mutex_);
      if (handed_.empty()) return;  // another walker is at it, or it is an orphan
      handed = handed_.front();
      handed_.pop_front();
    }
    Measure(&handed);
    {
      std::lock_guard guard(queue_mutex_);
      measured_.push_back(handed);
      has_handed_.store(true, std::memory_order_relaxed);
    }
    WakePostponed();
  }
}

void SnapshotWalk::WriteHanded(PartReceiver* to) {
  while (has_handed_.load(std::memory_order_relaxed)) {
    MeasureHanded();
    Handed handed;
    {
      std::lock_guard guard(queue_mutex_);
      if (handed_.empty() && measured_.empty()) {
        has_handed_.store(false, std::memory_order_relaxed);
        return;
      }
      auto& from = measured_.empty() ? handed_ : measured_;
      handed = from.front();
      from.pop_front();
    }
    if (!abandoned()) Measure(&handed);
    if (!abandoned()) StreamAlone(handed.db, handed.entry, to);
    FreeHanded(handed);
  }
}

void SnapshotWalk::WakePostponed() {
  if (options_.pressure != nullptr && postponed_.exchange(false))
    options_.pressure->OnPostponedReady();
}

void SnapshotWalk::GrantWishes(int slot, PartReceiver* to) {
  WriteHanded(to);
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
    UnlockShard(slot, &shard.lock);
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
  UnlockShard(slot, &lock);
  const bool written = !abandoned();
  if (written) to->BeginRun();
  std::string piece;
  for (bool more = true; more;) {
    LockShard(slot, &lock);
    more = StreamStep(shard, table, entry, &piece);
    UnlockShard(slot, &lock);
    MeasureHanded();
    if (!more || piece.empty()) continue;
    if (written) to->AddToRun(piece);
    if (written && to->failed()) Abandon();
    piece.clear();
  }
  // Nobody else reaches it any more.
  if (orphan_.entry != nullptr) {
    Measure(&orphan_);
    StreamRest(&piece, written ? to : nullptr);
    FreeHanded(std::exchange(orphan_, {}));
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
  UnlockShard(slot, &lock);
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
  UnlockShard(slot, &lock);
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
  // Else somebody changed it, having serialised the rest, or handed it over; the entry may be gone.
  if (orphan_.entry == nullptr) record_.TakeInto(piece);
  return false;
}

// Its table left the keyspace, or it its table: nobody else reaches the entry.
void SnapshotWalk::StreamAlone(int db, Entry* entry, PartReceiver* to) {
  if (entry->is_string()) {
    Part part;
    part.Add(db, *entry, options_.access);
    return EmitPart(&part, to);
  }
  std::lock_guard streams(stream_mutex_);
  record_.Begin(db, *entry, options_.access);
  std::string piece;
  to->BeginRun();
  StreamRest(&piece, to);
  to->EndRun(piece, record_.version());
  if (to->failed()) Abandon();
}

// What is left of the value, the end of it into `piece`.
void SnapshotWalk::StreamRest(std::string* piece, PartReceiver* to) {
  while (!abandoned() && record_.Step()) {
    MeasureHanded();
    if (record_.bytes() < kPieceBytes) continue;
    record_.TakeInto(piece);
    to->AddToRun(*piece);
    if (to->failed()) Abandon();
  }
  record_.Drop();
  record_.TakeInto(piece);
}

}  // namespace cairn
