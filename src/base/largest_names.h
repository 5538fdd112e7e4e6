// SPDX-License-Identifier: BSD-3-Clause
//
// LargestNames: the names with the largest values, of those that were met, each with the value that
// was told last. At most kNamesMax: a larger one takes the place of the least. A name that shrank
// may so hide one that was let go before, until that is met again.
//
// Names are known by their hashes; of a long one only the first kNameBytesMax bytes are kept.
//
// Thread rule: one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace cairn {

class LargestNames {
 public:
  static constexpr size_t kNamesMax = 256, kNameBytesMax = 256;

  struct Item {
    std::string name;
    uint64_t hash, value;
    uint64_t when;  // the caller's clock: which of several values of a name is the last
  };

  // 0: there is no such name any more. O(kNamesMax).
  void Set(uint64_t hash, std::string_view name, uint64_t value, uint64_t when);
  const std::vector<Item>& items() const { return items_; }

  // The `count` largest of what several threads tell, largest first: of each name the last value.
  static std::vector<Item> Merge(std::vector<Item> items, size_t count);

 private:
  std::vector<uint64_t> hashes_;  // of items_, in the same order: what a look-up reads
  std::vector<Item> items_;
};

}  // namespace cairn
