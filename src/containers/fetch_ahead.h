// SPDX-License-Identifier: BSD-3-Clause
//
// Brings what look-ups of several hashes will touch of one table into the cache: all buckets first,
// so that their misses overlap, then all items. For an owner that holds the table's lock, or may
// prefetch without (hash_table.h).
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

}  // namespace cairn
