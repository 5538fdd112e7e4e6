// SPDX-License-Identifier: BSD-3-Clause
//
// Union, intersection and difference of sorted sets and sets (ZUNION, ZINTER, ZDIFF and their
// STORE forms, ZINTERCARD). In a set each member has the score 1.
//
// Redis's arithmetic: a score is multiplied by the weight of its input; whatever is not a number
// (0 * inf, inf - inf) counts as 0. Inputs are taken in ascending order of size, which decides the
// last bits of a sum.
#pragma once

#include <cstdint>
#include <span>

#include "types/sorted_set.h"
#include "types/thresholds.h"

namespace cairn {

class Set;

// One of the two pointers, or none for a key that does not exist.
struct ZsetInput {
  const SortedSet* sorted_set = nullptr;
  const Set* set = nullptr;
  double weight = 1;
};

enum class Aggregate : uint8_t {
  kSum,
  kMin,
  kMax,
  kCount  // the sum of the weights of the inputs that have the member; scores do not matter
};

// O(n log n) of all members.
SortedSet ZsetUnion(std::span<const ZsetInput> inputs, Aggregate aggregate,
                    const Thresholds& thresholds);
// O(n k) of the n members of the smallest input, k inputs.
SortedSet ZsetIntersection(std::span<const ZsetInput> inputs, Aggregate aggregate,
                           const Thresholds& thresholds);
// How many members all inputs share, but at most `limit` (0: no limit).
uint64_t ZsetIntersectionCount(std::span<const ZsetInput> inputs, uint64_t limit);
// The members of the first input, with their scores, that no other has. Weights do not matter.
SortedSet ZsetDifference(std::span<const ZsetInput> inputs, const Thresholds& thresholds);

}  // namespace cairn
