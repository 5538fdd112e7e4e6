// SPDX-License-Identifier: BSD-3-Clause
//
// The world that scripts see: a Lua state with a chosen part of the standard library, and tables
// that they may read but not change.
//
//   env (what a chunk's globals are; empty)  --__index-->  builtins (KEYS, ARGV, redis, string ...)
//     __newindex: "Attempt to modify a readonly table"       --__index--> "Script attempted to
//                                                             access nonexistent global variable"
//
// Lua 5.1 has no read-only tables, so each protected table is an empty proxy whose metatable leads
// to the real one; pairs, rawget, rawset, setmetatable know proxies (IsProxy). Scripts have no os
// but os.clock, no io, ffi, debug, require, setfenv, and no way to load bytecode.
// The interpreter is Debian's Lua 5.1, the one that Redis carries: the same texts of errors and the
// same order of tables, so that cjson and cmsgpack write the same bytes.
#pragma once

#include <string_view>

#include <lua5.1/lua.hpp>

namespace cairn {

// A new state with the sandbox in place, its globals being `env`. *builtins becomes a registry
// reference to the table behind env.
lua_State* NewSandbox(int* builtins);

// Puts an empty proxy in place of the table on the top. With `strict`, reading a name that is not
// there is the error that globals give.
void ProtectTable(lua_State* L, bool strict = false);

// Raises the error of all attempts to change what is protected.
int RaiseReadOnly(lua_State* L);

// Pushes the function of a chunk of Lua text, or (false) the error. Bytecode is refused.
bool LoadLuaText(lua_State* L, std::string_view text, const char* name);

// bit.cc, cmsgpack.cc and struct.cc: push the library's table.
int OpenBit(lua_State* L);
int OpenCmsgpack(lua_State* L);
int OpenStruct(lua_State* L);

}  // namespace cairn
