// SPDX-License-Identifier: BSD-3-Clause
#include "snapshot/big_record.h"

#include <algorithm>

#include "keyspace/object_ops.h"

namespace cairn {
namespace {

constexpr size_t kElementsMax = 4096;       // more are big whatever their size
constexpr size_t kElementsMin = 16;         // fewer are not looked at
constexpr size_t kBytesMax = 256 << 10;     // as the value lies in memory
constexpr size_t kElementsSampled = 4;

}  // namespace

bool BigRecord::IsBig(const Entry& entry) {
  if (entry.is_string())
    return entry.form() == Entry::Form::kBlock && entry.block()->size >= Part::kBigStringBytes;
  const size_t elements = ObjectFreeEffort(entry.type(), entry.rep());
  if (elements < kElementsMin) return false;
  return elements > kElementsMax ||
         ObjectMemory(entry.type(), entry.rep(), kElementsSampled) > kBytesMax;
}

void BigRecord::Begin(int db, const Entry& entry, const AccessRecord& access) {
  const RdbType type = RdbTypeOf(entry.type(), entry.rep(), kRdbVersionMin);
  version_ = RdbVersionOf(type);
  bytes_.clear();
  int selected = -1;
  RdbWriter writer(&bytes_, false);
  AppendRecordHead(db, entry.expiry_ms(), entry.access(), access, &selected, &writer);
  writer.Type(type);
  writer.String(entry.key());
  saver_.emplace(entry.type(), entry.rep(), type, &bytes_);
}

}  // namespace cairn
