// SPDX-License-Identifier: BSD-3-Clause
#include "types/set_algebra.h"

#include <algorithm>
#include <unordered_set>
#include <vector>

namespace cairn {
namespace {

size_t SizeOf(const Set* set) {
  return set == nullptr ? 0 : set->Size();
}

// Leaves each set where it is named first: to be named again changes nothing.
void KeepDistinct(std::vector<const Set*>* sets) {
  constexpr size_t kFew = 16;
  std::unordered_set<const Set*> seen;  // of many
  auto end = sets->begin();
  for (const Set* set : *sets) {
    const bool known = sets->size() <= kFew ? std::find(sets->begin(), end, set) != end
                                            : !seen.insert(set).second;
    if (!known) *end++ = set;
  }
  sets->erase(end, sets->end());
}

std::vector<const Set*> Distinct(SetSpan sets) {
  std::vector<const Set*> distinct(sets.begin(), sets.end());
  KeepDistinct(&distinct);
  return distinct;
}

// Members of `lead` go through all other sets in batches, so that look-ups in large tables overlap.
// `wanted_found`: pass on those found in each of `others` (true) or in none (false).
class Filter {
 public:
  Filter(std::span<const Set* const> others, bool wanted_found, size_t limit, Set::Visit visit)
      : others_(others), wanted_(wanted_found), limit_(limit), visit_(visit) {
    batch_.reserve(Set::kProbeMax);
  }
  size_t Run(const Set& lead) {
    const bool ended = lead.ForEach([this](const ListpackValue& member) {
      batch_.push_back(member);
      return batch_.size() < Set::kProbeMax || Flush();
    });
    if (ended) Flush();
    return passed_;
  }

 private:
  // False once the limit is reached.
  bool Flush() {
    for (const Set* other : others_) {
      bool found[Set::kProbeMax];
      other->Probe(batch_, found);
      size_t kept = 0;
      for (size_t i = 0; i < batch_.size(); ++i)
        if (found[i] == wanted_) batch_[kept++] = batch_[i];
      batch_.erase(batch_.begin() + static_cast<ptrdiff_t>(kept), batch_.end());
    }
    for (const ListpackValue& member : batch_) {
      visit_(member);
      if (++passed_ == limit_) return false;
    }
    batch_.clear();
    return true;
  }

  std::span<const Set* const> others_;
  const bool wanted_;
  const size_t limit_;  // 0: none
  Set::Visit visit_;
  size_t passed_ = 0;
  std::vector<ListpackValue> batch_;
};

// Redis weighs a pass over the first set with look-ups in all others against one over all sets;
// the former is counted half, as it often stops early and builds nothing.
bool TestingIsLessWork(SetSpan sets) {
  size_t testing = 0, removing = 0;
  for (const Set* set : sets) {
    if (set == nullptr) continue;
    testing += sets[0]->Size();
    removing += set->Size();
  }
  return testing / 2 <= removing;
}

// sets[0] less the others by removal from a copy.
Set RemoveFromCopy(SetSpan sets) {
  Set rest = sets[0]->Clone();
  for (const Set* other : Distinct(sets.subspan(1))) {
    if (other == nullptr) continue;
    other->ForEach([&rest](const ListpackValue& member) {
      rest.Remove(member);
      return !rest.empty();
    });
    if (rest.empty()) break;
  }
  return rest;
}

// The sets of `sets` behind the first that exist, sorted by size.
std::vector<const Set*> Others(SetSpan sets, bool largest_first) {
  std::vector<const Set*> others;
  for (const Set* set : sets.subspan(1))
    if (SizeOf(set) != 0) others.push_back(set);
  KeepDistinct(&others);
  std::stable_sort(others.begin(), others.end(), [largest_first](const Set* a, const Set* b) {
    return largest_first ? a->Size() > b->Size() : a->Size() < b->Size();
  });
  return others;
}

}  // namespace

size_t Intersect(SetSpan sets, size_t limit, Set::Visit visit) {
  if (sets.empty()) return 0;
  for (const Set* set : sets)
    if (SizeOf(set) == 0) return 0;
  std::vector<const Set*> ordered = Distinct(sets);
  std::stable_sort(ordered.begin(), ordered.end(),
                   [](const Set* a, const Set* b) { return a->Size() < b->Size(); });
  return Filter(SetSpan(ordered).subspan(1), true, limit, visit).Run(*ordered[0]);
}

size_t Subtract(SetSpan sets, size_t limit, Set::Visit visit) {
  if (sets.empty() || SizeOf(sets[0]) == 0) return 0;
  for (const Set* set : sets.subspan(1))
    if (set == sets[0]) return 0;
  // A member that is elsewhere is found soonest in the largest set.
  if (TestingIsLessWork(sets))
    return Filter(Others(sets, true), false, limit, visit).Run(*sets[0]);
  size_t visited = 0;
  RemoveFromCopy(sets).ForEach([&](const ListpackValue& member) {
    visit(member);
    return ++visited != limit;
  });
  return visited;
}

size_t CountUnion(SetSpan sets, size_t limit, const Thresholds& thresholds) {
  Set seen;
  for (const Set* set : Distinct(sets)) {
    if (set == nullptr) continue;
    const bool ended = set->ForEach([&](const ListpackValue& member) {
      seen.Add(member, thresholds);
      return limit == 0 || seen.Size() < limit;
    });
    if (!ended) break;
  }
  return seen.Size();
}

Set IntersectionOf(SetSpan sets, const Thresholds& thresholds) {
  Set result;
  Intersect(sets, 0, [&](const ListpackValue& member) { result.Add(member, thresholds); });
  return result;
}

Set UnionOf(SetSpan sets, const Thresholds& thresholds) {
  Set result;
  for (const Set* set : Distinct(sets)) {
    if (set == nullptr) continue;
    set->ForEach([&](const ListpackValue& member) {
      result.Add(member, thresholds);
      return true;
    });
  }
  return result;
}

Set DifferenceOf(SetSpan sets, const Thresholds& thresholds) {
  Set result;
  Subtract(sets, 0, [&](const ListpackValue& member) { result.Add(member, thresholds); });
  return result;
}

}  // namespace cairn
