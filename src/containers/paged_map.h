// SPDX-License-Identifier: BSD-3-Clause
//
// An ordered map from small keys (a stream id) to values, in sorted arrays on two levels: pages
// of up to kPageItems items, under one array of the pages' lower bounds. For keys that mostly
// arrive in ascending order and leave from the front or anywhere: what a stream's nodes and
// pending entries do. Appending fills pages completely; memory an item is close to its size.
//
//   pages_   ..gone.. [low | items] [low | items] [low | items]
//                first_ ^
//
// 1. Items are ascending within and across pages; low <= a page's first key, and > all before it.
// 2. No page from first_ on is empty. Pages that went from the front leave gaps before first_,
//    so that consuming from the front does not move the rest each time.
//
// Look-ups are two binary searches; a change moves at most one page's items and, once in many
// changes, the array of pages. Any change invalidates positions and pointers to values.
// Key: trivially copyable, with operator<=>. Value: movable. Not thread-safe.
#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "base/check.h"

namespace cairn {

template <typename Key, typename Value>
class PagedMap {
 public:
  struct Item {
    Key key;
    [[no_unique_address]] Value value;
  };
  // An item's place; End() is behind the last.
  struct Pos {
    size_t page;
    size_t slot;
    bool operator==(const Pos&) const = default;
  };

  PagedMap() = default;
  PagedMap(PagedMap&&) = default;
  PagedMap& operator=(PagedMap&&) = default;

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  Pos End() const { return {pages_.size(), 0}; }
  Pos First() const { return {first_, 0}; }  // End() if empty
  Pos Last() const {
    return empty() ? End() : Pos{pages_.size() - 1, pages_.back().items.size() - 1};
  }
  // pos != End().
  Pos Next(Pos pos) const {
    return pos.slot + 1 < pages_[pos.page].items.size() ? Pos{pos.page, pos.slot + 1}
                                                        : Pos{pos.page + 1, 0};
  }
  // End() before the first; the last one before End().
  Pos Prev(Pos pos) const {
    if (pos == End()) return Last();
    if (pos.slot > 0) return {pos.page, pos.slot - 1};
    if (pos.page == first_) return End();
    return {pos.page - 1, pages_[pos.page - 1].items.size() - 1};
  }
  const Item& At(Pos pos) const { return pages_[pos.page].items[pos.slot]; }
  Item& At(Pos pos) { return pages_[pos.page].items[pos.slot]; }

  // The first item with a key >= `key`.
  Pos Lower(const Key& key) const {
    const size_t page = PageOf(key);
    if (page == pages_.size()) return First();
    const size_t slot = SlotOf(pages_[page], key);
    return slot < pages_[page].items.size() ? Pos{page, slot} : Pos{page + 1, 0};
  }
  // The last item with a key <= `key`; End() if there is none.
  Pos Floor(const Key& key) const {
    const Pos pos = Lower(key);
    return pos != End() && At(pos).key == key ? pos : Prev(pos);
  }
  Pos Seek(const Key& key) const {  // End() if absent
    const Pos pos = Lower(key);
    return pos != End() && At(pos).key == key ? pos : End();
  }
  Value* Find(const Key& key) {
    const Pos pos = Seek(key);
    return pos == End() ? nullptr : &At(pos).value;
  }
  const Value* Find(const Key& key) const { return const_cast<PagedMap*>(this)->Find(key); }
  bool Contains(const Key& key) const { return Find(key) != nullptr; }

  // The value of `key`, a new one if it was absent (second: true).
  std::pair<Value*, bool> Insert(const Key& key) {
    if (empty()) {
      Clear();
      pages_.push_back(Page{key, std::vector<Item>()});
      pages_[0].items.push_back(Item{key, Value()});
      size_ = 1;
      return {&pages_[0].items[0].value, true};
    }
    size_t page = PageOf(key);
    if (page == pages_.size()) {  // before the first item
      page = first_;
      pages_[page].low = key;
    }
    size_t slot = SlotOf(pages_[page], key);
    if (slot < pages_[page].items.size() && pages_[page].items[slot].key == key)
      return {&pages_[page].items[slot].value, false};
    if (pages_[page].items.size() == kPageItems) {
      const bool append = page + 1 == pages_.size() && slot == kPageItems;
      SplitPage(page, append ? kPageItems : kPageItems / 2, key);
      if (append || slot > kPageItems / 2) {
        slot -= append ? kPageItems : kPageItems / 2;
        ++page;
      }
    }
    std::vector<Item>& items = pages_[page].items;
    const auto at = items.insert(items.begin() + static_cast<ptrdiff_t>(slot), Item{key, Value()});
    ++size_;
    return {&at->value, true};
  }

  // Returns the position of the next item.
  Pos Erase(Pos pos) {
    std::vector<Item>& items = pages_[pos.page].items;
    items.erase(items.begin() + static_cast<ptrdiff_t>(pos.slot));
    --size_;
    if (items.empty()) return ErasePage(pos.page);
    if (items.size() < kPageItems / 4) {
      // A quarter full: into the page before, if that leaves it room.
      if (pos.page > first_ &&
          pages_[pos.page - 1].items.size() + items.size() <= kPageItems / 2) {
        std::vector<Item>& left = pages_[pos.page - 1].items;
        pos.slot += left.size();
        std::move(items.begin(), items.end(), std::back_inserter(left));
        ErasePage(pos.page--);
      } else if (items.capacity() > 4 * items.size()) {
        items.shrink_to_fit();
      }
    }
    return pos.slot < pages_[pos.page].items.size() ? pos : Pos{pos.page + 1, 0};
  }
  bool Erase(const Key& key) {
    const Pos pos = Seek(key);
    if (pos == End()) return false;
    Erase(pos);
    return true;
  }
  void Clear() {
    pages_.clear();
    first_ = size_ = 0;
  }

  // Allocated bytes without what the values own.
  size_t MemoryUsage() const {
    size_t bytes = pages_.capacity() * sizeof(Page);
    for (const Page& page : pages_) bytes += page.items.capacity() * sizeof(Item);
    return bytes;
  }

  void CheckInvariants() const {
    size_t count = 0;
    const Item* before = nullptr;
    for (size_t p = 0; p < pages_.size(); ++p) {
      const Page& page = pages_[p];
      CHECK(page.items.empty() == (p < first_) && page.items.size() <= kPageItems);
      if (p < first_) continue;
      CHECK(!(page.items.front().key < page.low));
      CHECK(before == nullptr || before->key < page.low);
      for (const Item& item : page.items) {
        CHECK(before == nullptr || before->key < item.key);
        before = &item;
      }
      count += page.items.size();
    }
    CHECK(count == size_);
  }

 private:
  struct Page {
    Key low;
    std::vector<Item> items;
  };
  static constexpr size_t kPageItems = 128;

  // The last page with low <= key; pages_.size() if there is none.
  size_t PageOf(const Key& key) const {
    if (empty()) return pages_.size();
    if (!(key < pages_.back().low)) return pages_.size() - 1;
    const auto from = pages_.begin() + static_cast<ptrdiff_t>(first_);
    const auto it = std::upper_bound(from, pages_.end(), key,
                                     [](const Key& k, const Page& page) { return k < page.low; });
    return it == from ? pages_.size() : static_cast<size_t>(it - pages_.begin()) - 1;
  }
  static size_t SlotOf(const Page& page, const Key& key) {
    if (page.items.back().key < key) return page.items.size();
    const auto it = std::lower_bound(page.items.begin(), page.items.end(), key,
                                     [](const Item& item, const Key& k) { return item.key < k; });
    return static_cast<size_t>(it - page.items.begin());
  }
  // Moves the items from `at` on to a new page behind; `key` is the low of an empty one.
  void SplitPage(size_t page, size_t at, const Key& key) {
    Page right;
    std::vector<Item>& items = pages_[page].items;
    right.low = at < items.size() ? items[at].key : key;
    right.items.reserve(kPageItems);
    std::move(items.begin() + static_cast<ptrdiff_t>(at), items.end(),
              std::back_inserter(right.items));
    items.resize(at);
    pages_.insert(pages_.begin() + static_cast<ptrdiff_t>(page) + 1, std::move(right));
  }
  Pos ErasePage(size_t page) {
    if (page != first_) {
      pages_.erase(pages_.begin() + static_cast<ptrdiff_t>(page));
      return {page, 0};
    }
    pages_[first_].items = std::vector<Item>();
    ++first_;
    if (first_ < 16 || first_ <= pages_.size() / 2) return First();
    pages_.erase(pages_.begin(), pages_.begin() + static_cast<ptrdiff_t>(first_));
    if (pages_.capacity() > 4 * pages_.size()) pages_.shrink_to_fit();
    first_ = 0;
    return First();
  }

  size_t first_ = 0;
  size_t size_ = 0;
  std::vector<Page> pages_;
};

}  // namespace cairn
