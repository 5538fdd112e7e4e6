// SPDX-License-Identifier: BSD-3-Clause
//
// Deleting the fields of a hash whose time has come: in a slice of the active cycle, and before a
// command changes the hash.
#pragma once

#include <cstddef>
#include <cstdint>

namespace cairn {

class Entry;
class Unit;

// Deletes at most `limit` due fields of the hash in `entry`, and the key with the last of them;
// journals an HDEL and queues the events "hexpired" and "del". Nothing happens unless the unit's
// ExpiryMode is kNormal. Returns how many fields went; after that `entry` may be gone.
size_t ExpireFields(Unit& unit, int db, uint64_t hash, Entry* entry, size_t limit);

}  // namespace cairn
