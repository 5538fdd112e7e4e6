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

#include <cstddef>
#include <string_view>

#include <lua5.1/lua.hpp>

namespace cairn {

// How much a worker's Lua may hold: beyond it a script gets "not enough memory".
inline constexpr size_t kLuaBytesMax = size_t{1} << 30;

// How much of it one result of a library may take.
inline constexpr size_t kLuaResultBytesMax = kLuaBytesMax / 4;

// What a Lua state has allocated. The bound counts while `bounded` only: outside protected calls an
// error would be the end of the server.
struct LuaMemory {
  size_t bytes = 0;
  bool bounded = false;
};

// How many values a walk over a value may meet: as many as Lua's memory can hold and some more, for
// tables that stand in it several times; one that stands in itself would keep the walk for ever.
size_t ValuesMax(lua_State* L);

// Raises "not enough memory" unless so many bytes more fit, if need be after a collection. For what
// could not free what it holds if Lua refused it memory half-way.
void RequireMemory(lua_State* L, size_t bytes);

// A new state with the sandbox in place, its globals being `env`. *builtins becomes a registry
// reference to the table behind env.
lua_State* NewSandbox(LuaMemory* memory, int* builtins);
// Gives env another table of builtins, a registry reference.
void ShowBuiltins(lua_State* L, int builtins);

// Reading a name that is not in the table on the top becomes the error that globals give.
void MakeStrict(lua_State* L);
// Puts an empty proxy in place of the table on the top. With `strict`, reading a name that is not
// there is the error that globals give.
void ProtectTable(lua_State* L, bool strict = false);

bool IsProtected(lua_State* L, int index);

// Is the hook to look at every instruction, because the script that runs has to end? EndIfStopped
// has the hook look at once: it raises the error again. Whatever has caught an error asks that, so
// that a script cannot keep the one that ends it.
bool IsStopped(lua_State* L);
void EndIfStopped(lua_State* L);

// Raise the error of all attempts to change what is protected; Plain: without its place.
int RaiseReadOnly(lua_State* L);
int RaiseReadOnlyPlain(lua_State* L);

// Pushes the function of a chunk of Lua text, or (false) the error. Bytecode is refused.
bool LoadLuaText(lua_State* L, std::string_view text, const char* name);

// guards.cc: puts guards into a library of Lua, its table being on the top ("": the globals).
void GuardLibrary(lua_State* L, std::string_view library);
// json_guards.cc: the same for cjson.
void GuardJson(lua_State* L);
// bit.cc, cmsgpack.cc and struct.cc: push the library's table.
int OpenBit(lua_State* L);
int OpenCmsgpack(lua_State* L);
int OpenStruct(lua_State* L);

}  // namespace cairn
