// SPDX-License-Identifier: BSD-3-Clause
//
// HashBucket: one bucket of a HashTable (hash_table.h): a cache line of up to eight items, and the
// rows of those that found no room in it.
//
//   bucket (64 bytes)
//   +-----------------+  tags: one byte of each item's hash, 1 to 254; 0: the slot is free; 255 in
//   | 8 tags          |  the last slot: it is no item's, but points to the row of further ones
//   +-----------------+
//   | 8 x 4 bytes     |  the item's address: its lower bytes, in whose lowest bit is the item's
//   | 8 x 2 bytes     |  mark, and its upper ones
//   +-----------------+
//   | 8 x 1 byte      |  kept: the byte of the hash that the next splits ask for. Of the last slot,
//   +-----------------+  where it points to a row: the row's size, as a number of its step
//
//   row: [tag | kept | address and mark] x 2, 4, 6, 8, 16, 32, ...; the items first, then zeroes
//
// Items of a bucket have places: 0 to 7, or, where there is a row, 0 to 6 and from 7 on those of
// the row.
//
// Invariants: a row exists only if slots 0 to 6 are taken, holds two items at least, and is no
// larger than they need.
//
// Threads: as those of the table. What other threads may read unlocked (Match, Prefetch) are words
// that are loaded and stored as relaxed atomics.
#pragma once

#include <emmintrin.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "base/check.h"

namespace cairn {

// An item as it stands in a bucket.
struct HashCell {
  uint64_t word;  // its address, and its mark in bit 0
  uint8_t tag;
  uint8_t kept;

  void* item() const { return reinterpret_cast<void*>(word & ~uint64_t{1}); }
  bool mark() const { return (word & 1) != 0; }
};

class alignas(64) HashBucket {
 public:
  static constexpr int kSlots = 8;
  static constexpr uint8_t kRowTag = 255;
  static constexpr int kAddressBits = 48;

  static uint8_t TagOf(uint64_t hash) {
    const auto tag = static_cast<uint8_t>(hash >> 40);
    return tag - 1u < kRowTag - 1u ? tag : uint8_t{kRowTag / 2};
  }

  // Makes it empty; its row, if any, is somebody else's now. Memory is no bucket before that.
  void Wipe() { SetTags(0); }
  bool has_row() const { return Tags() >> 56 == kRowTag; }
  size_t size() const;
  // Bit i is set where tag i equals `tag`.
  unsigned Match(uint8_t tag) const {
    const __m128i tags = _mm_cvtsi64_si128(static_cast<long long>(Tags()));
    const __m128i equal = _mm_cmpeq_epi8(tags, _mm_set1_epi8(static_cast<char>(tag)));
    return static_cast<unsigned>(_mm_movemask_epi8(equal)) & 0xff;
  }
  // The item in slot `i`.
  void* item(int i) const { return reinterpret_cast<void*>(Word(i) & ~uint64_t{1}); }

  // The item with this tag for which equals(item) holds: its place, or -1.
  template <typename Equals>
  int Find(uint8_t tag, const Equals& equals) const {
    for (unsigned match = Match(tag); match != 0; match &= match - 1) {
      const int i = std::countr_zero(match);
      if (equals(item(i))) return i;
    }
    return has_row() ? FindInRow(tag, equals) : -1;
  }
  HashCell At(int place) const {
    if (place < kSlots - 1 || !has_row()) return Slot(place);
    return row().cells[place - (kSlots - 1)].Get();
  }
  void Set(int place, const HashCell& cell) {
    if (place < kSlots - 1 || !has_row()) return SetSlot(place, cell);
    row().cells[place - (kSlots - 1)].Set(cell);
  }
  // Both return by how many bytes the row has grown. What stood in the last place may stand in
  // `place` after Remove.
  ptrdiff_t Add(const HashCell& cell) {
    if (const unsigned free = Match(0); free != 0) [[likely]] {
      SetSlot(std::countr_zero(free), cell);
      return 0;
    }
    return AddToRow(cell);
  }
  ptrdiff_t Remove(int place);
  // Frees the row; the bucket is to be wiped, or forgotten. Returns its bytes.
  size_t FreeRow();

  // visit(cell) -> bool for all until it returns false. False if it did.
  template <typename Visit>
  bool VisitWhile(const Visit& visit) const {
    unsigned used = ~Match(0) & 0xff;
    if (has_row()) used &= 0x7f;
    for (; used != 0; used &= used - 1)
      if (!visit(Slot(std::countr_zero(used)))) return false;
    return !has_row() || VisitRow(visit);
  }
  template <typename Visit>
  void VisitAll(const Visit& visit) const {
    VisitWhile([&visit](const HashCell& cell) { return visit(cell), true; });
  }
  // The item that `index` < size() others of the bucket come before.
  void* ItemAt(size_t index) const;

  // Brings the items that may have the tag into the cache, the first `lines` of 64 bytes of each,
  // or else the row. Any thread.
  void Prefetch(uint8_t tag, size_t lines) const {
    unsigned match = Match(tag);
    if (match == 0 && has_row()) match = 1u << (kSlots - 1);
    for (; match != 0; match &= match - 1) {
      const char* begin = static_cast<const char*>(item(std::countr_zero(match)));
      for (size_t i = 0; i < lines; ++i) __builtin_prefetch(begin + 64 * i);
    }
  }

  // CHECKs the invariants above. Returns the bytes of the row.
  size_t CheckInvariants() const;

 private:
#if defined(__SANITIZE_ADDRESS__)
  // The leak checker finds whole pointers only.
  struct Words {
    uint64_t whole[kSlots];
    uint64_t Get(int i) const { return Load(whole[i]); }
    void Set(int i, uint64_t word) { Store(whole[i], word); }
  };
  struct RowCell {
    HashCell cell;
    bool empty() const { return cell.tag == 0; }
    HashCell Get() const { return cell; }
    void Set(const HashCell& c) { cell = c; }
  };
#else
  struct Words {
    uint32_t low[kSlots];
    uint16_t high[kSlots];
    uint64_t Get(int i) const { return Load(low[i]) | uint64_t{Load(high[i])} << 32; }
    void Set(int i, uint64_t word) {
      Store(low[i], static_cast<uint32_t>(word));
      Store(high[i], static_cast<uint16_t>(word >> 32));
    }
  };
  struct RowCell {
    uint64_t bits;
    bool empty() const { return bits == 0; }
    HashCell Get() const {
      return {bits & ((uint64_t{1} << kAddressBits) - 1), static_cast<uint8_t>(bits >> 56),
              static_cast<uint8_t>(bits >> kAddressBits)};
    }
    void Set(const HashCell& c) {
      bits = c.word | uint64_t{c.kept} << kAddressBits | uint64_t{c.tag} << 56;
    }
  };
#endif
  struct Row {
    RowCell* cells;
    size_t capacity;
    size_t size() const {
      size_t n = 0;
      while (n < capacity && !cells[n].empty()) ++n;
      return n;
    }
  };

  template <typename T>
  static T Load(const T& from) {
    return __atomic_load_n(&from, __ATOMIC_RELAXED);
  }
  template <typename T>
  static void Store(T& to, T value) {
    __atomic_store_n(&to, value, __ATOMIC_RELAXED);
  }
  uint64_t Tags() const {
    return Load(tags_);
  }
  void SetTags(uint64_t tags) {
    Store(tags_, tags);
  }
  void SetTag(int i, uint8_t tag) {
    SetTags((Tags() & ~(uint64_t{0xff} << (8 * i))) | uint64_t{tag} << (8 * i));
  }
  uint64_t Word(int i) const {
    return words_.Get(i);
  }
  HashCell Slot(int i) const {
    return {Word(i), static_cast<uint8_t>(Tags() >> (8 * i)), kept_[i]};
  }
  void SetSlot(int i, const HashCell& cell) {
    words_.Set(i, cell.word);
    kept_[i] = cell.kept;
    SetTag(i, cell.tag);
  }

  static size_t RowCapacity(uint8_t step) {
    return step <= 4 ? size_t{2} * step : size_t{8} << (step - 4);
  }
  static uint8_t RowStep(size_t items) {
    if (items <= 8) return static_cast<uint8_t>((items + 1) / 2);
    return static_cast<uint8_t>(4 + std::bit_width((items - 1) / 8));
  }
  Row row() const {
    return {static_cast<RowCell*>(item(kSlots - 1)), RowCapacity(kept_[kSlots - 1])};
  }
  // Gives the bucket a row of the size that `items` need, with those of the row it had.
  ptrdiff_t ResizeRow(size_t items);
  ptrdiff_t AddToRow(const HashCell& cell);
  template <typename Equals>
  int FindInRow(uint8_t tag, const Equals& equals) const {
    const Row r = row();
    for (size_t i = 0; i < r.capacity && !r.cells[i].empty(); ++i) {
      const HashCell cell = r.cells[i].Get();
      if (cell.tag == tag && equals(cell.item())) return kSlots - 1 + static_cast<int>(i);
    }
    return -1;
  }
  template <typename Visit>
  bool VisitRow(const Visit& visit) const {
    const Row r = row();
    for (size_t i = 0; i < r.capacity && !r.cells[i].empty(); ++i)
      if (!visit(r.cells[i].Get())) return false;
    return true;
  }

  uint64_t tags_;
  Words words_;
  uint8_t kept_[kSlots];
};

}  // namespace cairn
