// SPDX-License-Identifier: BSD-3-Clause
#include "snapshot/walk.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace cairn {

SnapshotWalk::SnapshotWalk(Keyspace* keyspace)
    : keyspace_(*keyspace), buffers_(new Buffer[Gate::kSlots]) {}

SnapshotWalk::~SnapshotWalk() {
  for (const auto* left : {&handed_, &measured_})
    for (const Handed& handed : *left) FreeHanded(handed);
  for (Item& item : items_) {
    if (item.detached == nullptr) continue;
    KeyTables tables;
    tables.push_back(std::move(item.detached));
    Keyspace::FreeTables(std::move(tables));
  }
}

void SnapshotWalk::Begin(const WalkOptions& options) {
  CHECK(!active_);
  active_ = true;
  options_ = options;
  mark_only_ = false;
  items_.clear();
  sizes_.clear();
  keys_total_ = 0;
  next_item_ = 0;
  keys_done_ = 0;
  inexact_tables_ = 0;
  std::vector<DbSize> sizes(static_cast<size_t>(keyspace_.databases()));
  for (int i = 0; i < kShards; ++i) {
    Shard& shard = keyspace_.shard(i);
    shard.epoch = !shard.epoch;
    for (int db = 0; db < keyspace_.databases(); ++db) {
      KeyTable* table = keyspace_.PeekTable(i, db);
      if (table == nullptr || table->size() == 0) continue;
      table->snapshot_db = db;
      table->snapshot_owed = table->size();
      sizes[static_cast<size_t>(db)].keys += table->size();
      sizes[static_cast<size_t>(db)].volatile_keys += table->volatile_size();
      keys_total_ += table->size();
      items_.push_back({i, table, nullptr, 0});
    }
  }
  for (int db = 0; db < keyspace_.databases(); ++db) {
    DbSize& size = sizes[static_cast<size_t>(db)];
    size.db = db;
    if (size.keys > 0) sizes_.push_back(size);
  }
  keyspace_.set_observer(this);
}

// Under the shard's lock, or for a table that nobody else reaches.
void SnapshotWalk::Take(KeyTable* table, Entry* entry, Part* part) {
  if (!mark_only_.load(std::memory_order_relaxed))
    part->Add(table->snapshot_db, *entry, options_.access);
  --table->snapshot_owed;
  keys_done_.fetch_add(1, std::memory_order_relaxed);
}

void SnapshotWalk::BeforeChange(int slot, KeyTable* table, Entry* entry) {
  DCHECK(table->snapshot_owed > 0);
  const bool streaming = streaming_.load(std::memory_order_relaxed) == entry;
  const bool in_place = !entry->is_string() && (streaming || BigRecord::IsBig(*entry)) &&
                        options_.pressure != nullptr && !abandoned();
  using Clock = std::chrono::steady_clock;
  const auto start = in_place ? Clock::now() : Clock::time_point();
  streaming ? FinishStreaming(table, entry) : TakeInto(&buffers_[slot], table, entry);
  if (!in_place) return;
  const auto took = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - start);
  options_.pressure->OnInPlace(took.count());
}

// Half of it is in the file already: the rest follows from here, whatever that costs. A string's
// bytes stay in memory until they are written.
void SnapshotWalk::FinishStreaming(KeyTable* table, Entry* entry) {
  record_.Finish();
  if (entry->is_string())
    outliving_bytes_.store(entry->block()->capacity, std::memory_order_relaxed);
  streaming_.store(nullptr, std::memory_order_relaxed);
  --table->snapshot_owed;
  keys_done_.fetch_add(1, std::memory_order_relaxed);
}

void SnapshotWalk::TakeInto(Buffer* buffer, KeyTable* table, Entry* entry) {
  std::lock_guard guard(buffer->mutex);
  const size_t before = buffer->part.memory();
  Take(table, entry, &buffer->part);
  const uint64_t pending =
      preimage_bytes_.fetch_add(buffer->part.memory() - before, std::memory_order_relaxed) +
      buffer->part.memory() - before;
  if (buffer->part.memory() >= kPreImageBytes) HandOver(std::exchange(buffer->part, Part()));
  if (pending > options_.preimage_bytes_max && options_.pressure != nullptr &&
      !pressed_.exchange(true))
    options_.pressure->OnPressure(true);
}

void SnapshotWalk::HandOver(Part part) {
  std::lock_guard guard(queue_mutex_);
  queue_.push_back(std::move(part));
  handed_over_.store(queue_.size(), std::memory_order_relaxed);
}

void SnapshotWalk::OnDetached(KeyTables* tables) {
  // Few tables are detached at once, but a FLUSHALL under a walk takes them all.
  for (Item& item : items_) {
    if (item.table == nullptr || item.detached != nullptr) continue;
    for (auto& table : *tables) {
      if (table.get() != item.table) continue;
      item.detached = std::move(table);
      item.detached_bytes = item.detached->ApproximateBytes();
      detached_bytes_.fetch_add(item.detached_bytes, std::memory_order_relaxed);
      break;
    }
  }
  std::erase(*tables, nullptr);
}

void SnapshotWalk::EmitPart(Part* part, PartReceiver* to) {
  if (part->empty()) return;
  Part full = std::exchange(*part, Part());
  if (abandoned()) return;
  PartWriting writing;
  writing.access = options_.access;
  writing.compress_strings = options_.compress_strings;
  writing.stopped = [this] { return abandoned(); };
  full.SendTo(to, writing);
  if (to->failed()) Abandon();
}

void SnapshotWalk::EmitPreImages(PartReceiver* to) {
  while (handed_over_.load(std::memory_order_relaxed) > 0) {
    Part part;
    {
      std::lock_guard guard(queue_mutex_);
      if (queue_.empty()) return;
      part = std::move(queue_.front());
      queue_.pop_front();
      handed_over_.store(queue_.size(), std::memory_order_relaxed);
    }
    const size_t bytes = part.memory();
    EmitPart(&part, to);
    const uint64_t pending = preimage_bytes_.fetch_sub(bytes, std::memory_order_relaxed) - bytes;
    if (pending < options_.preimage_bytes_max / 2 && pressed_.load(std::memory_order_relaxed) &&
        pressed_.exchange(false))
      options_.pressure->OnPressure(false);
  }
}

void SnapshotWalk::Run(int slot, PartReceiver* to) {
  Part part;
  for (;;) {
    const size_t index = next_item_.fetch_add(1, std::memory_order_relaxed);
    if (index >= items_.size()) break;
    WalkItem(slot, &items_[index], &part, to);
  }
  GrantWishes(slot, to);
  EmitPart(&part, to);
  EmitPreImages(to);
}

// Into the gate and under the lock; politely, for a while.
void SnapshotWalk::LockShard(int slot, ShardLock* lock) {
  Gate& gate = keyspace_.gate();
  gate.Enter(slot);
  for (int tries = 0; !lock->TryLock(); ++tries) {
    if (tries == kTriesMax) return lock->Lock();
    gate.Leave(slot);
    __builtin_ia32_pause();
    gate.Enter(slot);
  }
}

// Whoever waited for it has it before this walker does again.
void SnapshotWalk::UnlockShard(int slot, ShardLock* lock) {
  const bool woken = lock->Unlock();
  keyspace_.gate().Leave(slot);
  if (woken) lock->LetIn();
}

void SnapshotWalk::WalkItem(int slot, Item* item, Part* part, PartReceiver* to) {
  ShardLock& lock = keyspace_.shard(item->shard).lock;
  uint64_t cursor = 0;
  std::vector<Wish> big;
  for (bool more = true, done = false; !done;) {
    LockShard(slot, &lock);
    if (item->detached != nullptr) {
      // Taken over inside the gate: OnDetached looks at items under All.
      std::unique_ptr<KeyTable> table = std::move(item->detached);
      item->table = nullptr;
      const bool epoch = keyspace_.shard(item->shard).epoch;
      UnlockShard(slot, &lock);
      WalkDetached(std::move(table), item->detached_bytes, epoch, part, to);
      return;
    }
    if (more) more = Step(item, &cursor, part, &big);
    done = !more && big.empty();
    if (done) CheckOwed(item);
    UnlockShard(slot, &lock);
    if (part->memory() >= kPartBytes) EmitPart(part, to);
    for (const Wish& wish : big) TakeBig(slot, item, wish, to);
    big.clear();
    EmitPreImages(to);
    GrantWishes(slot, to);
  }
}

// Under the shard's lock: nothing is owed any more, so who frees the table now need not ask.
void SnapshotWalk::CheckOwed(Item* item) {
  if (item->table->snapshot_owed != 0) inexact_tables_.fetch_add(1, std::memory_order_relaxed);
  item->table = nullptr;
}

// Under the shard's lock.
void SnapshotWalk::Visit(Item* item, Entry* entry, Part* part, std::vector<Wish>* big) {
  const bool epoch = keyspace_.shard(item->shard).epoch;
  if (entry->epoch() == epoch) return;
  if (!abandoned() && BigRecord::IsBig(*entry)) {
    big->push_back({item->shard, 0, item->table, std::string(entry->key())});
    return;
  }
  // Given up while another thread writes it: that one finds it no longer its own.
  if (streaming_.load(std::memory_order_relaxed) == entry) {
    record_.Drop();
    streaming_.store(nullptr, std::memory_order_relaxed);
  }
  Take(item->table, entry, part);
  entry->set_epoch(epoch);
}

// A few buckets under the shard's lock; false after the last. Big values go to `big`.
bool SnapshotWalk::Step(Item* item, uint64_t* cursor, Part* part, std::vector<Wish>* big) {
  constexpr size_t kBucketsPerHold = 64;
  const size_t bytes_before = part->memory();
  size_t visited = 0;
  Entry* found[2 * kEntriesPerHold];
  for (size_t bucket = 0; bucket < kBucketsPerHold; ++bucket) {
    // Entries are brought into the cache together before the first of them is read.
    const uint64_t here = *cursor;
    size_t count = 0;
    *cursor = item->table->entries.Scan(*cursor, [&](Entry* entry) {
      if (count < std::size(found)) {
        __builtin_prefetch(entry);
        found[count++] = entry;
      } else {
        Visit(item, entry, part, big);
      }
    });
    for (size_t i = 0; i < count; ++i) {
      Visit(item, found[i], part, big);
      if (part->memory() - bytes_before < kBytesPerHold || i + 1 == count) continue;
      // The bucket again: what was taken of it has the new bit.
      *cursor = here;
      return true;
    }
    visited += count;
    if (*cursor == 0) return false;
    if (visited >= kEntriesPerHold || part->memory() - bytes_before >= kBytesPerHold) break;
  }
  return true;
}

void SnapshotWalk::WalkDetached(std::unique_ptr<KeyTable> table, size_t bytes, bool epoch,
                                Part* part, PartReceiver* to) {
  // A value of this table that another thread was at when it was detached.
  { std::lock_guard wait(stream_mutex_); }
  const size_t buckets = table->entries.bucket_count();
  for (size_t i = 0; i < buckets; ++i) {
    table->entries.VisitBucket(i, [&](Entry* entry) {
      if (entry->epoch() == epoch) return;
      if (abandoned() || entry->is_string() || !BigRecord::IsBig(*entry))
        return Take(table.get(), entry, part);
      StreamAlone(table->snapshot_db, entry, to);
      --table->snapshot_owed;
      keys_done_.fetch_add(1, std::memory_order_relaxed);
    });
    if (part->memory() >= kPartBytes) EmitPart(part, to);
  }
  if (table->snapshot_owed != 0) inexact_tables_.fetch_add(1, std::memory_order_relaxed);
  KeyTables tables;
  tables.push_back(std::move(table));
  Keyspace::FreeTables(std::move(tables));
  detached_bytes_.fetch_sub(bytes, std::memory_order_relaxed);
}

Status SnapshotWalk::Finish(PartReceiver* to) {
  // No entry has the old bit any more, so no buffer grows.
  keyspace_.gate().Close();
  keyspace_.set_observer(nullptr);
  active_ = false;
  keyspace_.gate().Open();
  for (int i = 0; i < Gate::kSlots; ++i) {
    std::lock_guard guard(buffers_[i].mutex);
    if (!buffers_[i].part.empty()) EmitPart(&buffers_[i].part, to);
  }
  EmitPreImages(to);
  WriteHanded(to);
  preimage_bytes_ = 0;
  if (pressed_.exchange(false)) options_.pressure->OnPressure(false);
  wishes_.clear();
  wished_ = false;
  WakePostponed();
  items_.clear();
  if (inexact_tables_ != 0 || keys_done_ != keys_total_)
    return Status::Corrupt("the snapshot is not exact: " + std::to_string(keys_done()) + " of " +
                           std::to_string(keys_total_) + " keys, " +
                           std::to_string(inexact_tables_.load()) + " tables off their count");
  return Status::Ok();
}

}  // namespace cairn
