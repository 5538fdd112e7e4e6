// SPDX-License-Identifier: BSD-3-Clause
//
// HashTable: the one hash table of Cairn: the keyspace, and the big encodings of hashes, sets and
// sorted sets. It stores pointers to items that the caller owns; the key is inside the item.
//
//   bucket (one cache line)      home bucket of hash h, N buckets, 2^L <= N < 2^(L+1):
//   +---------+------+           i = h mod 2^(L+1); if (i >= N) i = h mod 2^L
//   | 7 tags  | meta |
//   +---------+------+-----+     tag: one byte of the hash, never 0; 0 marks a free slot.
//   | 7 slots: item pointer|     meta: bit 0..6 = the "mark" of each slot (the keyspace: has a
//   | (bits 0..47) and 16  |     TTL), bit 7 = chained: slot 6 points to an overflow bucket.
//   | bits of its hash     |
//   +----------------------+
//
// Linear hashing (Litwin, "Linear hashing: a new tool for file and table addressing", 1980): the
// table grows by splitting bucket N - 2^L into itself and a new bucket N, and shrinks by the
// reverse, a bucket at a time; there is never a second table nor a pause. Buckets live in segments
// that double in size (segment k holds buckets [2^(k-1), 2^k)) and never move; a bucket is first
// touched when it comes alive, so untouched parts of a segment cost no memory. The hash bits kept
// beside the pointers let a split proceed without touching the items. From 1,024 buckets on each
// doubling comes in eight parts, found through a directory, so that what is allocated stays within
// an eighth of what is used:
//
//   whole_      [1] [1] [2] [4] ... [512]      buckets in segment 0, 1, 2, ...
//   parts_ ->   [128] x 8, [256] x 8, ...      of the doublings after them
//
// Invariants:
//  1. An item is in its home bucket or in the overflow chain of it, never elsewhere; it leaves
//     that chain only by Split or Merge. Scan (reverse-binary cursor, Noordhuis 2012) therefore
//     returns every item that stays in the table from start to end at least once.
//  2. Items in a chain are dense: an overflow bucket exists only if those before it are full.
//  3. Only Split, Merge, Clear and Trim change the number of buckets; Insert and Erase do not.
//
// Threads: not synchronised; the owner's lock guards it. The Prefetch functions alone may run
// without the lock while another thread changes the table: they read with relaxed atomics and
// follow no pointer but those to segments, which Trim and the destructor free. So an owner whose
// readers prefetch unlocked must exclude them around those two (the keyspace: scope All).
#pragma once

#include <emmintrin.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/random.h"

namespace cairn {

// Traits: `using Item`, `static uint64_t Hash(const Item*)` (the hash given to Insert), and perhaps
// `static constexpr size_t kItemsPerBucketMax`: the mean load from which the table grows.
template <typename Traits>
class HashTable {
 public:
  using Item = typename Traits::Item;
  static constexpr int kSlots = 7;

  HashTable() = default;
  HashTable(const HashTable&) = delete;
  HashTable& operator=(const HashTable&) = delete;
  ~HashTable() { Clear([](Item*) {}); }  // frees the table, not the items

  size_t size() const { return size_.load(std::memory_order_relaxed); }
  // Acquire: a prefetcher that sees a bucket counted sees its memory initialised.
  size_t bucket_count() const { return buckets_.load(std::memory_order_acquire); }
  size_t MemoryBytes() const;

  // The item with this hash for which equals(item) holds, or nullptr. O(1).
  template <typename Equals>
  Item* Find(uint64_t hash, const Equals& equals) const {
    const Place place = FindPlace(hash, equals);
    return place.bucket != nullptr ? place.bucket->item(place.slot) : nullptr;
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
  // Insert and Remove that maintain: for owners without open places (the collections).
  void InsertAndGrow(uint64_t hash, Item* item, bool mark = false) {
    Insert(hash, item, mark);
    Maintain();
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
  // with, 0 at the end. Start with 0. Any number is a valid cursor. visit must not change the table.
  template <typename Visit>
  uint64_t Scan(uint64_t cursor, const Visit& visit) const;
  // visit(item) for all, in bucket order; stops when it returns false.
  template <typename Visit>
  void ForEach(const Visit& visit) const;
  // visit(item) for the items of bucket `index` (< bucket_count()).
  template <typename Visit>
  void VisitBucket(size_t index, const Visit& visit) const {
    VisitChain(BucketAt(index), visit);
  }
  // Whether bucket `index` or its chain holds a marked slot; reads only table memory.
  bool BucketHasMark(size_t index) const;
  // visit(item) for the marked items of a bucket.
  template <typename Visit>
  void VisitMarked(size_t index, const Visit& visit) const;
  // An item chosen almost uniformly; nullptr when empty.
  Item* RandomItem(Random& random) const;

  // Bring the home bucket, then the items in it that may match, into the cache. Any thread. With
  // what the first returned the second has nothing to find again.
  const void* PrefetchBucket(uint64_t hash) const {
    const Bucket* bucket = HomeBucket(hash);
    __builtin_prefetch(bucket);
    return bucket;
  }
  static void PrefetchItem(const void* bucket, uint64_t hash);
  void PrefetchItem(uint64_t hash) const { PrefetchItem(HomeBucket(hash), hash); }

  // CHECKs the invariants above. O(n).
  void CheckInvariants() const;

 private:
  // Means for 7 slots: above the first the chains get long, below the second memory is wasted.
  // 6 instead of 5 saves 1.2 bytes an item and adds 3 % to the cache misses of a look-up.
  static constexpr size_t kItemsPerBucketMax = [] {
    if constexpr (requires { Traits::kItemsPerBucketMax; }) return Traits::kItemsPerBucketMax;
    return size_t{5};
  }();
  static constexpr size_t kItemsPerBucketMin = 1;
  static constexpr int kWholeSegments = 11;  // 2^10 buckets in all
  static constexpr int kPartBits = 3;
  static constexpr int kBucketBitsMax = 36;
  static constexpr size_t kParts = size_t{kBucketBitsMax - kWholeSegments + 1} << kPartBits;
  static constexpr uint64_t kPointerMask = (uint64_t{1} << 48) - 1;
  static constexpr uint64_t kChained = uint64_t{1} << 63;
  static constexpr int kMarkShift = 56;
  // Which 16 bits of the hash are kept beside the pointer: those that decide splits of tables with
  // 2^6 to 2^21 buckets. The leak checker could not follow such pointers, so it gets plain ones.
  static constexpr int kKeptShift = 6;
#if defined(__SANITIZE_ADDRESS__)
  static constexpr int kKeptBits = 0;
#else
  static constexpr int kKeptBits = 16;
#endif

  struct alignas(64) Bucket {
    uint64_t head;            // tags in bytes 0..6, meta in byte 7
    uint64_t slots[kSlots];

    uint64_t Head() const { return __atomic_load_n(&head, __ATOMIC_RELAXED); }
    void SetHead(uint64_t h) { __atomic_store_n(&head, h, __ATOMIC_RELAXED); }
    uint64_t Slot(int i) const { return __atomic_load_n(&slots[i], __ATOMIC_RELAXED); }
    void SetSlot(int i, uint64_t s) { __atomic_store_n(&slots[i], s, __ATOMIC_RELAXED); }

    Item* item(int i) const { return reinterpret_cast<Item*>(Slot(i) & kPointerMask); }
    bool chained() const { return (Head() & kChained) != 0; }
    Bucket* next() const { return reinterpret_cast<Bucket*>(Slot(kSlots - 1)); }
    int capacity() const { return chained() ? kSlots - 1 : kSlots; }
    uint8_t tag(int i) const { return static_cast<uint8_t>(Head() >> (8 * i)); }
    bool mark(int i) const { return (Head() >> (kMarkShift + i)) & 1; }

    void Put(int i, uint8_t tag, uint64_t slot, bool mark) {
      SetSlot(i, slot);
      uint64_t h = Head() & ~(uint64_t{0xff} << (8 * i)) & ~(uint64_t{1} << (kMarkShift + i));
      SetHead(h | uint64_t{tag} << (8 * i) | uint64_t{mark} << (kMarkShift + i));
    }
    void Drop(int i) { Put(i, 0, 0, false); }
    // Bit i is set where tag i equals `tag`; tag 0 finds free slots (and the chain pointer's).
    unsigned Match(uint8_t tag) const {
      const __m128i tags = _mm_cvtsi64_si128(static_cast<long long>(Head()));
      const __m128i equal = _mm_cmpeq_epi8(tags, _mm_set1_epi8(static_cast<char>(tag)));
      return static_cast<unsigned>(_mm_movemask_epi8(equal)) & 0x7f;
    }
    // Bit i is set where slot i holds an item.
    unsigned used() const { return ~Match(0) & 0x7f; }
    size_t size() const { return static_cast<size_t>(std::popcount(used())); }
  };
  static_assert(sizeof(Bucket) == 64);

  struct Place {
    Bucket* bucket = nullptr;
    int slot = 0;
  };

  static uint8_t TagOf(uint64_t hash) {
    const uint8_t tag = static_cast<uint8_t>(hash >> 40);
    return tag != 0 ? tag : 1;
  }
  static uint64_t SlotOf(uint64_t hash, const Item* item) {
    uint64_t slot = reinterpret_cast<uint64_t>(item);
    if constexpr (kKeptBits > 0) slot |= (hash >> kKeptShift) << 48;
    return slot;
  }
  // Bit `level` of the hash of the item in a slot.
  static bool HashBit(uint64_t slot, int level) {
    if (level >= kKeptShift && level < kKeptShift + kKeptBits)
      return (slot >> (48 + level - kKeptShift)) & 1;
    return (Traits::Hash(reinterpret_cast<const Item*>(slot & kPointerMask)) >> level) & 1;
  }

  size_t HomeIndex(uint64_t hash) const {
    const size_t n = bucket_count();  // not 0
    const size_t mask = ~size_t{0} >> __builtin_clzll(n);
    const size_t i = hash & mask;
    return i < n ? i : hash & (mask >> 1);
  }
  using SegmentPointer = std::atomic<Bucket*>;
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
  Bucket* BucketAt(size_t index) const {
    const Address at(index);
    if (at.part < 0) return whole_[at.doubling].load(std::memory_order_acquire) + at.offset;
    const SegmentPointer* parts = parts_.load(std::memory_order_acquire);
    return parts[at.part].load(std::memory_order_acquire) + at.offset;
  }
  Bucket* HomeBucket(uint64_t hash) const {
    // An empty table has no memory at all; prefetching nullptr does no harm.
    return bucket_count() == 0 ? nullptr : BucketAt(HomeIndex(hash));
  }

  template <typename Equals>
  Place FindPlace(uint64_t hash, const Equals& equals) const;
  template <typename Visit>
  static void VisitChain(const Bucket* bucket, const Visit& visit) {
    for (; bucket != nullptr; bucket = bucket->chained() ? bucket->next() : nullptr)
      for (int i = 0; i < bucket->capacity(); ++i)
        if (bucket->tag(i) != 0) visit(bucket->item(i));
  }

  static size_t ItemsOf(const Bucket* bucket) {
    size_t items = bucket->size();
    while (bucket->chained()) {
      bucket = bucket->next();
      items += bucket->size();
    }
    return items;
  }
  // The item that `index` others of its chain come before.
  static Item* ItemOf(const Bucket* bucket, size_t index) {
    while (index >= bucket->size()) {
      index -= bucket->size();
      bucket = bucket->next();
    }
    unsigned used = bucket->used();
    for (; index > 0; --index) used &= used - 1;
    return bucket->item(std::countr_zero(used));
  }

  static Bucket* NewBuckets(size_t count) {
    void* memory = aligned_alloc(alignof(Bucket), count * sizeof(Bucket));
    CHECK(memory != nullptr);
    return static_cast<Bucket*>(memory);
  }
  static void Wipe(Bucket* bucket) {
    bucket->SetHead(0);
    for (int i = 0; i < kSlots; ++i) bucket->SetSlot(i, 0);
  }
  void AppendToChain(Bucket* bucket, uint8_t tag, uint64_t slot, bool mark);
  void EraseAt(Bucket* home, Place place);
  void FreeChain(Bucket* bucket);
  void AddBucket();
  void Split();
  void Merge();

  std::atomic<size_t> size_{0};
  std::atomic<size_t> buckets_{0};  // N; 0 until the first insert
  size_t overflow_buckets_ = 0;
  SegmentPointer whole_[kWholeSegments] = {};
  std::atomic<SegmentPointer*> parts_{nullptr};  // kParts of them
};

template <typename Traits>
template <typename Equals>
typename HashTable<Traits>::Place HashTable<Traits>::FindPlace(uint64_t hash,
                                                               const Equals& equals) const {
  const uint8_t tag = TagOf(hash);
  for (Bucket* bucket = HomeBucket(hash); bucket != nullptr;
       bucket = bucket->chained() ? bucket->next() : nullptr) {
    for (unsigned match = bucket->Match(tag); match != 0; match &= match - 1) {
      const int i = std::countr_zero(match);
      if (equals(static_cast<const Item*>(bucket->item(i)))) return {bucket, i};
    }
  }
  return {};
}

template <typename Traits>
void HashTable<Traits>::AppendToChain(Bucket* bucket, uint8_t tag, uint64_t slot, bool mark) {
  while (bucket->chained()) bucket = bucket->next();
  if (const unsigned free = bucket->Match(0); free != 0) {
    bucket->Put(std::countr_zero(free), tag, slot, mark);
    return;
  }
  // Full: the last slot gives way to a pointer, and its item moves to the new bucket.
  Bucket* overflow = NewBuckets(1);
  Wipe(overflow);
  ++overflow_buckets_;
  constexpr int kLast = kSlots - 1;
  overflow->Put(0, bucket->tag(kLast), bucket->Slot(kLast), bucket->mark(kLast));
  overflow->Put(1, tag, slot, mark);
  bucket->Put(kLast, 0, reinterpret_cast<uint64_t>(overflow), false);
  bucket->SetHead(bucket->Head() | kChained);
}

template <typename Traits>
void HashTable<Traits>::Insert(uint64_t hash, Item* item, bool mark) {
  DCHECK((reinterpret_cast<uint64_t>(item) & ~kPointerMask) == 0);
  if (bucket_count() == 0) AddBucket();
  AppendToChain(HomeBucket(hash), TagOf(hash), SlotOf(hash, item), mark);
  size_.store(size() + 1, std::memory_order_relaxed);
}

template <typename Traits>
void HashTable<Traits>::EraseAt(Bucket* home, Place place) {
  // The hole is filled with the last item of the chain, so that chains stay dense.
  Bucket* before_last = nullptr;
  Bucket* last = home;
  while (last->chained()) {
    before_last = last;
    last = last->next();
  }
  const unsigned used = ~last->Match(0) & ((1u << last->capacity()) - 1);
  if (last != place.bucket) {
    const int i = std::bit_width(used) - 1;
    place.bucket->Put(place.slot, last->tag(i), last->Slot(i), last->mark(i));
    place = {last, i};
  }
  last->Drop(place.slot);
  if (before_last != nullptr && last->Match(0) == 0x7f) {
    before_last->SetHead(before_last->Head() & ~kChained);
    before_last->SetSlot(kSlots - 1, 0);
    free(last);
    --overflow_buckets_;
  }
}

template <typename Traits>
template <typename Equals>
typename HashTable<Traits>::Item* HashTable<Traits>::Remove(uint64_t hash, const Equals& equals) {
  const Place place = FindPlace(hash, equals);
  if (place.bucket == nullptr) return nullptr;
  Item* item = place.bucket->item(place.slot);
  EraseAt(HomeBucket(hash), place);
  size_.store(size() - 1, std::memory_order_relaxed);
  return item;
}

template <typename Traits>
void HashTable<Traits>::Relocate(uint64_t hash, const Item* old_item, Item* new_item, bool mark) {
  // Compares addresses only: the old item may be freed already.
  const Place place = FindPlace(hash, [old_item](const Item* item) { return item == old_item; });
  CHECK(place.bucket != nullptr);
  place.bucket->Put(place.slot, TagOf(hash), SlotOf(hash, new_item), mark);
}

template <typename Traits>
void HashTable<Traits>::AddBucket() {
  const size_t index = bucket_count();
  const Address at(index);
  CHECK(at.doubling <= kBucketBitsMax);
  if (at.part >= 0 && parts_.load(std::memory_order_relaxed) == nullptr)
    parts_.store(new SegmentPointer[kParts](), std::memory_order_release);
  SegmentPointer& segment = at.part < 0 ? whole_[at.doubling]
                                        : parts_.load(std::memory_order_relaxed)[at.part];
  if (segment.load(std::memory_order_relaxed) == nullptr)
    segment.store(NewBuckets(at.size()), std::memory_order_release);
  Wipe(BucketAt(index));
  // Release: who sees the new count (a prefetcher) sees its segment too.
  buckets_.store(index + 1, std::memory_order_release);
}

template <typename Traits>
void HashTable<Traits>::Split() {
  const size_t n = bucket_count();
  if (n == 0) return AddBucket();
  const int level = std::bit_width(n) - 1;
  Bucket* low = BucketAt(n - (size_t{1} << level));
  AddBucket();
  Bucket* high = BucketAt(n);
  // The old chain is taken off, then its items are dealt out to both buckets anew.
  const Bucket old = *low;
  Wipe(low);
  const Bucket* source = &old;
  Bucket* owned = nullptr;
  while (source != nullptr) {
    for (int i = 0; i < source->capacity(); ++i) {
      if (source->tag(i) == 0) continue;
      Bucket* target = HashBit(source->Slot(i), level) ? high : low;
      AppendToChain(target, source->tag(i), source->Slot(i), source->mark(i));
    }
    Bucket* next = source->chained() ? source->next() : nullptr;
    if (owned != nullptr) {
      free(owned);
      --overflow_buckets_;
    }
    source = owned = next;
  }
}

template <typename Traits>
void HashTable<Traits>::Merge() {
  const size_t last = bucket_count() - 1;
  Bucket* high = BucketAt(last);
  Bucket* low = BucketAt(last - std::bit_floor(last));
  for (const Bucket* b = high; b != nullptr; b = b->chained() ? b->next() : nullptr)
    for (int i = 0; i < b->capacity(); ++i)
      if (b->tag(i) != 0) AppendToChain(low, b->tag(i), b->Slot(i), b->mark(i));
  FreeChain(high);
  Wipe(high);
  buckets_.store(last, std::memory_order_release);
}

template <typename Traits>
void HashTable<Traits>::FreeChain(Bucket* bucket) {
  Bucket* next = bucket->chained() ? bucket->next() : nullptr;
  while (next != nullptr) {
    Bucket* after = next->chained() ? next->next() : nullptr;
    free(next);
    --overflow_buckets_;
    next = after;
  }
}

template <typename Traits>
void HashTable<Traits>::Trim() {
  // Segments from `keep` on; there are no gaps between those that exist.
  const auto release = [](SegmentPointer* segments, size_t keep, size_t count) {
    for (size_t i = keep; i < count; ++i) {
      Bucket* segment = segments[i].load(std::memory_order_relaxed);
      if (segment == nullptr) break;
      segments[i].store(nullptr, std::memory_order_relaxed);
      free(segment);
    }
  };
  const size_t n = bucket_count();
  const Address last(n == 0 ? 0 : n - 1);
  const bool has_parts = n != 0 && last.part >= 0;
  if (!has_parts)
    release(whole_, n == 0 ? 0 : static_cast<size_t>(last.doubling) + 1, kWholeSegments);
  SegmentPointer* parts = parts_.load(std::memory_order_relaxed);
  if (parts == nullptr) return;
  release(parts, has_parts ? static_cast<size_t>(last.part) + 1 : 0, kParts);
  if (has_parts) return;
  parts_.store(nullptr, std::memory_order_relaxed);
  delete[] parts;
}

template <typename Traits>
template <typename Free>
void HashTable<Traits>::Clear(const Free& free_item) {
  const size_t n = bucket_count();
  for (size_t i = 0; i < n; ++i) {
    VisitChain(BucketAt(i), free_item);
    FreeChain(BucketAt(i));
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
  VisitChain(BucketAt(cursor & mask), visit);
  if ((cursor & mask) + half < n) VisitChain(BucketAt((cursor & mask) + half), visit);
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
    for (const Bucket* b = BucketAt(index); b != nullptr; b = b->chained() ? b->next() : nullptr)
      for (int i = 0; i < b->capacity(); ++i)
        if (b->tag(i) != 0 && !visit(b->item(i))) return;
}

template <typename Traits>
bool HashTable<Traits>::BucketHasMark(size_t index) const {
  for (const Bucket* b = BucketAt(index); b != nullptr; b = b->chained() ? b->next() : nullptr)
    if ((b->Head() & ~kChained) >> kMarkShift) return true;
  return false;
}

template <typename Traits>
template <typename Visit>
void HashTable<Traits>::VisitMarked(size_t index, const Visit& visit) const {
  for (const Bucket* b = BucketAt(index); b != nullptr; b = b->chained() ? b->next() : nullptr)
    for (int i = 0; i < b->capacity(); ++i)
      if (b->mark(i)) visit(b->item(i));
}

template <typename Traits>
typename HashTable<Traits>::Item* HashTable<Traits>::RandomItem(Random& random) const {
  if (size() == 0) return nullptr;
  // A bucket is accepted in proportion to its items, else items of full ones would be rarer. So
  // more than one is looked at as a rule: a few are drawn at once, and their cache misses overlap.
  constexpr size_t kDraws = 3;
  for (;;) {
    const Bucket* homes[kDraws];
    for (const Bucket*& home : homes) {
      home = BucketAt(random.Below(bucket_count()));
      __builtin_prefetch(home);
    }
    for (const Bucket* home : homes) {
      const size_t items = ItemsOf(home);
      size_t chosen = random.Below(2 * kSlots);
      if (items > 2 * kSlots) [[unlikely]]
        chosen = random.Below(items);
      if (chosen < items) return ItemOf(home, chosen);
    }
  }
}

template <typename Traits>
void HashTable<Traits>::PrefetchItem(const void* home, uint64_t hash) {
  const auto* bucket = static_cast<const Bucket*>(home);
  if (bucket == nullptr) return;
  for (unsigned match = bucket->Match(TagOf(hash)); match != 0; match &= match - 1)
    __builtin_prefetch(bucket->item(std::countr_zero(match)));
}

template <typename Traits>
size_t HashTable<Traits>::MemoryBytes() const {
  const bool has_parts = parts_.load(std::memory_order_relaxed) != nullptr;
  return sizeof *this + (has_parts ? kParts * sizeof(SegmentPointer) : 0) +
         (bucket_count() + overflow_buckets_) * sizeof(Bucket);
}

template <typename Traits>
void HashTable<Traits>::CheckInvariants() const {
  size_t items = 0, overflow = 0;
  for (size_t index = 0; index < bucket_count(); ++index) {
    for (const Bucket* b = BucketAt(index); b != nullptr; b = b->chained() ? b->next() : nullptr) {
      if (b != BucketAt(index)) ++overflow;
      int used = 0;
      for (int i = 0; i < b->capacity(); ++i) {
        if (b->tag(i) == 0) {
          CHECK(!b->mark(i));
          continue;
        }
        ++used;
        const uint64_t hash = Traits::Hash(b->item(i));
        CHECK(HomeIndex(hash) == index);
        CHECK(TagOf(hash) == b->tag(i));
        CHECK(SlotOf(hash, b->item(i)) == b->Slot(i));
      }
      items += static_cast<size_t>(used);
      CHECK(!b->chained() || used == b->capacity());
      CHECK(b == BucketAt(index) || used > 0);
    }
  }
  CHECK(items == size());
  CHECK(overflow == overflow_buckets_);
}

}  // namespace cairn
