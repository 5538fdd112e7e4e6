// SPDX-License-Identifier: BSD-3-Clause
#include "exec/eviction.h"

#include <algorithm>
#include <cmath>

#include "base/memory.h"
#include "base/random.h"
#include "exec/access_clock.h"
#include "exec/engine.h"
#include "journal/journal.h"

namespace cairn {
namespace {

constexpr int64_t kQuantumBytesMin = 1 << 10;
constexpr int64_t kQuantumBytesMax = 32 << 10;
constexpr int64_t kQuantumShare = 1024;  // of maxmemory
// Buckets looked at in search of keys with an expiry, under one lock: some ten microseconds.
constexpr size_t kMarkedBucketsMax = 2048;
constexpr int kStepsBetweenMeasures = 64;
constexpr int64_t kExpiredScore = INT64_MAX;  // its time has come: nothing is lost with it

bool OnlyVolatile(MaxmemoryPolicy policy) {
  switch (policy) {
    case MaxmemoryPolicy::kVolatileLru:
    case MaxmemoryPolicy::kVolatileLfu:
    case MaxmemoryPolicy::kVolatileLrm:
    case MaxmemoryPolicy::kVolatileRandom:
    case MaxmemoryPolicy::kVolatileTtl: return true;
    default: return false;
  }
}

bool IsRandom(MaxmemoryPolicy policy) {
  return policy == MaxmemoryPolicy::kAllkeysRandom || policy == MaxmemoryPolicy::kVolatileRandom;
}

// How long a command may be delayed, as Redis computes it from maxmemory-eviction-tenacity.
int64_t TimeOf(int64_t tenacity) {
  constexpr int64_t kStepUs = 50, kLinear = 10, kUnlimited = 100;
  if (tenacity >= kUnlimited) return INT64_MAX;
  if (tenacity <= kLinear) return kStepUs * tenacity;
  return static_cast<int64_t>(static_cast<double>(kStepUs * kLinear) *
                              std::pow(1.15, static_cast<double>(tenacity - kLinear)));
}

// False where a busy script has the gate, now or since this thread's last unit.
bool TryBeginInShard(Unit& unit, int shard, int64_t clock_ms) {
  return unit.keyspace().gate().inside(unit.slot()) &&
         unit.TryBeginInShard(shard, clock_ms, ExpiryMode::kNormal);
}

}  // namespace

bool Evictor::SettingsChanged() {
  const int64_t limit = engine_.config.maxmemory();
  const MaxmemoryPolicy policy = engine_.config.maxmemory_policy();
  if (limit == limit_ && policy == policy_) return false;
  limit_ = limit;
  policy_ = policy;
  pool_.Clear();
  if (limit != 0) engine_.memory.Measure();
  return true;
}

void Evictor::BeforeCommand(int64_t clock_ms, ExpiryMode mode) {
  const bool changed = SettingsChanged();
  if (!changed && room_ == Room::kEnough && MemoryMeter::kCounts) {
    const int64_t quantum =
        std::clamp(limit_ / kQuantumShare, kQuantumBytesMin, kQuantumBytesMax);
    if (MemoryMeter::OwnBalance() - balance_seen_ < quantum) return;
  }
  room_ = MakeRoom(clock_ms, mode, TimeOf(engine_.config.maxmemory_eviction_tenacity()));
  balance_seen_ = MemoryMeter::OwnBalance();
}

bool Evictor::Slice(int64_t clock_ms, ExpiryMode mode, int64_t time_us) {
  // Whoever meets new settings first, the next command judges them.
  if (SettingsChanged()) room_ = Room::kLater;
  if (limit_ == 0) return false;
  // Commands go by what was found here: the limit may be another since the last one.
  room_ = MakeRoom(clock_ms, mode, time_us);
  balance_seen_ = MemoryMeter::OwnBalance();
  return room_ == Room::kLater;
}

Evictor::Room Evictor::MakeRoom(int64_t clock_ms, ExpiryMode mode, int64_t time_us) {
  const uint64_t start = ReadTicks();
  const Room room = EvictFor(clock_ms, mode, time_us);
  NoteLatency("eviction-cycle", start);
  return room;
}

void Evictor::NoteLatency(const char* event, uint64_t start_ticks) {
  if (engine_.latency.threshold_ms() == 0) [[likely]] return;
  const double ticks = static_cast<double>(ReadTicks() - start_ticks);
  engine_.latency.AddIfSlow(event, static_cast<int64_t>(ticks / TicksPerMicrosecond()),
                            engine_.clock.WallMs() / 1000);
}

Evictor::Room Evictor::EvictFor(int64_t clock_ms, ExpiryMode mode, int64_t time_us) {
  if (limit_ == 0 || engine_.memory.Over() <= 0) return Room::kEnough;
  // A follower, a server that loads, is paused or has lost its log deletes nothing by itself.
  if (mode != ExpiryMode::kNormal) return Room::kEnough;
  if (policy_ == MaxmemoryPolicy::kNoEviction) {
    if (room_ != Room::kNone) engine_.memory.Measure();
    return engine_.memory.Over() <= 0 ? Room::kEnough : Room::kNone;
  }
  const uint64_t start = ReadTicks();
  const double ticks_max = static_cast<double>(time_us) * TicksPerMicrosecond();
  for (int step_number = 1;; ++step_number) {
    // A thread that is not counted (a library's) may have freed what others allocated: before many
    // keys go for that, the allocator is asked.
    if (step_number % kStepsBetweenMeasures == 0) engine_.memory.Measure();
    // No appends while the log has no room.
    if (engine_.journal != nullptr && !engine_.journal->Admits()) return Room::kLater;
    const Step step = IsRandom(policy_) ? EvictAny(clock_ms) : EvictOne(clock_ms);
    // A busy script has come in.
    if (!engine_.keyspace.gate().inside(unit_.slot())) return Room::kLater;
    if (step == Step::kNothingLeft) {
      engine_.memory.Measure();
      return engine_.memory.Over() <= 0 ? Room::kEnough : Room::kNone;
    }
    if (step == Step::kEvicted && engine_.memory.Over() <= 0) return Room::kEnough;
    if (static_cast<double>(ReadTicks() - start) > ticks_max) return Room::kLater;
  }
}

bool Evictor::HasCandidates(const KeyTable* table) const {
  if (table == nullptr) return false;
  return OnlyVolatile(policy_) ? table->volatile_size() > 0 : table->size() > 0;
}

// A random shard with a candidate, or -1: there is none anywhere.
int Evictor::FindShard() const {
  const int first = static_cast<int>(random_.Below(kShards));
  for (int i = 0; i < kShards; ++i) {
    const int shard = (first + i) % kShards;
    for (int db = 0; db < engine_.keyspace.databases(); ++db)
      if (HasCandidates(engine_.keyspace.PeekTable(shard, db))) return shard;
  }
  return -1;
}

int64_t Evictor::Score(const Entry* entry, int64_t now_ms) const {
  if (unit_.IsExpired(entry)) return kExpiredScore;
  switch (policy_) {
    case MaxmemoryPolicy::kAllkeysLfu:
    case MaxmemoryPolicy::kVolatileLfu:
      return 255 - LfuCounter(engine_.config, entry->access(), now_ms);
    case MaxmemoryPolicy::kVolatileTtl: return INT64_MAX - 1 - entry->expiry_ms();
    default: return IdleSeconds(entry->access(), now_ms);
  }
}

Evictor::Step Evictor::EvictOne(int64_t clock_ms) {
  const int shard = FindShard();
  if (shard < 0) return Step::kNothingLeft;
  Sample(shard, clock_ms);
  while (!pool_.empty())
    if (Evict(pool_.TakeBest(), clock_ms)) return Step::kEvicted;
  return Step::kMissed;
}

void Evictor::Sample(int shard, int64_t clock_ms) {
  if (!TryBeginInShard(unit_, shard, clock_ms)) return;
  for (int db = 0; db < engine_.keyspace.databases(); ++db) {
    const KeyTable* table = engine_.keyspace.PeekTable(shard, db);
    if (HasCandidates(table)) SampleTable(*table, db, unit_.now_ms());
  }
  unit_.End();
}

// Neighbouring buckets from a random one on: their keys have nothing in common but their hash.
void Evictor::SampleTable(const KeyTable& table, int db, int64_t now_ms) {
  const auto wanted = static_cast<size_t>(engine_.config.maxmemory_samples());
  const auto offer = [&](const Entry* entry) {
    pool_.Offer(Score(entry, now_ms), db, EntryTraits::Hash(entry), entry->key());
  };
  const bool marked = OnlyVolatile(policy_);
  const size_t buckets = table.entries.bucket_count();
  const size_t looks_max = std::min(buckets, kMarkedBucketsMax);
  size_t index = random_.Below(buckets), seen = 0;
  for (size_t looks = 0; looks < looks_max && seen < wanted; ++looks) {
    const auto look = [&](const Entry* entry) {
      if (seen++ < wanted) offer(entry);
    };
    if (!marked) {
      table.entries.VisitBucket(index, look);
    } else if (table.entries.BucketHasMark(index)) {
      table.entries.VisitMarked(index, look);
    }
    if (++index == buckets) index = 0;
  }
}

// The policies that choose at random need no pool.
Evictor::Step Evictor::EvictAny(int64_t clock_ms) {
  const int shard = FindShard();
  if (shard < 0) return Step::kNothingLeft;
  if (!TryBeginInShard(unit_, shard, clock_ms)) return Step::kMissed;
  const int databases = engine_.keyspace.databases();
  const int first = static_cast<int>(random_.Below(static_cast<uint64_t>(databases)));
  Entry* entry = nullptr;
  for (int i = 0; i < databases && entry == nullptr; ++i) {
    const int db = (first + i) % databases;
    const KeyTable* table = engine_.keyspace.PeekTable(shard, db);
    if (!HasCandidates(table)) continue;
    entry = AnyEntry(*table);
    if (entry != nullptr) Delete(db, EntryTraits::Hash(entry), entry);
  }
  unit_.End();
  return entry != nullptr ? Step::kEvicted : Step::kMissed;
}

Entry* Evictor::AnyEntry(const KeyTable& table) {
  if (!OnlyVolatile(policy_)) return table.entries.RandomItem(random_);
  const size_t buckets = table.entries.bucket_count();
  size_t index = random_.Below(buckets);
  Entry* found = nullptr;
  for (size_t i = 0; i < std::min(buckets, kMarkedBucketsMax) && found == nullptr; ++i) {
    table.entries.VisitMarked(index, [&](Entry* entry) { found = entry; });
    if (++index == buckets) index = 0;
  }
  return found;
}

// False if it is gone, or was used since it was sampled: then a better one may be in the pool.
bool Evictor::Evict(const EvictionCandidate& candidate, int64_t clock_ms) {
  if (!TryBeginInShard(unit_, ShardOf(candidate.hash), clock_ms)) return false;
  const KeyTable* table = engine_.keyspace.PeekTable(ShardOf(candidate.hash), candidate.db);
  Entry* entry = table == nullptr ? nullptr : table->entries.Find(
      candidate.hash, [&](const Entry* e) { return e->key() == candidate.key; });
  const bool chosen = entry != nullptr && (!OnlyVolatile(policy_) || entry->has_expiry()) &&
                      Score(entry, unit_.now_ms()) >= candidate.score;
  if (chosen) Delete(candidate.db, candidate.hash, entry);
  unit_.End();
  return chosen;
}

void Evictor::Delete(int db, uint64_t hash, Entry* entry) {
  if (unit_.ExpireIfDue(db, hash, entry)) return;
  const std::string key(entry->key());
  const uint64_t start = ReadTicks();
  unit_.NoteHash(hash);
  unit_.Discard(db, hash, entry);
  NoteLatency("eviction-del", start);
  const std::string_view parts[] = {"DEL", key};
  unit_.Effect(db, parts);
  unit_.Event(kNotifyEvicted, "evicted", db, key);
  engine_.thread_statistics(unit_.slot())->Add(Stat::kEvicted);
}

}  // namespace cairn
