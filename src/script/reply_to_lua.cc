// SPDX-License-Identifier: BSD-3-Clause
#include "script/reply_to_lua.h"

#include <cmath>

#include "base/check.h"
#include "base/numbers.h"

namespace cairn {
namespace {

// Nesting of replies is a matter of our own commands: a few levels.
constexpr int kStackPerLevel = 6;

class Reader {
 public:
  Reader(lua_State* L, std::string_view reply) : L_(L), at_(reply.data()) {}

  void Value() {
    lua_checkstack(L_, kStackPerLevel);
    const char kind = *at_++;
    const std::string_view line = Line();
    switch (kind) {
      case ':':
        return lua_pushnumber(L_, static_cast<lua_Number>(Number(line)));
      case '$':
        return Bulk(line);
      case '+':
        return Field("ok", line);
      case '-':
        return PushError(L_, line, true);
      case '*':
      case '>':
        return Array(line);
      case '%':
        return Map(Number(line));
      case '~':
        return Set(Number(line));
      case '_':
        return lua_pushnil(L_);
      case '#':
        return lua_pushboolean(L_, line == "t");
      case ',':
        return Double(line);
      case '(':
        return Field("big_number", line);
      case '=':
        return Verbatim(line);
      case '|':
        return Attribute(Number(line));
      default:
        CHECK(false);
    }
  }

 private:
  std::string_view Line() {
    const char* start = at_;
    while (*at_ != '\r') ++at_;
    const std::string_view line(start, static_cast<size_t>(at_ - start));
    at_ += 2;
    return line;
  }
  static int64_t Number(std::string_view line) {
    int64_t value = 0;
    const bool ok = ParseInt64(line, &value);
    DCHECK(ok);
    (void)ok;
    return value;
  }
  std::string_view Bytes(int64_t length) {
    const std::string_view bytes(at_, static_cast<size_t>(length));
    at_ += length + 2;
    return bytes;
  }
  void Push(std::string_view text) { lua_pushlstring(L_, text.data(), text.size()); }

  void Bulk(std::string_view line) {
    const int64_t length = Number(line);
    if (length < 0) return lua_pushboolean(L_, 0);
    Push(Bytes(length));
  }
  // {name=text}
  void Field(const char* name, std::string_view text) {
    lua_createtable(L_, 0, 1);
    Push(text);
    lua_setfield(L_, -2, name);
  }
  void Array(std::string_view line) {
    const int64_t items = Number(line);
    if (items < 0) return lua_pushboolean(L_, 0);
    lua_createtable(L_, static_cast<int>(items), 0);
    for (int64_t i = 1; i <= items; ++i) {
      Value();
      lua_rawseti(L_, -2, static_cast<int>(i));
    }
  }
  void Map(int64_t pairs) {
    lua_createtable(L_, 0, 1);
    lua_createtable(L_, 0, static_cast<int>(pairs));
    for (int64_t i = 0; i < pairs; ++i) {
      Value();
      Value();
      SetPair();
    }
    lua_setfield(L_, -2, "map");
  }
  void Set(int64_t items) {
    lua_createtable(L_, 0, 1);
    lua_createtable(L_, 0, static_cast<int>(items));
    for (int64_t i = 0; i < items; ++i) {
      Value();
      lua_pushboolean(L_, 1);
      SetPair();
    }
    lua_setfield(L_, -2, "set");
  }
  // Sets the pair on the top in the table below it. A key that Lua cannot have is left out.
  void SetPair() {
    if (lua_isnil(L_, -2) || (lua_type(L_, -2) == LUA_TNUMBER && std::isnan(lua_tonumber(L_, -2)))) {
      lua_pop(L_, 2);
    } else {
      lua_rawset(L_, -3);
    }
  }
  void Double(std::string_view line) {
    double value = NAN;
    if (line != "nan") (void)ParseDouble(line, &value);
    lua_createtable(L_, 0, 1);
    lua_pushnumber(L_, value);
    lua_setfield(L_, -2, "double");
  }
  void Verbatim(std::string_view line) {
    const std::string_view text = Bytes(Number(line));
    lua_createtable(L_, 0, 1);
    lua_createtable(L_, 0, 2);
    Push(text.substr(4));
    lua_setfield(L_, -2, "string");
    Push(text.substr(0, 3));
    lua_setfield(L_, -2, "format");
    lua_setfield(L_, -2, "verbatim_string");
  }
  // Scripts do not see attributes: only the value they belong to.
  void Attribute(int64_t pairs) {
    for (int64_t i = 0; i < pairs * 2; ++i) {
      Value();
      lua_pop(L_, 1);
    }
    Value();
  }

  lua_State* L_;
  const char* at_;
};

}  // namespace

void PushReply(lua_State* L, std::string_view reply) {
  Reader(L, reply).Value();
}

void PushError(lua_State* L, std::string_view text, bool counted) {
  lua_createtable(L, 0, counted ? 2 : 1);
  lua_pushlstring(L, text.data(), text.size());
  lua_setfield(L, -2, "err");
  if (!counted) return;
  lua_pushboolean(L, 1);
  lua_setfield(L, -2, "ignore_error_stats_update");
}

}  // namespace cairn
