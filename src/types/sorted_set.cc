// SPDX-License-Identifier: BSD-3-Clause
#include "types/sorted_set.h"

#include <malloc.h>

#include <algorithm>
#include <cmath>

#include "base/random.h"
#include "containers/fetch_ahead.h"
#include "types/settle_table.h"
#include "types/sorted_set_listpack.h"
#include "types/sorted_set_table.h"

namespace cairn {
namespace {

// What rep_ == 0 stands for: a listpack without elements.
constexpr uint8_t kEmptyListpack[] = {7, 0, 0, 0, 0, 0, 0xff};

// Lends the listpack behind a word to a scope that changes it, and takes it back.
class Borrowed {
 public:
  explicit Borrowed(uint64_t* rep)
      : rep_(rep),
        listpack_(*rep == 0 ? Listpack() : Listpack::Adopt(reinterpret_cast<void*>(*rep))) {}
  ~Borrowed() { *rep_ = reinterpret_cast<uint64_t>(listpack_.Release()); }
  Listpack* operator->() { return &listpack_; }
  Listpack* get() { return &listpack_; }

 private:
  uint64_t* rep_;
  Listpack listpack_;
};

}  // namespace

SortedSet::SortedSet(uint64_t count, size_t member_bytes_max, const Thresholds& thresholds) {
  const bool small = static_cast<int64_t>(count) <= thresholds.zset_max_listpack_entries &&
                     static_cast<int64_t>(member_bytes_max) <= thresholds.zset_max_listpack_value;
  if (small) return;
  auto* table = new SortedSetTable();
  table->members.Reserve(count);
  rep_ = reinterpret_cast<uint64_t>(table) | kLargeTag;
}

std::optional<SortedSet> SortedSet::LoadListpack(std::string_view bytes,
                                                 const Thresholds& thresholds) {
  if (!SortedListpack::Validate(bytes)) return std::nullopt;
  SortedSet set;
  set.rep_ = reinterpret_cast<uint64_t>(Listpack::FromBytes(bytes).Release());
  // Redis looks at the number of members only, here and in the other types.
  if (static_cast<int64_t>(set.Size()) > thresholds.zset_max_listpack_entries)
    set.ConvertToSkiplist();
  return set;
}

void SortedSet::Free() {
  if (IsLarge()) {
    delete table();
  } else {
    Listpack::Adopt(reinterpret_cast<void*>(rep_));
  }
  rep_ = 0;
}

ListpackView SortedSet::listpack() const {
  DCHECK(!IsLarge());
  return ListpackView(rep_ == 0 ? kEmptyListpack : reinterpret_cast<const uint8_t*>(rep_));
}

uint64_t SortedSet::Size() const {
  return IsLarge() ? table()->tree.size() : SortedListpack::Size(listpack());
}

void SortedSet::ConvertToSkiplist() {
  if (IsLarge()) return;
  auto* table = new SortedSetTable();
  table->members.Reserve(Size());
  for (Iterator it = Iterate(); it.Valid(); it.Next()) table->Add(it.score(), it.member());
  Free();
  rep_ = reinterpret_cast<uint64_t>(table) | kLargeTag;
}

// ---- Changing ----

namespace {
// What the flags make of a score for a member that has `present`; true: it is to be written.
bool Resolve(double present, double score, SortedSet::AddFlags flags,
             SortedSet::AddResult* result) {
  if (flags.nx) {
    result->nop = true;
    return false;
  }
  if (flags.incr) {
    score += present;
    if (std::isnan(score)) {
      result->nan = true;
      return false;
    }
  }
  if ((flags.lt && score >= present) || (flags.gt && score <= present)) {
    result->nop = true;
    return false;
  }
  result->score = score;
  result->updated = score != present;
  return result->updated;
}

}  // namespace

SortedSet::AddResult SortedSet::Add(double score, std::string_view member, AddFlags flags,
                                    const Thresholds& thresholds) {
  DCHECK(!std::isnan(score));
  if (!IsLarge()) return AddSmall(score, member, flags, thresholds);
  AddResult result;
  if (ScoredMember* present = table()->Find(member); present != nullptr) {
    if (Resolve(present->score(), score, flags, &result)) table()->Rescore(present, result.score);
    return result;
  }
  if (flags.xx) {
    result.nop = true;
    return result;
  }
  table()->Add(score, member);
  result.added = true;
  result.score = score;
  return result;
}

SortedSet::AddResult SortedSet::AddSmall(double score, std::string_view member, AddFlags flags,
                                         const Thresholds& thresholds) {
  AddResult result;
  if (const auto pos = SortedListpack::Find(listpack(), member); pos != ListpackView::kNone) {
    if (Resolve(SortedListpack::ScoreOf(listpack(), pos), score, flags, &result))
      SortedListpack::Update(Borrowed(&rep_).get(), pos, result.score, member);
    return result;
  }
  if (flags.xx) {
    result.nop = true;
    return result;
  }
  result.added = true;
  result.score = score;
  const bool fits = static_cast<int64_t>(Size()) < thresholds.zset_max_listpack_entries &&
                    static_cast<int64_t>(member.size()) <= thresholds.zset_max_listpack_value &&
                    listpack().Bytes() + member.size() + SortedListpack::kPairOverheadMax <
                        ListpackView::kBytesMax;
  if (fits) {
    SortedListpack::Insert(Borrowed(&rep_).get(), score, member);
  } else {
    ConvertToSkiplist();
    table()->Add(score, member);
  }
  return result;
}

void SortedSet::Settle() {
  if (IsLarge()) SettleTable(&table()->members);
}

bool SortedSet::Remove(std::string_view member) {
  if (IsLarge()) {
    ScoredMember* removed = table()->Unname(member);
    if (removed == nullptr) return false;
    table()->tree.Erase(removed);
    ScoredMember::Destroy(removed);
    return true;
  }
  const auto pos = SortedListpack::Find(listpack(), member);
  if (pos == ListpackView::kNone) return false;
  Borrowed(&rep_)->Delete(pos, 2);
  return true;
}

uint64_t SortedSet::RemoveSpan(RankSpan span) {
  if (span.count == 0) return 0;
  if (IsLarge()) {
    table()->tree.EraseRange(span.first, span.count, [this](ScoredMember* member) {
      table()->Unname(member->bytes());
      ScoredMember::Destroy(member);
    });
  } else {
    Borrowed(&rep_)->DeleteRange(static_cast<int64_t>(2 * span.first), 2 * span.count);
  }
  return span.count;
}

uint64_t SortedSet::Pop(bool highest, uint64_t count, Visit visit) {
  const uint64_t size = Size();
  if (count > size) count = size;
  const RankSpan span{highest ? size - count : 0, count};
  for (Iterator it = Iterate(span, highest); it.Valid(); it.Next()) visit(it.member(), it.score());
  return RemoveSpan(span);
}

// ---- Reading ----

bool SortedSet::Score(std::string_view member, double* score) const {
  if (IsLarge()) {
    const ScoredMember* present = table()->Find(member);
    if (present == nullptr) return false;
    *score = present->score();
    return true;
  }
  const auto pos = SortedListpack::Find(listpack(), member);
  if (pos == ListpackView::kNone) return false;
  *score = SortedListpack::ScoreOf(listpack(), pos);
  return true;
}

bool SortedSet::Rank(std::string_view member, bool reverse, uint64_t* rank, double* score) const {
  double found;
  if (IsLarge()) {
    const ScoredMember* present = table()->Find(member);
    if (present == nullptr) return false;
    found = present->score();
    *rank = table()->tree.Rank(found, member);
  } else {
    const auto pos = SortedListpack::Find(listpack(), member);
    if (pos == ListpackView::kNone) return false;
    found = SortedListpack::ScoreOf(listpack(), pos);
    *rank = SortedListpack::RankOf(listpack(), pos);
  }
  if (reverse) *rank = Size() - 1 - *rank;
  if (score != nullptr) *score = found;
  return true;
}

RankSpan SortedSet::SpanOf(const ScoreRange& range) const {
  if (IsLarge()) {
    const RankedBTree& tree = table()->tree;
    const uint64_t first = tree.CountBelow(range.min, range.min_exclusive);
    const uint64_t end = tree.CountBelow(range.max, !range.max_exclusive);
    return {first, end > first ? end - first : 0};
  }
  RankSpan span;
  for (Iterator it = Iterate(); it.Valid(); it.Next()) {
    const double score = it.score();
    if (!range.BelowMax(score)) break;
    ++(range.AboveMin(score) ? span.count : span.first);
  }
  return span;
}

RankSpan SortedSet::SpanOf(const LexRange& range) const {
  if (!IsLarge()) {
    RankSpan span;
    for (Iterator it = Iterate(); it.Valid(); it.Next()) {
      const std::string_view member = it.member();
      if (span.count == 0 && !range.AboveMin(member)) {
        ++span.first;
      } else if (range.BelowMax(member)) {
        ++span.count;
      } else {
        break;
      }
    }
    return span;
  }
  const RankedBTree& tree = table()->tree;
  auto below = [&](const LexBound& bound, bool or_equal) -> uint64_t {
    if (bound.kind == LexBound::Kind::kLowest) return 0;
    if (bound.kind == LexBound::Kind::kHighest) return tree.size();
    return tree.CountBelowMember(bound.member, or_equal);
  };
  const uint64_t first = below(range.min, range.min.kind == LexBound::Kind::kExclusive);
  const uint64_t end = below(range.max, range.max.kind == LexBound::Kind::kInclusive);
  return {first, end > first ? end - first : 0};
}

SortedSet::Iterator SortedSet::Iterate(RankSpan span, bool reverse) const {
  Iterator it;
  if (span.count == 0) return it;
  DCHECK(span.first + span.count <= Size());
  const uint64_t start = reverse ? span.first + span.count - 1 : span.first;
  it.left_ = span.count;
  it.reverse_ = reverse;
  it.tree_ = IsLarge();
  if (IsLarge()) {
    it.cursor_ = table()->tree.Seek(start);
  } else {
    it.listpack_ = listpack();
    it.pos_ = SortedListpack::Seek(it.listpack_, start);
  }
  return it;
}

void SortedSet::Iterator::Next() {
  if (--left_ == 0) return;
  if (tree_) return reverse_ ? cursor_.Prev() : cursor_.Next();
  pos_ = reverse_ ? listpack_.Prev(listpack_.Prev(pos_)) : listpack_.Next(listpack_.Next(pos_));
}

double SortedSet::Iterator::ListpackScore() const {
  return SortedListpack::ScoreOf(listpack_, pos_);
}

SortedSet::Iterator SortedSet::RandomMember(Random& random) const {
  return Iterate({random.Below(Size()), 1});
}

std::vector<uint64_t> SortedSet::RandomRanks(Random& random, uint64_t count) const {
  const uint64_t size = Size();
  CHECK(count <= size);
  std::vector<uint64_t> ranks;
  ranks.reserve(count);
  if (count > size / 4) {
    // Selection sampling: each rank is taken with the chance that keeps the total exact.
    for (uint64_t rank = 0; ranks.size() < count; ++rank)
      if (random.Below(size - rank) < count - ranks.size()) ranks.push_back(rank);
    return ranks;
  }
  while (ranks.size() < count) {
    for (uint64_t missing = count - ranks.size(); missing > 0; --missing)
      ranks.push_back(random.Below(size));
    std::sort(ranks.begin(), ranks.end());
    ranks.erase(std::unique(ranks.begin(), ranks.end()), ranks.end());
  }
  return ranks;
}

uint64_t SortedSet::Scan(uint64_t cursor, uint64_t count, Visit visit) const {
  if (!IsLarge()) {
    for (Iterator it = Iterate(); it.Valid(); it.Next()) visit(it.member(), it.score());
    return 0;
  }
  uint64_t visited = 0;
  // Empty buckets must not keep one call going for ever.
  for (uint64_t buckets = 0; buckets / 10 <= count; ++buckets) {
    cursor = table()->members.Scan(cursor, [&](const ScoredMember* member) {
      visit(member->bytes(), member->score());
      ++visited;
    });
    if (cursor == 0 || visited >= count) break;
  }
  return cursor;
}

// ---- The object as a whole ----

void SortedSet::FetchAhead(std::span<const uint64_t> hashes) const {
  if (IsLarge()) cairn::FetchAhead(table()->members, hashes);
}

size_t SortedSet::FreeEffort() const {
  return IsLarge() ? Size() : 1;
}

size_t SortedSet::MemoryUsage(size_t samples) const {
  if (rep_ == 0) return 0;
  if (!IsLarge()) return malloc_usable_size(reinterpret_cast<void*>(rep_));
  const uint64_t size = Size();
  size_t bytes = sizeof(SortedSetTable) - sizeof(table()->members) +
                 table()->members.MemoryBytes() + table()->tree.MemoryUsage();
  uint64_t sampled = 0;
  size_t sampled_bytes = 0;
  for (auto cursor = table()->tree.First(); cursor.Valid(); cursor.Next()) {
    if (samples != 0 && sampled == samples) break;
    sampled_bytes += malloc_usable_size(cursor.member());
    ++sampled;
  }
  if (sampled > 0)
    bytes += static_cast<size_t>(static_cast<double>(sampled_bytes) / static_cast<double>(sampled) *
                                 static_cast<double>(size));
  return bytes;
}

SortedSet SortedSet::Clone() const {
  SortedSet copy;
  if (IsLarge()) {
    auto* cloned = new SortedSetTable();
    cloned->members.Reserve(Size());
    for (Iterator it = Iterate(); it.Valid(); it.Next()) cloned->Add(it.score(), it.member());
    copy.rep_ = reinterpret_cast<uint64_t>(cloned) | kLargeTag;
  } else if (rep_ != 0) {
    copy.rep_ = reinterpret_cast<uint64_t>(Listpack(listpack()).Release());
  }
  return copy;
}

void SortedSet::CheckInvariants() const {
  if (!IsLarge()) {
    CHECK(SortedListpack::Validate(listpack().AsBytes()));
    return;
  }
  table()->tree.CheckInvariants();
  table()->members.CheckInvariants();
  CHECK(table()->members.size() == table()->tree.size());
  for (auto cursor = table()->tree.First(); cursor.Valid(); cursor.Next())
    CHECK(table()->Find(cursor.member()->bytes()) == cursor.member());
}

}  // namespace cairn
