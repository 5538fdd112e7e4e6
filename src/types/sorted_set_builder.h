// SPDX-License-Identifier: BSD-3-Clause
//
// SortedSetBuilder: makes a sorted set from members in any order, their scores still changing; for
// results of set operations and for loaders. The order is made once, at the end, by sorting.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "types/sorted_set.h"
#include "types/thresholds.h"

namespace cairn {

class SortedSetBuilder {
 public:
  SortedSetBuilder();
  ~SortedSetBuilder();

  // The member's entry, which is made with `score` if there is none; `added` tells. O(1).
  ScoredMember* Add(double score, std::string_view member, bool* added);
  // Ends the validity of the entry.
  void SetScore(ScoredMember* entry, double score);
  uint64_t Size() const;
  // The set, in the smallest encoding the thresholds allow (this is how a stored result may be a
  // listpack again). The builder is spent. O(n log n).
  SortedSet Build(const Thresholds& thresholds);

 private:
  std::unique_ptr<SortedSetTable> table_;
  size_t longest_ = 0;
  size_t bytes_ = 0;
};

}  // namespace cairn
