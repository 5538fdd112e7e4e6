// SPDX-License-Identifier: BSD-3-Clause
//
// The list value: one listpack while small, else a ChunkedList ("quicklist"). Conversions follow
// Redis 7.4: a list leaves listpack when the raw bytes or the number of elements to be added would
// pass list-max-listpack-size, all elements of one command counted together; it comes back when
// what is left is one packed chunk of at most half that limit.
//
// 8 bytes, move-only, trivially relocatable: rep_ is a pointer with the encoding in bit 0; 0 is
// the empty listpack. Indexes are from 0; negative ones, where allowed, count from the end.
// Not thread-safe; const functions may run side by side; the destructor runs on any thread.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "containers/chunked_list.h"
#include "types/thresholds.h"
#include "types/type.h"

namespace cairn {

class List {
 public:
  // Of an element, and of a listpack that is taken over: lengths are counted in 32 bits. Callers
  // see to it; what clients send is shorter (proto-max-bulk-len).
  static constexpr size_t kElementBytesMax = UINT32_MAX - sizeof(ListChunk);

  List() = default;
  ~List() { Free(); }
  List(List&& other) noexcept : rep_(std::exchange(other.rep_, 0)) {}
  List& operator=(List&& other) noexcept {
    std::swap(rep_, other.rep_);
    return *this;
  }
  static List Adopt(uint64_t rep) {
    List list;
    list.rep_ = rep;
    return list;
  }
  uint64_t Release() { return std::exchange(rep_, 0); }

  Encoding encoding() const { return chunked() ? Encoding::kQuicklist : Encoding::kListpack; }
  uint64_t Length() const {
    if (chunked()) return many()->length();
    return rep_ != 0 ? one()->count : 0;
  }

  // --- changes; O(1) amortised at the ends, else O(bytes of a chunk) plus finding it ---

  // Pushes the elements one after the other, so that the last one ends up outermost.
  void Push(ListEnd end, std::span<const std::string_view> elements, const Thresholds& thresholds);
  void Push(ListEnd end, std::string_view element, const Thresholds& thresholds) {
    Push(end, std::span<const std::string_view>(&element, 1), thresholds);
  }
  // False, and no change, if the list is empty.
  bool Pop(ListEnd end, std::string* element, const Thresholds& thresholds);
  // Pops up to `count` elements, each shown to visit(std::string_view) first; returns how many.
  template <typename Visit>
  uint64_t PopEach(ListEnd end, uint64_t count, const Thresholds& thresholds, Visit&& visit) {
    count = std::min(count, Length());
    if (count == 0) return 0;
    ListIterator it = From(end == ListEnd::kFront ? 0 : -1);
    for (uint64_t i = 0; i < count; ++i) {
      visit(it.Value());
      if (i + 1 < count) end == ListEnd::kFront ? it.Next() : it.Prev();
    }
    Erase(end == ListEnd::kFront ? 0 : Length() - count, count, thresholds);
    return count;
  }
  // False if there is no such index.
  bool Set(int64_t index, std::string_view element, const Thresholds& thresholds);
  // Beside the first element equal to `pivot`; false if there is none.
  bool Insert(bool before, std::string_view pivot, std::string_view element,
              const Thresholds& thresholds);
  // LREM: count > 0 from the front, < 0 from the back, 0 all. Returns how many went.
  uint64_t Remove(int64_t count, std::string_view element, const Thresholds& thresholds);
  // Keeps start..stop (inclusive, negative from the end); returns how many went.
  uint64_t Trim(int64_t start, int64_t stop, const Thresholds& thresholds);
  // Removes `count` elements from `index` on; both must be in range.
  void Erase(uint64_t index, uint64_t count, const Thresholds& thresholds);

  // --- reading ---

  // At the index-th element; not Valid() if there is none.
  ListIterator From(int64_t index) const;
  // Elements in start..stop (inclusive, negative from the end); *first is the index of the first.
  uint64_t CountInRange(int64_t start, int64_t stop, uint64_t* first) const;
  // visit(std::string_view) for each element in start..stop.
  template <typename Visit>
  void Range(int64_t start, int64_t stop, Visit&& visit) const {
    uint64_t first;
    uint64_t count = CountInRange(start, stop, &first);
    if (count == 0) return;
    for (ListIterator it = From(static_cast<int64_t>(first)); count > 0; --count, it.Next())
      visit(it.Value());
  }
  // LPOS: visit(index) for the matches. rank > 0 skips the first rank - 1 of them from the front,
  // rank < 0 likewise from the back; count 0 is all; at most max_compared elements are looked at
  // (0: all). rank is neither 0 nor INT64_MIN.
  template <typename Visit>
  void Find(std::string_view element, int64_t rank, uint64_t count, uint64_t max_compared,
            Visit&& visit) const {
    const ListMatcher matches(element);
    const bool forward = rank > 0;
    uint64_t skip = static_cast<uint64_t>(forward ? rank : -rank) - 1;
    uint64_t index = forward ? 0 : Length() - 1;
    uint64_t compared = 0;
    uint64_t found = 0;
    for (ListIterator it = From(forward ? 0 : -1);
         it.Valid() && (max_compared == 0 || compared < max_compared); ++compared) {
      if (matches(it.Get())) {
        if (skip > 0) {
          --skip;
        } else {
          visit(index);
          if (++found == count) return;
        }
      }
      if (forward) {
        it.Next();
        ++index;
      } else {
        it.Prev();
        --index;
      }
    }
  }

  // --- saving and loading ---

  // Reads a list chunk by chunk from the front, also in several sittings while it is unchanged.
  class ChunkReader {
   public:
    explicit ChunkReader(const List& list) : list_(list) {}
    // A listpack, or (plain) an element as it is; the bytes last until the next call. False: the
    // end. An empty list has no chunks.
    bool Next(std::string_view* bytes, bool* plain);

   private:
    const ListChunk* NextChunk();

    const List& list_;
    ChunkedList::Place place_;
    bool started_ = false;
    std::unique_ptr<uint8_t[]> scratch_;
  };
  size_t ChunkCount() const;
  // Appends what a saved list holds; `valid_listpack` has passed ListpackView::Validate(). An
  // empty listpack adds nothing. The list becomes a quicklist until FinishLoad().
  void AppendListpack(std::string_view valid_listpack);
  void AppendPlain(std::string_view element);
  void FinishLoad(const Thresholds& thresholds);

  // --- the keyspace's questions ---

  // Allocations that freeing it takes, roughly: the server frees big values in the background.
  size_t FreeEffort() const { return ChunkCount(); }
  // Allocated bytes, from the first `samples` chunks (0: all).
  size_t MemoryUsage(size_t samples) const;
  List Clone() const;
  void CheckInvariants() const;

 private:
  static constexpr uint64_t kChunkedTag = 1;

  bool chunked() const { return (rep_ & kChunkedTag) != 0; }
  ChunkedList* many() const { return reinterpret_cast<ChunkedList*>(rep_ & ~kChunkedTag); }
  ListChunk* one() const { return reinterpret_cast<ListChunk*>(rep_); }
  void SetOne(ListChunk* chunk) { rep_ = reinterpret_cast<uint64_t>(chunk); }
  void SetMany(ChunkedList* list) { rep_ = reinterpret_cast<uint64_t>(list) | kChunkedTag; }
  void Free();
  // -1 if out of range, else counted from the front.
  int64_t Normalize(int64_t index) const;
  void MakeChunked();
  void GrowIfNeeded(size_t bytes, size_t elements, const ListLimits& limits);
  void ShrinkIfPossible(const ListLimits& limits, bool halve);
  void InsertAt(uint64_t index, std::string_view element, const ListLimits& limits);
  void EraseWithin(uint64_t index, uint64_t count, const ListLimits& limits);

  uint64_t rep_ = 0;
};

static_assert(sizeof(List) == 8);

}  // namespace cairn
