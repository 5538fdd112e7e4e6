// SPDX-License-Identifier: BSD-3-Clause
//
// GEOSEARCH over a sorted set whose scores are geohashes.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/function_ref.h"
#include "types/geo.h"
#include "types/sorted_set.h"

namespace cairn {

struct GeoMatch {
  std::string_view member;  // valid during the visit
  double score;             // the geohash
  GeoPoint point;           // the middle of its cell
  double distance;          // from the shape's centre, in metres
};

// Visits the members inside the shape, cell by cell in Redis's order (not sorted by distance),
// until `limit` of them are found (0: all). Returns how many. O(members in the cells).
uint64_t GeoSearch(const SortedSet& set, const GeoShape& shape, uint64_t limit,
                   FunctionRef<void(const GeoMatch&)> visit);

}  // namespace cairn
