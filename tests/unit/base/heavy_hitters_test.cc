// SPDX-License-Identifier: BSD-3-Clause
#include "base/heavy_hitters.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "base/hash.h"
#include "base/largest_names.h"
#include "base/random.h"

namespace cairn {
namespace {

void Add(HeavyHitters* sketch, const std::string& name, uint64_t weight) {
  sketch->Add(HashBytes(name), name, weight);
}

std::vector<std::string> NamesOf(const auto& items) {
  std::vector<std::string> names;
  for (const auto& item : items) names.push_back(item.name);
  return names;
}

}  // namespace

TEST_CASE("HeavyHitters counts few names exactly", "[heavy_hitters]") {
  HeavyHitters sketch;
  for (int i = 0; i < 100; ++i) Add(&sketch, "name" + std::to_string(i), i);
  for (int i = 0; i < 100; ++i) Add(&sketch, "name" + std::to_string(i), 1);
  const auto top = HeavyHitters::Merge(sketch.Top(10), 10);
  REQUIRE(top.size() == 10);
  for (size_t i = 0; i < 10; ++i) {
    REQUIRE(top[i].name == "name" + std::to_string(99 - i));
    REQUIRE(top[i].weight == 100 - i);
  }
  REQUIRE(HeavyHitters().Top(10).empty());
}

TEST_CASE("HeavyHitters finds what is hot among a million others", "[heavy_hitters]") {
  HeavyHitters sketch;
  Random random(7);
  std::map<std::string, uint64_t> truth;
  constexpr int kAdditions = 1'000'000;
  for (int i = 0; i < kAdditions; ++i) {
    // Twenty names of a half percent each, the others once or twice.
    const bool hot = random.Below(10) == 0;
    const std::string name = hot ? "hot" + std::to_string(random.Below(20))
                                 : "cold" + std::to_string(random.Below(1'000'000));
    Add(&sketch, name, 3);
    if (hot) truth[name] += 3;
  }
  const auto top = HeavyHitters::Merge(sketch.Top(64), 20);
  REQUIRE(top.size() == 20);
  for (const auto& item : top) {
    REQUIRE(truth.contains(item.name));
    // Never too much; what is missing came before the name had its place for good.
    REQUIRE(item.weight <= truth[item.name]);
    REQUIRE(item.weight >= truth[item.name] * 9 / 10);
  }
}

TEST_CASE("HeavyHitters blames nobody where all are alike", "[heavy_hitters]") {
  HeavyHitters sketch;
  for (int i = 0; i < 300'000; ++i) Add(&sketch, "n" + std::to_string(i), 1);
  for (const auto& item : sketch.Top(64)) REQUIRE(item.weight == 1);
}

TEST_CASE("HeavyHitters adds up what several sketches tell", "[heavy_hitters]") {
  HeavyHitters one, two;
  Add(&one, "a", 5);
  Add(&one, "b", 4);
  Add(&two, "b", 4);
  Add(&two, "c", 5);
  auto items = one.Top(10);
  for (auto& item : two.Top(10)) items.push_back(item);
  const auto merged = HeavyHitters::Merge(items, 2);
  REQUIRE(NamesOf(merged) == std::vector<std::string>{"b", "a"});
  REQUIRE(merged[0].weight == 8);
}

TEST_CASE("HeavyHitters tells long names apart though it keeps their beginning",
          "[heavy_hitters]") {
  HeavyHitters sketch;
  const std::string begin(5000, 'x');
  Add(&sketch, begin + "1", 1);
  Add(&sketch, begin + "2", 2);
  const auto top = HeavyHitters::Merge(sketch.Top(10), 10);
  REQUIRE(top.size() == 2);
  REQUIRE(top[0].weight == 2);
  REQUIRE(top[0].name == std::string(HeavyHitters::kNameBytesMax, 'x'));
}

TEST_CASE("LargestNames keeps the largest, with their last values", "[heavy_hitters]") {
  LargestNames largest;
  const auto set = [&largest](const std::string& name, uint64_t value, uint64_t when) {
    largest.Set(HashBytes(name), name, value, when);
  };
  for (uint64_t i = 1; i <= 10 * LargestNames::kNamesMax; ++i)
    set("n" + std::to_string(i * 7919 % (10 * LargestNames::kNamesMax)), i, i);
  REQUIRE(largest.items().size() == LargestNames::kNamesMax);
  auto top = LargestNames::Merge(largest.items(), 3);
  REQUIRE(top[0].value == 10 * LargestNames::kNamesMax);
  REQUIRE(top[2].value == 10 * LargestNames::kNamesMax - 2);
  const std::string first = top[0].name, second = top[1].name;
  set(first, 0, 100'000);  // deleted
  set(second, 5, 100'001);
  top = LargestNames::Merge(largest.items(), LargestNames::kNamesMax);
  REQUIRE(top.back().name == second);
  REQUIRE(top.size() == LargestNames::kNamesMax - 1);

  // Of what two threads know of a name the younger value counts, and so does its end.
  LargestNames other;
  other.Set(HashBytes("shared"), "shared", 1'000'000, 1);
  REQUIRE(LargestNames::Merge(other.items(), 1)[0].value == 1'000'000);
  set("shared", 300'000, 2);
  auto both = largest.items();
  both.insert(both.end(), other.items().begin(), other.items().end());
  REQUIRE(LargestNames::Merge(both, 1)[0].value == 300'000);
  set("shared", 0, 3);
  both = largest.items();
  both.insert(both.end(), other.items().begin(), other.items().end());
  REQUIRE(LargestNames::Merge(both, 1)[0].name != "shared");
}

}  // namespace cairn
