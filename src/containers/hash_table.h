// SPDX-License-Identifier: BSD-3-Clause
//
// HashTable: the one hash table of Cairn: the keyspace, and the big encodings of hashes, sets and
// sorted sets. It stores pointers to items that the caller owns; the key is inside the item.
//
//   home bucket of hash h, N buckets, 2^L <= N < 2^(L+1):
//   i = h mod 2^(L+1); if (i >= N) i = h mod 2^L
//
// A bucket (hash_bucket.h) is one cache line of eight items, and a row of further ones where that
// is full. With an item it keeps one byte of its hash to find it by (the tag), one for the splits
// to come, and the item's "mark" (the keyspace: has a TTL).
//
// Linear hashing (Litwin, "Linear hashing: a new tool for file and table addressing", 1980): the
// table grows by splitting bucket N - 2^L into itself and a new bucket N, and shrinks by the
// reverse, a bucket at a time; there is never a second table nor a pause. Buckets live in segments
// that double in size (segment k holds buckets [2^(k-1), 2^k)) and never move; a bucket is first
// touched when it comes alive, so untouched parts of a segment cost no memory. From 256 buckets on
// each doubling comes in eight parts, found through a directory, so that what is allocated stays
// within an eighth of what is used:
//
//   whole_      [1] [1] [2] [4] ... [128]      buckets in segment 0, 1, 2, ...
//   parts_ ->   [32] x 8, [64] x 8, ...        of the doublings after them
//
// The level of a bucket is how many bits of the hash decided that an item is in it: L, or L + 1
// where its split of this doubling is behind it. The split to come asks for bit number "level", so
// byte level / 8 of the hash is what is kept beside an item: splits touch no item, but for every
// eighth doubling, in which they read the next byte.
//
// Invariants:
//  1. An item is in its home bucket or in the row of it, never elsewhere; it leaves them only by
//     Split or Merge. Scan (reverse-binary cursor, Noordhuis 2012) therefore returns every item
//     that stays in the table from start to end at least once.
//  2. Only Split, Merge, Clear and Trim change the number of buckets; Insert and Erase do not.
//
// Threads: not synchronised; the owner's lock guards it. The Prefetch functions alone may run
// without the lock while another thread changes the table: they read with relaxed atomics and
// follow no pointer but those to segments, which Trim and the destructor free. So an owner whose
// readers prefetch unlocked must exclude them around those two (the keyspace: scope All).
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <utility>

#include "base/check.h"
#include "base/random.h"
#include "containers/hash_bucket.h"

namespace cairn {

// Traits: `using Item`, `static uint64_t Hash(const Item*)` (the hash given to Insert), and how
// many cache lines of an item PrefetchItem brings, `static constexpr size_t kPrefetchedLines`.
template <typename Traits>
class HashTable {
 public:
  using Item = typename Traits::Item;

  HashTable() = default;
  HashTable(const HashTable&) = delete;
  HashTable& operator=(const HashTable&) = delete;
  ~HashTable() {
    Clear([](Item*) {});
  }  // frees the table, not the items

  size_t size() const { return size_.load(std::memory_order_relaxed); }
  // Acquire: a prefetcher that sees a bucket counted sees its memory initialised.
  size_t bucket_count() const { return buckets_.load(std::memory_order_acquire); }
  size_t MemoryBytes() const;

  // The item with this hash for which equals(item) holds, or nullptr. O(1).
  template <typename Equals>
  Item* Find(uint64_t hash, const Equals& equals) const {
    const HashBucket* bucket = HomeBucket(hash);
    if (bucket == nullptr) return nullptr;
    Item* found = nullptr;
    bucket->Find(HashBucket::TagOf(hash), [&](void* candidate) {
      if (!equals(static_cast<const Item*>(candidate))) return false;
      found = static_cast<Item*>(candidate);
      return true;
    });
    return found;
  }

  // Adds an item that is not in the table. Does not grow it: see Maintain.
  void Insert(uint64_t hash, Item* item, bool mark = false);
  // Takes the item out of the table and returns it, or nullptr if there is none.
  template <typename Equals>
  Item* Remove(uint64_t hash, const Equals& equals);
  // The item was reallocated: stores its new address (and mark) in the place of the old one.
  void Relocate(uint64_t hash, const Item* old_item, Item* new_item, bool mark = false);

  // One step of growth or shrinkage if the load asks for it; true if more is to do. O(items of
  // one bucket). Call it once after each insert or erase, when no caller holds on to a place.
  bool Maintain() {
    const size_t n = bucket_count();
    const size_t items = size();
    if (items > n * kItemsPerBucketMax) {
      Split();
      return true;
    }
    if (n > 1 && items < n * kItemsPerBucketMin) {
      Merge();
      return true;
    }
    return false;
  }
  // For owners without open places (the collections). Never shrinks what was reserved.
  void InsertAndGrow(uint64_t hash, Item* item, bool mark = false) {
    Insert(hash, item, mark);
    if (size() > bucket_count() * kItemsPerBucketMax) Split();
  }
  // Grows at once to hold `items`, for bulk loads into an empty table.
  void Reserve(size_t items) {
    while (bucket_count() * kItemsPerBucketMax < items) Split();
  }
  // Frees segments that the table has shrunk out of.
  void Trim();
  // Removes every item, calling free(item) on each, and frees all memory.
  template <typename Free>
  void Clear(const Free& free);

  // Calls visit(item) for the items of the next bucket(s) of `cursor`; returns the cursor to go on
  // with, 0 at the end. Start with 0. Any number is a valid cursor. visit must not change the
  // table.
  template <typename Visit>
  uint64_t Scan(uint64_t cursor, const Visit& visit) const;
  // visit(item) for all, in bucket order; stops when it returns false.
  template <typename Visit>
  void ForEach(const Visit& visit) const;
  // visit(item) for the items of bucket `index` (< bucket_count()).
  template <typename Visit>
  void VisitBucket(size_t index, const Visit& visit) const {
    VisitItems(BucketAt(index), visit);
  }
  // Whether bucket `index` or its chain holds a marked slot; reads only table memory.
  bool BucketHasMark(size_t index) const;
  // visit(item) for the marked items of a bucket.
  template <typename Visit>
  void VisitMarked(size_t index, const Visit& visit) const;
  // An item, each as likely as any other but for those of the fullest buckets, which are a little
  // rarer; nullptr when empty.
  Item* RandomItem(Random& random) const;

  // Bring the home bucket, then the items in it that may match, into the cache. Any thread. With
  // what the first returned the second has nothing to find again.
  const HashBucket* PrefetchBucket(uint64_t hash) const {
    const HashBucket* bucket = HomeBucket(hash);
    __builtin_prefetch(bucket);
    return bucket;
  }
  static void PrefetchItem(const HashBucket* bucket, uint64_t hash) {
    if (bucket != nullptr) bucket->Prefetch(HashBucket::TagOf(hash), Traits::kPrefetchedLines);
  }
  void PrefetchItem(uint64_t hash) const { PrefetchItem(HomeBucket(hash), hash); }

  // CHECKs the invariants above. O(n).
  void CheckInvariants() const;

 private:
  // Means for 8 slots: above the first the rows get long, below the second memory is wasted. 7
  // instead of 6 saves 1.1 bytes an item; look-ups take as long, but one in 17 more meets a row.
  static constexpr size_t kItemsPerBucketMax = 7;
  static constexpr size_t kItemsPerBucketMin = 1;
  static constexpr int kWholeSegments = 9;  // 2^8 buckets in all
  static constexpr int kPartBits = 3;
  static constexpr int kBucketBitsMax = 36;
  static constexpr size_t kParts = size_t{kBucketBitsMax - kWholeSegments + 1} << kPartBits;

  // The byte of the hash that is kept in a bucket of this level.
  static uint8_t KeptOf(uint64_t hash, int level) {
    return static_cast<uint8_t>(hash >> (level & ~7));
  }
  static HashCell CellOf(uint64_t hash, const Item* item, bool mark, int level) {
    return {reinterpret_cast<uint64_t>(item) | uint64_t{mark}, HashBucket::TagOf(hash),
            KeptOf(hash, level)};
  }
  static Item* ItemOf(const HashCell& cell) { return static_cast<Item*>(cell.item()); }

  size_t HomeIndex(uint64_t hash) const {
    const size_t n = bucket_count();  // not 0
    const size_t mask = ~size_t{0} >> __builtin_clzll(n);
    const size_t i = hash & mask;
    return i < n ? i : hash & (mask >> 1);
  }
  int LevelOf(size_t index) const {
    const size_t n = bucket_count();
    const size_t half = std::bit_floor(n);
    return std::bit_width(n) - 1 + (index >= half || index < n - half);
  }
  using SegmentPointer = std::atomic<HashBucket*>;
  // Where a bucket is: the part of its doubling, or -1 in `part` if that is whole.
  struct Address {
    int doubling;
    int part;
    size_t offset;

    explicit Address(size_t index) : doubling(std::bit_width(index)) {
      if (doubling < kWholeSegments) {
        part = -1;
        offset = doubling == 0 ? 0 : index - (size_t{1} << (doubling - 1));
      } else {
        const int shift = doubling - 1 - kPartBits;
        part = ((doubling - kWholeSegments) << kPartBits) +
               static_cast<int>((index >> shift) & ((1 << kPartBits) - 1));
        offset = index & ((size_t{1} << shift) - 1);
      }
    }
    // Buckets in the segment.
    size_t size() const {
      return size_t{1} << (part >= 0 ? doubling - 1 - kPartBits : std::max(doubling - 1, 0));
    }
  };
  SegmentPointer& Whole(int doubling) { return whole_[kWholeSegments - 1 - doubling]; }
  const SegmentPointer& Whole(int doubling) const { return whole_[kWholeSegments - 1 - doubling]; }
  HashBucket* BucketAt(size_t index) const {
    const Address at(index);
    if (at.part < 0) return Whole(at.doubling).load(std::memory_order_acquire) + at.offset;
    const SegmentPointer* parts = parts_.load(std::memory_order_acquire);
    return parts[at.part].load(std::memory_order_acquire) + at.offset;
  }
  [[gnu::always_inline]] HashBucket* HomeBucket(uint64_t hash) const {
    // An empty table has no memory at all; prefetching nullptr does no harm.
    return bucket_count() == 0 ? nullptr : BucketAt(HomeIndex(hash));
  }

  template <typename Visit>
  static void VisitItems(const HashBucket* bucket, const Visit& visit) {
    bucket->VisitAll([&visit](const HashCell& cell) { visit(ItemOf(cell)); });
  }
  static HashBucket* NewBuckets(size_t count) {
    void* memory = aligned_alloc(alignof(HashBucket), count * sizeof(HashBucket));
    CHECK(memory != nullptr);
    return static_cast<HashBucket*>(memory);
  }
  void Add(HashBucket* bucket, const HashCell& cell) {
    row_bytes_ += static_cast<size_t>(bucket->Add(cell));
  }
  void AddBucket();
  void Split();
  void Merge();

  // What most look-ups read stands in the first cache line, the larger segments first.
  std::atomic<size_t> buckets_{0};  // N; 0 until the first insert
  std::atomic<SegmentPointer*> parts_{nullptr};  // kParts of them
  std::atomic<size_t> size_{0};
  size_t row_bytes_ = 0;
  SegmentPointer whole_[kWholeSegments] = {};  // from the last to the first: see Whole
};

template <typename Traits>
void HashTable<Traits>::Insert(uint64_t hash, Item* item, bool mark) {
  DCHECK((reinterpret_cast<uint64_t>(item) & 1) == 0);
  DCHECK(reinterpret_cast<uint64_t>(item) >> HashBucket::kAddressBits == 0);
  if (bucket_count() == 0) AddBucket();
  const size_t home = HomeIndex(hash);
  Add(BucketAt(home), CellOf(hash, item, mark, LevelOf(home)));
  size_.store(size() + 1, std::memory_order_relaxed);
}

template <typename Traits>
template <typename Equals>
typename HashTable<Traits>::Item* HashTable<Traits>::Remove(uint64_t hash, const Equals& equals) {
  HashBucket* bucket = HomeBucket(hash);
  if (bucket == nullptr) return nullptr;
  const int place = bucket->Find(HashBucket::TagOf(hash), [&equals](void* candidate) {
    return equals(static_cast<const Item*>(candidate));
  });
  if (place < 0) return nullptr;
  Item* item = ItemOf(bucket->At(place));
  row_bytes_ += static_cast<size_t>(bucket->Remove(place));
  size_.store(size() - 1, std::memory_order_relaxed);
  return item;
}

template <typename Traits>
void HashTable<Traits>::Relocate(uint64_t hash, const Item* old_item, Item* new_item, bool mark) {
  CHECK(bucket_count() != 0);
  const size_t home = HomeIndex(hash);
  HashBucket* bucket = BucketAt(home);
  // Compares addresses only: the old item may be freed already.
  const int place = bucket->Find(HashBucket::TagOf(hash),
                                 [old_item](void* candidate) { return candidate == old_item; });
  CHECK(place >= 0);
  bucket->Set(place, CellOf(hash, new_item, mark, LevelOf(home)));
}

template <typename Traits>
void HashTable<Traits>::AddBucket() {
  const size_t index = bucket_count();
  const Address at(index);
  CHECK(at.doubling <= kBucketBitsMax);
  if (at.part >= 0 && parts_.load(std::memory_order_relaxed) == nullptr)
    parts_.store(new SegmentPointer[kParts](), std::memory_order_release);
  SegmentPointer& segment =
      at.part < 0 ? Whole(at.doubling) : parts_.load(std::memory_order_relaxed)[at.part];
  if (segment.load(std::memory_order_relaxed) == nullptr)
    segment.store(NewBuckets(at.size()), std::memory_order_release);
  BucketAt(index)->Wipe();
  // Release: who sees the new count (a prefetcher) sees its segment too.
  buckets_.store(index + 1, std::memory_order_release);
}

template <typename Traits>
void HashTable<Traits>::Split() {
  const size_t n = bucket_count();
  if (n == 0) return AddBucket();
  const int level = std::bit_width(n) - 1;
  HashBucket* low = BucketAt(n - (size_t{1} << level));
  AddBucket();
  HashBucket* high = BucketAt(n);
  // The items are taken off, then dealt out to both buckets anew.
  HashBucket old = *low;
  low->Wipe();
  const bool next_byte = ((level + 1) & 7) == 0;
  old.VisitAll([&](HashCell cell) {
    HashBucket* target = (cell.kept >> (level & 7)) & 1 ? high : low;
    if (next_byte) cell.kept = KeptOf(Traits::Hash(ItemOf(cell)), level + 1);
    Add(target, cell);
  });
  row_bytes_ -= old.FreeRow();
}

template <typename Traits>
void HashTable<Traits>::Merge() {
  const size_t last = bucket_count() - 1;
  HashBucket* high = BucketAt(last);
  HashBucket* low = BucketAt(last - std::bit_floor(last));
  // Both are of this level + 1.
  const int level = std::bit_width(last) - 1;
  HashBucket old[] = {*low, *high};
  low->Wipe();
  high->Wipe();
  const bool previous_byte = ((level + 1) & 7) == 0;
  for (HashBucket& bucket : old) {
    bucket.VisitAll([&](HashCell cell) {
      if (previous_byte) cell.kept = KeptOf(Traits::Hash(ItemOf(cell)), level);
      Add(low, cell);
    });
    row_bytes_ -= bucket.FreeRow();
  }
  buckets_.store(last, std::memory_order_release);
}

template <typename Traits>
void HashTable<Traits>::Trim() {
  // Segments from `keep` on; there are no gaps between those that exist.
  const auto release = [](const auto& pointer_of, size_t keep, size_t count) {
    for (size_t i = keep; i < count; ++i) {
      SegmentPointer& pointer = pointer_of(i);
      HashBucket* segment = pointer.load(std::memory_order_relaxed);
      if (segment == nullptr) break;
      pointer.store(nullptr, std::memory_order_relaxed);
      free(segment);
    }
  };
  const size_t n = bucket_count();
  const Address last(n == 0 ? 0 : n - 1);
  const bool has_parts = n != 0 && last.part >= 0;
  if (!has_parts) {
    release([this](size_t i) -> SegmentPointer& { return Whole(static_cast<int>(i)); },
            n == 0 ? 0 : static_cast<size_t>(last.doubling) + 1, kWholeSegments);
  }
  SegmentPointer* parts = parts_.load(std::memory_order_relaxed);
  if (parts == nullptr) return;
  release([parts](size_t i) -> SegmentPointer& { return parts[i]; },
          has_parts ? static_cast<size_t>(last.part) + 1 : 0, kParts);
  if (has_parts) return;
  parts_.store(nullptr, std::memory_order_relaxed);
  delete[] parts;
}

template <typename Traits>
template <typename Free>
void HashTable<Traits>::Clear(const Free& free_item) {
  const size_t n = bucket_count();
  for (size_t i = 0; i < n; ++i) {
    VisitItems(BucketAt(i), free_item);
    row_bytes_ -= BucketAt(i)->FreeRow();
  }
  size_.store(0, std::memory_order_relaxed);
  buckets_.store(0, std::memory_order_relaxed);
  Trim();
}

template <typename Traits>
template <typename Visit>
uint64_t HashTable<Traits>::Scan(uint64_t cursor, const Visit& visit) const {
  const size_t n = bucket_count();
  if (n == 0) return 0;
  const uint64_t half = std::bit_floor(n);
  const uint64_t mask = half - 1;
  VisitItems(BucketAt(cursor & mask), visit);
  if ((cursor & mask) + half < n) VisitItems(BucketAt((cursor & mask) + half), visit);
  // Increments the reversed cursor, so that its high bits count first: buckets that split or merge
  // between two calls are then either wholly behind or wholly ahead of it.
  auto reverse = [](uint64_t v) {
    v = __builtin_bswap64(v);
    v = ((v >> 4) & 0x0f0f0f0f0f0f0f0f) | ((v & 0x0f0f0f0f0f0f0f0f) << 4);
    v = ((v >> 2) & 0x3333333333333333) | ((v & 0x3333333333333333) << 2);
    return ((v >> 1) & 0x5555555555555555) | ((v & 0x5555555555555555) << 1);
  };
  return reverse(reverse(cursor | ~mask) + 1);
}

template <typename Traits>
template <typename Visit>
void HashTable<Traits>::ForEach(const Visit& visit) const {
  const size_t n = bucket_count();
  for (size_t index = 0; index < n; ++index)
    if (!BucketAt(index)->VisitWhile([&](const HashCell& cell) { return visit(ItemOf(cell)); }))
      return;
}

template <typename Traits>
bool HashTable<Traits>::BucketHasMark(size_t index) const {
  return !BucketAt(index)->VisitWhile([](const HashCell& cell) { return !cell.mark(); });
}

template <typename Traits>
template <typename Visit>
void HashTable<Traits>::VisitMarked(size_t index, const Visit& visit) const {
  BucketAt(index)->VisitAll([&visit](const HashCell& cell) {
    if (cell.mark()) visit(ItemOf(cell));
  });
}

template <typename Traits>
typename HashTable<Traits>::Item* HashTable<Traits>::RandomItem(Random& random) const {
  if (size() == 0) return nullptr;
  // A bucket and a number are drawn until the bucket has so many items. All buckets have as many
  // numbers, those whose split of this doubling is to come twice as many (they hold twice the
  // items): the table is drawn from as it will be at the doubling's end, where their upper half
  // stands for the bucket to be. Beyond the mean there are as many numbers as it takes for hardly
  // any bucket to hold more. Some are drawn at once: their cache misses overlap.
  constexpr size_t kDraws = 3, kPlacesMin = 4;
  const size_t n = bucket_count();
  const int level = std::bit_width(n) - 1;
  const size_t half = size_t{1} << level;
  const size_t places = kPlacesMin + (size() >> level);
  for (;;) {
    struct {
      const HashBucket* bucket;
      size_t index, number;
    } draws[kDraws];
    for (auto& draw : draws) {
      const size_t drawn = random.Below(places << (level + 1));
      draw.index = drawn & (2 * half - 1);
      draw.number = drawn >> (level + 1);
      if (draw.index >= n) {  // the bucket to be
        draw.index -= half;
        draw.number += places;
      }
      draw.bucket = BucketAt(draw.index);
      __builtin_prefetch(draw.bucket);
    }
    for (auto& draw : draws) {
      const size_t items = draw.bucket->size();
      if (items > (LevelOf(draw.index) == level ? 2 : 1) * places) [[unlikely]]
        draw.number = random.Below(items);
      if (draw.number < items) return static_cast<Item*>(draw.bucket->ItemAt(draw.number));
    }
  }
}

template <typename Traits>
size_t HashTable<Traits>::MemoryBytes() const {
  const bool has_parts = parts_.load(std::memory_order_relaxed) != nullptr;
  return sizeof *this + (has_parts ? kParts * sizeof(SegmentPointer) : 0) +
         bucket_count() * sizeof(HashBucket) + row_bytes_;
}

template <typename Traits>
void HashTable<Traits>::CheckInvariants() const {
  size_t items = 0, row_bytes = 0;
  for (size_t index = 0; index < bucket_count(); ++index) {
    const HashBucket* bucket = BucketAt(index);
    size_t here = 0;
    bucket->VisitAll([&](const HashCell& cell) {
      const Item* item = ItemOf(cell);
      const uint64_t hash = Traits::Hash(item);
      CHECK(HomeIndex(hash) == index);
      CHECK(cell.tag == HashBucket::TagOf(hash));
      CHECK(cell.kept == KeptOf(hash, LevelOf(index)));
      ++here;
    });
    CHECK(here == bucket->size());
    items += here;
    row_bytes += bucket->CheckInvariants();
  }
  CHECK(items == size());
  CHECK(row_bytes == row_bytes_);
}

}  // namespace cairn
