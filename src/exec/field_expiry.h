// SPDX-License-Identifier: BSD-3-Clause
//
// Deleting the fields of a hash whose time has come: when a command names them, and in slices of
// the active cycle (Executor::ExpireFieldsSlice, beside these in the .cc).
//
// Each deletion is an effect, HDEL, journaled before that of the command that met the field; so a
// replay and a follower, where nothing expires by itself, see the fields vanish at the same point.
// Commands that name no field (HGETALL, HSCAN) hide expired ones and leave them in place, as Redis
// does: nothing recorded depends on them.
//
// The events are "hexpired", one for all fields of a hash, and "del" if none is left. Nothing
// happens unless the unit's ExpiryMode is kNormal. All return how many fields went; after that
// `entry` may be gone.
#pragma once

#include <cstddef>
#include <cstdint>

#include "spec/command.h"

namespace cairn {

class Entry;
class Unit;

// At most `limit` due fields of the hash in `entry`, the earliest first.
size_t ExpireFields(Unit& unit, int db, uint64_t hash, Entry* entry, size_t limit);

// Those of the fields `names[0]`, `names[step]`, ... that are due. O(1) if no field of the hash is.
size_t ExpireNamedFields(Unit& unit, int db, uint64_t hash, Entry* entry, Arguments names,
                         size_t step = 1);

}  // namespace cairn
