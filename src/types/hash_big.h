// SPDX-License-Identifier: BSD-3-Clause
//
// The hashtable encoding of a hash, for hash.cc only: a table of HashItems, and, once a field has
// an expiry, a heap of those that have one, the earliest on top.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string_view>

#include "base/hash.h"
#include "base/random.h"
#include "containers/fetch_ahead.h"
#include "containers/hash_table.h"
#include "types/hash_item.h"
#include "types/settle_table.h"

namespace cairn {

// A 4-ary heap of items by expiry; each item knows its index. Chunks of pointers, so that growth
// never copies it as a whole. All operations O(log n) but CountUpTo.
class HashExpiryHeap {
 public:
  size_t size() const { return items_.size(); }
  HashItem* top() const { return items_.front(); }
  void Push(HashItem* item);
  void Remove(HashItem* item);
  // `item` took the place (index) of one that is gone, perhaps with another expiry; or its expiry
  // was changed.
  void Update(HashItem* item, uint32_t index);
  // How many items have expired; O(that number).
  size_t CountExpired(int64_t now_ms) const;
  void CheckInvariants() const;

 private:
  void Put(size_t index, HashItem* item) {
    items_[index] = item;
    item->SetHeapIndex(static_cast<uint32_t>(index));
  }
  void SiftUp(size_t index, HashItem* item);
  void SiftDown(size_t index, HashItem* item);

  std::deque<HashItem*> items_;
};

class HashBig {
 public:
  struct Traits {
    using Item = HashItem;
    static constexpr size_t kPrefetchedLines = 1;
    static uint64_t Hash(const HashItem* item) { return HashBytes(item->field()); }
  };
  using Table = HashTable<Traits>;

  HashBig() = default;
  ~HashBig() {
    table_.Clear([](HashItem* item) { item->Free(); });
  }
  const Table& table() const { return table_; }
  size_t size() const { return table_.size(); }
  void Reserve(size_t fields) { table_.Reserve(fields); }
  void Settle() { SettleTable(&table_); }

  // `hash` is HashBytes(field).
  HashItem* Find(uint64_t hash, std::string_view field) const {
    return table_.Find(hash, [field](const HashItem* item) { return item->field() == field; });
  }
  // The field must not be there.
  void Insert(uint64_t hash, std::string_view field, std::string_view value, int64_t expiry_ms);
  // Changes an item of this table; it may move. expiry_ms 0: none.
  void Replace(HashItem* item, std::string_view value, int64_t expiry_ms);
  void SetExpiry(HashItem* item, int64_t expiry_ms);
  void Remove(HashItem* item);

  // The item that expires first, or nullptr.
  HashItem* FirstToExpire() const {
    return heap_ == nullptr || heap_->size() == 0 ? nullptr : heap_->top();
  }
  size_t CountExpired(int64_t now_ms) const {
    return heap_ == nullptr ? 0 : heap_->CountExpired(now_ms);
  }
  // visit(item) -> bool for all, their blocks fetched ahead: they lie all over the heap.
  template <typename Visit>
  bool ForEach(const Visit& visit) const { return ForEachFetched(table_, visit); }

  size_t MemoryUsage(size_t samples) const;
  HashBig* Clone() const;
  void CheckInvariants() const;

 private:
  void Rebuild(HashItem* item, std::string_view value, int64_t expiry_ms);
  HashExpiryHeap& heap() {
    if (heap_ == nullptr) heap_ = std::make_unique<HashExpiryHeap>();
    return *heap_;
  }

  Table table_;
  std::unique_ptr<HashExpiryHeap> heap_;
};

}  // namespace cairn
