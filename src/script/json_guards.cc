// SPDX-License-Identifier: BSD-3-Clause
//
// Guards before the functions of cjson, whose buffers are not Lua's and so have no bound of their
// own. What a text or a value may need at most is reckoned before the library sees it:
//
//   encode   the tables are walked as the library will; one table may stand in a value many times
//   decode   what stands between the strings of the text says how many values there will be
//
// So neither is ever refused memory half-way, which would leave its buffer behind. A script hears
// "not enough memory" for what Redis takes if the machine has it.
#include <algorithm>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string_view>

#include "script/sandbox.h"

namespace cairn {
namespace {

// However a text looks, "[]," is the worst: a table and its place in another one, which doubles as
// it grows.
constexpr size_t kDecodedBytesPerByte = 48;
// The same by what the text consists of: a value, with a table of its own, stands behind one of
// these, two in an object; a string has two quotes.
constexpr size_t kBytesPerSign = 96, kBytesPerQuote = 24;
// Larger buffers of encode are given back.
constexpr size_t kKeptBufferBytes = 1 << 20;
constexpr size_t kPlainBytes = 32;     // a number, a boolean, with what stands around it
constexpr size_t kEscapedPerByte = 6;  // \u00ff
constexpr size_t kNullBytes = 5;       // "null,"
constexpr int kDepthDefault = 1000;

// Upvalues of a guard: first what the library's function has for its own, then that function, then
// others that the guard needs.
constexpr int kOwnUpvalue = 2, kSparseUpvalue = 3, kDepthUpvalue = 4, kKeepUpvalue = 5;

int CallOwn(lua_State* L) {
  return lua_tocfunction(L, lua_upvalueindex(kOwnUpvalue))(L);
}

// What one of the library's options is: its `result`th result.
lua_Number Option(lua_State* L, int upvalue, int result) {
  const int top = lua_gettop(L);
  lua_pushvalue(L, lua_upvalueindex(upvalue));
  lua_call(L, 0, result);
  const lua_Number number = lua_tonumber(L, -1);
  lua_settop(L, top);
  return number;
}

// Reckons what encode will write.
class Size {
 public:
  explicit Size(lua_State* L) : L_(L), values_left_(ValuesMax(L)) {}
  size_t bytes() const { return bytes_; }

  // Adds the value on the top, and leaves it. False: no more is written behind it, because the
  // library raises an error there or it is too much already.
  bool Add(int depth) {
    if (values_left_-- == 0) bytes_ = SIZE_MAX / 2;
    bytes_ += kPlainBytes;
    if (lua_type(L_, -1) == LUA_TSTRING) bytes_ += kEscapedPerByte * lua_objlen(L_, -1);
    if (lua_type(L_, -1) == LUA_TTABLE && !AddTable(depth + 1)) return false;
    return bytes_ <= kLuaBytesMax;
  }

 private:
  bool AddTable(int depth) {
    if (depth > kDepthDefault && depth > Option(L_, kDepthUpvalue, 1)) return false;
    if (!lua_checkstack(L_, 8))
      return luaL_error(L_, "Cannot serialise, excessive depth (%d)", depth) != 0;
    lua_Number greatest = 0, items = 0;
    lua_pushnil(L_);
    while (lua_next(L_, -2) != 0) {
      if (lua_type(L_, -2) == LUA_TNUMBER) greatest = std::max(greatest, lua_tonumber(L_, -2));
      if (lua_type(L_, -2) == LUA_TSTRING) bytes_ += kEscapedPerByte * lua_objlen(L_, -2);
      ++items;
      if (!Add(depth)) return lua_pop(L_, 2), false;
      lua_pop(L_, 1);
    }
    // Whether the gaps of an array are written is an option.
    if (greatest > items && greatest <= INT_MAX) {
      const lua_Number ratio = Option(L_, kSparseUpvalue, 2), safe = Option(L_, kSparseUpvalue, 3);
      if (ratio <= 0 || greatest <= items * ratio || greatest <= safe)
        bytes_ += kNullBytes * static_cast<size_t>(greatest);
    }
    return true;
  }

  lua_State* L_;
  size_t bytes_ = 0, values_left_;
};

// cjson.encode(value)
int Encode(lua_State* L) {
  if (lua_gettop(L) != 1) return CallOwn(L);
  Size size(L);
  (void)size.Add(0);
  RequireMemory(L, size.bytes());
  const int results = CallOwn(L);
  if (size.bytes() > kKeptBufferBytes && !lua_isnil(L, lua_upvalueindex(kKeepUpvalue))) {
    for (const int keep : {0, 1}) {
      lua_pushvalue(L, lua_upvalueindex(kKeepUpvalue));
      lua_pushboolean(L, keep);
      lua_call(L, 1, 0);
    }
  }
  return results;
}

// What the values of a text may need; one that is not JSON is refused where it stops being it, so
// it needs no more.
size_t DecodedBytesMax(std::string_view text) {
  // Most texts are not worth a look.
  constexpr size_t kShortBytes = 1 << 20;
  if (text.size() <= kShortBytes) return text.size() * kDecodedBytesPerByte;
  size_t bytes = kBytesPerSign;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '"') {
      bytes += kBytesPerQuote;
      in_string = !in_string;
    } else if (in_string) {
      ++bytes;
      if (c == '\\') ++i;
    } else if (c == ',' || c == ':' || c == '[' || c == '{') {
      bytes += kBytesPerSign;
    }
  }
  return bytes;
}

// cjson.decode(text)
int Decode(lua_State* L) {
  if (lua_type(L, 1) == LUA_TSTRING) {
    size_t length;
    const char* text = lua_tolstring(L, 1, &length);
    RequireMemory(L, DecodedBytesMax({text, length}));
  }
  return CallOwn(L);
}

// cjson.encode_keep_buffer([keep]): whether the buffer is kept is not for scripts to say.
int KeepBuffer(lua_State* L) {
  if (lua_isnoneornil(L, 1)) lua_pushboolean(L, 1);
  lua_settop(L, 1);
  return 1;
}

void PutGuards(lua_State* L, bool keeps_buffer);

// cjson.new(): there may be many, so they keep no buffers.
int New(lua_State* L) {
  const int results = CallOwn(L);
  lua_getfield(L, -1, "encode_keep_buffer");
  lua_pushboolean(L, 0);
  lua_call(L, 1, 0);
  PutGuards(L, false);
  return results;
}

// Puts a guard before a function of the table on the top, whose further upvalues are the functions
// named; nil for nullptr.
void Guard(lua_State* L, const char* name, lua_CFunction guard,
           std::initializer_list<const char*> others = {}) {
  const int table = lua_gettop(L);
  lua_getfield(L, table, name);
  (void)lua_getupvalue(L, -1, 1);
  lua_insert(L, -2);
  for (const char* other : others)
    other != nullptr ? lua_getfield(L, table, other) : lua_pushnil(L);
  lua_pushcclosure(L, guard, kOwnUpvalue + static_cast<int>(others.size()));
  lua_setfield(L, table, name);
}

void PutGuards(lua_State* L, bool keeps_buffer) {
  Guard(L, "encode", Encode,
        {"encode_sparse_array", "encode_max_depth", keeps_buffer ? "encode_keep_buffer" : nullptr});
  Guard(L, "decode", Decode);
  Guard(L, "new", New);
  lua_pushcfunction(L, KeepBuffer);
  lua_setfield(L, -2, "encode_keep_buffer");
}

}  // namespace

void GuardJson(lua_State* L) {
  PutGuards(L, true);
}

}  // namespace cairn
