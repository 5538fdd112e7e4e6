// SPDX-License-Identifier: BSD-3-Clause
#include "base/heavy_hitters.h"

#include <algorithm>
#include <utility>

namespace cairn {

void HeavyHitters::Add(uint64_t hash, std::string_view name, uint64_t weight) {
  if (weight == 0) return;
  Set& set = sets_[hash % kSets];
  size_t lightest = 0;
  for (size_t way = 0; way < kWays; ++way) {
    if (set.hashes[way] == hash && set.weights[way] != 0) {
      set.weights[way] += weight;
      return;
    }
    if (set.weights[way] < set.weights[lightest]) lightest = way;
  }
  set.hashes[lightest] = hash;
  set.errors[lightest] = set.weights[lightest];
  set.weights[lightest] += weight;
  set.names[lightest].assign(name.substr(0, kNameBytesMax));
}

std::vector<HeavyHitters::Item> HeavyHitters::Top(size_t count) const {
  struct Place {
    uint64_t weight;
    const Set* set;
    size_t way;
  };
  std::vector<Place> places;
  for (const Set& set : sets_)
    for (size_t way = 0; way < kWays; ++way)
      if (const uint64_t sure = set.weights[way] - set.errors[way]; sure != 0)
        places.push_back({sure, &set, way});
  count = std::min(count, places.size());
  std::nth_element(places.begin(), places.begin() + static_cast<std::ptrdiff_t>(count),
                   places.end(),
                   [](const Place& a, const Place& b) { return a.weight > b.weight; });
  std::vector<Item> top;
  for (size_t i = 0; i < count; ++i) {
    const auto& [weight, set, way] = places[i];
    top.push_back({set->names[way], set->hashes[way], weight});
  }
  return top;
}

std::vector<HeavyHitters::Item> HeavyHitters::Merge(std::vector<Item> items, size_t count) {
  std::sort(items.begin(), items.end(),
            [](const Item& a, const Item& b) { return a.hash < b.hash; });
  std::vector<Item> merged;
  for (Item& item : items) {
    if (!merged.empty() && merged.back().hash == item.hash) {
      merged.back().weight += item.weight;
    } else {
      merged.push_back(std::move(item));
    }
  }
  std::sort(merged.begin(), merged.end(), [](const Item& a, const Item& b) {
    return a.weight != b.weight ? a.weight > b.weight : a.name < b.name;
  });
  merged.resize(std::min(count, merged.size()), Item{});
  return merged;
}

}  // namespace cairn
