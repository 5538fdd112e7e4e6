// SPDX-License-Identifier: BSD-3-Clause
//
// The Lua library cmsgpack: values as MessagePack (https://msgpack.org, the specification).
//
//   pack(value, ...)                  the values one behind the other, as a string
//   unpack(bytes)                     all values
//   unpack_one(bytes [, offset])      the next offset (-1 at the end), the value
//   unpack_limit(bytes, n [, offset]) the next offset, up to n values
//
// Which form a value takes is what Redis's library chooses, byte for byte: a table whose keys are
// 1..n is an array, any other a map; a whole number is an integer of the smallest size, any other a
// float where that loses nothing; what cannot be said, and tables more than 16 deep, are nil.
#include <algorithm>
#include <bit>
#include <climits>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "script/sandbox.h"

namespace cairn {
namespace {

constexpr int kNestingMax = 16;

// -- encoding --

// Bytes in a block of Lua's, at one place of the stack: whatever raises an error leaves nothing
// behind.
class Bytes {
 public:
  // The block is what is on the top of the stack.
  explicit Bytes(lua_State* L) : L_(L), place_(lua_gettop(L) + 1) {
    data_ = static_cast<char*>(lua_newuserdata(L, capacity_));
  }
  void Append(const char* bytes, size_t n) {
    if (n > capacity_ - size_) Grow(n);
    memcpy(data_ + size_, bytes, n);
    size_ += n;
  }
  // An unsigned number, most significant byte first.
  template <typename T>
  void AppendBig(T value) {
    char bytes[sizeof value];
    for (size_t i = 0; i < sizeof value; ++i)
      bytes[sizeof value - 1 - i] = static_cast<char>(static_cast<uint64_t>(value) >> i * 8 & 0xff);
    Append(bytes, sizeof bytes);
  }
  void PushString() { lua_pushlstring(L_, data_, size_); }

 private:
  void Grow(size_t n) {
    if (n > kLuaResultBytesMax - size_) luaL_error(L_, "not enough memory");
    capacity_ = std::max(size_ + n, 2 * capacity_);
    auto* grown = static_cast<char*>(lua_newuserdata(L_, capacity_));
    memcpy(grown, data_, size_);
    lua_replace(L_, place_);
    data_ = grown;
  }

  lua_State* L_;
  const int place_;
  char* data_;
  size_t size_ = 0, capacity_ = 512;
};

class Encoder {
 public:
  Encoder(lua_State* L, Bytes* out) : L_(L), out_(out), values_left_(ValuesMax(L)) {}

  // Appends the value on the top, and pops it. False: the stack is full.
  bool Value(int level) {
    if (!lua_checkstack(L_, 6)) return false;
    if (values_left_-- == 0) luaL_error(L_, "not enough memory");
    bool ok = true;
    switch (lua_type(L_, -1)) {
      case LUA_TSTRING:
        String();
        break;
      case LUA_TBOOLEAN:
        Byte(lua_toboolean(L_, -1) ? 0xc3 : 0xc2);
        break;
      case LUA_TNUMBER:
        Number(lua_tonumber(L_, -1));
        break;
      case LUA_TTABLE:
        if (level == kNestingMax) {
          Byte(0xc0);
        } else {
          ok = IsArray() ? Array(level) : Map(level);
        }
        break;
      default:
        Byte(0xc0);
    }
    lua_pop(L_, 1);
    return ok;
  }

 private:
  void Byte(int byte) {
    const auto c = static_cast<char>(byte);
    out_->Append(&c, 1);
  }

  void String() {
    size_t length;
    const char* text = lua_tolstring(L_, -1, &length);
    if (length < 32) {
      Byte(0xa0 | static_cast<int>(length));
    } else if (length <= 0xff) {
      Byte(0xd9);
      out_->AppendBig(static_cast<uint8_t>(length));
    } else if (length <= 0xffff) {
      Byte(0xda);
      out_->AppendBig(static_cast<uint16_t>(length));
    } else {
      Byte(0xdb);
      out_->AppendBig(static_cast<uint32_t>(length));
    }
    out_->Append(text, length);
  }

  void Number(double number) {
    if (number >= -9223372036854775808.0 && number < 9223372036854775808.0 &&
        std::trunc(number) == number)
      return Integer(static_cast<int64_t>(number));
    const auto small = static_cast<float>(number);
    if (static_cast<double>(small) == number) {
      Byte(0xca);
      out_->AppendBig(std::bit_cast<uint32_t>(small));
    } else {
      Byte(0xcb);
      out_->AppendBig(std::bit_cast<uint64_t>(number));
    }
  }

  void Integer(int64_t n) {
    if (n >= -32 && n <= 127) return Byte(static_cast<int>(n & 0xff));
    if (n >= 0) {
      if (n <= UINT8_MAX) return Byte(0xcc), out_->AppendBig(static_cast<uint8_t>(n));
      if (n <= UINT16_MAX) return Byte(0xcd), out_->AppendBig(static_cast<uint16_t>(n));
      if (n <= UINT32_MAX) return Byte(0xce), out_->AppendBig(static_cast<uint32_t>(n));
      return Byte(0xcf), out_->AppendBig(static_cast<uint64_t>(n));
    }
    if (n >= INT8_MIN) return Byte(0xd0), out_->AppendBig(static_cast<uint8_t>(n));
    if (n >= INT16_MIN) return Byte(0xd1), out_->AppendBig(static_cast<uint16_t>(n));
    if (n >= INT32_MIN) return Byte(0xd2), out_->AppendBig(static_cast<uint32_t>(n));
    Byte(0xd3);
    out_->AppendBig(static_cast<uint64_t>(n));
  }

  // Are the keys of the table on the top exactly 1 to n? Distinct whole numbers above 0 are, if the
  // greatest equals their count.
  bool IsArray() {
    const int top = lua_gettop(L_);
    double greatest = 0;
    int64_t count = 0;
    lua_pushnil(L_);
    while (lua_next(L_, top) != 0) {
      lua_pop(L_, 1);
      const double key = lua_type(L_, -1) == LUA_TNUMBER ? lua_tonumber(L_, -1) : 0;
      if (key <= 0 || key > INT_MAX || std::trunc(key) != key) {
        lua_settop(L_, top);
        return false;
      }
      greatest = std::max(greatest, key);
      ++count;
    }
    return greatest == static_cast<double>(count);
  }

  void Header(size_t n, int small, int medium, int large) {
    if (n <= 15) return Byte(small | static_cast<int>(n));
    if (n <= UINT16_MAX) return Byte(medium), out_->AppendBig(static_cast<uint16_t>(n));
    Byte(large);
    out_->AppendBig(static_cast<uint32_t>(n));
  }

  bool Array(int level) {
    const size_t length = lua_objlen(L_, -1);
    Header(length, 0x90, 0xdc, 0xdd);
    for (size_t i = 1; i <= length; ++i) {
      lua_rawgeti(L_, -1, static_cast<int>(i));
      if (!Value(level + 1)) return false;
    }
    return true;
  }

  bool Map(int level) {
    size_t pairs = 0;
    lua_pushnil(L_);
    while (lua_next(L_, -2) != 0) {
      lua_pop(L_, 1);
      ++pairs;
    }
    Header(pairs, 0x80, 0xde, 0xdf);
    lua_pushnil(L_);
    while (lua_next(L_, -2) != 0) {
      lua_pushvalue(L_, -2);
      if (!Value(level + 1) || !Value(level + 1)) return false;
    }
    return true;
  }

  lua_State* L_;
  Bytes* out_;
  size_t values_left_;
};

int Pack(lua_State* L) {
  const int count = lua_gettop(L);
  if (count == 0) return luaL_argerror(L, 0, "MessagePack pack needs input.");
  Bytes out(L);
  Encoder encoder(L, &out);
  for (int i = 1; i <= count; ++i) {
    lua_pushvalue(L, i);
    if (!encoder.Value(0)) return luaL_error(L, "stack overflow (in function cmsgpack.pack)");
  }
  out.PushString();
  return 1;
}

// -- decoding --

class Decoder {
 public:
  enum class Outcome { kOk, kMissing, kBad, kDeep };

  Decoder(lua_State* L, std::string_view bytes) : L_(L), left_(bytes) {}
  size_t left() const { return left_.size(); }

  // Pushes the next value; nothing to rely on lies on the stack if that fails.
  Outcome Value() {
    if (!lua_checkstack(L_, 4)) return Outcome::kDeep;
    if (left_.empty()) return Outcome::kMissing;
    const auto kind = static_cast<uint8_t>(left_[0]);
    left_.remove_prefix(1);
    if (kind < 0x80) return Push(kind);
    if (kind >= 0xe0) return Push(static_cast<int8_t>(kind));
    if (kind < 0x90) return Map(kind & 15);
    if (kind < 0xa0) return Array(kind & 15);
    if (kind < 0xc0) return String(kind & 31);
    return Marked(kind);
  }

 private:
  Outcome Push(double number) {
    lua_pushnumber(L_, number);
    return Outcome::kOk;
  }

  template <typename T>
  bool Read(T* value) {
    if (left_.size() < sizeof(T)) return false;
    uint64_t number = 0;
    for (size_t i = 0; i < sizeof(T); ++i) number = number << 8 | static_cast<uint8_t>(left_[i]);
    left_.remove_prefix(sizeof(T));
    *value = static_cast<T>(number);
    return true;
  }
  template <typename T>
  Outcome Number() {
    T value;
    return Read(&value) ? Push(static_cast<double>(value)) : Outcome::kMissing;
  }
  template <typename T>
  Outcome Sized(Outcome (Decoder::*read)(size_t)) {
    T length;
    return Read(&length) ? (this->*read)(length) : Outcome::kMissing;
  }

  Outcome Marked(uint8_t kind) {
    uint32_t small;
    uint64_t large;
    switch (kind) {
      case 0xc0:
        lua_pushnil(L_);
        return Outcome::kOk;
      case 0xc2:
      case 0xc3:
        lua_pushboolean(L_, kind == 0xc3);
        return Outcome::kOk;
      case 0xca:
        return Read(&small) ? Push(std::bit_cast<float>(small)) : Outcome::kMissing;
      case 0xcb:
        return Read(&large) ? Push(std::bit_cast<double>(large)) : Outcome::kMissing;
      case 0xcc:
        return Number<uint8_t>();
      case 0xcd:
        return Number<uint16_t>();
      case 0xce:
        return Number<uint32_t>();
      case 0xcf:
        return Number<uint64_t>();
      case 0xd0:
        return Number<int8_t>();
      case 0xd1:
        return Number<int16_t>();
      case 0xd2:
        return Number<int32_t>();
      case 0xd3:
        return Number<int64_t>();
      case 0xd9:
        return Sized<uint8_t>(&Decoder::String);
      case 0xda:
        return Sized<uint16_t>(&Decoder::String);
      case 0xdb:
        return Sized<uint32_t>(&Decoder::String);
      case 0xdc:
        return Sized<uint16_t>(&Decoder::Array);
      case 0xdd:
        return Sized<uint32_t>(&Decoder::Array);
      case 0xde:
        return Sized<uint16_t>(&Decoder::Map);
      case 0xdf:
        return Sized<uint32_t>(&Decoder::Map);
      default:
        return Outcome::kBad;
    }
  }

  Outcome String(size_t length) {
    if (left_.size() < length) return Outcome::kMissing;
    lua_pushlstring(L_, left_.data(), length);
    left_.remove_prefix(length);
    return Outcome::kOk;
  }
  Outcome Array(size_t length) {
    lua_newtable(L_);
    for (size_t i = 1; i <= length; ++i) {
      if (const Outcome outcome = Value(); outcome != Outcome::kOk) return outcome;
      lua_rawseti(L_, -2, static_cast<int>(i));
    }
    return Outcome::kOk;
  }
  Outcome Map(size_t length) {
    lua_newtable(L_);
    for (size_t i = 0; i < length; ++i) {
      if (const Outcome outcome = Value(); outcome != Outcome::kOk) return outcome;
      // Lua has no such keys.
      if (lua_isnil(L_, -1) ||
          (lua_type(L_, -1) == LUA_TNUMBER && std::isnan(lua_tonumber(L_, -1))))
        return Outcome::kBad;
      if (const Outcome outcome = Value(); outcome != Outcome::kOk) return outcome;
      lua_rawset(L_, -3);
    }
    return Outcome::kOk;
  }

  lua_State* L_;
  std::string_view left_;
};

int UnpackFrom(lua_State* L, bool all, int64_t limit, int64_t offset) {
  size_t length;
  const char* bytes = luaL_checklstring(L, 1, &length);
  if (offset < 0 || limit < 0)
    return luaL_error(L, "Invalid request to unpack with offset of %d and limit of %d.",
                      static_cast<int>(offset), static_cast<int>(length));
  if (offset > static_cast<int64_t>(length))
    return luaL_error(L, "Start offset %d greater than input length %d.", static_cast<int>(offset),
                      static_cast<int>(length));
  // Neither limit nor offset means everything, and then no offset is answered.
  all = all || (limit == 0 && offset == 0);
  lua_settop(L, 1);
  Decoder decoder(L, std::string_view(bytes, length).substr(static_cast<size_t>(offset)));
  int count = 0;
  for (; decoder.left() > 0 && (all || count < limit); ++count) {
    luaL_checkstack(L, 4,
                    "too many return values at once; use unpack_one or unpack_limit instead.");
    switch (decoder.Value()) {
      case Decoder::Outcome::kOk:
        break;
      case Decoder::Outcome::kMissing:
        return luaL_error(L, "Missing bytes in input.");
      case Decoder::Outcome::kBad:
        return luaL_error(L, "Bad data format in input.");
      case Decoder::Outcome::kDeep:
        return luaL_error(L, "stack overflow (in function cmsgpack.unpack)");
    }
  }
  if (all) return count;
  luaL_checkstack(L, 1, "in function mp_unpack_full");
  lua_pushinteger(L, decoder.left() == 0 ? -1 : static_cast<lua_Integer>(length - decoder.left()));
  lua_insert(L, 2);
  return count + 1;
}

int Unpack(lua_State* L) {
  return UnpackFrom(L, true, 0, 0);
}
int UnpackOne(lua_State* L) {
  return UnpackFrom(L, false, 1, luaL_optinteger(L, 2, 0));
}
int UnpackLimit(lua_State* L) {
  const lua_Integer limit = luaL_checkinteger(L, 2);
  return UnpackFrom(L, false, limit, luaL_optinteger(L, 3, 0));
}

}  // namespace

int OpenCmsgpack(lua_State* L) {
  constexpr luaL_Reg kFunctions[] = {{"pack", Pack},
                                     {"unpack", Unpack},
                                     {"unpack_one", UnpackOne},
                                     {"unpack_limit", UnpackLimit},
                                     {nullptr, nullptr}};
  lua_newtable(L);
  for (const luaL_Reg* row = kFunctions; row->name != nullptr; ++row) {
    lua_pushcfunction(L, row->func);
    lua_setfield(L, -2, row->name);
  }
  lua_pushliteral(L, "cmsgpack");
  lua_setfield(L, -2, "_NAME");
  // Scripts that look for a feature look for the version of the library that Redis carries.
  lua_pushliteral(L, "lua-cmsgpack 0.4.0");
  lua_setfield(L, -2, "_VERSION");
  lua_pushliteral(L, "MessagePack C implementation for Lua");
  lua_setfield(L, -2, "_DESCRIPTION");
  return 1;
}

}  // namespace cairn
