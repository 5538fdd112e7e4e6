// SPDX-License-Identifier: BSD-3-Clause
#include "types/zset_algebra.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>
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

// Of each input, where its key is named first.
std::vector<size_t> FirstMentions(std::span<const ZsetInput> inputs) {
  constexpr size_t kFew = 16;
  std::unordered_map<const void*, size_t> seen;  // of many
  std::vector<size_t> firsts;
  firsts.reserve(inputs.size());
  for (size_t i = 0; i < inputs.size(); ++i) {
    size_t first = i;
    if (inputs.size() <= kFew) {
      for (first = 0; !SameKey(inputs[first], inputs[i]);) ++first;
    } else {
      const void* key = inputs[i].set;
      if (inputs[i].sorted_set != nullptr) key = inputs[i].sorted_set;
      first = seen.try_emplace(key, i).first->second;
    }
    firsts.push_back(first);
  }
  return firsts;
}

// Each key where it is named first: where weights do not matter, to be named again changes nothing.
std::vector<ZsetInput> Distinct(std::span<const ZsetInput> inputs) {
  const std::vector<size_t> firsts = FirstMentions(inputs);
  std::vector<ZsetInput> distinct;
  for (size_t i = 0; i < inputs.size(); ++i)
    if (firsts[i] == i) distinct.push_back(inputs[i]);
  return distinct;
}

}  // namespace

SortedSet ZsetUnion(std::span<const ZsetInput> inputs, Aggregate aggregate,
                    const Thresholds& thresholds) {
  SortedSetBuilder builder;
  const std::vector<ZsetInput> sorted = BySize(inputs);
  for (size_t i = 0, end; i < sorted.size(); i = end) {
    // A key that is named several times in a row is looked through once.
    for (end = i + 1; end < sorted.size() && SameKey(sorted[end], sorted[i]);) ++end;
    ForEach(sorted[i], [&](std::string_view member, double score) {
      double value = ZeroIfNan(Weighted(sorted[i], score, aggregate));
      bool added;
      ScoredMember* present = builder.Add(value, member, &added);
      if (added && end == i + 1) return true;
      if (!added) value = Aggregated(present->score(), value, aggregate);
      for (size_t k = i + 1; k < end; ++k)
        value = Aggregated(value, ZeroIfNan(Weighted(sorted[k], score, aggregate)), aggregate);
      builder.SetScore(present, value);
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
  const std::vector<size_t> firsts = FirstMentions(sorted);
  std::vector<double> scores(sorted.size());
  ForEach(sorted[0], [&](std::string_view member, double score) {
    double result = ZeroIfNan(Weighted(sorted[0], score, aggregate));
    scores[0] = score;
    for (size_t i = 1; i < sorted.size(); ++i) {
      if (firsts[i] != i) {
        scores[i] = scores[firsts[i]];
      } else if (!Find(sorted[i], member, &scores[i])) {
        return true;
      }
      result = Aggregated(result, Weighted(sorted[i], scores[i], aggregate), aggregate);
    }
    bool added;
    builder.Add(result, member, &added);
    return true;
  });
  return builder.Build(thresholds);
}

uint64_t ZsetIntersectionCount(std::span<const ZsetInput> inputs, uint64_t limit) {
  const std::vector<ZsetInput> sorted = BySize(Distinct(inputs));
  uint64_t count = 0;
  if (sorted.empty()) return 0;
  ForEach(sorted[0], [&](std::string_view member, double) {
    double score;
    for (size_t i = 1; i < sorted.size(); ++i)
      if (!Find(sorted[i], member, &score)) return true;
    return ++count != limit;
  });
  return count;
}

SortedSet ZsetDifference(std::span<const ZsetInput> inputs, const Thresholds& thresholds) {
  SortedSetBuilder builder;
  if (inputs.empty()) return builder.Build(thresholds);
  // The largest of the others is the likeliest to have a member: it is asked first.
  std::vector<ZsetInput> others = BySize(Distinct(inputs.subspan(1)));
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
