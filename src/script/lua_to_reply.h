// SPDX-License-Identifier: BSD-3-Clause
//
// What a script returns as a reply:
//
//   string -> bulk         number -> integer, cut towards zero         boolean -> 1 or null; a real
//   nil, function ... -> null                                            one after setresp(3)
//   table: {err=} error, {ok=} status, {double=}, {map=}, {set=}, {big_number=},
//          {verbatim_string={string=,format=}}; else an array up to the first nil
#pragma once

#include <string>
#include <string_view>

#include <lua5.1/lua.hpp>

namespace cairn {

class ReplyWriter;

// Writes the value on the top of the stack, and pops it. `script_resp` is what redis.setresp said.
void WriteLuaValue(lua_State* L, int script_resp, ReplyWriter& reply);

// What stands in an error object: a string, or a table {err=, source=, line=}.
struct LuaError {
  std::string text;  // with its code
  std::string source, line;
  bool counted = false;
};
// Reads the error on the top of the stack, and pops it.
LuaError TakeError(lua_State* L);
// Replies it; one that is counted already does not count again.
void WriteError(ReplyWriter& reply, std::string_view text, bool counted);

}  // namespace cairn
