// SPDX-License-Identifier: BSD-3-Clause
//
// Union, intersection and difference against std::map, and Redis's rules for what is not a number.
#include "types/zset_algebra.h"

#include <algorithm>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "base/random.h"
#include "types/set.h"
#include "types/sorted_set_builder.h"

namespace cairn {
namespace {

using Scores = std::map<std::string, double>;
constexpr double kInf = std::numeric_limits<double>::infinity();

Scores ScoresOf(const SortedSet& set) {
  set.CheckInvariants();
  Scores scores;
  for (auto it = set.Iterate(); it.Valid(); it.Next()) scores.emplace(it.member(), it.score());
  return scores;
}

SortedSet Make(const Scores& scores) {
  SortedSet set;
  for (const auto& [member, score] : scores) set.Add(score, member, {}, Thresholds());
  return set;
}

TEST_CASE("Zset algebra agrees with a model over mixed inputs") {
  Random random(11);
  for (int round = 0; round < 60; ++round) {
    const size_t inputs_count = 1 + random.Below(4);
    std::vector<SortedSet> sorted_sets(inputs_count);
    std::vector<Set> sets(inputs_count);
    std::vector<Scores> models(inputs_count);
    std::vector<ZsetInput> inputs(inputs_count);
    const uint64_t universe = round % 2 ? 40 : 600;
    for (size_t i = 0; i < inputs_count; ++i) {
      const bool plain = random.Below(3) == 0;
      for (uint64_t n = random.Below(universe); n > 0; --n) {
        const std::string member = std::to_string(random.Below(universe));
        const double score = plain ? 1 : static_cast<double>(random.Below(64)) - 20;
        models[i][member] = score;
        if (plain) {
          sets[i].Add(member, Thresholds());
        } else {
          sorted_sets[i].Add(score, member, {}, Thresholds());
        }
      }
      inputs[i] = {plain ? nullptr : &sorted_sets[i], plain ? &sets[i] : nullptr,
                   static_cast<double>(random.Below(5)) - 1};
    }
    for (Aggregate aggregate :
         {Aggregate::kSum, Aggregate::kMin, Aggregate::kMax, Aggregate::kCount}) {
      Scores all, common, rest;
      std::map<std::string, size_t> seen;
      for (size_t i = 0; i < inputs_count; ++i) {
        for (const auto& [member, score] : models[i]) {
          const double value = inputs[i].weight * (aggregate == Aggregate::kCount ? 1 : score);
          if (++seen[member] == 1) {
            all[member] = value;
          } else if (aggregate == Aggregate::kMin) {
            all[member] = std::min(all[member], value);
          } else if (aggregate == Aggregate::kMax) {
            all[member] = std::max(all[member], value);
          } else {
            all[member] += value;
          }
        }
      }
      for (const auto& [member, score] : all)
        if (seen[member] == inputs_count) common[member] = score;
      for (const auto& [member, score] : models[0])
        if (seen[member] == 1) rest[member] = score;
      REQUIRE(ScoresOf(ZsetUnion(inputs, aggregate, Thresholds())) == all);
      REQUIRE(ScoresOf(ZsetIntersection(inputs, aggregate, Thresholds())) == common);
      REQUIRE(ScoresOf(ZsetDifference(inputs, Thresholds())) == rest);
      REQUIRE(ZsetIntersectionCount(inputs, 0) == common.size());
      REQUIRE(ZsetIntersectionCount(inputs, 3) == std::min<uint64_t>(common.size(), 3));
    }
  }
}

TEST_CASE("Zset algebra makes 0 of what is not a number") {
  const SortedSet up = Make({{"m", kInf}, {"z", 0}});
  const SortedSet down = Make({{"m", -kInf}, {"z", 1}});
  const std::vector<ZsetInput> inputs{{&up, nullptr, 1}, {&down, nullptr, 1}};
  REQUIRE(ScoresOf(ZsetUnion(inputs, Aggregate::kSum, Thresholds())) == Scores{{"m", 0}, {"z", 1}});
  REQUIRE(ScoresOf(ZsetIntersection(inputs, Aggregate::kSum, Thresholds())) ==
          Scores{{"m", 0}, {"z", 1}});
  const std::vector<ZsetInput> weighted{{&up, nullptr, 0}, {&down, nullptr, kInf}};
  REQUIRE(ScoresOf(ZsetUnion(weighted, Aggregate::kMax, Thresholds())) ==
          Scores{{"m", 0}, {"z", kInf}});
}

TEST_CASE("Zset algebra takes absent keys and one key twice") {
  const SortedSet set = Make({{"a", 1}, {"b", 2}});
  const std::vector<ZsetInput> twice{{&set, nullptr, 1}, {&set, nullptr, 3}};
  REQUIRE(ScoresOf(ZsetIntersection(twice, Aggregate::kSum, Thresholds())) ==
          Scores{{"a", 4}, {"b", 8}});
  REQUIRE(ZsetDifference(twice, Thresholds()).empty());
  const std::vector<ZsetInput> absent{{&set, nullptr, 1}, {nullptr, nullptr, 1}};
  REQUIRE(ZsetIntersection(absent, Aggregate::kSum, Thresholds()).empty());
  REQUIRE(ZsetUnion(absent, Aggregate::kSum, Thresholds()).Size() == 2);
  REQUIRE(ZsetDifference(absent, Thresholds()).Size() == 2);
  REQUIRE(ZsetIntersectionCount(absent, 0) == 0);
}

TEST_CASE("A key that is named many times counts each time, in its turn") {
  Random random(41);
  for (int round = 0; round < 40; ++round) {
    // Some of the same size, so that mentions of them alternate; sums depend on their order.
    std::vector<Scores> models(4);
    for (size_t i = 0; i < models.size(); ++i)
      for (size_t n = 0; n < 4 + i / 2; ++n)
        models[i][std::to_string(random.Below(7))] = static_cast<double>(random.Below(1000)) / 7;
    std::vector<SortedSet> sorted_sets;
    for (const Scores& scores : models) sorted_sets.push_back(Make(scores));
    std::vector<ZsetInput> inputs;
    std::vector<size_t> named;
    const size_t keys = 1 + random.Below(4);
    for (size_t n = round % 2 ? 40 : 6; n > 0; --n) {
      named.push_back(random.Below(keys));
      inputs.push_back({&sorted_sets[named.back()], nullptr,
                        static_cast<double>(random.Below(100)) / 3 - 10});
    }
    std::vector<size_t> order(inputs.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
      return models[named[a]].size() < models[named[b]].size();
    });
    for (Aggregate aggregate :
         {Aggregate::kSum, Aggregate::kMin, Aggregate::kMax, Aggregate::kCount}) {
      Scores all, common;
      std::map<std::string, size_t> seen;
      for (size_t i : order) {
        for (const auto& [member, score] : models[named[i]]) {
          const double value = inputs[i].weight * (aggregate == Aggregate::kCount ? 1 : score);
          const bool first = ++seen[member] == 1;
          double& result = all[member];
          if (first) {
            result = value;
          } else if (aggregate == Aggregate::kMin) {
            result = std::min(result, value);
          } else if (aggregate == Aggregate::kMax) {
            result = std::max(result, value);
          } else {
            result += value;
          }
        }
      }
      for (const auto& [member, score] : all)
        if (seen[member] == inputs.size()) common[member] = score;
      REQUIRE(ScoresOf(ZsetUnion(inputs, aggregate, Thresholds())) == all);
      REQUIRE(ScoresOf(ZsetIntersection(inputs, aggregate, Thresholds())) == common);
      REQUIRE(ZsetIntersectionCount(inputs, 0) == common.size());
      Scores rest = models[named[0]];
      for (size_t i = 1; i < named.size(); ++i)
        for (const auto& [member, score] : models[named[i]]) rest.erase(member);
      REQUIRE(ScoresOf(ZsetDifference(inputs, Thresholds())) == rest);
    }
  }
}

TEST_CASE("SortedSetBuilder chooses the encoding of the result") {
  Thresholds thresholds;
  auto build = [&](int count, size_t length) {
    SortedSetBuilder builder;
    bool added;
    for (int i = count; i > 0; --i) {
      std::string member = std::to_string(i);
      member.resize(std::max(length, member.size()), '.');
      builder.SetScore(builder.Add(i % 7, member, &added), i % 5 / 3.0);
      REQUIRE(added);
      builder.Add(0, member, &added);
      REQUIRE_FALSE(added);
    }
    SortedSet set = builder.Build(thresholds);
    set.CheckInvariants();
    REQUIRE(set.Size() == static_cast<uint64_t>(count));
    return set.encoding();
  };
  REQUIRE(build(0, 0) == Encoding::kListpack);
  REQUIRE(build(128, 64) == Encoding::kListpack);
  REQUIRE(build(129, 0) == Encoding::kSkiplist);
  REQUIRE(build(1, 65) == Encoding::kSkiplist);
}

}  // namespace
}  // namespace cairn
