// SPDX-License-Identifier: BSD-3-Clause
#include "types/sorted_set_builder.h"

#include <algorithm>
#include <vector>

#include "types/sorted_set_listpack.h"
#include "types/sorted_set_table.h"

namespace cairn {

SortedSetBuilder::SortedSetBuilder() : table_(std::make_unique<SortedSetTable>()) {}
SortedSetBuilder::~SortedSetBuilder() = default;

ScoredMember* SortedSetBuilder::Add(double score, std::string_view member, bool* added) {
  const uint64_t hash = HashBytes(member);
  if (ScoredMember* present = table_->Find(hash, member); present != nullptr) {
    *added = false;
    return present;
  }
  *added = true;
  longest_ = std::max(longest_, member.size());
  bytes_ += member.size();
  return table_->Name(hash, score, member);
}

void SortedSetBuilder::SetScore(ScoredMember* entry, double score) {
  table_->SetScore(entry, score);
}

uint64_t SortedSetBuilder::Size() const {
  return table_->members.size();
}

SortedSet SortedSetBuilder::Build(const Thresholds& thresholds) {
  std::vector<ScoredMember*> order;
  order.reserve(Size());
  table_->members.ForEach([&](ScoredMember* member) {
    order.push_back(member);
    return true;
  });
  std::sort(order.begin(), order.end(), [](const ScoredMember* a, const ScoredMember* b) {
    return a->score() != b->score() ? a->score() < b->score() : a->bytes() < b->bytes();
  });
  SortedSet set;
  const bool small =
      static_cast<int64_t>(order.size()) <= thresholds.zset_max_listpack_entries &&
      static_cast<int64_t>(longest_) <= thresholds.zset_max_listpack_value &&
      bytes_ + order.size() * SortedListpack::kPairOverheadMax < ListpackView::kBytesMax;
  if (small) {
    if (order.empty()) return set;
    Listpack listpack(bytes_ + order.size() * 8);
    for (const ScoredMember* member : order)
      SortedListpack::Insert(&listpack, member->score(), member->bytes());
    table_.reset();
    listpack.ShrinkToFit();
    set.rep_ = reinterpret_cast<uint64_t>(listpack.Release());
    return set;
  }
  for (ScoredMember* member : order) table_->tree.Insert(member);
  set.rep_ = reinterpret_cast<uint64_t>(table_.release()) | SortedSet::kLargeTag;
  return set;
}

}  // namespace cairn
