// SPDX-License-Identifier: BSD-3-Clause
//
// LsnStripes: for each of 65,536 hash stripes the end LSN of the last write to a key in it. Under
// `appendfsync always` a reply waits until the greatest stripe of the keys it locked is durable:
// stripes this fine hold hardly any read for a foreign key's sake (about 1 % at 800 writes in
// flight), where one LSN a shard would hold nearly all of them.
//
// Thread rule: any thread. Note and Max of one key are ordered by that key's shard lock; two keys
// of different shards may share a stripe, hence the atomic maximum.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "journal/lsn.h"

namespace cairn {

class LsnStripes {
 public:
  static constexpr size_t kStripes = 65536;

  LsnStripes() : stripes_(std::make_unique<std::atomic<Lsn>[]>(kStripes)) {}

  // A write to a key with this hash ends at `lsn`. Call under the key's shard lock.
  void Note(uint64_t hash, Lsn lsn) {
    std::atomic<Lsn>& stripe = stripes_[Index(hash)];
    Lsn old = stripe.load(std::memory_order_relaxed);
    while (old < lsn && !stripe.compare_exchange_weak(old, lsn, std::memory_order_relaxed)) {
    }
  }

  // No write to this key ends above the result. Call under the key's shard lock.
  Lsn Max(uint64_t hash) const {
    const Lsn stripe = stripes_[Index(hash)].load(std::memory_order_relaxed);
    const Lsn floor = floor_.load(std::memory_order_relaxed);
    return stripe > floor ? stripe : floor;
  }

  // A write to any key ends at `lsn` (FLUSHALL, SWAPDB; the moment `always` is switched on).
  void RaiseFloor(Lsn lsn) {
    Lsn old = floor_.load(std::memory_order_relaxed);
    while (old < lsn && !floor_.compare_exchange_weak(old, lsn, std::memory_order_relaxed)) {
    }
  }

  // A new timeline: LSNs of the old one mean nothing. Call with every writer shut out.
  void Reset() {
    for (size_t i = 0; i < kStripes; ++i) stripes_[i].store(0, std::memory_order_relaxed);
    floor_.store(0, std::memory_order_relaxed);
  }

 private:
  // The top bits: the low ones choose shard and bucket, and keys of one shard should spread.
  static size_t Index(uint64_t hash) { return hash >> 48; }

  std::unique_ptr<std::atomic<Lsn>[]> stripes_;
  std::atomic<Lsn> floor_{0};
};

}  // namespace cairn
