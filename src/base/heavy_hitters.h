// SPDX-License-Identifier: BSD-3-Clause
//
// HeavyHitters: which names of a long stream carry the most weight, in bounded memory. The
// SpaceSaving sketch (Metwally, Agrawal, El Abbadi 2005), cut into sets of kWays by the names'
// hashes, so that an addition looks at one set only:
//
//   hash % kSets -> | hash 0..7 | weight 0..7 | error 0..7 | name 0..7 |
//
// A name that its set does not hold takes the place of the lightest there, and that one's weight
// with it, as its error: a name's true weight lies in [weight - error, weight]. What is told is the
// lower end, so that no name is blamed for what it did not do; one that carries more than about
// 1 / (kSets * kWays) of everything is found, and one of a thousandth is right to a few percent.
//
// Names are known by their hashes; of a long one only the first kNameBytesMax bytes are kept.
//
// Thread rule: one thread at a time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace cairn {

class HeavyHitters {
 public:
  static constexpr size_t kSets = 512, kWays = 8, kNameBytesMax = 256;

  struct Item {
    std::string name;
    uint64_t hash, weight;
  };

  // O(kWays); weights of nothing do not count.
  void Add(uint64_t hash, std::string_view name, uint64_t weight);
  // The `count` heaviest, in no order. O(kSets * kWays).
  std::vector<Item> Top(size_t count) const;

  // The heaviest `count` of all that several sketches of one stream tell, heaviest first; of equal
  // weights the lesser name first.
  static std::vector<Item> Merge(std::vector<Item> items, size_t count);

 private:
  struct Set {
    alignas(64) std::array<uint64_t, kWays> hashes{};
    std::array<uint64_t, kWays> weights{}, errors{};  // weight 0: the place is free
    std::array<std::string, kWays> names;
  };

  std::vector<Set> sets_ = std::vector<Set>(kSets);
};

}  // namespace cairn
