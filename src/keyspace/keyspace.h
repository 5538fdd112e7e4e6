// SPDX-License-Identifier: BSD-3-Clause
//
// The keyspace: a fixed number of shards by key hash, each holding its part of all databases.
//
//   Keyspace -> Shard[128] -> KeyTable[databases] -> Entry
//
// A shard is chosen by the key's hash alone, so SELECT, MOVE and COPY need no other lock. The
// count does not depend on the number of threads: SCAN cursors and files may rely on it.
//
// Lock order: gate, then shard locks in ascending order, then leaf mutexes (lazy-free queue,
// slow log). A thread that holds scope All (the closed gate) needs no shard lock.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/hash.h"
#include "base/prefetch.h"
#include "containers/hash_table.h"
#include "keyspace/entry.h"
#include "keyspace/field_expiries.h"
#include "keyspace/gate.h"
#include "keyspace/shard_lock.h"
#include "keyspace/value.h"
#include "keyspace/wait_table.h"
#include "keyspace/watch_table.h"

namespace cairn {

constexpr int kShardBits = 7;
constexpr int kShards = 1 << kShardBits;
inline int ShardOf(uint64_t hash) { return static_cast<int>(hash >> (64 - kShardBits)); }

// A set of shards, for lock plans.
struct ShardSet {
  uint64_t words[kShards / 64] = {};

  void Add(int shard) { words[shard >> 6] |= uint64_t{1} << (shard & 63); }
  bool Has(int shard) const { return (words[shard >> 6] >> (shard & 63)) & 1; }
  bool empty() const { return (words[0] | words[1]) == 0; }
  void Merge(const ShardSet& other) {
    words[0] |= other.words[0];
    words[1] |= other.words[1];
  }
  // In ascending order.
  template <typename Visit>
  void ForEach(const Visit& visit) const {
    for (int w = 0; w < kShards / 64; ++w)
      for (uint64_t bits = words[w]; bits != 0; bits &= bits - 1)
        visit(w * 64 + std::countr_zero(bits));
  }
};

// One shard's part of one database. On lines of its own: those of two shards may change at once.
struct alignas(64) KeyTable {
  HashTable<EntryTraits> entries;           // the mark of a slot: the entry has an expiry
  std::atomic<size_t> volatile_count{0};    // entries with an expiry; one writer at a time
  size_t expire_cursor = 0;                 // bucket where the active expiry cycle goes on
  std::atomic<int64_t> mean_ttl_ms{0};      // of the keys that the cycle saw; 0: of none yet
  FieldExpiries field_expiries;             // hashes with fields that expire
  // Of the running snapshot: the database this table was at its instant (SWAPDB moves tables), and
  // how many entries of then are not in it yet. Under the shard's lock.
  int snapshot_db = -1;
  size_t snapshot_owed = 0;

  size_t size() const { return entries.size(); }
  size_t volatile_size() const { return volatile_count.load(std::memory_order_relaxed); }
  // About what the table and its entries hold, by the entries of its first buckets.
  size_t ApproximateBytes() const;
  void AddVolatile(int64_t n) {
    volatile_count.store(volatile_size() + static_cast<size_t>(n), std::memory_order_relaxed);
  }
  // Whoever puts an entry into `entries` or takes it out says so here: what counts and finds the
  // entries that expire, or whose fields do.
  void CountIn(uint64_t hash, const Entry* entry) {
    if (entry->has_expiry()) AddVolatile(1);
    field_expiries.Move(hash, FieldExpiries::kNone, entry->NextFieldExpiry());
  }
  void CountOut(uint64_t hash, const Entry* entry) {
    if (entry->has_expiry()) AddVolatile(-1);
    field_expiries.Move(hash, entry->NextFieldExpiry(), FieldExpiries::kNone);
  }
};

// What changes with every command stands apart from what all threads look up before they lock.
struct alignas(128) Shard {
  static constexpr int kNearTables = 7;
  using TablePointer = std::atomic<KeyTable*>;

  ShardLock lock;
  bool epoch = false;        // the epoch bit of entries that the running snapshot need not visit
  int64_t last_now_ms = 0;   // the latest `now` of a unit that locked this shard
  bool unserved = false;     // `waiters` holds ready keys that must be served first
  std::unique_ptr<WatchTable> watches;  // nullptr while nobody watches
  std::unique_ptr<WaitTable> waiters;   // nullptr while nobody waits
  // By database, made on first use: the first of them here, the rest one step further away.
  alignas(64) TablePointer near_tables[kNearTables] = {};
  std::unique_ptr<TablePointer[]> far_tables;

  TablePointer& table(int db) {
    return db < kNearTables ? near_tables[db] : far_tables[static_cast<size_t>(db - kNearTables)];
  }
};

using KeyTables = std::vector<std::unique_ptr<KeyTable>>;

// The snapshot under way: told before an entry changes whose epoch bit is old, under its shard's
// lock, and of whole databases that leave the keyspace, under All.
class MutationObserver {
 public:
  virtual ~MutationObserver() = default;
  // `table` holds the entry; `slot` is the calling thread's slot of the gate.
  virtual void BeforeChange(int slot, KeyTable* table, Entry* entry) = 0;
  // Asked by a unit that may yet let its locks go before it changes the entry, whose epoch bit is
  // old: true if it should, and come again when the observer says so, because the entry is large.
  // `whole`: it is not to be edited, but may be taken out of its table, with what it holds.
  virtual bool Postpone(int shard, int db, const Entry& entry, bool whole) = 0;
  // The entry, whose epoch bit is old, was taken out of `table` and will not be used any more.
  // True: it is the observer's to free. False: BeforeChange is to be called, as for any other.
  virtual bool TakeOver(KeyTable* table, Entry* entry) = 0;
  // These tables were taken out of the keyspace. Those that the observer still needs it moves out
  // and frees when it is done with them.
  virtual void OnDetached(KeyTables* tables) = 0;
  // Heap bytes of what it keeps of entries that have changed since.
  virtual size_t PendingBytes() const { return 0; }
};

class Keyspace {
 public:
  explicit Keyspace(int databases);
  ~Keyspace();
  Keyspace(const Keyspace&) = delete;
  Keyspace& operator=(const Keyspace&) = delete;

  int databases() const { return databases_; }
  Gate& gate() { return gate_; }
  Shard& shard(int index) { return shards_[index]; }
  WaitCounters& wait_counters() { return wait_counters_; }

  // The part of `db` that shard holds; made if missing. Under the shard's lock or All.
  KeyTable& Table(int shard, int db) {
    KeyTable* table = shards_[shard].table(db).load(std::memory_order_relaxed);
    return table != nullptr ? *table : MakeTable(shard, db);
  }
  // nullptr if there is none. Without a lock only good for prefetching inside the gate.
  KeyTable* PeekTable(int shard, int db) const {
    return shards_[shard].table(db).load(std::memory_order_acquire);
  }

  // The shard will be locked soon: asks for its lock's cache line, which another core may have,
  // as one that will be written.
  void PrefetchLock(int shard) const { PrefetchForWriting(&shards_[shard].lock); }

  // Sums over the shards; exact under All, else a moment's mixture. Any thread inside the gate.
  size_t Size(int db) const;
  size_t VolatileSize(int db) const;
  size_t FieldExpiriesSize(int db) const;  // hashes with fields that expire
  // Of the keys of `db` that expire, as the active expiry cycle saw them last; 0: not seen yet.
  int64_t MeanTtlMs(int db) const;

  void set_observer(MutationObserver* observer) { observer_ = observer; }
  MutationObserver* observer() const { return observer_; }

  using Tables = KeyTables;
  // Under All: takes the tables of `db` out, leaving it empty; the caller frees them (FreeTables)
  // where nobody waits for it. Watchers of keys that existed are marked.
  Tables Detach(int db);
  static void FreeTables(Tables tables);
  // Under All.
  void Swap(int db1, int db2);

 private:
  KeyTable& MakeTable(int shard, int db);

  const int databases_;
  MutationObserver* observer_ = nullptr;
  Gate gate_;
  WaitCounters wait_counters_;
  std::unique_ptr<Shard[]> shards_;
};

}  // namespace cairn
