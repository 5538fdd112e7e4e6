// SPDX-License-Identifier: BSD-3-Clause
//
// WaitTable: which blocked clients wait for which keys of one shard, first come first. Guarded by
// the shard's lock, like WatchTable.
//
//   (db, key) -> WaitQueue: order number -> WaitTicket, the oldest first
//
// A ticket stands in the queue of every key that its client waits for, under one order number. It
// is over when somebody claimed it: the one who answers the client (a pusher, its timeout, CLIENT
// UNBLOCK, the end of its connection). A claim takes no lock; so a ticket that is over may stand in
// its queues for a while and is skipped there.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "types/type.h"

namespace cairn {

class WaitTicket {
 public:
  // Values of `type` may serve it; one that `wakes_on_absence` is also told when its key vanishes
  // or gets another type.
  WaitTicket(uint64_t order, Type type, bool wakes_on_absence)
      : order_(order), type_(type), wakes_on_absence_(wakes_on_absence) {}
  virtual ~WaitTicket() = default;

  // True for one caller, who then owes the client its reply. Any thread.
  bool Claim() { return !over_.exchange(true, std::memory_order_acq_rel); }
  bool over() const { return over_.load(std::memory_order_acquire); }
  uint64_t order() const { return order_; }
  Type type() const { return type_; }
  bool wakes_on_absence() const { return wakes_on_absence_; }

 private:
  std::atomic<bool> over_{false};
  const uint64_t order_;
  const Type type_;
  const bool wakes_on_absence_;
};

struct WaitQueue {
  std::map<uint64_t, std::shared_ptr<WaitTicket>> tickets;
  size_t on_absence = 0;  // those that wake on absence
  bool ready = false;     // a change of the key has been noted and not looked at yet
};

// Of the whole keyspace.
struct WaitCounters {
  std::atomic<uint64_t> next_order{1};      // drawn under the locks of all keys waited for
  std::atomic<int64_t> keys{0};             // keys with a queue
  std::atomic<int64_t> keys_on_absence{0};  // ... with a ticket that wakes on absence
  std::atomic<int> unserved_shards{0};      // those whose `unserved` is set
};

struct DbKey {
  int db;
  std::string key;
};

class WaitTable {
 public:
  explicit WaitTable(WaitCounters* counters) : counters_(*counters) {}
  ~WaitTable();

  // A key given twice counts once.
  void Add(int db, std::string_view key, const std::shared_ptr<WaitTicket>& ticket);
  // Takes the ticket out of the key's queue, and an emptied queue out of the table.
  void Remove(int db, std::string_view key, const WaitTicket& ticket);
  // nullptr if nobody waits. Good until the last ticket is removed.
  WaitQueue* Find(int db, std::string_view key);
  bool empty() const { return queues_.empty(); }
  // All keys of a database that somebody waits for.
  std::vector<std::string> KeysOf(int db) const;

  // Keys that are ready but could not be served: the next unit that locks the shard serves them
  // before it does anything else.
  std::vector<DbKey> unserved;

 private:
  WaitCounters& counters_;
  std::unordered_map<std::string, WaitQueue> queues_;  // by NameOf
};

}  // namespace cairn
