// SPDX-License-Identifier: BSD-3-Clause
//
// FieldExpiries: the hashes of one table that hold fields with an expiry, by their earliest one:
// what the active cycle of field expiry works off. Sixteen bytes a hash.
//
// 1. An item is (earliest expiry of the hash, hash of its key). Whoever changes the former in any
//    way tells the index: entries that come and go (KeyTable::CountIn, CountOut), hashes changed
//    in place (WriteRef, ExpireFields).
// 2. Two keys with one hash and one expiry would share an item, and one of them lose it: its
//    fields then go when they are met, no longer by the cycle.
//
// The shard's lock guards it; next_ms() and size() may be asked without, inside the gate.
#pragma once

#include <atomic>
#include <compare>
#include <cstddef>
#include <cstdint>

#include "containers/paged_map.h"

namespace cairn {

class FieldExpiries {
 public:
  static constexpr int64_t kNone = 0;  // as Hash::kNoExpiry

  size_t size() const { return size_.load(std::memory_order_relaxed); }
  // The earliest expiry of all; INT64_MAX if there is none.
  int64_t next_ms() const { return next_ms_.load(std::memory_order_relaxed); }
  // The key hash that belongs to next_ms(). Not when empty.
  uint64_t next_hash() const { return items_.At(items_.First()).key.hash; }

  // The earliest expiry of the hash whose key hashes to `hash` went from `from_ms` to `to_ms`;
  // kNone: it had none, or has none any more. O(log n).
  void Move(uint64_t hash, int64_t from_ms, int64_t to_ms) {
    if (from_ms == to_ms) return;
    if (from_ms != kNone) items_.Erase(Item{from_ms, hash});
    if (to_ms != kNone) items_.Insert(Item{to_ms, hash});
    size_.store(items_.size(), std::memory_order_relaxed);
    next_ms_.store(items_.empty() ? INT64_MAX : items_.At(items_.First()).key.expiry_ms,
                   std::memory_order_relaxed);
  }
  bool Contains(uint64_t hash, int64_t expiry_ms) const {
    return items_.Contains(Item{expiry_ms, hash});
  }

 private:
  struct Item {
    int64_t expiry_ms;
    uint64_t hash;
    auto operator<=>(const Item&) const = default;
  };
  struct Nothing {};

  PagedMap<Item, Nothing> items_;
  std::atomic<size_t> size_{0};
  std::atomic<int64_t> next_ms_{INT64_MAX};
};

}  // namespace cairn
