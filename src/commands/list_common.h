// SPDX-License-Identifier: BSD-3-Clause
//
// What the list commands and their blocking forms share.
#pragma once

#include <cstdint>
#include <string_view>

#include "commands/blocking_common.h"
#include "exec/context.h"
#include "exec/refs.h"
#include "types/list.h"

namespace cairn {

inline const char* PushEvent(ListEnd end) {
  return end == ListEnd::kFront ? "lpush" : "rpush";
}
inline const char* PopEvent(ListEnd end) {
  return end == ListEnd::kFront ? "lpop" : "rpop";
}

// LEFT or RIGHT.
bool ReadListEnd(std::string_view text, ListEnd* end);

// Pops up to `count` elements into an array reply and settles the ref.
void PopElements(Context& ctx, WriteRef<List>& list, ListEnd end, uint64_t count);

// Moves an element of the list at argument 1 to the one at argument 2 and replies it, or an error.
// False, without a reply, if there is no source.
bool MoveElement(Context& ctx, ListEnd from, ListEnd to);

// LMPOP and BLMPOP from their numkeys on: numkeys key [key ...] LEFT|RIGHT [COUNT count].
struct ListMultiPop : MultiPopArguments {
  ListEnd end = ListEnd::kFront;

  // False: the error was replied.
  bool Read(Context& ctx, size_t numkeys_at);
  // False, without a reply, if all lists are empty.
  bool Run(Context& ctx) const;
};

}  // namespace cairn
