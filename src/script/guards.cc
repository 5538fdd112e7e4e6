// SPDX-License-Identifier: BSD-3-Clause
//
// Functions of Lua's library that a script could break the server with, each with a guard before
// it. The guard calls Lua's own function as a plain C function, within its own frame, so that texts
// of errors and their places stay as they are.
#include <climits>
#include <cstring>
#include <string_view>

#include "script/sandbox.h"

namespace cairn {
namespace {

// A pattern's matcher calls itself once for each item that may match differently: so many fit well
// into the stack of a script (8 MiB).
constexpr size_t kPatternItemsMax = 5000;

// Lua's own function, which the guard stands for.
int CallOwn(lua_State* L) {
  return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

// string.match, gmatch, gsub(text, pattern, ...)
int MatchPattern(lua_State* L) {
  size_t length = 0;
  const char* pattern = lua_type(L, 2) == LUA_TSTRING ? lua_tolstring(L, 2, &length) : nullptr;
  if (length > kPatternItemsMax) {
    size_t items = 0;
    for (const char c : std::string_view(pattern, length))
      items += c == '*' || c == '+' || c == '-' || c == '?' || c == '(' || c == ')' || c == '%';
    if (items > kPatternItemsMax) return luaL_error(L, "pattern too complex");
  }
  return CallOwn(L);
}

// string.find(text, pattern [, init [, plain]]): a plain one is no pattern.
int Find(lua_State* L) {
  return lua_toboolean(L, 4) ? CallOwn(L) : MatchPattern(L);
}

// string.rep(text, n): in one step, as Lua's own appends the text n times and cannot be stopped.
int Repeat(lua_State* L) {
  size_t length;
  const char* text = luaL_checklstring(L, 1, &length);
  const int n = luaL_checkint(L, 2);
  if (n <= 0 || length == 0) {
    lua_pushliteral(L, "");
    return 1;
  }
  const auto times = static_cast<size_t>(n);
  if (length > kLuaResultBytesMax / times) return luaL_error(L, "resulting string too large");
  auto* bytes = static_cast<char*>(lua_newuserdata(L, length * times));
  const size_t total = length * times;
  memcpy(bytes, text, length);
  for (size_t done = length; done < total; done *= 2)
    memcpy(bytes + done, bytes, done < total - done ? done : total - done);
  lua_pushlstring(L, bytes, total);
  return 1;
}

// unpack(table [, first [, last]]): Lua's own counts in an int that overflows.
int Unpack(lua_State* L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  const int first = luaL_optint(L, 2, 1);
  const int last = luaL_opt(L, luaL_checkint, 3, static_cast<int>(lua_objlen(L, 1)));
  if (static_cast<int64_t>(last) - first >= INT_MAX)
    return luaL_error(L, "too many results to unpack");
  return CallOwn(L);
}

// table.insert(table, [position,] value): past the metatable that protects a table; and it moves
// one by one what stands behind a position, though that be billions of nothing.
int Insert(lua_State* L) {
  constexpr int kLowestPosition = -1000000;
  luaL_checktype(L, 1, LUA_TTABLE);
  if (IsProtected(L, 1)) return RaiseReadOnlyPlain(L);
  // As Lua reads it: 2^31 is an integer far below.
  if (lua_gettop(L) == 3 && luaL_checkint(L, 2) < kLowestPosition)
    return luaL_error(L, "position too far below the table");
  return CallOwn(L);
}

// -- coroutines --
//
// A script that is to end is made to by a hook at every instruction; but each coroutine has a hook
// of its own. So what a coroutine was told is told to whoever resumed it, who ends there, unless
// the coroutine has outlived the script that was to end.

void PassHookOn(lua_State* L, lua_State* coroutine) {
  if (!IsStopped(coroutine)) return;
  lua_sethook(L, lua_gethook(coroutine), LUA_MASKCOUNT, 1);
  EndIfStopped(L);
}

// coroutine.resume(coroutine, ...)
int Resume(lua_State* L) {
  lua_State* coroutine = lua_tothread(L, 1);
  const int results = CallOwn(L);
  if (coroutine != nullptr) PassHookOn(L, coroutine);
  return results;
}

// What coroutine.wrap gives. Upvalues: Lua's own resume, the coroutine.
int ResumeWrapped(lua_State* L) {
  lua_State* coroutine = lua_tothread(L, lua_upvalueindex(2));
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_insert(L, 1);
  const int results = CallOwn(L);
  PassHookOn(L, coroutine);
  if (lua_toboolean(L, -results)) return results - 1;
  if (lua_isstring(L, -1)) {
    luaL_where(L, 1);
    lua_insert(L, -2);
    lua_concat(L, 2);
  }
  return lua_error(L);
}

// coroutine.wrap(function). Upvalues: Lua's own create and resume.
int Wrap(lua_State* L) {
  CallOwn(L);
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_insert(L, -2);
  lua_pushcclosure(L, ResumeWrapped, 2);
  return 1;
}

// In the table on the top: `name` is the library's own function behind the guard.
void Guard(lua_State* L, const char* name, lua_CFunction guard) {
  lua_getfield(L, -1, name);
  lua_pushcclosure(L, guard, 1);
  lua_setfield(L, -2, name);
}

}  // namespace

void GuardLibrary(lua_State* L, std::string_view library) {
  if (library == "string") {
    for (const char* name : {"match", "gmatch", "gfind", "gsub"}) Guard(L, name, MatchPattern);
    Guard(L, "find", Find);
    Guard(L, "rep", Repeat);
  } else if (library == "table") {
    Guard(L, "insert", Insert);
  } else if (library == "coroutine") {
    lua_getfield(L, -1, "create");
    lua_getfield(L, -2, "resume");
    lua_pushcclosure(L, Wrap, 2);
    lua_setfield(L, -2, "wrap");
    Guard(L, "resume", Resume);
  } else if (library == "cjson") {
    GuardJson(L);
  } else if (library.empty()) {
    Guard(L, "unpack", Unpack);
  }
}

}  // namespace cairn
