// SPDX-License-Identifier: BSD-3-Clause
//
// Intersection, union and difference of sets. A null pointer stands for a key that does not exist;
// the same set may be named several times. The choice of algorithms is that of Redis: the smallest
// set leads an intersection; a difference either tests each member of the first set against the
// others or removes the others from a copy, whichever the sizes say is less work.
#pragma once

#include <cstddef>
#include <span>

#include "types/set.h"

namespace cairn {

using SetSpan = std::span<const Set* const>;

// Visits the members common to all sets, at most `limit` of them (0: all); returns how many.
// O(size of the smallest * number of different sets).
size_t Intersect(SetSpan sets, size_t limit, Set::Visit visit);
// Visits the members of sets[0] that are in none of the others, at most `limit` of them (0: all);
// returns how many.
size_t Subtract(SetSpan sets, size_t limit, Set::Visit visit);
// How many members the union has; looks no further once that is `limit` (0: none).
size_t CountUnion(SetSpan sets, size_t limit, const Thresholds& thresholds);

// The same as new sets, for the STORE forms and SUNION, in the encodings that Redis gives them.
Set IntersectionOf(SetSpan sets, const Thresholds& thresholds);
Set UnionOf(SetSpan sets, const Thresholds& thresholds);
Set DifferenceOf(SetSpan sets, const Thresholds& thresholds);

}  // namespace cairn
