// SPDX-License-Identifier: BSD-3-Clause
#include "containers/paged_map.h"

#include <map>

#include "base/random.h"

namespace cairn {
namespace {

using Map = PagedMap<uint64_t, uint64_t>;
using Model = std::map<uint64_t, uint64_t>;

void RequireSame(const Map& map, const Model& model) {
  map.CheckInvariants();
  REQUIRE(map.size() == model.size());
  auto expected = model.begin();
  for (auto pos = map.First(); pos != map.End(); pos = map.Next(pos), ++expected) {
    REQUIRE(map.At(pos).key == expected->first);
    REQUIRE(map.At(pos).value == expected->second);
  }
  auto backward = model.rbegin();
  for (auto pos = map.Last(); pos != map.End(); pos = map.Prev(pos), ++backward)
    REQUIRE(map.At(pos).key == backward->first);
  REQUIRE(backward == model.rend());
}

void RequireSeeks(const Map& map, const Model& model, uint64_t key) {
  const auto lower = model.lower_bound(key);
  const auto pos = map.Lower(key);
  REQUIRE((pos == map.End()) == (lower == model.end()));
  if (pos != map.End()) REQUIRE(map.At(pos).key == lower->first);
  const auto above = model.upper_bound(key);
  const auto floor = map.Floor(key);
  REQUIRE((floor == map.End()) == (above == model.begin()));
  if (floor != map.End()) REQUIRE(map.At(floor).key == std::prev(above)->first);
  REQUIRE(map.Contains(key) == model.contains(key));
}

}  // namespace

TEST_CASE("paged map: random changes against std::map") {
  for (const uint64_t range : {50u, 1000u, 100000u}) {
    Random random(range);
    Map map;
    Model model;
    for (int round = 0; round < 12; ++round) {
      const bool growing = round % 3 != 2;
      for (int step = 0; step < 2000; ++step) {
        const uint64_t key = random.Below(range);
        if (random.Below(10) < (growing ? 7u : 2u)) {
          const auto [value, added] = map.Insert(key);
          REQUIRE(added == !model.contains(key));
          *value = model[key] = random.Next();
        } else {
          REQUIRE(map.Erase(key) == (model.erase(key) == 1));
        }
        RequireSeeks(map, model, random.Below(range));
      }
      RequireSame(map, model);
    }
    while (!model.empty()) {
      const auto pos = map.Lower(random.Below(range));
      const auto at = pos == map.End() ? map.First() : pos;
      auto next = model.erase(model.find(map.At(at).key));
      const auto after = map.Erase(at);
      REQUIRE((after == map.End()) == (next == model.end()));
      if (after != map.End()) REQUIRE(map.At(after).key == next->first);
    }
    RequireSame(map, model);
    RequireSeeks(map, model, 7);
  }
}

TEST_CASE("paged map: a queue of ascending keys stays dense") {
  Map map;
  for (uint64_t i = 0; i < 100000; ++i) *map.Insert(i).first = i;
  REQUIRE(map.MemoryUsage() < 100000 * 17);
  for (uint64_t i = 0; i < 99000; ++i) {
    REQUIRE(map.At(map.First()).key == i);
    map.Erase(map.First());
    if (i % 100 == 0) REQUIRE_FALSE(map.Contains(i));
  }
  map.CheckInvariants();
  REQUIRE(map.size() == 1000);
  REQUIRE(map.MemoryUsage() < 50000);
}

}  // namespace cairn
