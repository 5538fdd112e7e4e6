// SPDX-License-Identifier: BSD-3-Clause
//
// EntryBatch: loaded entries on their way into the keyspace. They are put there some at a time, so
// that the lines of the tables that they need are fetched together, and the gate is passed once.
//
// Thread rule: one object a thread; several may fill one keyspace at a time. Insert is not to be
// called inside the gate.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/status.h"
#include "keyspace/keyspace.h"

namespace cairn {

class EntryBatch {
 public:
  static constexpr size_t kEntriesMax = 64;

  // `merge`: a key that is there gives way.
  EntryBatch(Keyspace* keyspace, int slot, bool merge = false)
      : keyspace_(*keyspace), slot_(slot), merge_(merge) {}
  ~EntryBatch() { Drop(); }
  EntryBatch(const EntryBatch&) = delete;
  EntryBatch& operator=(const EntryBatch&) = delete;

  bool full() const { return count_ == kEntriesMax; }
  // Takes the entry over. Not when full.
  void Add(int db, Entry* entry);
  // Puts all into the keyspace, which has the batch empty again. kCorrupt if a key is there already:
  // then what comes behind it is dropped. Adds to both how many went in, and of them with an
  // expiry.
  Status Insert(std::atomic<uint64_t>* keys, std::atomic<uint64_t>* volatile_keys);

 private:
  struct Item {
    Entry* entry;
    uint64_t hash;
    int db;
  };
  bool InsertOne(const Item& item);
  void Drop();

  Keyspace& keyspace_;
  const int slot_;
  const bool merge_;
  size_t count_ = 0;
  Item items_[kEntriesMax];
};

// Makes room in the tables of `db` for so many keys in all, as their number was announced.
void ReserveTables(Keyspace* keyspace, int slot, int db, uint64_t keys);

}  // namespace cairn
