// SPDX-License-Identifier: BSD-3-Clause
#include "base/check.h"
#include "base/numbers.h"
#include "rdb/save_element.h"
#include "rdb/stream_codec.h"
#include "rdb/value.h"

namespace cairn {
namespace {

// Calls `use` with the object that owns the word, which is given back unharmed.
template <typename Use>
auto WithBorrowed(Type type, uint64_t rep, Use use) {
  auto call = [&use](auto object) {
    if constexpr (std::is_void_v<decltype(use(object))>) {
      use(object);
      (void)object.Release();
    } else {
      auto result = use(object);
      (void)object.Release();
      return result;
    }
  };
  switch (type) {
    case Type::kList: return call(List::Adopt(rep));
    case Type::kSet: return call(Set::Adopt(rep));
    case Type::kSortedSet: return call(SortedSet::Adopt(rep));
    case Type::kHash: return call(Hash::Adopt(rep));
    default: CHECK(type == Type::kStream); return call(Stream::Adopt(rep));
  }
}

// Fields without expiry: the hash counts those that have expired, too.
void SaveHashFields(const Hash& hash, RdbWriter* writer) {
  writer->Length(hash.Length());
  hash.ForEach(Hash::kNeverExpired, [writer](const HashField& field) {
    SaveElement(field.field, writer);
    SaveElement(field.value, writer);
    return true;
  });
}

void SaveHashMetadata(const Hash& hash, RdbWriter* writer) {
  const int64_t earliest = hash.NextExpiry();
  writer->Int64(earliest);
  writer->Length(hash.Length());
  hash.ForEach(Hash::kNeverExpired, [writer, earliest](const HashField& field) {
    SaveFieldExpiry(field.expiry_ms, earliest, writer);
    SaveElement(field.field, writer);
    SaveElement(field.value, writer);
    return true;
  });
}

}  // namespace

RdbType RdbTypeOf(const List&, int) { return RdbType::kListQuicklist2; }

RdbType RdbTypeOf(const Set& set, int version) {
  switch (set.encoding()) {
    case Encoding::kIntset: return RdbType::kSetIntset;
    case Encoding::kListpack:
      return version >= kRdbVersionSetListpack && !set.empty() ? RdbType::kSetListpack
                                                               : RdbType::kSet;
    default: return RdbType::kSet;
  }
}

RdbType RdbTypeOf(const SortedSet& set, int) {
  return set.encoding() == Encoding::kListpack ? RdbType::kZsetListpack : RdbType::kZset2;
}

RdbType RdbTypeOf(const Hash& hash, int) {
  switch (hash.encoding()) {
    case Encoding::kListpack: return RdbType::kHashListpack;
    case Encoding::kListpackEx:
      return hash.NextExpiry() != Hash::kNoExpiry ? RdbType::kHashListpackEx : RdbType::kHash;
    default:
      return hash.NextExpiry() != Hash::kNoExpiry ? RdbType::kHashMetadata : RdbType::kHash;
  }
}

RdbType RdbTypeOf(const Stream&, int version) {
  return version >= kRdbVersionSetListpack ? RdbType::kStreamListpacks3
                                           : RdbType::kStreamListpacks2;
}

int RdbVersionOf(RdbType type) {
  switch (type) {
    case RdbType::kSetListpack:
    case RdbType::kStreamListpacks3: return kRdbVersionSetListpack;
    case RdbType::kHashMetadata:
    case RdbType::kHashListpackEx: return kRdbVersionFieldExpiry;
    case RdbType::kStreamListpacks4:
      return kRdbVersionStreamProducers;
    case RdbType::kStreamListpacks5:
      return kRdbVersionStreamReleased;
    default: return kRdbVersionMin;
  }
}

void RdbSave(const List& list, RdbType, RdbWriter* writer) {
  writer->Length(list.ChunkCount());
  List::ChunkReader chunks(list);
  std::string_view bytes;
  bool plain;
  while (chunks.Next(&bytes, &plain)) {
    writer->Length(plain ? kRdbNodePlain : kRdbNodePacked);
    writer->String(bytes);
  }
}

void RdbSave(const Set& set, RdbType type, RdbWriter* writer) {
  if (type != RdbType::kSet) return writer->String(set.SmallBytes());
  writer->Length(set.Size());
  set.ForEach([writer](const ListpackValue& member) {
    SaveElement(member, writer);
    return true;
  });
}

void RdbSave(const SortedSet& set, RdbType type, RdbWriter* writer) {
  if (type == RdbType::kZsetListpack) return writer->String(set.listpack().AsBytes());
  writer->Length(set.Size());
  // From the highest down: Redis then inserts each at the head of its skiplist.
  for (auto it = set.Iterate(set.All(), true); it.Valid(); it.Next()) {
    writer->String(it.member());
    writer->BinaryDouble(it.score());
  }
}

void RdbSave(const Hash& hash, RdbType type, RdbWriter* writer) {
  switch (type) {
    case RdbType::kHashListpackEx: writer->Int64(hash.NextExpiry()); [[fallthrough]];
    case RdbType::kHashListpack: return writer->String(hash.SmallBytes());
    case RdbType::kHashMetadata: return SaveHashMetadata(hash, writer);
    default: return SaveHashFields(hash, writer);
  }
}

void RdbSave(const Stream& stream, RdbType type, RdbWriter* writer) {
  RdbSaveStream(stream, type, writer);
}

RdbType RdbTypeOf(Type type, uint64_t rep, int version) {
  return WithBorrowed(type, rep, [&](const auto& value) { return RdbTypeOf(value, version); });
}

void RdbSave(Type type, uint64_t rep, RdbType rdb_type, RdbWriter* writer) {
  WithBorrowed(type, rep, [&](const auto& value) { RdbSave(value, rdb_type, writer); });
}

}  // namespace cairn
