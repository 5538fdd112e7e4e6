// SPDX-License-Identifier: BSD-3-Clause
#include "types/zset_algebra.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/function_ref.h"
#include "containers/listpack.h"
#include "types/set.h"
#include "types/sorted_set_builder.h"

namespace cairn {
namespace {

uint64_t SizeOf(const ZsetInput& input) {
  if (input.sorted_set != nullptr) return input.sorted_set->Size();
  return input.set != nullptr ? input.set->Size() : 0;
}

// Calls visit(member, score) until it returns false.
void ForEach(const ZsetInput& input, FunctionRef<bool(std::string_view, double)> visit) {
  if (input.sorted_set != nullptr) {
    for (auto it = input.sorted_set->Iterate(); it.Valid(); it.Next())
      if (!visit(it.member(), it.score())) return;
  } else if (input.set != nullptr) {
    input.set->ForEach([&](const ListpackValue& member) {
      char digits[kInt64CharsMax];
      return visit(member.Text(digits), 1);
    });
  }
}

bool Find(const ZsetInput& input, std::string_view member, double* score) {
  if (input.sorted_set != nullptr) return input.sorted_set->Score(member, score);
  *score = 1;
  return input.set != nullptr && input.set->Contains(member);
}

double Weighted(const ZsetInput& input, double score, Aggregate aggregate) {
  return aggregate == Aggregate::kCount ? input.weight : input.weight * score;
}

double ZeroIfNan(double value) {
  return std::isnan(value) ? 0 : value;
}

// `value` may be no number: it is then not smaller nor greater, and the sum becomes 0.
double Aggregated(double present, double value, Aggregate aggregate) {
  switch (aggregate) {
    case Aggregate::kMin:
      return value < present ? value : present;
    case Aggregate::kMax:
      return value > present ? value : present;
    default:
      return ZeroIfNan(present + value);
  }
}

std::vector<ZsetInput> BySize(std::span<const ZsetInput> inputs) {
  std::vector<ZsetInput> sorted(inputs.begin(), inputs.end());
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const ZsetInput& a, const ZsetInput& b) { return SizeOf(a) < SizeOf(b); });
  return sorted;
}

bool SameKey(const ZsetInput& a, const ZsetInput& b) {
  return a.sorted_set == b.sorted_set && a.set == b.set;
}

}  // namespace

SortedSet ZsetUnion(std::span<const ZsetInput> inputs, Aggregate aggregate,
                    const Thresholds& thresholds) {
  SortedSetBuilder builder;
  for (const ZsetInput& input : BySize(inputs)) {
    ForEach(input, [&](std::string_view member, double score) {
      const double value = ZeroIfNan(Weighted(input, score, aggregate));
      bool added;
      ScoredMember* present = builder.Add(value, member, &added);
      if (!added) builder.SetScore(present, Aggregated(present->score(), value, aggregate));
      return true;
    });
  }
  return builder.Build(thresholds);
}

SortedSet ZsetIntersection(std::span<const ZsetInput> inputs, Aggregate aggregate,
                           const Thresholds& thresholds) {
  SortedSetBuilder builder;
  const std::vector<ZsetInput> sorted = BySize(inputs);
  if (sorted.empty()) return builder.Build(thresholds);
  ForEach(sorted[0], [&](std::string_view member, double score) {
    double result = ZeroIfNan(Weighted(sorted[0], score, aggregate));
    for (size_t i = 1; i < sorted.size(); ++i) {
      double other = score;
      if (!SameKey(sorted[i], sorted[0]) && !Find(sorted[i], member, &other)) return true;
      result = Aggregated(result, Weighted(sorted[i], other, aggregate), aggregate);
    }
    bool added;
    builder.Add(result, member, &added);
    return true;
  });
  return builder.Build(thresholds);
}

uint64_t ZsetIntersectionCount(std::span<const ZsetInput> inputs, uint64_t limit) {
  const std::vector<ZsetInput> sorted = BySize(inputs);
  uint64_t count = 0;
  if (sorted.empty()) return 0;
  ForEach(sorted[0], [&](std::string_view member, double) {
    double score;
    for (size_t i = 1; i < sorted.size(); ++i)
      if (!SameKey(sorted[i], sorted[0]) && !Find(sorted[i], member, &score)) return true;
    return ++count != limit;
  });
  return count;
}

SortedSet ZsetDifference(std::span<const ZsetInput> inputs, const Thresholds& thresholds) {
  SortedSetBuilder builder;
  if (inputs.empty()) return builder.Build(thresholds);
  // The largest of the others is the likeliest to have a member: it is asked first.
  std::vector<ZsetInput> others = BySize(inputs.subspan(1));
  std::reverse(others.begin(), others.end());
  ForEach(inputs[0], [&](std::string_view member, double score) {
    double ignored;
    for (const ZsetInput& other : others)
      if (Find(other, member, &ignored)) return true;
    bool added;
    builder.Add(score, member, &added);
    return true;
  });
  return builder.Build(thresholds);
}

}  // namespace cairn
