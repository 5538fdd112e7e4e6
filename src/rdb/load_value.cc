// SPDX-License-Identifier: BSD-3-Clause
//
// One function an on-disk form. Each reads hostile bytes: a collection that holds an element twice,
// nothing at all, or a score that is no number is refused, since commands rely on the opposite.
#include <algorithm>
#include <cmath>
#include <optional>

#include "base/check.h"
#include "base/numbers.h"
#include "rdb/stream_codec.h"
#include "rdb/value.h"
#include "rdb/ziplist.h"
#include "types/field_time.h"
#include "types/sorted_set_builder.h"

namespace cairn {
namespace {

Status Empty() { return Status::NotFound("empty collection"); }
Status Bad(const char* what) { return Status::Corrupt(what); }

template <typename T>
Result<RdbValue> Wrap(T&& value) {
  return RdbValue{std::forward<T>(value)};
}

// The result of a LoadListpack() that refuses with nothing.
template <typename T>
Result<RdbValue> WrapChecked(std::optional<T> value, const char* error) {
  if (!value.has_value()) return Bad(error);
  return Wrap(std::move(*value));
}

Result<RdbValue> LoadList(const Thresholds& thresholds, RdbReader* reader) {
  uint64_t count = reader->Length();
  if (reader->ok() && count == 0) return Empty();
  List list;
  for (; count > 0 && reader->ok(); --count) {
    std::string_view element = reader->Text();
    if (!reader->ok()) break;
    if (element.size() > List::kElementBytesMax) return Bad("list element of 4 GiB");
    list.Push(ListEnd::kBack, element, thresholds);
  }
  CAIRN_RETURN_IF_ERROR(reader->status());
  return Wrap(std::move(list));
}

// Quicklists: nodes are listpacks or single elements (2), or ziplists (1).
Result<RdbValue> LoadQuicklist(RdbType type, const Thresholds& thresholds, RdbReader* reader) {
  uint64_t nodes = reader->Length();
  if (reader->ok() && nodes == 0) return Empty();
  List list;
  for (; nodes > 0 && reader->ok(); --nodes) {
    uint64_t kind = type == RdbType::kListQuicklist2 ? reader->Length() : kRdbNodePacked;
    std::string_view bytes = reader->Text();
    if (!reader->ok()) break;
    if (bytes.size() > List::kElementBytesMax) return Bad("list element of 4 GiB");
    if (kind == kRdbNodePlain) {
      list.AppendPlain(bytes);
    } else if (kind != kRdbNodePacked) {
      return Bad("quicklist node of an unknown kind");
    } else if (type == RdbType::kListQuicklist2) {
      if (!ListpackView::Validate(bytes)) return Bad("quicklist listpack");
      list.AppendListpack(bytes);
    } else {
      std::optional<Listpack> listpack = ZiplistToListpack(bytes);
      if (!listpack.has_value()) return Bad("quicklist ziplist");
      list.AppendListpack(listpack->AsBytes());
    }
  }
  CAIRN_RETURN_IF_ERROR(reader->status());
  if (list.Length() == 0) return Empty();
  list.FinishLoad(thresholds);
  return Wrap(std::move(list));
}

Result<RdbValue> LoadListZiplist(const Thresholds& thresholds, RdbReader* reader) {
  std::string_view bytes = reader->Text();
  CAIRN_RETURN_IF_ERROR(reader->status());
  std::optional<Listpack> listpack = ZiplistToListpack(bytes);
  if (!listpack.has_value()) return Bad("list ziplist");
  if (listpack->empty()) return Empty();
  List list;
  list.AppendListpack(listpack->AsBytes());
  list.FinishLoad(thresholds);
  return Wrap(std::move(list));
}

Result<RdbValue> LoadSet(const Thresholds& thresholds, RdbReader* reader) {
  const uint64_t count = reader->Length();
  if (reader->ok() && count == 0) return Empty();
  Set set;
  for (uint64_t i = 0; i < count && reader->ok(); ++i) {
    std::string_view member = reader->Text();
    if (!reader->ok()) break;
    if (i == 0) {
      set = Set::ForMembers(member, reader->ReserveHint(count), thresholds);
      if (count > static_cast<uint64_t>(thresholds.set_max_intset_entries)) {
        set.Reserve(reader->ReserveHint(count));
      }
    }
    if (!set.Add(member, thresholds)) return Bad("set with a member twice");
  }
  CAIRN_RETURN_IF_ERROR(reader->status());
  return Wrap(std::move(set));
}

Result<RdbValue> LoadZset(RdbType type, const Thresholds& thresholds, RdbReader* reader) {
  const uint64_t count = reader->Length();
  if (reader->ok() && count == 0) return Empty();
  // Servers write large ones in descending order, so that adding one after the other stays in one
  // corner of the tree; small ones are made at the end, when the longest member is known.
  const bool large = count > static_cast<uint64_t>(thresholds.zset_max_listpack_entries);
  SortedSet set;
  if (large) set = SortedSet(reader->ReserveHint(count), SIZE_MAX >> 1, thresholds);
  SortedSetBuilder builder;
  std::string member;
  for (uint64_t i = 0; i < count && reader->ok(); ++i) {
    reader->Text(&member);
    double score = type == RdbType::kZset2 ? reader->BinaryDouble() : reader->TextDouble();
    if (!reader->ok()) break;
    if (std::isnan(score)) return Bad("sorted set with a score that is not a number");
    bool added;
    if (large) {
      added = set.Add(score, member, {}, thresholds).added;
    } else {
      builder.Add(score, member, &added);
    }
    if (!added) return Bad("sorted set with a member twice");
  }
  CAIRN_RETURN_IF_ERROR(reader->status());
  return Wrap(large ? std::move(set) : builder.Build(thresholds));
}

Result<RdbValue> LoadHash(const Thresholds& thresholds, RdbReader* reader) {
  const uint64_t count = reader->Length();
  if (reader->ok() && count == 0) return Empty();
  Hash hash;
  if (count > static_cast<uint64_t>(thresholds.hash_max_listpack_entries)) {
    hash.Reserve(reader->ReserveHint(count));
  }
  std::string field;
  for (uint64_t i = 0; i < count && reader->ok(); ++i) {
    reader->Text(&field);
    std::string_view value = reader->Text();
    if (!reader->ok()) break;
    if (hash.Set(field, value, Hash::kNeverExpired, thresholds) != HashSet::kCreated) {
      return Bad("hash with a field twice");
    }
  }
  CAIRN_RETURN_IF_ERROR(reader->status());
  return Wrap(std::move(hash));
}

// Before its release, Redis 7.4 stored field times as they are; since then from the earliest on.
Result<RdbValue> LoadHashMetadata(RdbType type, const Thresholds& thresholds, RdbReader* reader) {
  const bool relative = type == RdbType::kHashMetadata;
  const uint64_t earliest = relative ? static_cast<uint64_t>(reader->Int64()) : 1;
  const uint64_t count = reader->Length();
  CAIRN_RETURN_IF_ERROR(reader->status());
  if (count == 0) return Empty();
  Hash hash;
  if (count > static_cast<uint64_t>(thresholds.hash_max_listpack_entries)) {
    hash.Reserve(reader->ReserveHint(count));
  }
  std::string field;
  for (uint64_t i = 0; i < count && reader->ok(); ++i) {
    const uint64_t offset = reader->Length();
    reader->Text(&field);
    std::string_view value = reader->Text();
    if (!reader->ok()) break;
    if (hash.Set(field, value, Hash::kNeverExpired, thresholds) != HashSet::kCreated) {
      return Bad("hash with a field twice");
    }
    if (offset == 0) continue;
    uint64_t expiry;
    if (__builtin_add_overflow(offset - 1, earliest, &expiry) || expiry == 0 ||
        expiry > uint64_t{kFieldTimeMaxMs}) {
      return Bad("hash field with an impossible expiry");
    }
    hash.SetExpiry(field, static_cast<int64_t>(expiry), ExpiryCondition::kAlways,
                   Hash::kNeverExpired);
  }
  CAIRN_RETURN_IF_ERROR(reader->status());
  return Wrap(std::move(hash));
}

// Valkey's hash with field times: the time follows the value, -1 is none.
Result<RdbValue> LoadHashValkey(const Thresholds& thresholds, RdbReader* reader) {
  const uint64_t count = reader->Length();
  if (reader->ok() && count == 0) return Empty();
  Hash hash;
  std::string field;
  for (uint64_t i = 0; i < count && reader->ok(); ++i) {
    reader->Text(&field);
    std::string_view value = reader->Text();
    if (!reader->ok()) break;
    if (hash.Set(field, value, Hash::kNeverExpired, thresholds) != HashSet::kCreated) {
      return Bad("hash with a field twice");
    }
    const int64_t expiry = reader->Int64();
    if (expiry == -1 || !reader->ok()) continue;
    if (expiry <= 0 || expiry > kFieldTimeMaxMs) {
      return Bad("hash field with an impossible expiry");
    }
    hash.SetExpiry(field, expiry, ExpiryCondition::kAlways, Hash::kNeverExpired);
  }
  CAIRN_RETURN_IF_ERROR(reader->status());
  return Wrap(std::move(hash));
}

Result<RdbValue> LoadHashListpack(RdbType type, const Thresholds& thresholds, RdbReader* reader) {
  if (type == RdbType::kHashListpackEx) reader->Int64();  // the earliest expiry: the listpack knows
  std::string_view bytes = reader->Text();
  CAIRN_RETURN_IF_ERROR(reader->status());
  if (bytes.size() == ListpackView::kEmptyBytes && ListpackView::Validate(bytes)) return Empty();
  return WrapChecked(Hash::LoadListpack(bytes, type != RdbType::kHashListpack, thresholds),
                     "hash listpack");
}

Result<RdbValue> LoadOldHash(RdbType type, const Thresholds& thresholds, RdbReader* reader) {
  std::string_view bytes = reader->Text();
  CAIRN_RETURN_IF_ERROR(reader->status());
  std::optional<Listpack> listpack =
      type == RdbType::kHashZipmap ? ZipmapToListpack(bytes) : ZiplistToListpack(bytes);
  if (!listpack.has_value()) return Bad("hash zipmap or ziplist");
  if (listpack->empty()) return Empty();
  return WrapChecked(Hash::LoadListpack(listpack->AsBytes(), false, thresholds), "hash elements");
}

Result<RdbValue> LoadSmallSet(RdbType type, const Thresholds& thresholds, RdbReader* reader) {
  std::string_view bytes = reader->Text();
  CAIRN_RETURN_IF_ERROR(reader->status());
  if (type == RdbType::kSetIntset) return WrapChecked(Set::LoadIntset(bytes, thresholds), "intset");
  if (bytes.size() == ListpackView::kEmptyBytes && ListpackView::Validate(bytes)) return Empty();
  return WrapChecked(Set::LoadListpack(bytes, thresholds), "set listpack");
}

Result<RdbValue> LoadSmallZset(RdbType type, const Thresholds& thresholds, RdbReader* reader) {
  std::string_view bytes = reader->Text();
  CAIRN_RETURN_IF_ERROR(reader->status());
  std::optional<Listpack> listpack;
  if (type == RdbType::kZsetZiplist) {
    listpack = ZiplistToListpack(bytes);
    if (!listpack.has_value()) return Bad("sorted set ziplist");
    bytes = listpack->AsBytes();
  }
  if (bytes.size() == ListpackView::kEmptyBytes && ListpackView::Validate(bytes)) return Empty();
  return WrapChecked(SortedSet::LoadListpack(bytes, thresholds), "sorted set elements");
}

}  // namespace

uint64_t RdbValue::Release() {
  return std::visit(
      [](auto& held) -> uint64_t {
        if constexpr (std::is_same_v<std::remove_cvref_t<decltype(held)>, std::string>) {
          CHECK(false);  // a string has no word
        } else {
          return held.Release();
        }
      },
      value);
}

Result<RdbValue> RdbLoad(uint8_t type, const Thresholds& thresholds, RdbReader* reader) {
  const bool valkey = reader->version() >= kRdbVersionValkey;
  const auto rdb_type = static_cast<RdbType>(type);
  if (!IsRdbType(type) ||
      (valkey ? type > kRdbTypeMaxValkey
              : RdbVersionOf(rdb_type) > std::max(reader->version(), kRdbVersion)))
    return Bad("unknown value type");
  switch (rdb_type) {
    case RdbType::kString: {
      std::string text;
      reader->Text(&text);
      CAIRN_RETURN_IF_ERROR(reader->status());
      return Wrap(std::move(text));
    }
    case RdbType::kList: return LoadList(thresholds, reader);
    case RdbType::kListZiplist: return LoadListZiplist(thresholds, reader);
    case RdbType::kListQuicklist:
    case RdbType::kListQuicklist2: return LoadQuicklist(rdb_type, thresholds, reader);
    case RdbType::kSet: return LoadSet(thresholds, reader);
    case RdbType::kSetIntset:
    case RdbType::kSetListpack: return LoadSmallSet(rdb_type, thresholds, reader);
    case RdbType::kZset:
    case RdbType::kZset2: return LoadZset(rdb_type, thresholds, reader);
    case RdbType::kZsetZiplist:
    case RdbType::kZsetListpack: return LoadSmallZset(rdb_type, thresholds, reader);
    case RdbType::kHash: return LoadHash(thresholds, reader);
    case RdbType::kHashMetadataPreGa:
      if (valkey) return LoadHashValkey(thresholds, reader);
      [[fallthrough]];
    case RdbType::kHashMetadata: return LoadHashMetadata(rdb_type, thresholds, reader);
    case RdbType::kHashZipmap:
    case RdbType::kHashZiplist: return LoadOldHash(rdb_type, thresholds, reader);
    case RdbType::kHashListpack:
    case RdbType::kHashListpackEx:
    case RdbType::kHashListpackExPreGa: return LoadHashListpack(rdb_type, thresholds, reader);
    case RdbType::kStreamListpacks:
    case RdbType::kStreamListpacks2:
    case RdbType::kStreamListpacks3:
    case RdbType::kStreamListpacks4:
    case RdbType::kStreamListpacks5:
      return RdbLoadStream(rdb_type, reader);
    case RdbType::kModulePreGa:
    case RdbType::kModule2: return Status::Unavailable("value of a module");
  }
  return Bad("unknown value type");
}

}  // namespace cairn
