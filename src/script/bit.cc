// SPDX-License-Identifier: BSD-3-Clause
//
// The Lua library bit: operations on numbers as 32-bit words. Arguments are taken modulo 2^32,
// results are signed; shifts and rotations look at the low five bits of their count.
#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>

#include "script/sandbox.h"

namespace cairn {
namespace {

// Adding 2^52 + 2^51 leaves the number, rounded and modulo 2^32, in the low bits of the double.
uint32_t Word(lua_State* L, int argument) {
  const double shifted = luaL_checknumber(L, argument) + 6755399441055744.0;
  return static_cast<uint32_t>(std::bit_cast<uint64_t>(shifted));
}

int Push(lua_State* L, uint32_t word) {
  lua_pushnumber(L, static_cast<int32_t>(word));
  return 1;
}

int ToBit(lua_State* L) {
  return Push(L, Word(L, 1));
}
int Not(lua_State* L) {
  return Push(L, ~Word(L, 1));
}
int Swap(lua_State* L) {
  return Push(L, __builtin_bswap32(Word(L, 1)));
}

template <typename Operation>
int Fold(lua_State* L, Operation operation) {
  uint32_t word = Word(L, 1);
  for (int i = lua_gettop(L); i > 1; --i) word = operation(word, Word(L, i));
  return Push(L, word);
}
int And(lua_State* L) {
  return Fold(L, [](uint32_t a, uint32_t b) { return a & b; });
}
int Or(lua_State* L) {
  return Fold(L, [](uint32_t a, uint32_t b) { return a | b; });
}
int Xor(lua_State* L) {
  return Fold(L, [](uint32_t a, uint32_t b) { return a ^ b; });
}

template <typename Operation>
int Shift(lua_State* L, Operation operation) {
  const uint32_t word = Word(L, 1);
  return Push(L, operation(word, static_cast<int>(Word(L, 2) & 31)));
}
int Left(lua_State* L) {
  return Shift(L, [](uint32_t word, int n) { return word << n; });
}
int Right(lua_State* L) {
  return Shift(L, [](uint32_t word, int n) { return word >> n; });
}
int ArithmeticRight(lua_State* L) {
  return Shift(L, [](uint32_t word, int n) {
    return static_cast<uint32_t>(static_cast<int32_t>(word) >> n);
  });
}
int RotateLeft(lua_State* L) {
  return Shift(L, [](uint32_t word, int n) { return std::rotl(word, n); });
}
int RotateRight(lua_State* L) {
  return Shift(L, [](uint32_t word, int n) { return std::rotr(word, n); });
}

// tohex(word [, digits]): upper case if `digits` is negative; at most 8.
int ToHex(lua_State* L) {
  uint32_t word = Word(L, 1);
  int64_t digits = lua_isnone(L, 2) ? 8 : static_cast<int32_t>(Word(L, 2));
  const char* letters = "0123456789abcdef";
  if (digits < 0) {
    digits = -digits;
    letters = "0123456789ABCDEF";
  }
  digits = std::min<int64_t>(digits, 8);
  char text[8];
  for (int64_t i = digits; --i >= 0; word >>= 4) text[i] = letters[word & 15];
  lua_pushlstring(L, text, static_cast<size_t>(digits));
  return 1;
}

}  // namespace

int OpenBit(lua_State* L) {
  constexpr luaL_Reg kFunctions[] = {
      {"tobit", ToBit},    {"bnot", Not},        {"bswap", Swap},
      {"band", And},       {"bor", Or},          {"bxor", Xor},
      {"lshift", Left},    {"rshift", Right},    {"arshift", ArithmeticRight},
      {"rol", RotateLeft}, {"ror", RotateRight}, {"tohex", ToHex},
  };
  lua_newtable(L);
  for (const luaL_Reg& row : kFunctions) {
    lua_pushcfunction(L, row.func);
    lua_setfield(L, -2, row.name);
  }
  return 1;
}

}  // namespace cairn
