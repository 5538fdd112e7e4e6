// SPDX-License-Identifier: BSD-3-Clause
//
// What the popping commands of sorted sets and their blocking forms share.
#pragma once

#include <cstdint>

#include "commands/blocking_common.h"
#include "exec/context.h"
#include "exec/refs.h"
#include "types/sorted_set.h"

namespace cairn {

inline const char* PopEvent(bool highest) {
  return highest ? "zpopmax" : "zpopmin";
}

// Pops up to `count` members into an array reply and settles the ref; each member is a pair of its
// own if `nested`.
void PopMembers(Context& ctx, WriteRef<SortedSet>& set, bool highest, uint64_t count, bool nested);

// ZMPOP and BZMPOP from their numkeys on: numkeys key [key ...] MIN|MAX [COUNT count].
struct SortedSetMultiPop : MultiPopArguments {
  bool highest = false;

  // False: the error was replied.
  bool Read(Context& ctx, size_t numkeys_at);
  // False, without a reply, if all sets are empty.
  bool Run(Context& ctx) const;
};

}  // namespace cairn
