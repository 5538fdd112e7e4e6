// SPDX-License-Identifier: BSD-3-Clause
#include "exec/table_trim.h"

#include "exec/executor.h"

namespace cairn {
namespace {

uint64_t PlaceKey(int shard, int db) {
  return static_cast<uint64_t>(db) * kShards + static_cast<uint64_t>(shard);
}

}  // namespace

// Inside the gate: the tables do not go away.
void TableTrimmer::Look(int shard, std::vector<Place>* spare) {
  const Keyspace& keyspace = executor_.engine().keyspace;
  for (int db = 0; db < keyspace.databases(); ++db) {
    const KeyTable* table = keyspace.PeekTable(shard, db);
    const size_t buckets = table == nullptr ? 0 : table->entries.bucket_count();
    const auto found = most_.find(PlaceKey(shard, db));
    if (found == most_.end()) {
      if (buckets >= kBucketsMin) most_.emplace(PlaceKey(shard, db), buckets);
    } else if (table == nullptr) {
      most_.erase(found);  // FLUSHDB took it away with all it had
    } else if (buckets > found->second) {
      found->second = buckets;
    } else if (buckets <= found->second / 2 && spare->size() < kTrimsMax) {
      spare->push_back({shard, db});
    }
  }
}

size_t TableTrimmer::Slice(int64_t clock_ms) {
  if (!executor_.EnterGateUnlessHeld()) return 0;
  std::vector<Place> spare;
  for (int i = 0; i < kShardsPerSlice; ++i) {
    Look(next_, &spare);
    next_ = (next_ + 1) % kShards;
  }
  executor_.LeaveGate();
  if (spare.empty()) return 0;
  size_t trimmed = 0;
  LockPlan plan;
  plan.all = true;
  executor_.RunUnit(plan, clock_ms, [&](Unit& unit) {
    for (const Place& place : spare) {
      if (KeyTable* table = unit.keyspace().PeekTable(place.shard, place.db)) {
        table->entries.Trim();
        ++trimmed;
      }
      most_.erase(PlaceKey(place.shard, place.db));
    }
  });
  return trimmed;
}

}  // namespace cairn
