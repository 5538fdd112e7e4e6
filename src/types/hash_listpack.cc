// SPDX-License-Identifier: BSD-3-Clause
#include "types/hash_listpack.h"

#include <algorithm>
#include <string>
#include <vector>

#include "base/hash.h"
#include "types/field_time.h"

namespace cairn {

using Pos = ListpackView::Pos;

HashPackEntry ReadHashPackEntry(ListpackView pack, Pos pos, size_t stride) {
  HashPackEntry entry{pos, pack.Next(pos), 0};
  if (stride == 3) entry.expiry_ms = pack.Get(pack.Next(entry.value_pos)).integer();
  return entry;
}

HashPackEntry FindInHashPack(ListpackView pack, std::string_view field, size_t stride) {
  const Pos pos = pack.Find(pack.First(), field, stride - 1);
  if (pos == ListpackView::kNone) return {pos, pos, 0};
  return ReadHashPackEntry(pack, pos, stride);
}

namespace {

// The first triple that has to stand behind one with this expiry; kNone: the end.
Pos PlaceInHashPack(ListpackView pack, int64_t expiry_ms) {
  if (expiry_ms == 0) return ListpackView::kNone;
  Pos pos = pack.First();
  while (pos != ListpackView::kNone) {
    const HashPackEntry entry = ReadHashPackEntry(pack, pos, 3);
    if (entry.expiry_ms == 0 || entry.expiry_ms > expiry_ms) break;
    pos = pack.Next(pack.Next(entry.value_pos));
  }
  return pos;
}

}  // namespace

void AddToHashPack(Listpack* pack, std::string_view field, std::string_view value, size_t stride,
                   int64_t expiry_ms) {
  const Pos place = stride == 3 ? PlaceInHashPack(*pack, expiry_ms) : ListpackView::kNone;
  if (place == ListpackView::kNone) {
    pack->Append(field);
    pack->Append(value);
    if (stride == 3) pack->Append(expiry_ms);
    return;
  }
  Pos pos = pack->InsertBefore(place, field);
  pos = pack->InsertAfter(pos, value);
  pack->InsertAfter(pos, ListpackEntry(expiry_ms));
}

void MoveInHashPack(Listpack* pack, const HashPackEntry& entry, int64_t expiry_ms) {
  char digits[2][kInt64CharsMax];
  const std::string field(pack->Get(entry.pos).Text(digits[0]));
  const std::string value(pack->Get(entry.value_pos).Text(digits[1]));
  pack->Delete(entry.pos, 3);
  AddToHashPack(pack, field, value, 3, expiry_ms);
}

Listpack AddExpiryColumn(ListpackView pack) {
  Listpack triples(pack.Bytes() + pack.Length());
  char digits[kInt64CharsMax];
  bool is_value = false;
  pack.ForEach([&](const ListpackValue& element) {
    triples.Append(element.Text(digits));
    if (is_value) triples.Append(int64_t{0});
    is_value = !is_value;
    return true;
  });
  return triples;
}

size_t CountExpiredInHashPack(ListpackView pack, int64_t now_ms) {
  size_t expired = 0;
  for (Pos pos = pack.First(); pos != ListpackView::kNone; ++expired) {
    const HashPackEntry entry = ReadHashPackEntry(pack, pos, 3);
    if (entry.expiry_ms == 0 || entry.expiry_ms >= now_ms) break;
    pos = pack.Next(pack.Next(entry.value_pos));
  }
  return expired;
}

bool IsHashPack(ListpackView pack, size_t stride) {
  std::vector<uint64_t> hashes;
  size_t index = 0;
  int64_t last_expiry = 0;
  bool ordered = true;
  pack.ForEach([&](const ListpackValue& element) {
    const size_t column = index++ % stride;
    if (column == 2) {
      // Ascending, then none.
      const int64_t expiry = element.is_int() ? element.integer() : -1;
      ordered = expiry == 0 || expiry >= last_expiry;
      if (expiry < 0 || expiry > kFieldTimeMaxMs) ordered = false;
      last_expiry = expiry == 0 ? INT64_MAX : expiry;
      return ordered;
    }
    char digits[kInt64CharsMax];
    if (column == 0) hashes.push_back(HashBytes(element.Text(digits)));
    return true;
  });
  if (!ordered || index == 0 || index % stride != 0) return false;
  std::sort(hashes.begin(), hashes.end());
  return std::adjacent_find(hashes.begin(), hashes.end()) == hashes.end();
}

}  // namespace cairn
