// SPDX-License-Identifier: BSD-3-Clause
//
// A command's reply as a Lua value:
//
//   integer -> number      bulk -> string       status -> {ok=...}     error -> {err=...}
//   array -> table         null -> false (RESP2), nil (RESP3)
//   map -> {map={...}}     set -> {set={x=true}}           double -> {double=n}
//   bool -> boolean        big number -> {big_number=...}
//   verbatim -> {verbatim_string={format=..., string=...}}
#pragma once

#include <string_view>

#include <lua5.1/lua.hpp>

namespace cairn {

// Pushes one value. `reply` is one whole reply, as a ReplyWriter wrote it.
void PushReply(lua_State* L, std::string_view reply);

// Pushes the table of an error: {err="CODE text"}. With `counted` it says that the statistics have
// seen it already, so that returning it does not count it again.
void PushError(lua_State* L, std::string_view text, bool counted = false);

}  // namespace cairn
