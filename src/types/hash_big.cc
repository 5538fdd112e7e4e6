// SPDX-License-Identifier: BSD-3-Clause
#include "types/hash_big.h"

#include <vector>

#include "base/memory.h"

namespace cairn {
namespace {

constexpr size_t kArity = 4;

}  // namespace

void HashExpiryHeap::SiftUp(size_t index, HashItem* item) {
  while (index > 0) {
    const size_t parent = (index - 1) / kArity;
    if (items_[parent]->expiry() <= item->expiry()) break;
    Put(index, items_[parent]);
    index = parent;
  }
  Put(index, item);
}

void HashExpiryHeap::SiftDown(size_t index, HashItem* item) {
  for (;;) {
    const size_t first = index * kArity + 1;
    size_t least = 0;
    int64_t least_expiry = item->expiry();
    for (size_t child = first; child < first + kArity && child < items_.size(); ++child) {
      if (items_[child]->expiry() < least_expiry) {
        least = child;
        least_expiry = items_[child]->expiry();
      }
    }
    if (least == 0) break;
    Put(index, items_[least]);
    index = least;
  }
  Put(index, item);
}

void HashExpiryHeap::Push(HashItem* item) {
  CHECK(items_.size() < UINT32_MAX);
  items_.push_back(item);
  SiftUp(items_.size() - 1, item);
}

void HashExpiryHeap::Update(HashItem* item, uint32_t index) {
  if (index > 0 && items_[(index - 1) / kArity]->expiry() > item->expiry())
    SiftUp(index, item);
  else
    SiftDown(index, item);
}

void HashExpiryHeap::Remove(HashItem* item) {
  const uint32_t index = item->heap_index();
  DCHECK(items_[index] == item);
  HashItem* last = items_.back();
  items_.pop_back();
  if (last != item) Update(last, index);
}

// The expired items are a subtree at the top.
size_t HashExpiryHeap::CountExpired(int64_t now_ms) const {
  if (items_.empty()) return 0;
  size_t expired = 0;
  std::vector<size_t> open{0};
  while (!open.empty()) {
    const size_t index = open.back();
    open.pop_back();
    if (items_[index]->expiry() >= now_ms) continue;
    ++expired;
    for (size_t i = 1; i <= kArity && index * kArity + i < items_.size(); ++i)
      open.push_back(index * kArity + i);
  }
  return expired;
}

void HashExpiryHeap::CheckInvariants() const {
  for (size_t i = 0; i < items_.size(); ++i) {
    CHECK(items_[i]->heap_index() == i);
    CHECK(items_[i]->expiry() != 0);
    CHECK(i == 0 || items_[(i - 1) / kArity]->expiry() <= items_[i]->expiry());
  }
}

void HashBig::Insert(uint64_t hash, std::string_view field, std::string_view value,
                     int64_t expiry_ms) {
  HashItem* item = HashItem::New(field, value, expiry_ms);
  table_.InsertAndGrow(hash, item);
  if (expiry_ms != 0) heap().Push(item);
}

void HashBig::Replace(HashItem* item, std::string_view value, int64_t expiry_ms) {
  const bool keeps_layout = (item->expiry() != 0) == (expiry_ms != 0);
  if (!keeps_layout || !item->ReplaceValue(value)) return Rebuild(item, value, expiry_ms);
  if (expiry_ms != item->expiry()) SetExpiry(item, expiry_ms);
}

void HashBig::SetExpiry(HashItem* item, int64_t expiry_ms) {
  if ((item->expiry() != 0) != (expiry_ms != 0)) return Rebuild(item, item->value(), expiry_ms);
  if (expiry_ms == 0) return;
  item->SetExpiry(expiry_ms);
  heap_->Update(item, item->heap_index());
}

void HashBig::Rebuild(HashItem* item, std::string_view value, int64_t expiry_ms) {
  HashItem* made = HashItem::New(item->field(), value, expiry_ms);
  table_.Relocate(Traits::Hash(made), item, made);
  if (item->expiry() != 0 && expiry_ms != 0)
    heap_->Update(made, item->heap_index());
  else if (item->expiry() != 0)
    heap_->Remove(item);
  else if (expiry_ms != 0)
    heap().Push(made);
  item->Free();
}

void HashBig::Remove(HashItem* item) {
  const HashItem* removed =
      table_.Remove(Traits::Hash(item), [item](const HashItem* other) { return other == item; });
  DCHECK(removed == item);
  (void)removed;
  if (item->expiry() != 0) heap_->Remove(item);
  item->Free();
  table_.Maintain();
  // Segments the table has left are given back now and then, not at each step over their edge.
  if ((table_.size() & 255) == 0) table_.Trim();
}

size_t HashBig::MemoryUsage(size_t samples) const {
  size_t bytes = 0, seen = 0;
  table_.ForEach([&](const HashItem* item) {
    bytes += item->MemoryUsage();
    return ++seen != samples;
  });
  const size_t each = seen == 0 ? 0 : ExtrapolatedBytes(bytes, seen, size());
  const size_t heap_bytes =
      heap_ == nullptr ? 0 : sizeof *heap_ + heap_->size() * sizeof(HashItem*);
  return each + heap_bytes + table_.MemoryBytes() + sizeof heap_;
}

HashBig* HashBig::Clone() const {
  auto* copy = new HashBig;
  copy->Reserve(size());
  ForEach([copy](const HashItem* item) {
    copy->Insert(Traits::Hash(item), item->field(), item->value(), item->expiry());
    return true;
  });
  return copy;
}

void HashBig::CheckInvariants() const {
  table_.CheckInvariants();
  size_t with_expiry = 0;
  table_.ForEach([&](const HashItem* item) {
    with_expiry += item->expiry() != 0;
    CHECK(Find(Traits::Hash(item), item->field()) == item);
    return true;
  });
  CHECK(with_expiry == (heap_ == nullptr ? 0 : heap_->size()));
  if (heap_ != nullptr) heap_->CheckInvariants();
}

}  // namespace cairn
