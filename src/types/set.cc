// SPDX-License-Identifier: BSD-3-Clause
#include "types/set.h"

#include <malloc.h>

#include <algorithm>
#include <unordered_set>
#include <vector>

#include "base/memory.h"
#include "containers/fetch_ahead.h"
#include "containers/intset.h"
#include "types/set_table.h"
#include "types/settle_table.h"

namespace cairn {
namespace {

// Redis bounds intsets whatever the directive says.
constexpr int64_t kIntsetEntriesMax = int64_t{1} << 30;

size_t IntsetLimit(const Thresholds& thresholds) {
  return static_cast<size_t>(
      std::clamp(thresholds.set_max_intset_entries, int64_t{0}, kIntsetEntriesMax));
}

bool FitsListpack(size_t members, size_t longest, const Thresholds& thresholds) {
  return static_cast<int64_t>(members) <= thresholds.set_max_listpack_entries &&
         static_cast<int64_t>(longest) <= thresholds.set_max_listpack_value;
}

ListpackValue ValueOf(const SetMember* member) {
  const std::string_view text = member->text();
  return ListpackValue::OfText(text.data(), text.size());
}

// Copies of the small encodings' blocks are owned by Listpack and Intset only while they change:
// this lends the pointer out and takes the (perhaps moved) block back.
template <typename Owner, typename Change>
auto WithBlock(const void* block, void** moved, Change&& change) {
  Owner owner = Owner::Adopt(const_cast<void*>(block));
  auto result = change(owner);
  *moved = owner.Release();
  return result;
}

}  // namespace

Set::~Set() {
  if (rep_ != 0) Destroy();
}

void Set::Destroy() {
  if (tag() == kTableTag)
    delete table();
  else
    free(const_cast<void*>(pointer()));
}

Set Set::ForMembers(std::string_view first, size_t size_hint, const Thresholds& thresholds) {
  int64_t value;
  if (size_hint <= IntsetLimit(thresholds) && ParseInt64(first, &value))
    return Set(Intset().Release(), kIntsetTag);
  if (FitsListpack(size_hint, 0, thresholds)) return Set(Listpack().Release(), kListpackTag);
  Set set;
  set.Reserve(size_hint);
  return set;
}

Set Set::Of(std::span<const std::string_view> members, const Thresholds& thresholds) {
  if (members.empty()) return Set();
  Set set = ForMembers(members[0], members.size(), thresholds);
  for (std::string_view member : members) set.Add(member, thresholds);
  return set;
}

std::optional<Set> Set::LoadListpack(std::string_view bytes, const Thresholds& thresholds) {
  if (!ListpackView::Validate(bytes)) return std::nullopt;
  const ListpackView view(bytes.data());
  if (view.empty()) return std::nullopt;
  std::vector<uint64_t> hashes;
  view.ForEach([&](const ListpackValue& value) {
    char digits[kInt64CharsMax];
    hashes.push_back(HashBytes(value.Text(digits)));
    return true;
  });
  std::sort(hashes.begin(), hashes.end());
  if (std::adjacent_find(hashes.begin(), hashes.end()) != hashes.end()) return std::nullopt;
  Set set(Listpack(view).Release(), kListpackTag);
  // Redis looks at the number of members only.
  if (!FitsListpack(hashes.size(), 0, thresholds)) set.ConvertToTable(hashes.size());
  return set;
}

std::optional<Set> Set::LoadIntset(std::string_view bytes, const Thresholds& thresholds) {
  if (!IntsetView::Validate(bytes)) return std::nullopt;
  Set set(Intset::FromBytes(bytes).Release(), kIntsetTag);
  if (set.Size() > IntsetLimit(thresholds)) set.ConvertToTable(set.Size());
  return set;
}

Encoding Set::encoding() const {
  switch (tag()) {
    case kIntsetTag:
      return Encoding::kIntset;
    case kTableTag:
      return Encoding::kHashtable;
    default:
      return Encoding::kListpack;
  }
}

size_t Set::Size() const {
  if (rep_ == 0) return 0;
  if (tag() == kTableTag) return table()->members.size();
  return tag() == kIntsetTag ? IntsetView(pointer()).Length() : ListpackView(pointer()).Length();
}

bool Set::Contains(std::string_view member) const {
  if (rep_ == 0) return false;
  if (tag() == kTableTag) return table()->Find(HashBytes(member), member) != nullptr;
  if (tag() == kListpackTag) {
    const ListpackView view(pointer());
    return view.Find(view.First(), member) != ListpackView::kNone;
  }
  int64_t value;
  return ParseInt64(member, &value) && IntsetView(pointer()).Contains(value);
}

bool Set::Contains(const ListpackValue& member) const {
  if (rep_ != 0 && tag() == kIntsetTag) {
    int64_t value;
    return member.ToInt(&value) && IntsetView(pointer()).Contains(value);
  }
  char digits[kInt64CharsMax];
  return Contains(member.Text(digits));
}

void Set::Probe(std::span<const ListpackValue> members, bool* found) const {
  DCHECK(members.size() <= kProbeMax);
  if (rep_ == 0 || tag() != kTableTag) {
    for (size_t i = 0; i < members.size(); ++i) found[i] = Contains(members[i]);
    return;
  }
  char digits[kProbeMax][kInt64CharsMax];
  std::string_view texts[kProbeMax];
  uint64_t hashes[kProbeMax];
  const auto& table_members = table()->members;
  for (size_t i = 0; i < members.size(); ++i) {
    texts[i] = members[i].Text(digits[i]);
    hashes[i] = HashBytes(texts[i]);
    table_members.PrefetchBucket(hashes[i]);
  }
  for (size_t i = 0; i < members.size(); ++i) table_members.PrefetchItem(hashes[i]);
  for (size_t i = 0; i < members.size(); ++i)
    found[i] = table()->Find(hashes[i], texts[i]) != nullptr;
}

bool Set::Add(std::string_view member, const Thresholds& thresholds) {
  return Add(ListpackValue::OfText(member.data(), member.size()), thresholds);
}

bool Set::Add(const ListpackValue& member, const Thresholds& thresholds) {
  if (rep_ != 0 && tag() == kTableTag) {
    char digits[kInt64CharsMax];
    return table()->Add(member.Text(digits));
  }
  if (rep_ == 0) {
    char digits[kInt64CharsMax];
    *this = ForMembers(member.Text(digits), 1, thresholds);
    return Add(member, thresholds);
  }
  return tag() == kIntsetTag ? AddToIntset(member, thresholds) : AddToListpack(member, thresholds);
}

bool Set::AddToIntset(const ListpackValue& member, const Thresholds& thresholds) {
  int64_t value;
  if (member.ToInt(&value)) {
    void* block;
    const bool added =
        WithBlock<Intset>(pointer(), &block, [value](Intset& set) { return set.Add(value); });
    rep_ = reinterpret_cast<uint64_t>(block) | kIntsetTag;
    if (added && Size() > IntsetLimit(thresholds)) ConvertToTable(Size());
    return added;
  }
  // Not a number: a listpack if all of it fits one, the integers in ascending order.
  const IntsetView ints(pointer());
  const size_t count = ints.Length();
  size_t longest = member.TextSize();
  if (count > 0) {
    longest = std::max(longest, ListpackValue::OfInt(ints.At(0)).TextSize());
    longest = std::max(longest, ListpackValue::OfInt(ints.At(count - 1)).TextSize());
  }
  if (!FitsListpack(count + 1, longest, thresholds)) {
    ConvertToTable(count + 1);
    return table()->Add(member.text());
  }
  ConvertToListpack();
  return AddToListpack(member, thresholds);
}

bool Set::AddToListpack(const ListpackValue& member, const Thresholds& thresholds) {
  char digits[kInt64CharsMax];
  const std::string_view text = member.Text(digits);
  const ListpackView view(pointer());
  if (view.Find(view.First(), text) != ListpackView::kNone) return false;
  const size_t count = view.Length();
  if (!FitsListpack(count + 1, text.size(), thresholds) ||
      view.Bytes() + text.size() >= ListpackView::kBytesMax) {
    ConvertToTable(count + 1);
    return table()->Add(text);
  }
  void* block;
  WithBlock<Listpack>(pointer(), &block, [text](Listpack& pack) { return pack.Append(text); });
  rep_ = reinterpret_cast<uint64_t>(block) | kListpackTag;
  return true;
}

bool Set::Remove(std::string_view member) {
  return Remove(ListpackValue::OfText(member.data(), member.size()));
}

bool Set::Remove(const ListpackValue& member) {
  if (rep_ == 0) return false;
  char digits[kInt64CharsMax];
  if (tag() == kTableTag) return table()->Remove(member.Text(digits));
  void* block;
  bool removed = false;
  if (tag() == kIntsetTag) {
    int64_t value;
    if (!member.ToInt(&value)) return false;
    removed =
        WithBlock<Intset>(pointer(), &block, [value](Intset& set) { return set.Remove(value); });
  } else {
    const std::string_view text = member.Text(digits);
    removed = WithBlock<Listpack>(pointer(), &block, [text](Listpack& pack) {
      const ListpackView::Pos pos = pack.Find(pack.First(), text);
      if (pos != ListpackView::kNone) pack.Delete(pos);
      return pos != ListpackView::kNone;
    });
  }
  rep_ = reinterpret_cast<uint64_t>(block) | tag();
  return removed;
}

void Set::ConvertToListpack() {
  Listpack pack;
  const IntsetView ints(pointer());
  for (size_t i = 0; i < ints.Length(); ++i) pack.Append(ints.At(i));
  *this = Set(pack.Release(), kListpackTag);
}

void Set::ConvertToTable(size_t capacity) {
  auto* table = new SetTable;
  table->members.Reserve(capacity);
  ForEach([table](const ListpackValue& member) {
    char digits[kInt64CharsMax];
    CHECK(table->Add(member.Text(digits)));
    return true;
  });
  *this = Set(table, kTableTag);
}

void Set::Reserve(size_t size) {
  if (rep_ == 0 || tag() != kTableTag) ConvertToTable(size);
}

void Set::Settle() {
  if (rep_ != 0 && tag() == kTableTag) SettleTable(&table()->members);
}

bool Set::ForEach(VisitWhile visit) const {
  if (rep_ == 0) return true;
  if (tag() == kTableTag)
    return table()->ForEach([&](const SetMember* member) { return visit(ValueOf(member)); });
  if (tag() == kListpackTag) return ListpackView(pointer()).ForEach(visit);
  const IntsetView ints(pointer());
  for (size_t i = 0; i < ints.Length(); ++i)
    if (!visit(ListpackValue::OfInt(ints.At(i)))) return false;
  return true;
}

uint64_t Set::Scan(uint64_t cursor, size_t count, Visit visit) const {
  if (rep_ == 0 || tag() != kTableTag) {
    ForEach([&](const ListpackValue& member) { return visit(member), true; });
    return 0;
  }
  // A thinly filled table may have many empty buckets: their number is bounded too.
  size_t seen = 0;
  for (size_t steps = 0; seen < count && steps / 10 < count; ++steps) {
    cursor = table()->members.Scan(cursor, [&](const SetMember* member) {
      ++seen;
      visit(ValueOf(member));
    });
    if (cursor == 0) break;
  }
  return cursor;
}

ListpackValue Set::RandomMember(Random& random) const {
  CHECK(rep_ != 0);
  if (tag() == kTableTag) return ValueOf(table()->members.RandomItem(random));
  const uint64_t index = random.Below(Size());
  if (tag() == kIntsetTag) return ListpackValue::OfInt(IntsetView(pointer()).At(index));
  const ListpackView view(pointer());
  return view.Get(view.Seek(static_cast<int64_t>(index)));
}

void Set::SampleRepeating(size_t count, Random& random, Visit visit) const {
  if (empty()) return;
  if (tag() != kListpackTag || count == 1) {
    for (; count > 0; --count) visit(RandomMember(random));
    return;
  }
  // One walk instead of one for each pick.
  std::vector<ListpackValue> all;
  ForEach([&](const ListpackValue& member) { return all.push_back(member), true; });
  for (; count > 0; --count) visit(all[random.Below(all.size())]);
}

void Set::Sample(size_t count, Random& random, Visit visit) const {
  const size_t size = Size();
  count = std::min(count, size);
  if (count == 0) return;
  if (tag() == kTableTag && count < size / 4) {
    std::unordered_set<const SetMember*> chosen;
    while (chosen.size() < count) {
      const SetMember* member = table()->members.RandomItem(random);
      if (chosen.insert(member).second) visit(ValueOf(member));
    }
    return;
  }
  // Selection sampling (Knuth, vol. 2, 3.4.2, algorithm S): one walk, no memory.
  size_t left = size;
  ForEach([&](const ListpackValue& member) {
    if (random.Below(left--) < count) {
      visit(member);
      --count;
    }
    return count > 0;
  });
}

void Set::Pop(size_t count, Random& random, FunctionRef<void(std::string_view)> visit) {
  count = std::min(count, Size());
  if (count == Size()) {
    ForEach([&](const ListpackValue& member) {
      char digits[kInt64CharsMax];
      visit(member.Text(digits));
      return true;
    });
    *this = Set();
    return;
  }
  for (; count > 0; --count) {
    const ListpackValue member = RandomMember(random);
    char digits[kInt64CharsMax];
    const std::string_view text = member.Text(digits);
    visit(text);
    Remove(member);
  }
}

std::string_view Set::SmallBytes() const {
  if (rep_ == 0 || tag() == kTableTag) return {};
  return tag() == kIntsetTag ? IntsetView(pointer()).AsBytes() : ListpackView(pointer()).AsBytes();
}

void Set::FetchAhead(std::span<const uint64_t> hashes) const {
  if (tag() == kTableTag) cairn::FetchAhead(table()->members, hashes);
}

size_t Set::FreeEffort() const {
  return rep_ != 0 && tag() == kTableTag ? std::max(Size(), size_t{1}) : 1;
}

size_t Set::MemoryUsage(size_t samples) const {
  if (rep_ == 0) return 0;
  if (tag() != kTableTag) return malloc_usable_size(const_cast<void*>(pointer()));
  size_t bytes = 0, seen = 0;
  table()->members.ForEach([&](SetMember* member) {
    bytes += malloc_usable_size(member);
    return ++seen != samples;
  });
  const size_t each = seen == 0 ? 0 : ExtrapolatedBytes(bytes, seen, Size());
  return each + table()->members.MemoryBytes();
}

Set Set::Clone() const {
  if (rep_ == 0) return Set();
  if (tag() == kListpackTag) return Set(Listpack(ListpackView(pointer())).Release(), kListpackTag);
  if (tag() == kIntsetTag) return Set(Intset(IntsetView(pointer())).Release(), kIntsetTag);
  auto* copy = new SetTable;
  copy->members.Reserve(Size());
  table()->ForEach([copy](const SetMember* member) {
    const std::string_view text = member->text();
    copy->members.InsertAndGrow(HashBytes(text), SetMember::New(text));
    return true;
  });
  return Set(copy, kTableTag);
}

void Set::CheckInvariants() const {
  if (rep_ == 0) return;
  if (tag() == kTableTag) return table()->members.CheckInvariants();
  if (tag() == kListpackTag) CHECK(ListpackView::Validate(SmallBytes()));
  if (tag() == kIntsetTag) CHECK(Size() == 0 || IntsetView::Validate(SmallBytes()));
  std::unordered_set<std::string> seen;
  ForEach([&](const ListpackValue& member) {
    char digits[kInt64CharsMax];
    CHECK(seen.emplace(member.Text(digits)).second);
    return true;
  });
}

}  // namespace cairn
