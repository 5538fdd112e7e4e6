// SPDX-License-Identifier: BSD-3-Clause
//
// The small encodings of a hash, for hash.cc only: a listpack of (field, value) or, with expiry, of
// (field, value, expiry in ms or 0). The triples with an expiry come first, in its order, later
// ones of the same time behind earlier ones; those without follow in order of arrival.
#pragma once

#include <cstdint>
#include <string_view>

#include "containers/listpack.h"

namespace cairn {

// Where one field is and what it holds.
struct HashPackEntry {
  ListpackView::Pos pos;  // of the field
  ListpackView::Pos value_pos;
  int64_t expiry_ms;  // 0: none

  bool found() const { return pos != ListpackView::kNone; }
};

// `stride`: 2, or 3 with expiry.
HashPackEntry ReadHashPackEntry(ListpackView pack, ListpackView::Pos pos, size_t stride);
HashPackEntry FindInHashPack(ListpackView pack, std::string_view field, size_t stride);
// Adds a field that is not there, at the place its expiry asks for.
void AddToHashPack(Listpack* pack, std::string_view field, std::string_view value, size_t stride,
                   int64_t expiry_ms);
// Gives the triple at `entry` another value or expiry, moving it if need be.
void MoveInHashPack(Listpack* pack, const HashPackEntry& entry, int64_t expiry_ms);
// The pairs of `pack` as triples without expiry.
Listpack AddExpiryColumn(ListpackView pack);
// How many triples at the start have expired.
size_t CountExpiredInHashPack(ListpackView pack, int64_t now_ms);
// Whether valid listpack bytes are a hash: whole rows, no field twice, expiries in order and none
// behind kFieldTimeMaxMs.
bool IsHashPack(ListpackView pack, size_t stride);

}  // namespace cairn
