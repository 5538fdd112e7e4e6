// SPDX-License-Identifier: BSD-3-Clause
#include "script/sandbox.h"

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <new>

#include "base/random.h"

// Debian's lua-cjson: its own header names it without saying that it is C.
extern "C" int luaopen_cjson(lua_State* L);

namespace cairn {
namespace {

// The key in a proxy's metatable under which the real table stands: its address.
char real_table_key;

// Pushes the table behind the proxy at `index`; false (nothing pushed) if it is none.
bool PushReal(lua_State* L, int index) {
  if (!lua_getmetatable(L, index)) return false;
  lua_pushlightuserdata(L, &real_table_key);
  lua_rawget(L, -2);
  lua_remove(L, -2);
  if (lua_istable(L, -1)) return true;
  lua_pop(L, 1);
  return false;
}

constexpr const char* kBytecodeRefused = "attempt to load chunk with wrong mode";

bool IsBytecode(std::string_view chunk) {
  return chunk.starts_with(LUA_SIGNATURE[0]);
}

int RaiseMissingGlobal(lua_State* L) {
  const char* name = lua_type(L, 2) == LUA_TBOOLEAN ? nullptr : lua_tostring(L, 2);
  return luaL_error(L, "Script attempted to access nonexistent global variable '%s'",
                    name != nullptr ? name : "?");
}

// Lua's memory is the server's: it counts as used.
void* Allocate(void* data, void* block, size_t old_size, size_t size) {
  auto& memory = *static_cast<LuaMemory*>(data);
  if (size == 0) {
    free(block);
    memory.bytes -= old_size;
    return nullptr;
  }
  if (size > old_size && memory.bounded && memory.bytes + (size - old_size) > kLuaBytesMax)
    return nullptr;
  void* fresh = realloc(block, size);
  if (fresh != nullptr) memory.bytes += size - old_size;
  return fresh;
}

const LuaMemory& MemoryOf(lua_State* L) {
  void* data;
  lua_getallocf(L, &data);
  return *static_cast<LuaMemory*>(data);
}

// -- the functions of Lua that know proxies --

int Next(lua_State* L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 2);
  if (PushReal(L, 1)) lua_replace(L, 1);
  if (lua_next(L, 1) != 0) return 2;
  lua_pushnil(L);
  return 1;
}

// Gives the proxy, not the table behind it, which the script could change.
int Pairs(lua_State* L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_pushvalue(L, lua_upvalueindex(1));  // next
  lua_pushvalue(L, 1);
  lua_pushnil(L);
  return 3;
}

int RawGet(lua_State* L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_checkany(L, 2);
  lua_settop(L, 2);
  if (PushReal(L, 1)) lua_replace(L, 1);
  lua_rawget(L, 1);
  return 1;
}

int RawSet(lua_State* L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_checkany(L, 2);
  luaL_checkany(L, 3);
  if (PushReal(L, 1)) return RaiseReadOnlyPlain(L);
  lua_settop(L, 3);
  lua_rawset(L, 1);
  return 1;
}

int SetMetatable(lua_State* L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  const int type = lua_type(L, 2);
  luaL_argcheck(L, type == LUA_TNIL || type == LUA_TTABLE, 2, "nil or table expected");
  if (PushReal(L, 1)) return RaiseReadOnlyPlain(L);
  if (luaL_getmetafield(L, 1, "__metatable"))
    return luaL_error(L, "cannot change a protected metatable");
  lua_settop(L, 2);
  lua_setmetatable(L, 1);
  return 1;
}

// load and loadstring take text only: bytecode could break out of the interpreter. They return the
// function on the top, or nil and the error that is there.
int LoadResult(lua_State* L, bool loaded) {
  if (loaded) return 1;
  lua_pushnil(L);
  lua_insert(L, -2);
  return 2;
}

int LoadString(lua_State* L) {
  size_t length;
  const char* text = luaL_checklstring(L, 1, &length);
  return LoadResult(L, LoadLuaText(L, {text, length}, luaL_optstring(L, 2, text)));
}

// The next piece of a text for Lua's parser: what the function at index 1 returns. It is kept at
// index 3 while the parser reads it.
const char* ReadPiece(lua_State* L, void* data, size_t* bytes) {
  constexpr uint32_t kPiecesPerLook = 1000;
  auto& pieces = *static_cast<uint32_t*>(data);
  luaL_checkstack(L, 2, "too many nested functions");
  // A function of the library may go on giving pieces for ever, without an instruction of Lua's.
  if (++pieces % kPiecesPerLook == 0 && lua_gethook(L) != nullptr) lua_gethook(L)(L, nullptr);
  lua_pushvalue(L, 1);
  lua_call(L, 0, 1);
  if (lua_isnil(L, -1)) {
    *bytes = 0;
    return nullptr;
  }
  if (!lua_isstring(L, -1)) luaL_error(L, "reader function must return a string");
  lua_replace(L, 3);
  const char* text = lua_tolstring(L, 3, bytes);
  if (pieces == 1 && IsBytecode({text, *bytes})) luaL_error(L, kBytecodeRefused);
  return text;
}

// load(function [, name]): the function gives the text piece by piece, up to an empty one or nil.
int Load(lua_State* L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  const char* name = luaL_optstring(L, 2, "=(load)");
  lua_settop(L, 3);
  uint32_t pieces = 0;
  const bool loaded = lua_load(L, ReadPiece, &pieces, name) == 0;
  EndIfStopped(L);
  return LoadResult(L, loaded);
}

// pcall gives an error that is a table {err=...} as its text, as scripts have always seen it.
int ProtectedCall(lua_State* L) {
  luaL_checkany(L, 1);
  if (lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0) == 0) {
    lua_pushboolean(L, 1);
    lua_insert(L, 1);
    return lua_gettop(L);
  }
  EndIfStopped(L);
  const int error = lua_gettop(L);
  if (lua_istable(L, error)) {
    lua_getfield(L, error, "err");
    // Redis gives what it looked for as a third result where it is no text.
    if (lua_isstring(L, -1)) lua_replace(L, error);
  }
  lua_pushboolean(L, 0);
  lua_insert(L, error);
  return lua_gettop(L) - error + 1;
}

// The error handler of xpcall. Upvalue: the script's. Lua calls an error handler where the error is
// raised: for the error that ends a script that is within the hook, where no other hook looks, and
// a handler of the script's that never returned could not be stopped.
int HandleForScript(lua_State* L) {
  if (IsStopped(L)) return 1;
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, 1, 1);
  return 1;
}

// xpcall(function, handler). A handler that is no function is left to Lua, which has its own words.
int ProtectedCallWithHandler(lua_State* L) {
  luaL_checkany(L, 2);
  lua_settop(L, 2);
  if (lua_isfunction(L, 2)) lua_pushcclosure(L, HandleForScript, 1);
  lua_insert(L, 1);
  const int status = lua_pcall(L, 0, LUA_MULTRET, 1);
  if (status != 0) EndIfStopped(L);
  lua_pushboolean(L, status == 0);
  lua_replace(L, 1);
  return lua_gettop(L);
}

// -- math.random: Lua's own is the C library's rand, which all threads would share. As in Redis it
// is lrand48, so that a seed gives the same numbers there and here --

drand48_data& RandomOf(lua_State* L) {
  return *static_cast<drand48_data*>(lua_touserdata(L, lua_upvalueindex(1)));
}

int MathRandom(lua_State* L) {
  long drawn;
  lrand48_r(&RandomOf(L), &drawn);
  const double unit = static_cast<double>(drawn % INT32_MAX) / INT32_MAX;
  switch (lua_gettop(L)) {
    case 0:
      lua_pushnumber(L, unit);
      return 1;
    case 1: {
      const int high = luaL_checkint(L, 1);
      luaL_argcheck(L, 1 <= high, 1, "interval is empty");
      lua_pushnumber(L, std::floor(unit * high) + 1);
      return 1;
    }
    case 2: {
      const int low = luaL_checkint(L, 1);
      const int high = luaL_checkint(L, 2);
      luaL_argcheck(L, low <= high, 2, "interval is empty");
      lua_pushnumber(L, std::floor(unit * (static_cast<double>(high) - low + 1)) + low);
      return 1;
    }
    default:
      return luaL_error(L, "wrong number of arguments");
  }
}

int MathRandomSeed(lua_State* L) {
  srand48_r(luaL_checkint(L, 1), &RandomOf(L));
  return 0;
}

int OsClock(lua_State* L) {
  lua_pushnumber(L, static_cast<lua_Number>(clock()) / static_cast<lua_Number>(CLOCKS_PER_SEC));
  return 1;
}

// What scripts may see of the globals, and of each library.
constexpr const char* kGlobals[] = {
    "_VERSION", "assert", "collectgarbage", "error",    "gcinfo", "getmetatable", "ipairs",
    "rawequal", "select", "tonumber",       "tostring", "type",   "unpack",       nullptr};
struct Library {
  const char* name;
  const char* members[40];
};
constexpr Library kLibraries[] = {
    {"string",
     {"byte", "char", "dump", "find", "format", "gfind", "gmatch", "gsub", "len", "lower", "match",
      "rep", "reverse", "sub", "upper"}},
    {"table",
     {"concat", "foreach", "foreachi", "getn", "insert", "maxn", "remove", "setn", "sort"}},
    {"math", {"abs",   "acos", "asin",  "atan", "atan2", "ceil", "cos",   "cosh", "deg", "exp",
              "floor", "fmod", "frexp", "huge", "ldexp", "log",  "log10", "max",  "min", "mod",
              "modf",  "pi",   "pow",   "rad",  "sin",   "sinh", "sqrt",  "tan",  "tanh"}},
    {"coroutine", {"create", "resume", "running", "status", "wrap", "yield"}},
    {"cjson",
     {"_NAME", "_VERSION", "decode", "decode_invalid_numbers", "decode_max_depth", "encode",
      "encode_invalid_numbers", "encode_keep_buffer", "encode_max_depth", "encode_number_precision",
      "encode_sparse_array", "new", "null"}},
};

void Open(lua_State* L, lua_CFunction open, const char* name) {
  lua_pushcfunction(L, open);
  lua_pushstring(L, name);
  lua_call(L, 1, 1);
  if (*name != '\0' && lua_istable(L, -1)) {
    lua_setglobal(L, name);
  } else {
    lua_pop(L, 1);
  }
}

// Pushes a table with the chosen members of a library.
void PushLibrary(lua_State* L, const Library& library) {
  lua_getglobal(L, library.name);
  lua_newtable(L);
  for (const char* const* member = library.members; *member != nullptr; ++member) {
    lua_getfield(L, -2, *member);
    lua_setfield(L, -2, *member);
  }
  lua_remove(L, -2);
}

void SetFunction(lua_State* L, const char* name, lua_CFunction function) {
  lua_pushcfunction(L, function);
  lua_setfield(L, -2, name);
}

// Methods of strings are what scripts see of `string`. Their metatable can be looked at, not
// changed.
void ProtectStrings(lua_State* L) {
  lua_pushliteral(L, "");
  lua_getmetatable(L, -1);
  lua_getfield(L, -3, "string");
  (void)PushReal(L, -1);
  lua_setfield(L, -3, "__index");
  lua_pop(L, 1);
  lua_newtable(L);
  lua_getfield(L, -4, "string");
  lua_setfield(L, -2, "__index");
  ProtectTable(L);
  lua_setfield(L, -2, "__metatable");
  lua_pop(L, 2);
}

// Adds random and randomseed to the table on the top; they share a generator.
void AddRandom(lua_State* L) {
  int32_t seed;
  RandomBytes(&seed, sizeof seed);
  srand48_r(seed, new (lua_newuserdata(L, sizeof(drand48_data))) drand48_data());
  lua_pushvalue(L, -1);
  lua_pushcclosure(L, MathRandom, 1);
  lua_setfield(L, -3, "random");
  lua_pushcclosure(L, MathRandomSeed, 1);
  lua_setfield(L, -2, "randomseed");
}

void AddLibrary(lua_State* L, const char* name, lua_CFunction open) {
  open(L);
  ProtectTable(L);
  lua_setfield(L, -2, name);
}

int OpenOs(lua_State* L) {
  lua_newtable(L);
  SetFunction(L, "clock", OsClock);
  return 1;
}

// Pushes the builtins: what stands behind the globals of scripts.
void PushBuiltins(lua_State* L) {
  lua_newtable(L);
  for (const char* const* name = kGlobals; *name != nullptr; ++name) {
    lua_getglobal(L, *name);
    lua_setfield(L, -2, *name);
  }
  GuardLibrary(L, "");
  SetFunction(L, "next", Next);
  lua_getfield(L, -1, "next");
  lua_pushcclosure(L, Pairs, 1);
  lua_setfield(L, -2, "pairs");
  SetFunction(L, "rawget", RawGet);
  SetFunction(L, "rawset", RawSet);
  SetFunction(L, "setmetatable", SetMetatable);
  SetFunction(L, "loadstring", LoadString);
  SetFunction(L, "load", Load);
  SetFunction(L, "pcall", ProtectedCall);
  SetFunction(L, "xpcall", ProtectedCallWithHandler);
  for (const Library& library : kLibraries) {
    PushLibrary(L, library);
    GuardLibrary(L, library.name);
    if (std::string_view(library.name) == "math") AddRandom(L);
    ProtectTable(L);
    lua_setfield(L, -2, library.name);
  }
  AddLibrary(L, "bit", OpenBit);
  AddLibrary(L, "cmsgpack", OpenCmsgpack);
  AddLibrary(L, "struct", OpenStruct);
  AddLibrary(L, "os", OpenOs);
  ProtectStrings(L);
}

}  // namespace

bool LoadLuaText(lua_State* L, std::string_view text, const char* name) {
  if (IsBytecode(text)) {
    lua_pushstring(L, kBytecodeRefused);
    return false;
  }
  return luaL_loadbuffer(L, text.data(), text.size(), name) == 0;
}

size_t ValuesMax(lua_State* L) {
  constexpr size_t kRepeatedMax = 1 << 22, kBytesPerValue = 16;
  return kRepeatedMax + MemoryOf(L).bytes / kBytesPerValue;
}

void RequireMemory(lua_State* L, size_t bytes) {
  const LuaMemory& memory = MemoryOf(L);
  const auto fits = [&] { return bytes <= kLuaBytesMax && memory.bytes <= kLuaBytesMax - bytes; };
  if (fits()) return;
  lua_gc(L, LUA_GCCOLLECT, 0);
  if (!fits()) luaL_error(L, "not enough memory");
}

bool IsStopped(lua_State* L) {
  return lua_gethookcount(L) == 1;
}

void EndIfStopped(lua_State* L) {
  if (IsStopped(L)) lua_gethook(L)(L, nullptr);
}

int RaiseReadOnly(lua_State* L) {
  return luaL_error(L, "Attempt to modify a readonly table");
}

int RaiseReadOnlyPlain(lua_State* L) {
  lua_pushliteral(L, "Attempt to modify a readonly table");
  return lua_error(L);
}

bool IsProtected(lua_State* L, int index) {
  if (!PushReal(L, index)) return false;
  lua_pop(L, 1);
  return true;
}

void ShowBuiltins(lua_State* L, int builtins) {
  lua_pushvalue(L, LUA_GLOBALSINDEX);
  lua_getmetatable(L, -1);
  lua_rawgeti(L, LUA_REGISTRYINDEX, builtins);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 2);
}

void MakeStrict(lua_State* L) {
  lua_newtable(L);
  lua_pushcfunction(L, RaiseMissingGlobal);
  lua_setfield(L, -2, "__index");
  lua_setmetatable(L, -2);
}

void ProtectTable(lua_State* L, bool strict) {
  if (strict) MakeStrict(L);
  lua_newtable(L);  // real proxy
  lua_newtable(L);  // real proxy meta
  lua_pushvalue(L, -3);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, RaiseReadOnly);
  lua_setfield(L, -2, "__newindex");
  lua_pushliteral(L, "readonly");
  lua_setfield(L, -2, "__metatable");
  lua_pushlightuserdata(L, &real_table_key);
  lua_pushvalue(L, -4);
  lua_rawset(L, -3);
  lua_setmetatable(L, -2);
  lua_remove(L, -2);
}

lua_State* NewSandbox(LuaMemory* memory, int* builtins) {
  lua_State* L = lua_newstate(Allocate, memory);
  if (L == nullptr) return nullptr;
  Open(L, luaopen_base, "");
  Open(L, luaopen_table, LUA_TABLIBNAME);
  Open(L, luaopen_string, LUA_STRLIBNAME);
  Open(L, luaopen_math, LUA_MATHLIBNAME);
  Open(L, luaopen_cjson, "cjson");
  PushBuiltins(L);
  lua_pushvalue(L, -1);
  *builtins = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_pushvalue(L, -1);
  ProtectTable(L, true);
  lua_pushvalue(L, -1);
  lua_setfield(L, -3, "_G");
  lua_replace(L, LUA_GLOBALSINDEX);
  lua_settop(L, 0);
  return L;
}

}  // namespace cairn
