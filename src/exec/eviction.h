// SPDX-License-Identifier: BSD-3-Clause
//
// Evictor: makes room under maxmemory, one key after another, before commands run and in slices of
// the background. One an executor; it runs on its thread, inside the gate and
// without any lock, so never inside EXEC or a script: those are admitted or refused as a whole.
//
//   1. sample: a few keys of one random shard go into this thread's pool of candidates
//   2. evict: the best candidate is looked up again under its shard's lock; if it still is one it is
//      deleted in a unit of its own: journal DEL, `evicted` event, invalidation
//   3. is memory below the limit? Every thread asks that after each key, so all of them together
//      evict a few keys more than needed at most.
//
// Between two looks at the sum of all threads' memory a thread allocates kQuantumBytesMax at most,
// so that memory stays below maxmemory + threads * (that + the largest command).
#pragma once

#include <cstdint>

#include "config/config.h"
#include "exec/eviction_pool.h"
#include "exec/unit.h"

namespace cairn {

class Random;

class Evictor {
 public:
  Evictor(Engine* engine, Unit* unit, Random* random)
      : engine_(*engine), unit_(*unit), random_(*random) {}

  // Before each command while maxmemory is set, and once after it was unset.
  void BeforeCommand(int64_t clock_ms, ExpiryMode mode);
  // Evicts for about `time_us` if memory is above the limit. True if more is to be done.
  bool Slice(int64_t clock_ms, ExpiryMode mode, int64_t time_us);
  // Above the limit, with nothing left to evict: commands flagged kDenyOom are refused. As of the
  // last BeforeCommand.
  bool out_of_memory() const { return room_ == Room::kNone; }

 private:
  enum class Room : uint8_t {
    kEnough,
    kLater,  // keys can go, but not all that have to in this time
    kNone
  };
  enum class Step : uint8_t { kEvicted, kMissed, kNothingLeft };

  Room MakeRoom(int64_t clock_ms, ExpiryMode mode, int64_t time_us);
  Room EvictFor(int64_t clock_ms, ExpiryMode mode, int64_t time_us);
  void NoteLatency(const char* event, uint64_t start_ticks);
  bool SettingsChanged();
  Step EvictOne(int64_t clock_ms);
  Step EvictAny(int64_t clock_ms);
  int FindShard() const;
  bool HasCandidates(const KeyTable* table) const;
  void Sample(int shard, int64_t clock_ms);
  void SampleTable(const KeyTable& table, int db, int64_t now_ms);
  Entry* AnyEntry(const KeyTable& table);
  bool Evict(const EvictionCandidate& candidate, int64_t clock_ms);
  void Delete(int db, uint64_t hash, Entry* entry);
  int64_t Score(const Entry* entry, int64_t now_ms) const;

  Engine& engine_;
  Unit& unit_;
  Random& random_;
  EvictionPool pool_;
  Room room_ = Room::kEnough;
  int64_t balance_seen_ = 0;  // the thread's own, at the last look at the sum
  int64_t limit_ = 0;
  MaxmemoryPolicy policy_ = MaxmemoryPolicy::kNoEviction;
};

}  // namespace cairn
