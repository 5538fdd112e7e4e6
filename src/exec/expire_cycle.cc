// SPDX-License-Identifier: BSD-3-Clause
//
// The work that a worker does in slices between its clients' requests: deleting keys whose time has
// come, found through the marks of their buckets, and making room under maxmemory.
#include <algorithm>
#include <utility>
#include <vector>

#include "exec/executor.h"
#include "journal/journal.h"

namespace cairn {

// What a slice may still spend.
struct Executor::SliceBudget {
  size_t limit, looks_max;
  uint64_t start;
  double ticks_max;
  size_t deleted = 0;
  size_t looked = 0;  // at keys; eight buckets without any count as one

  // As long as one key in ten is due it is worth going on.
  bool spent() const {
    if (deleted >= limit || (looked >= looks_max && deleted < looked / 10)) return true;
    return static_cast<double>(ReadTicks() - start) > ticks_max;
  }
};

size_t Executor::ExpireSlice(int first_shard, int step, size_t limit, int64_t clock_ms,
                             int64_t time_us) {
  if (!engine_.active_expire.load(std::memory_order_relaxed) ||
      CurrentExpiryMode() != ExpiryMode::kNormal || engine_.modes.Has(kModeLoading))
    return 0;
  SliceBudget budget{limit, limit > SIZE_MAX / kLooksPerKey ? SIZE_MAX : limit * kLooksPerKey,
                     ReadTicks(), static_cast<double>(time_us) * ticks_per_us_};
  const int shards = (kShards - first_shard + step - 1) / step;
  // Each slice begins with another shard, so that all get their turn however small the budget.
  for (int n = 0; n < shards && !budget.spent(); ++n) {
    const int turn = static_cast<int>(expire_turn_++ % static_cast<unsigned>(shards));
    const int shard = first_shard + turn * step;
    for (int db = 0; db < engine_.keyspace.databases(); ++db)
      ExpireInTable(shard, db, clock_ms, &budget);
  }
  return budget.deleted;
}

// Goes on where the last slice stopped in this table, around it once at most.
void Executor::ExpireInTable(int shard, int db, int64_t clock_ms, SliceBudget* budget) {
  // A visit looks at whole buckets and opens only those that hold a key with an expiry.
  constexpr size_t kBucketsPerLock = 32;
  std::vector<Entry*> marked;
  std::vector<std::pair<uint64_t, Entry*>> due;
  size_t swept = 0, alive = 0;
  double left_ms = 0;  // of those alive, in all
  for (bool more = true; more && !budget->spent();) {
    more = false;
    LockPlan plan;
    plan.shards.Add(shard);
    RunUnit(plan, clock_ms, [&](Unit& unit) {
      KeyTable* table = engine_.keyspace.PeekTable(shard, db);
      if (table == nullptr || table->volatile_size() == 0) return;
      // No appends while the log has no room: keys wait for the next round.
      if (engine_.journal != nullptr && !engine_.journal->Admits()) return;
      const size_t buckets = table->entries.bucket_count();
      marked.clear();
      due.clear();
      for (size_t i = 0; i < kBucketsPerLock && swept < buckets; ++i, ++swept) {
        if (table->expire_cursor >= buckets) table->expire_cursor = 0;
        const size_t index = table->expire_cursor++;
        if (!table->entries.BucketHasMark(index)) continue;
        table->entries.VisitMarked(index, [&](Entry* entry) {
          __builtin_prefetch(entry);
          marked.push_back(entry);
        });
      }
      for (Entry* entry : marked) {
        if (unit.IsExpired(entry)) {
          due.emplace_back(EntryTraits::Hash(entry), entry);
        } else {
          left_ms += static_cast<double>(std::max<int64_t>(entry->expiry_ms() - clock_ms, 0));
          ++alive;
        }
      }
      if (alive > 0)
        table->mean_ttl_ms.store(static_cast<int64_t>(left_ms / static_cast<double>(alive)),
                                 std::memory_order_relaxed);
      budget->looked += marked.size() + kBucketsPerLock / 8;
      for (auto [hash, entry] : due) budget->deleted += unit.ExpireIfDue(db, hash, entry);
      more = swept < buckets;
    });
  }
}

bool Executor::EvictSlice(int64_t clock_ms, int64_t time_us) {
  // A script that takes long has the gate: everybody waits for it.
  if (aside() || !engine_.keyspace.gate().EnterUnlessHeld(slot_)) return false;
  const bool more = !engine_.modes.Has(kModeLoading) &&
                    evictor_.Slice(clock_ms, CurrentExpiryMode(), time_us);
  if (engine_.journal != nullptr) WakeJournal();
  engine_.keyspace.gate().Leave(slot_);
  return more;
}

}  // namespace cairn
