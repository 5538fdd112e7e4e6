// SPDX-License-Identifier: BSD-3-Clause
//
// The Lua library struct: numbers and strings as the bytes of C structures, by a format.
//
//   pack(format, value, ...)            a string
//   unpack(format, bytes [, position])  the values, then the position behind them
//   size(format)                        how many bytes a format takes
//
//   > < byte order    ![n] greatest alignment    x a zero byte       b B h H l L T integers
//   iN IN integers of N bytes    f d floats      s text up to a zero
//   cN text of N bytes; c0: all of it (pack), or as many as the number before says (unpack)
//
// What it answers, errors included, is what the library of that name in Redis answers.
#include <algorithm>
#include <bit>
#include <cctype>
#include <climits>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "script/sandbox.h"

namespace cairn {
namespace {

constexpr int kIntegerBytesMax = 32;
constexpr int kAlignmentDefault = 8;

// Walks over a format: its options one after the other, with their sizes.
class Format {
 public:
  Format(lua_State* L, const char* text) : L_(L), at_(text) {}

  // The next option; 0 at the end. `size()` and `padding(position)` are its.
  char Next() {
    if (*at_ == '\0') return 0;
    option_ = *at_++;
    size_ = SizeOf(option_);
    return option_;
  }
  size_t size() const { return size_; }
  // How many bytes stand before it if `position` bytes are there already.
  size_t Padding(size_t position) const {
    if (size_ == 0 || option_ == 'c') return 0;
    const size_t step = std::min(size_, align_);
    return (step - (position & (step - 1))) & (step - 1);
  }
  bool big() const { return big_; }
  // An option that is no value: byte order, alignment, a space.
  void Control() {
    switch (option_) {
      case ' ':
        return;
      case '>':
        big_ = true;
        return;
      case '<':
        big_ = false;
        return;
      case '!': {
        const int n = Number(kAlignmentDefault);
        if (n <= 0 || (n & (n - 1)) != 0) luaL_error(L_, "alignment %d is not a power of 2", n);
        align_ = static_cast<size_t>(n);
        return;
      }
      default:
        luaL_argerror(L_, 1, lua_pushfstring(L_, "invalid format option '%c'", option_));
    }
  }

 private:
  // The number that follows; `otherwise` if none does.
  int Number(int otherwise) {
    if (!isdigit(static_cast<unsigned char>(*at_))) return otherwise;
    int64_t n = 0;
    for (; isdigit(static_cast<unsigned char>(*at_)); ++at_) {
      n = n * 10 + (*at_ - '0');
      if (n > INT_MAX) luaL_error(L_, "integral size overflow");
    }
    return static_cast<int>(n);
  }
  size_t SizeOf(char option) {
    switch (option) {
      case 'b':
      case 'B':
      case 'x':
        return 1;
      case 'h':
      case 'H':
        return sizeof(short);
      case 'l':
      case 'L':
        return sizeof(long);
      case 'T':
        return sizeof(size_t);
      case 'f':
        return sizeof(float);
      case 'd':
        return sizeof(double);
      case 'c':
        return static_cast<size_t>(Number(1));
      case 'i':
      case 'I': {
        const int n = Number(sizeof(int));
        if (n > kIntegerBytesMax)
          luaL_error(L_, "integral size %d is larger than limit of %d", n, kIntegerBytesMax);
        return static_cast<size_t>(n);
      }
      default:
        return 0;
    }
  }

  lua_State* L_;
  const char* at_;
  char option_ = 0;
  size_t size_ = 0;
  size_t align_ = 1;
  bool big_ = false;
};

// Below zero as a signed number, else as an unsigned one: the whole range of both. What is in
// neither becomes what the processor makes of it in Redis's library.
uint64_t ToWord(lua_Number number) {
  constexpr uint64_t kNone = uint64_t{1} << 63;
  constexpr lua_Number kLimit = 18446744073709551616.0;  // 2^64
  if (std::isnan(number) || number < -kLimit / 2) return kNone;
  if (number >= kLimit) return 0;
  return number < 0 ? static_cast<uint64_t>(static_cast<int64_t>(number))
                    : static_cast<uint64_t>(number);
}

// The `size` low bytes of a number in the order asked for; beyond 8 they are zero.
void PutInteger(luaL_Buffer* out, lua_Number number, size_t size, bool big) {
  uint64_t value = ToWord(number);
  char bytes[kIntegerBytesMax];
  for (size_t i = 0; i < size; ++i) {
    bytes[big ? size - 1 - i : i] = static_cast<char>(value & 0xff);
    value >>= 8;
  }
  luaL_addlstring(out, bytes, size);
}

lua_Number GetInteger(const char* bytes, size_t size, bool big, bool is_signed) {
  uint64_t value = 0;
  for (size_t i = 0; i < size; ++i)
    value = value << 8 | static_cast<unsigned char>(bytes[big ? i : size - 1 - i]);
  if (!is_signed) return static_cast<lua_Number>(value);
  if (size > 0 && size < sizeof value) {
    const uint64_t sign = uint64_t{1} << (size * 8 - 1);
    if ((value & sign) != 0) value |= ~(sign - 1);
  }
  return static_cast<lua_Number>(static_cast<int64_t>(value));
}

template <typename Float>
void PutFloat(luaL_Buffer* out, lua_Number number, bool big) {
  const auto value = static_cast<Float>(number);
  char bytes[sizeof value];
  memcpy(bytes, &value, sizeof value);
  if (big) std::reverse(bytes, bytes + sizeof value);
  luaL_addlstring(out, bytes, sizeof value);
}

template <typename Float>
lua_Number GetFloat(const char* from, bool big) {
  char bytes[sizeof(Float)];
  memcpy(bytes, from, sizeof bytes);
  if (big) std::reverse(bytes, bytes + sizeof bytes);
  Float value;
  memcpy(&value, bytes, sizeof value);
  return static_cast<lua_Number>(value);
}

int Pack(lua_State* L) {
  Format format(L, luaL_checkstring(L, 1));
  int argument = 2;
  size_t total = 0;
  lua_pushnil(L);  // between the arguments and what the buffer keeps on the stack
  luaL_Buffer out;
  luaL_buffinit(L, &out);
  while (const char option = format.Next()) {
    size_t size = format.size();
    const size_t padding = format.Padding(total);
    for (size_t i = 0; i < padding; ++i) luaL_addchar(&out, '\0');
    switch (option) {
      case 'b':
      case 'B':
      case 'h':
      case 'H':
      case 'l':
      case 'L':
      case 'T':
      case 'i':
      case 'I':
        PutInteger(&out, luaL_checknumber(L, argument++), size, format.big());
        break;
      case 'x':
        luaL_addchar(&out, '\0');
        break;
      case 'f':
        PutFloat<float>(&out, luaL_checknumber(L, argument++), format.big());
        break;
      case 'd':
        PutFloat<double>(&out, luaL_checknumber(L, argument++), format.big());
        break;
      case 'c':
      case 's': {
        size_t length;
        const char* text = luaL_checklstring(L, argument++, &length);
        if (size == 0) size = length;
        luaL_argcheck(L, length >= size, argument, "string too short");
        luaL_addlstring(&out, text, size);
        if (option == 's') {
          luaL_addchar(&out, '\0');
          ++size;
        }
        break;
      }
      default:
        format.Control();
    }
    total += padding + size;
  }
  luaL_pushresult(&out);
  return 1;
}

int Unpack(lua_State* L) {
  Format format(L, luaL_checkstring(L, 1));
  size_t length;
  const char* data = luaL_checklstring(L, 2, &length);
  // A negative position is one far beyond the end.
  const auto first = static_cast<size_t>(luaL_optinteger(L, 3, 1));
  luaL_argcheck(L, first > 0, 3, "offset must be 1 or greater");
  size_t position = first - 1;
  int results = 0;
  const auto fits = [&](size_t size) {
    luaL_argcheck(L, size <= length && position <= length - size, 2, "data string too short");
  };
  while (const char option = format.Next()) {
    size_t size = format.size();
    position += format.Padding(position);
    fits(size);
    luaL_checkstack(L, 2, "too many results");
    const char* at = data + position;
    switch (option) {
      case 'b':
      case 'B':
      case 'h':
      case 'H':
      case 'l':
      case 'L':
      case 'T':
      case 'i':
      case 'I':
        lua_pushnumber(L, GetInteger(at, size, format.big(),
                                     islower(static_cast<unsigned char>(option)) != 0));
        ++results;
        break;
      case 'x':
        break;
      case 'f':
        lua_pushnumber(L, GetFloat<float>(at, format.big()));
        ++results;
        break;
      case 'd':
        lua_pushnumber(L, GetFloat<double>(at, format.big()));
        ++results;
        break;
      case 'c':
        if (size == 0) {
          if (results == 0 || !lua_isnumber(L, -1))
            return luaL_error(L, "format 'c0' needs a previous size");
          size = ToWord(lua_tonumber(L, -1));
          lua_pop(L, 1);
          --results;
          fits(size);
        }
        lua_pushlstring(L, at, size);
        ++results;
        break;
      case 's': {
        const void* end = memchr(at, '\0', length - position);
        if (end == nullptr) return luaL_error(L, "unfinished string in data");
        size = static_cast<size_t>(static_cast<const char*>(end) - at) + 1;
        lua_pushlstring(L, at, size - 1);
        ++results;
        break;
      }
      default:
        format.Control();
    }
    position += size;
  }
  lua_pushinteger(L, static_cast<lua_Integer>(position + 1));
  return results + 1;
}

int Size(lua_State* L) {
  Format format(L, luaL_checkstring(L, 1));
  size_t position = 0;
  while (const char option = format.Next()) {
    position += format.Padding(position);
    if (option == 's') luaL_argerror(L, 1, "option 's' has no fixed size");
    if (option == 'c' && format.size() == 0) luaL_argerror(L, 1, "option 'c0' has no fixed size");
    if (!isalnum(static_cast<unsigned char>(option))) format.Control();
    position += format.size();
  }
  lua_pushinteger(L, static_cast<lua_Integer>(position));
  return 1;
}

}  // namespace

int OpenStruct(lua_State* L) {
  lua_newtable(L);
  lua_pushcfunction(L, Pack);
  lua_setfield(L, -2, "pack");
  lua_pushcfunction(L, Unpack);
  lua_setfield(L, -2, "unpack");
  lua_pushcfunction(L, Size);
  lua_setfield(L, -2, "size");
  return 1;
}

}  // namespace cairn
