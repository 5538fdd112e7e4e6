// SPDX-License-Identifier: BSD-3-Clause
#include "base/largest_names.h"

#include <algorithm>
#include <utility>

namespace cairn {

// A value of 0 is kept: another thread's older one of the same name must not be told (see Merge).
void LargestNames::Set(uint64_t hash, std::string_view name, uint64_t value, uint64_t when) {
  const auto found = std::find(hashes_.begin(), hashes_.end(), hash);
  if (found != hashes_.end()) {
    Item& item = items_[static_cast<size_t>(found - hashes_.begin())];
    item.value = value;
    item.when = when;
    return;
  }
  Item fresh{std::string(name.substr(0, kNameBytesMax)), hash, value, when};
  if (items_.size() < kNamesMax) {
    hashes_.push_back(hash);
    items_.push_back(std::move(fresh));
    return;
  }
  const auto least = std::min_element(
      items_.begin(), items_.end(), [](const Item& a, const Item& b) { return a.value < b.value; });
  if (least->value >= value) return;
  hashes_[static_cast<size_t>(least - items_.begin())] = hash;
  *least = std::move(fresh);
}

std::vector<LargestNames::Item> LargestNames::Merge(std::vector<Item> items, size_t count) {
  std::sort(items.begin(), items.end(), [](const Item& a, const Item& b) {
    return a.hash != b.hash ? a.hash < b.hash : a.when > b.when;
  });
  items.erase(std::unique(items.begin(), items.end(),
                          [](const Item& a, const Item& b) { return a.hash == b.hash; }),
              items.end());
  std::erase_if(items, [](const Item& item) { return item.value == 0; });
  std::sort(items.begin(), items.end(), [](const Item& a, const Item& b) {
    return a.value != b.value ? a.value > b.value : a.name < b.name;
  });
  if (items.size() > count)
    items.erase(items.begin() + static_cast<std::ptrdiff_t>(count), items.end());
  return items;
}

}  // namespace cairn
