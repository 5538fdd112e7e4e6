// SPDX-License-Identifier: BSD-3-Clause
#include "types/geo_search.h"

namespace cairn {

uint64_t GeoSearch(const SortedSet& set, const GeoShape& shape, uint64_t limit,
                   FunctionRef<void(const GeoMatch&)> visit) {
  GeoCell cells[kGeoCellsMax];
  const size_t cells_count = GeoCover(shape, cells);
  uint64_t found = 0;
  for (size_t i = 0; i < cells_count; ++i) {
    ScoreRange range;
    range.min = static_cast<double>(cells[i].first);
    range.max = static_cast<double>(cells[i].end);
    range.max_exclusive = true;
    for (auto it = set.Iterate(set.SpanOf(range)); it.Valid(); it.Next()) {
      GeoMatch match;
      match.score = it.score();
      match.point = GeoDecode(match.score);
      if (!shape.Contains(match.point, &match.distance)) continue;
      match.member = it.member();
      visit(match);
      if (++found == limit) return found;
    }
  }
  return found;
}

}  // namespace cairn
