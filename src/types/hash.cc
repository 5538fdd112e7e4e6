// SPDX-License-Identifier: BSD-3-Clause
#include "types/hash.h"

#include <malloc.h>
#include <stdlib.h>

#include <algorithm>
#include <string>
#include <unordered_set>
#include <vector>

#include "containers/fetch_ahead.h"
#include "types/hash_big.h"
#include "types/hash_listpack.h"

namespace cairn {
namespace {

bool IsExpired(int64_t expiry_ms, int64_t now_ms) {
  return expiry_ms != Hash::kNoExpiry && now_ms > expiry_ms;
}

bool FitsListpack(size_t fields, size_t longest, const Thresholds& thresholds) {
  return static_cast<int64_t>(fields) <= thresholds.hash_max_listpack_entries &&
         static_cast<int64_t>(longest) <= thresholds.hash_max_listpack_value;
}

HashField FieldOf(const HashItem* item) {
  const std::string_view field = item->field();
  const std::string_view value = item->value();
  return {ListpackValue::OfText(field.data(), field.size()),
          ListpackValue::OfText(value.data(), value.size()), item->expiry()};
}

HashField FieldOf(ListpackView pack, const HashPackEntry& entry) {
  return {pack.Get(entry.pos), pack.Get(entry.value_pos), entry.expiry_ms};
}

// A Listpack that borrows the block of a Hash while it changes and gives the moved one back.
class Borrowed {
 public:
  Borrowed(uint64_t* rep, uint64_t tag)
      : rep_(rep),
        tag_(tag),
        pack_(*rep == 0 ? Listpack() : Listpack::Adopt(reinterpret_cast<void*>(*rep - tag))) {}
  ~Borrowed() { *rep_ = reinterpret_cast<uint64_t>(pack_.Release()) | tag_; }
  Borrowed(const Borrowed&) = delete;
  Borrowed& operator=(const Borrowed&) = delete;
  Listpack* operator->() { return &pack_; }
  Listpack* get() { return &pack_; }

 private:
  uint64_t* rep_;
  uint64_t tag_;
  Listpack pack_;
};

// Whether HEXPIRE's condition lets `expiry_ms` replace `old_ms` (0: none, which counts as endless).
bool ConditionHolds(ExpiryCondition condition, int64_t old_ms, int64_t expiry_ms) {
  switch (condition) {
    case ExpiryCondition::kIfNone:
      return old_ms == 0;
    case ExpiryCondition::kIfSome:
      return old_ms != 0;
    case ExpiryCondition::kIfGreater:
      return old_ms != 0 && expiry_ms > old_ms;
    case ExpiryCondition::kIfLess:
      return old_ms == 0 || expiry_ms < old_ms;
    default:
      return true;
  }
}

}  // namespace

Hash::~Hash() {
  if (rep_ == 0) return;
  if (tag() == kBigTag)
    delete big();
  else
    free(pointer());
}

std::optional<Hash> Hash::LoadListpack(std::string_view bytes, bool with_expiry,
                                       const Thresholds& thresholds) {
  if (!ListpackView::Validate(bytes)) return std::nullopt;
  const ListpackView view(bytes.data());
  if (!IsHashPack(view, with_expiry ? 3 : 2)) return std::nullopt;
  Hash hash(reinterpret_cast<uint64_t>(Listpack(view).Release()) |
            (with_expiry ? kListpackExTag : kListpackTag));
  // Redis looks at the number of fields only.
  hash.Prepare(hash.Length(), 0, thresholds);
  return hash;
}

Encoding Hash::encoding() const {
  switch (tag()) {
    case kListpackExTag:
      return Encoding::kListpackEx;
    case kBigTag:
      return Encoding::kHashtable;
    default:
      return Encoding::kListpack;
  }
}

size_t Hash::Length() const {
  if (rep_ == 0) return 0;
  return tag() == kBigTag ? big()->size() : pack().Length() / stride();
}

std::optional<ListpackValue> Hash::Get(std::string_view field, int64_t now_ms) const {
  if (rep_ == 0) return std::nullopt;
  if (tag() == kBigTag) {
    const HashItem* item = big()->Find(HashBytes(field), field);
    if (item == nullptr || IsExpired(item->expiry(), now_ms)) return std::nullopt;
    const std::string_view value = item->value();
    return ListpackValue::OfText(value.data(), value.size());
  }
  const HashPackEntry entry = FindInHashPack(pack(), field, stride());
  if (!entry.found() || IsExpired(entry.expiry_ms, now_ms)) return std::nullopt;
  return pack().Get(entry.value_pos);
}

size_t Hash::StrLen(std::string_view field, int64_t now_ms) const {
  const std::optional<ListpackValue> value = Get(field, now_ms);
  return value ? value->TextSize() : 0;
}

HashSet Hash::Set(std::string_view field, std::string_view value, int64_t now_ms,
                  const Thresholds& thresholds, bool keep_expiry) {
  if (rep_ == 0 || tag() != kBigTag) {
    Prepare(0, std::max(field.size(), value.size()), thresholds);
    if (rep_ != 0 && pack().Bytes() + field.size() + value.size() >= ListpackView::kBytesMax)
      ConvertToBig(Length());
  }
  if (tag() == kBigTag) {
    const uint64_t hash = HashBytes(field);
    HashItem* item = big()->Find(hash, field);
    if (item == nullptr) {
      big()->Insert(hash, field, value, kNoExpiry);
      return HashSet::kCreated;
    }
    const int64_t expiry = item->expiry();
    const bool expired = IsExpired(expiry, now_ms);
    big()->Replace(item, value, keep_expiry && !expired ? expiry : kNoExpiry);
    return expired ? HashSet::kCreated : HashSet::kUpdated;
  }

  HashSet result = HashSet::kCreated;
  {
    const size_t columns = stride();
    Borrowed pack(&rep_, tag());
    HashPackEntry entry = FindInHashPack(*pack.get(), field, columns);
    const bool expired = entry.found() && IsExpired(entry.expiry_ms, now_ms);
    if (!entry.found()) {
      AddToHashPack(pack.get(), field, value, columns, kNoExpiry);
    } else {
      pack->Replace(entry.value_pos, value);
      if (entry.expiry_ms != 0 && (expired || !keep_expiry))
        MoveInHashPack(pack.get(), entry, kNoExpiry);
      if (!expired) result = HashSet::kUpdated;
    }
  }
  Prepare(Length(), 0, thresholds);
  return result;
}

bool Hash::Delete(std::string_view field, int64_t now_ms) {
  if (rep_ == 0) return false;
  if (tag() == kBigTag) {
    HashItem* item = big()->Find(HashBytes(field), field);
    if (item == nullptr) return false;
    const bool expired = IsExpired(item->expiry(), now_ms);
    big()->Remove(item);
    return !expired;
  }
  const size_t columns = stride();
  const HashPackEntry entry = FindInHashPack(pack(), field, columns);
  if (!entry.found()) return false;
  Borrowed(&rep_, tag())->Delete(entry.pos, columns);
  return !IsExpired(entry.expiry_ms, now_ms);
}

void Hash::Prepare(size_t fields, size_t longest, const Thresholds& thresholds) {
  if (rep_ != 0 && tag() == kBigTag) return;
  if (!FitsListpack(fields, longest, thresholds)) ConvertToBig(std::max(fields, Length()));
}

void Hash::Reserve(size_t fields) {
  if (rep_ == 0 || tag() != kBigTag) ConvertToBig(fields);
}

void Hash::Settle() {
  if (rep_ != 0 && tag() == kBigTag) big()->Settle();
}

void Hash::ConvertToListpackEx() {
  DCHECK(tag() == kListpackTag);
  Listpack triples = AddExpiryColumn(pack());
  free(pointer());
  rep_ = reinterpret_cast<uint64_t>(triples.Release()) | kListpackExTag;
}

void Hash::ConvertToBig(size_t capacity) {
  auto* made = new HashBig;
  made->Reserve(capacity);
  ForEach(kNeverExpired, [made](const HashField& entry) {
    char digits[2][kInt64CharsMax];
    const std::string_view field = entry.field.Text(digits[0]);
    made->Insert(HashBytes(field), field, entry.value.Text(digits[1]), entry.expiry_ms);
    return true;
  });
  if (rep_ != 0) free(pointer());
  rep_ = reinterpret_cast<uint64_t>(made) | kBigTag;
}

bool Hash::ForEach(int64_t now_ms, VisitWhile visit) const {
  if (rep_ == 0) return true;
  if (tag() == kBigTag) {
    return big()->ForEach([&](const HashItem* item) {
      return IsExpired(item->expiry(), now_ms) || visit(FieldOf(item));
    });
  }
  const ListpackView view = pack();
  const size_t columns = stride();
  for (ListpackView::Pos pos = view.First(); pos != ListpackView::kNone;) {
    const HashPackEntry entry = ReadHashPackEntry(view, pos, columns);
    if (!IsExpired(entry.expiry_ms, now_ms) && !visit(FieldOf(view, entry))) return false;
    pos = view.Next(entry.value_pos);
    if (columns == 3) pos = view.Next(pos);
  }
  return true;
}

uint64_t Hash::Scan(uint64_t cursor, size_t count, int64_t now_ms, Visit visit) const {
  if (rep_ == 0 || tag() != kBigTag) {
    ForEach(now_ms, [&](const HashField& field) { return visit(field), true; });
    return 0;
  }
  // A thinly filled table may have many empty buckets: their number is bounded too.
  size_t seen = 0;
  for (size_t steps = 0; seen < count && steps / 10 < count; ++steps) {
    cursor = big()->table().Scan(cursor, [&](const HashItem* item) {
      ++seen;
      if (!IsExpired(item->expiry(), now_ms)) visit(FieldOf(item));
    });
    if (cursor == 0) break;
  }
  return cursor;
}

size_t Hash::LengthAlive(int64_t now_ms) const {
  if (rep_ == 0) return 0;
  if (tag() == kBigTag) return Length() - big()->CountExpired(now_ms);
  return tag() == kListpackTag ? Length() : Length() - CountExpiredInHashPack(pack(), now_ms);
}

std::optional<HashField> Hash::RandomField(Random& random, int64_t now_ms) const {
  const size_t size = Length();
  if (size == 0) return std::nullopt;
  if (tag() == kBigTag) {
    // A few draws will find one that is alive, unless most have expired.
    for (int draw = 0; draw < 64; ++draw) {
      const HashItem* item = big()->table().RandomItem(random);
      if (!IsExpired(item->expiry(), now_ms)) return FieldOf(item);
    }
  }
  const size_t alive = LengthAlive(now_ms);
  if (alive == 0) return std::nullopt;
  size_t index = random.Below(alive);
  if (tag() != kBigTag) {
    // Expired ones, if any, come first.
    const ListpackView view = pack();
    const auto row = static_cast<int64_t>(size - alive + index);
    const auto pos = view.Seek(row * static_cast<int64_t>(stride()));
    return FieldOf(view, ReadHashPackEntry(view, pos, stride()));
  }
  std::optional<HashField> chosen;
  ForEach(now_ms, [&](const HashField& field) {
    chosen = field;
    return index-- != 0;
  });
  return chosen;
}

void Hash::SampleRepeating(size_t count, Random& random, int64_t now_ms, Visit visit) const {
  if (rep_ != 0 && tag() == kBigTag) {
    for (; count > 0; --count) {
      const std::optional<HashField> field = RandomField(random, now_ms);
      if (!field) return;
      visit(*field);
    }
    return;
  }
  // One walk instead of one for each pick.
  std::vector<HashField> all;
  ForEach(now_ms, [&](const HashField& field) { return all.push_back(field), true; });
  for (; count > 0 && !all.empty(); --count) visit(all[random.Below(all.size())]);
}

void Hash::Sample(size_t count, Random& random, int64_t now_ms, Visit visit) const {
  size_t left = LengthAlive(now_ms);
  count = std::min(count, left);
  if (count == 0) return;
  if (tag() == kBigTag && count < left / 4 && left > Length() / 2) {
    std::unordered_set<const HashItem*> chosen;
    while (chosen.size() < count) {
      const HashItem* item = big()->table().RandomItem(random);
      if (IsExpired(item->expiry(), now_ms) || !chosen.insert(item).second) continue;
      visit(FieldOf(item));
    }
    return;
  }
  // Selection sampling (Knuth, vol. 2, 3.4.2, algorithm S): one walk, no memory.
  ForEach(now_ms, [&](const HashField& field) {
    if (random.Below(left--) < count) {
      visit(field);
      --count;
    }
    return count > 0;
  });
}

ExpiryResult Hash::SetExpiry(std::string_view field, int64_t expiry_ms, ExpiryCondition condition,
                             int64_t now_ms) {
  const std::optional<int64_t> old = GetExpiry(field, now_ms);
  if (!old) return ExpiryResult::kNoField;
  if (!ConditionHolds(condition, *old, expiry_ms)) return ExpiryResult::kConditionNotMet;
  if (expiry_ms <= now_ms || expiry_ms <= 0) {
    Delete(field, now_ms);
    return ExpiryResult::kDeleted;
  }
  if (tag() == kBigTag) {
    big()->SetExpiry(big()->Find(HashBytes(field), field), expiry_ms);
    return ExpiryResult::kSet;
  }
  if (tag() == kListpackTag) ConvertToListpackEx();
  Borrowed pack(&rep_, tag());
  MoveInHashPack(pack.get(), FindInHashPack(*pack.get(), field, 3), expiry_ms);
  return ExpiryResult::kSet;
}

std::optional<int64_t> Hash::GetExpiry(std::string_view field, int64_t now_ms) const {
  if (rep_ == 0) return std::nullopt;
  int64_t expiry = kNoExpiry;
  if (tag() == kBigTag) {
    const HashItem* item = big()->Find(HashBytes(field), field);
    if (item == nullptr) return std::nullopt;
    expiry = item->expiry();
  } else {
    const HashPackEntry entry = FindInHashPack(pack(), field, stride());
    if (!entry.found()) return std::nullopt;
    expiry = entry.expiry_ms;
  }
  if (IsExpired(expiry, now_ms)) return std::nullopt;
  return expiry;
}

std::optional<bool> Hash::Persist(std::string_view field, int64_t now_ms) {
  const std::optional<int64_t> old = GetExpiry(field, now_ms);
  if (!old) return std::nullopt;
  if (*old == kNoExpiry) return false;
  if (tag() == kBigTag) {
    big()->SetExpiry(big()->Find(HashBytes(field), field), kNoExpiry);
    return true;
  }
  Borrowed pack(&rep_, tag());
  MoveInHashPack(pack.get(), FindInHashPack(*pack.get(), field, 3), kNoExpiry);
  return true;
}

int64_t Hash::NextExpiry() const {
  if (rep_ == 0 || tag() == kListpackTag) return kNoExpiry;
  if (tag() == kBigTag) {
    const HashItem* first = big()->FirstToExpire();
    return first == nullptr ? kNoExpiry : first->expiry();
  }
  const ListpackView view = pack();
  return view.empty() ? kNoExpiry : ReadHashPackEntry(view, view.First(), 3).expiry_ms;
}

size_t Hash::ExpireDue(int64_t now_ms, size_t limit, FunctionRef<void(std::string_view)> expired) {
  if (!IsExpired(NextExpiry(), now_ms)) return 0;
  size_t removed = 0;
  if (tag() == kBigTag) {
    for (; removed < limit && IsExpired(NextExpiry(), now_ms); ++removed) {
      HashItem* item = big()->FirstToExpire();
      expired(item->field());
      big()->Remove(item);
    }
    return removed;
  }
  const size_t due = std::min(CountExpiredInHashPack(pack(), now_ms), limit);
  ForEach(kNeverExpired, [&](const HashField& entry) {
    if (removed == due) return false;
    ++removed;
    char digits[kInt64CharsMax];
    expired(entry.field.Text(digits));
    return true;
  });
  Borrowed pack(&rep_, tag());
  pack->Delete(pack->First(), 3 * due);
  return due;
}

std::string_view Hash::SmallBytes() const {
  return rep_ == 0 || tag() == kBigTag ? std::string_view() : pack().AsBytes();
}

void Hash::FetchAhead(std::span<const uint64_t> hashes) const {
  if (tag() == kBigTag) cairn::FetchAhead(big()->table(), hashes);
}

size_t Hash::FreeEffort() const {
  return rep_ != 0 && tag() == kBigTag ? std::max(Length(), size_t{1}) : 1;
}

size_t Hash::MemoryUsage(size_t samples) const {
  if (rep_ == 0) return 0;
  return tag() == kBigTag ? big()->MemoryUsage(samples) : malloc_usable_size(pointer());
}

Hash Hash::Clone() const {
  if (rep_ == 0) return Hash();
  if (tag() == kBigTag) return Hash(reinterpret_cast<uint64_t>(big()->Clone()) | kBigTag);
  return Hash(reinterpret_cast<uint64_t>(Listpack(pack()).Release()) | tag());
}

void Hash::CheckInvariants() const {
  if (rep_ == 0) return;
  if (tag() == kBigTag) return big()->CheckInvariants();
  CHECK(ListpackView::Validate(SmallBytes()));
  CHECK(pack().empty() || IsHashPack(pack(), stride()));
}

}  // namespace cairn
