// SPDX-License-Identifier: BSD-3-Clause
//
// SnapshotWalk: the image of the keyspace at one instant, taken while everybody goes on writing.
//
//   Begin (scope All): every shard's epoch bit flips, each table's database and size are noted.
//   From then on an entry whose bit is old is owed to the image. Two find it:
//
//     walker threads   table by table, bucket by bucket, a few entries under the shard's lock
//     a writer         that meets it in BeforeChange: into a buffer of its thread ("pre-image")
//
//   Either serialises the entry, then sets its bit to new: it is in the image exactly once.
//
// Invariants
//  1. Outside a walk every entry's bit is its shard's. So a walk that is given up goes on to its
//     end, only without serialising; the next one waits for it.
//  2. The unit of the walk is the table object, which knows what database it was at the instant.
//     SWAPDB moves tables; FLUSHALL and the like hand them over (OnDetached), and the walk frees
//     them when it has them.
//  3. A table's entries serialised are those noted: anything else is an error of Finish.
//
// Big values (big_record.h) are written in steps, one value at a time; between the steps their lock
// is free, and pre-images of others wait in memory. A big string is borrowed instead, and written
// without a lock in pieces. Of a big value that is still owed
//
//   who deletes or overwrites it  hands its entry over (TakeOver), and the walk frees it once it is
//                                 written: nobody waits
//   commands that would edit it   are asked to wait before they begin (Postpone); it is taken next
//   who cannot wait (a script)    serialises what is left of it in place
//
// Above preimage_bytes_max of values handed over the first are asked to wait, too; likewise while
// the walk has not measured several of many elements, as what a sample says of one may be far from
// the truth.
//
// Bounds: a walker holds a shard for kEntriesPerHold entries or kBytesPerHold bytes and an entry, be
// it in the middle of a bucket, and only if it gets the lock at once, kTriesMax failures apart.
// Pre-images that are not written yet hold writers back (OnPressure) above
// options.preimage_bytes_max, before they take locks: the excess is what commands already under way
// add.
//
// Thread rule: Begin and Abandon as they say; Run from each walker thread with a slot of the gate
// of its own; Finish once when every Run has returned; the observer's calls as keyspace.h says.
#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/status.h"
#include "keyspace/keyspace.h"
#include "snapshot/big_record.h"
#include "snapshot/part.h"

namespace cairn {

// Told when pre-images pile up, and when that is over. Called under shard locks: atomics, or a mutex
// that is a leaf.
class PressureListener {
 public:
  virtual ~PressureListener() = default;
  virtual void OnPressure(bool high) = 0;
  // A big value had to be serialised under its lock, which took so long.
  virtual void OnInPlace(int64_t duration_us) { (void)duration_us; }
  // Whom Postpone told to wait may try again. Not under locks.
  virtual void OnPostponedReady() = 0;
};

struct WalkOptions {
  AccessRecord access;
  bool compress_strings = false;  // LZF, for plain files
  size_t preimage_bytes_max = 64 << 20;
  PressureListener* pressure = nullptr;
};

class SnapshotWalk final : public MutationObserver {
 public:
  static constexpr size_t kEntriesPerHold = 16;
  static constexpr size_t kBytesPerHold = 32 << 10;
  static constexpr int kTriesMax = 64;                // then the walker waits for the lock
  static constexpr size_t kPartBytes = 1 << 20;       // a part of a walker is sealed from here on
  static constexpr size_t kPreImageBytes = 64 << 10;  // a thread's pre-images are handed over

  explicit SnapshotWalk(Keyspace* keyspace);
  ~SnapshotWalk() override;
  SnapshotWalk(const SnapshotWalk&) = delete;
  SnapshotWalk& operator=(const SnapshotWalk&) = delete;

  // Under All, no walk under way.
  void Begin(const WalkOptions& options);
  // Gives the image up: the rest of the walk only sets bits.
  void Abandon() { mark_only_.store(true, std::memory_order_relaxed); }
  bool abandoned() const { return mark_only_.load(std::memory_order_relaxed); }

  // Walks until no table is left to take, giving sealed parts to `to`, which may be null for a walk
  // that is given up. Not inside the gate.
  void Run(int slot, PartReceiver* to);
  // Emits what is left in buffers, ends the walk; kCorrupt if the image is not exact.
  Status Finish(PartReceiver* to);

  uint64_t keys_total() const { return keys_total_; }
  uint64_t keys_done() const { return keys_done_.load(std::memory_order_relaxed); }
  // Keys per database at the instant, and of them those with an expiry; for RESIZEDB.
  struct DbSize {
    int db;
    uint64_t keys, volatile_keys;
  };
  const std::vector<DbSize>& sizes() const { return sizes_; }
  uint64_t preimage_bytes() const { return preimage_bytes_.load(std::memory_order_relaxed); }

  void BeforeChange(int slot, KeyTable* table, Entry* entry) override;
  bool Postpone(int shard, int db, const Entry& entry, bool whole) override;
  bool TakeOver(KeyTable* table, Entry* entry) override;
  void OnDetached(KeyTables* tables) override;
  size_t PendingBytes() const override {
    return preimage_bytes() + outliving_bytes_.load(std::memory_order_relaxed) + detached_bytes();
  }
  // About what the tables and big values hold that left the keyspace and are kept until they are
  // written.
  size_t detached_bytes() const {
    return detached_bytes_.load(std::memory_order_relaxed) +
           handed_bytes_.load(std::memory_order_relaxed);
  }

 private:
  struct Item {
    int shard = 0;
    KeyTable* table = nullptr;
    std::unique_ptr<KeyTable> detached;  // the table, once it left the keyspace; set under All
    size_t detached_bytes = 0;           // what it was counted with then
  };
  struct alignas(64) Buffer {
    std::mutex mutex;  // between its thread and Finish
    Part part;
  };

  // A big value to be taken soon: one that a walker met, or that a writer waits for.
  struct Wish {
    int shard = 0;
    int db = 0;                 // where it is now
    KeyTable* table = nullptr;  // of a walker's own item; else by `db`
    std::string key;
  };

  // An entry that left its table, big, and is to be written yet.
  struct Handed {
    Entry* entry;
    int db;  // at the instant
    size_t bytes;
    bool sampled;  // `bytes` is an estimate by some of its elements
  };

  void WalkItem(int slot, Item* item, Part* part, PartReceiver* to);
  bool Step(Item* item, uint64_t* cursor, Part* part, std::vector<Wish>* big);
  void WalkDetached(std::unique_ptr<KeyTable> table, size_t bytes, bool epoch, Part* part,
                    PartReceiver* to);
  void Take(KeyTable* table, Entry* entry, Part* part);
  void FinishStreaming(KeyTable* table, Entry* entry);
  void TakeInto(Buffer* buffer, KeyTable* table, Entry* entry);
  void CheckOwed(Item* item);
  void Visit(Item* item, Entry* entry, Part* part, std::vector<Wish>* big);
  void LockShard(int slot, ShardLock* lock);
  void UnlockShard(int slot, ShardLock* lock);
  void TakeBig(int slot, const Item* item, const Wish& wish, PartReceiver* to);
  void Stream(int slot, int shard, KeyTable* table, Entry* entry, PartReceiver* to);
  void StreamString(int slot, int shard, KeyTable* table, Entry* entry, PartReceiver* to);
  bool StreamStep(int shard, KeyTable* table, Entry* entry, std::string* piece);
  void StreamAlone(int db, Entry* entry, PartReceiver* to);
  void StreamRest(std::string* piece, PartReceiver* to);
  void WriteHanded(PartReceiver* to);
  void MeasureHanded();
  void Measure(Handed* handed);
  void FreeHanded(const Handed& handed);
  void GrantWishes(int slot, PartReceiver* to);
  void WakePostponed();
  void EmitPart(Part* part, PartReceiver* to);
  void EmitPreImages(PartReceiver* to);
  void HandOver(Part part);

  Keyspace& keyspace_;
  WalkOptions options_;
  bool active_ = false;  // under All
  std::atomic<bool> mark_only_{false};
  std::vector<Item> items_;
  std::vector<DbSize> sizes_;
  uint64_t keys_total_ = 0;
  std::atomic<size_t> next_item_{0};
  std::atomic<uint64_t> keys_done_{0};
  std::atomic<uint64_t> preimage_bytes_{0};
  std::atomic<size_t> detached_bytes_{0};
  std::atomic<bool> pressed_{false};
  std::atomic<size_t> inexact_tables_{0};
  std::unique_ptr<Buffer[]> buffers_;  // by slot
  std::atomic<size_t> handed_over_{0};
  std::mutex queue_mutex_;  // a leaf, held for a push or pop
  std::deque<Part> queue_;

  // The big value under way. The pointer is set and cleared, and the record used, under the lock of
  // the entry's shard, or by the thread that alone reaches the entry.
  std::mutex stream_mutex_;  // held by the thread that streams
  std::atomic<const Entry*> streaming_{nullptr};
  BigRecord record_;
  // Of the string under way, once its key has other bytes or is gone. No pressure on writers: they
  // could do nothing for it.
  std::atomic<uint64_t> outliving_bytes_{0};
  // That value, once its entry was handed over. Under the shard's lock; then its streamer's alone.
  Handed orphan_{};
  std::atomic<size_t> handed_bytes_{0};  // of the orphan, too
  std::atomic<bool> has_handed_{false};
  std::atomic<size_t> sampled_{0};       // of those handed over, the orphan too
  std::deque<Handed> handed_, measured_;  // under queue_mutex_
  std::atomic<bool> postponed_{false};
  std::atomic<bool> wished_{false};
  std::deque<Wish> wishes_;  // under queue_mutex_
};

}  // namespace cairn
