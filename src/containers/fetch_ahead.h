// SPDX-License-Identifier: BSD-3-Clause
//
// Brings what look-ups of several hashes will touch of one table into the cache: all buckets first,
// so that their misses overlap, then all items. For an owner that holds the table's lock, or may
// prefetch without (hash_table.h). And what a walk over a table will touch, which lies all over the
// heap, some items ahead of the visits.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "containers/hash_table.h"

namespace cairn {

inline constexpr size_t kFetchAheadMax = 16;  // of the hashes, the first

template <typename Traits>
void FetchAhead(const HashTable<Traits>& table, std::span<const uint64_t> hashes) {
  const HashBucket* buckets[kFetchAheadMax];
  const size_t count = std::min(hashes.size(), kFetchAheadMax);
  for (size_t i = 0; i < count; ++i) buckets[i] = table.PrefetchBucket(hashes[i]);
  for (size_t i = 0; i < count; ++i) table.PrefetchItem(buckets[i], hashes[i]);
}

// visit(const Item*) -> bool (go on?) for all; false if one ended it.
template <typename Traits, typename Visit>
bool ForEachFetched(const HashTable<Traits>& table, const Visit& visit) {
  const typename Traits::Item* batch[kFetchAheadMax];
  size_t count = 0;
  bool more = true;
  auto flush = [&] {
    for (size_t i = 0; i < count && more; ++i) more = visit(batch[i]);
    count = 0;
    return more;
  };
  table.ForEach([&](const typename Traits::Item* item) {
    __builtin_prefetch(item);
    batch[count++] = item;
    return count < kFetchAheadMax || flush();
  });
  return flush();
}

}  // namespace cairn
