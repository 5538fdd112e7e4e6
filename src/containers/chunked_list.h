// SPDX-License-Identifier: BSD-3-Clause
//
// A long list: chunks of contiguous elements (list_chunk.h) under a directory of two levels.
//
//   pages_  [elements | slots]  [elements | slots]  ...          one row a page
//                       |
//                       [chunk, count] [chunk, count] ...        at most kPageSlots
//
// Finding an element by index skips whole pages, then whole chunks, then walks inside one chunk,
// each from the nearer end: with 10 million small elements 60 pages and 256 slots of dense
// memory. Both levels move by memmove of a few KiB when a chunk comes or goes.
//
// 1. No chunk and no page is empty; counts and sums are exact.
// 2. With limits.depth > 0 that many chunks at either end stay uncompressed and those between are
//    compressed where it pays. The depth may change between calls: readers cope with a compressed
//    chunk anywhere, writers decompress what they change, and a chunk takes its due form when the
//    directory next changes near it.
//
// Not thread-safe; const functions may run side by side.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "containers/list_chunk.h"

namespace cairn {

// What a chunk may hold; from list-max-listpack-size and list-compress-depth.
struct ListLimits {
  size_t bytes;       // of a block
  size_t elements;    // in a chunk
  size_t plain_from;  // an element of so many bytes gets a chunk of its own
  size_t depth;       // chunks left uncompressed at either end; 0: compress none
};

class ChunkedList {
 public:
  ChunkedList() = default;
  ~ChunkedList();
  ChunkedList(const ChunkedList&) = delete;
  ChunkedList& operator=(const ChunkedList&) = delete;

  uint64_t length() const { return length_; }
  size_t chunks() const { return chunks_; }
  std::unique_ptr<ChunkedList> Clone() const;

  void Push(ListEnd end, std::string_view element, const ListLimits& limits);
  // Before the index-th element; index <= length().
  void Insert(uint64_t index, std::string_view element, const ListLimits& limits);
  void Set(uint64_t index, std::string_view element, const ListLimits& limits);
  void Erase(uint64_t index, uint64_t count, const ListLimits& limits);
  // Takes the outermost element into `element`, where its chunk keeps others and is not compressed;
  // elsewhere false, and no change.
  bool PopWithin(ListEnd end, std::string* element);
  // Removes up to `most` elements equal to `element`, seen from `end`; returns how many.
  uint64_t Remove(std::string_view element, uint64_t most, ListEnd end, const ListLimits& limits);

  // Takes over a chunk that is not empty.
  void AppendChunk(ListChunk* chunk);
  // The chunk, if there is exactly one; and gives it up.
  ListChunk* Only() { return chunks_ == 1 ? pages_[0].slots[0].chunk : nullptr; }
  ListChunk* ReleaseOnly();
  // After a load: compresses what is to be.
  void SettleAll(size_t depth);

  // Where a chunk stands in the directory, for reading; any change invalidates it.
  struct Place {
    size_t page = 0;
    size_t slot = 0;
    bool operator==(const Place&) const = default;
  };
  struct Location {
    Place place;
    size_t offset;  // of the element in its chunk
  };
  Location Locate(uint64_t index) const;  // index < length()
  const ListChunk* At(Place place) const { return pages_[place.page].slots[place.slot].chunk; }
  // False, and no change, at the end.
  bool Next(Place* place) const;
  bool Prev(Place* place) const;
  Place First() const { return {}; }  // of a list that is not empty

  // Allocated bytes; from the first `samples` chunks, 0 means all.
  size_t MemoryUsage(size_t samples) const;
  void CheckInvariants() const;

 private:
  struct Slot {
    ListChunk* chunk;
    uint64_t count;
  };
  struct Page {
    uint64_t elements = 0;
    std::vector<Slot> slots;
  };
  static constexpr size_t kPageSlots = 256;

  Slot& SlotAt(Place place) { return pages_[place.page].slots[place.slot]; }
  Place Last() const { return {pages_.size() - 1, pages_.back().slots.size() - 1}; }
  Place End(ListEnd end) const { return end == ListEnd::kFront ? Place{} : Last(); }
  // The slot's count after its chunk changed, and the sums above it.
  void Recount(Place place);
  // The chunk goes behind the one at `place`, which keeps pointing at that.
  void InsertAfter(Place* place, ListChunk* chunk);
  void InsertFirst(ListChunk* chunk);
  void SplitPage(Place* place);
  // Drops the slot, not the chunk. *place then is the next slot; false: there is none.
  bool DropSlot(Place* place);
  bool RemoveChunk(Place* place);

  bool Fits(Place place, std::string_view element, const ListLimits& limits) const;
  void PushInto(Place place, ListEnd end, const ListpackEntry& entry, const ListLimits& limits);
  void InsertBySplitting(uint64_t index, Location at, std::string_view element,
                         const ListLimits& limits);
  void MakeRaw(Place place);
  bool IsInterior(Place place, size_t depth) const;
  void SettleAt(Place place, size_t depth);
  void SettleEnds(size_t depth);
  bool MergeIfSmall(Place left, Place right, const ListLimits& limits);
  void MergeAround(uint64_t index, const ListLimits& limits);
  // Removes within one chunk and counts; leaves a chunk of which all would go to the caller.
  uint64_t RemoveFrom(Place place, std::string_view element, uint64_t most, ListEnd end);

  uint64_t length_ = 0;
  size_t chunks_ = 0;
  std::vector<Page> pages_;
};

// Walks a chunk, or all chunks of a list, element by element in both directions. Values stay
// valid until the next step; any change of the list ends it.
class ListIterator {
 public:
  ListIterator() = default;  // not Valid()
  explicit ListIterator(const ListChunk* only, uint64_t index);
  ListIterator(const ChunkedList* list, uint64_t index);

  bool Valid() const { return chunk_ != nullptr; }
  ListpackValue Get() const { return plain_ ? PlainValue() : view_.Get(pos_); }
  std::string_view Value() { return Get().Text(digits_); }
  void Next() {
    pos_ = plain_ ? ListpackView::kNone : view_.Next(pos_);
    if (pos_ == ListpackView::kNone) Step(true);
  }
  void Prev() {
    pos_ = plain_ ? ListpackView::kNone : view_.Prev(pos_);
    if (pos_ == ListpackView::kNone) Step(false);
  }

 private:
  void Step(bool forward);
  void Enter(const ListChunk* chunk);
  ListpackValue PlainValue() const {
    return ListpackValue::OfText(reinterpret_cast<const char*>(view_.data()), chunk_->RawBytes());
  }

  const ChunkedList* list_ = nullptr;
  const ListChunk* chunk_ = nullptr;
  ChunkedList::Place place_;
  ListpackView view_{nullptr};
  ListpackView::Pos pos_ = ListpackView::kNone;
  bool plain_ = false;
  std::unique_ptr<uint8_t[]> scratch_;  // the decompressed chunk
  char digits_[kInt64CharsMax];
};

// An element to compare with, its number parsed once.
class ListMatcher {
 public:
  explicit ListMatcher(std::string_view text) : text_(text) {
    is_number_ = ParseInt64(text, &number_);
  }
  bool operator()(const ListpackValue& value) const {
    return value.is_int() ? is_number_ && value.integer() == number_ : value.text() == text_;
  }

 private:
  std::string_view text_;
  int64_t number_ = 0;
  bool is_number_;
};

}  // namespace cairn
