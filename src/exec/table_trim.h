// SPDX-License-Identifier: BSD-3-Clause
//
// TableTrimmer: gives back the memory of the keyspace's tables that held far more keys than they do.
// A table loses its buckets with its keys, one at a time, but keeps the segments they were in, as
// others may prefetch from them without its lock (containers/hash_table.h): they go under All.
//
// A slice looks at a few shards, so a table is looked at every second or two; one that has half as
// many buckets as it was seen to have is trimmed, kTrimsMax of them at most under one All, which
// takes a fraction of a millisecond.
//
// Thread rule: the executor's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

namespace cairn {

class Executor;

class TableTrimmer {
 public:
  static constexpr int kShardsPerSlice = 8;
  static constexpr size_t kTrimsMax = 8;
  static constexpr size_t kBucketsMin = 1024;  // a smaller table has nothing worth the trouble

  explicit TableTrimmer(Executor* executor) : executor_(*executor) {}
  // To be called every now and then. Returns how many tables it trimmed.
  size_t Slice(int64_t clock_ms);

 private:
  struct Place {
    int shard, db;
  };
  void Look(int shard, std::vector<Place>* spare);

  Executor& executor_;
  int next_ = 0;  // shard
  // The most buckets that a table was seen to have since it was trimmed, by its place.
  std::unordered_map<uint64_t, size_t> most_;
};

}  // namespace cairn
