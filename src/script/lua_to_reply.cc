// SPDX-License-Identifier: BSD-3-Clause
#include "script/lua_to_reply.h"

#include <cstdint>
#include <limits>
#include <string>

#include "resp/reply_writer.h"
#include "script/sandbox.h"

namespace cairn {
namespace {

constexpr int kStackPerLevel = 4;
// One table may stand in a value many times, or in itself.
constexpr size_t kReplyBytesMax = size_t{512} << 20;

// Line ends would end the reply early.
std::string OneLine(std::string_view text) {
  std::string line(text);
  for (char& c : line)
    if (c == '\r' || c == '\n') c = ' ';
  return line;
}

// As the processor converts: what does not fit becomes the lowest integer.
int64_t ToInteger(lua_Number number) {
  constexpr lua_Number kLimit = 9223372036854775808.0;
  if (!(number >= -kLimit && number < kLimit)) return std::numeric_limits<int64_t>::min();
  return static_cast<int64_t>(number);
}

class Writer {
 public:
  Writer(lua_State* L, int script_resp, ReplyWriter& reply)
      : L_(L),
        script_resp_(script_resp),
        reply_(reply),
        end_max_(reply.out().end_position() + kReplyBytesMax),
        values_left_(ValuesMax(L)) {}
  bool too_large() const { return too_large_; }

  // Writes the value on the top, and pops it. What is too large is cut short.
  void Value() {
    if (values_left_-- == 0 || reply_.out().end_position() > end_max_) too_large_ = true;
    if (too_large_) return lua_pop(L_, 1);
    if (!lua_checkstack(L_, kStackPerLevel)) {
      reply_.Error("ERR reached lua stack limit");
      lua_pop(L_, 1);
      return;
    }
    switch (lua_type(L_, -1)) {
      case LUA_TSTRING:
        reply_.Bulk(Text(-1));
        break;
      case LUA_TBOOLEAN:
        Boolean(lua_toboolean(L_, -1) != 0);
        break;
      case LUA_TNUMBER:
        reply_.Integer(ToInteger(lua_tonumber(L_, -1)));
        break;
      case LUA_TTABLE:
        Table();
        break;
      default:
        reply_.Null();
    }
    lua_pop(L_, 1);
  }

 private:
  std::string_view Text(int index) {
    size_t length;
    const char* text = lua_tolstring(L_, index, &length);
    return {text, length};
  }
  // What Redis takes for a text of C: up to a zero byte.
  std::string_view CText(int index) { return lua_tostring(L_, index); }
  void Boolean(bool value) {
    if (script_resp_ >= 3) return reply_.Bool(value);
    value ? reply_.Integer(1) : reply_.Null();
  }
  // Pushes a field of the table on the top, past its metatable.
  int Field(const char* name) {
    lua_pushstring(L_, name);
    lua_rawget(L_, -2);
    return lua_type(L_, -1);
  }

  // The table on the top; it stays there.
  void Table() {
    if (Field("err") == LUA_TSTRING) {
      lua_pop(L_, 1);
      lua_pushvalue(L_, -1);
      const LuaError error = TakeError(L_);
      return WriteError(reply_, error.text, error.counted);
    }
    lua_pop(L_, 1);
    if (Field("ok") == LUA_TSTRING) {
      reply_.SimpleString(OneLine(CText(-1)));
    } else if (lua_pop(L_, 1), Field("double") == LUA_TNUMBER) {
      reply_.Double(lua_tonumber(L_, -1));
    } else if (lua_pop(L_, 1), Field("map") == LUA_TTABLE) {
      Map();
    } else if (lua_pop(L_, 1), Field("set") == LUA_TTABLE) {
      Set();
    } else if (lua_pop(L_, 1), Field("big_number") == LUA_TSTRING) {
      reply_.BigNumber(OneLine(Text(-1)));
    } else if (lua_pop(L_, 1), Field("verbatim_string") == LUA_TTABLE && Verbatim()) {
    } else {
      lua_pop(L_, 1);
      return Array();
    }
    lua_pop(L_, 1);
  }
  // Each of these leaves the table on the top where it is.
  void Map() {
    auto gap = reply_.StartDeferred();
    size_t pairs = 0;
    lua_pushnil(L_);
    while (lua_next(L_, -2) != 0) {
      lua_pushvalue(L_, -2);
      Value();  // the key
      Value();
      ++pairs;
      if (!too_large()) continue;
      lua_pop(L_, 1);
      break;
    }
    reply_.FinishMap(gap, pairs);
  }
  void Set() {
    auto gap = reply_.StartDeferred();
    size_t items = 0;
    lua_pushnil(L_);
    while (lua_next(L_, -2) != 0) {
      lua_pop(L_, 1);
      lua_pushvalue(L_, -1);
      Value();
      ++items;
      if (!too_large()) continue;
      lua_pop(L_, 1);
      break;
    }
    reply_.FinishSet(gap, items);
  }
  bool Verbatim() {
    bool written = false;
    if (Field("format") == LUA_TSTRING) {
      std::string format(CText(-1));
      format.resize(3, ' ');  // of so many, whatever the script says
      lua_pushliteral(L_, "string");
      lua_rawget(L_, -3);
      if (lua_type(L_, -1) == LUA_TSTRING) {
        reply_.Verbatim(format, Text(-1));
        written = true;
      }
      lua_pop(L_, 1);
    }
    lua_pop(L_, 1);
    return written;
  }
  void Array() {
    auto gap = reply_.StartDeferred();
    size_t items = 0;
    for (;;) {
      lua_rawgeti(L_, -1, static_cast<int>(items + 1));
      if (lua_isnil(L_, -1) || too_large()) break;
      Value();
      ++items;
    }
    lua_pop(L_, 1);
    reply_.FinishArray(gap, items);
  }

  lua_State* L_;
  const int script_resp_;
  ReplyWriter& reply_;
  const uint64_t end_max_;  // where the reply has to end
  size_t values_left_;
  bool too_large_ = false;
};

}  // namespace

void WriteLuaValue(lua_State* L, int script_resp, ReplyWriter& reply) {
  const uint64_t start = reply.out().end_position();
  Writer writer(L, script_resp, reply);
  writer.Value();
  if (!writer.too_large()) return;
  reply.out().TruncateTo(start);
  reply.Error("ERR the script's reply is too large");
}

LuaError TakeError(lua_State* L) {
  LuaError error;
  const auto text = [L] {
    return std::string(lua_tostring(L, -1));  // as Redis, up to a zero byte
  };
  const auto field = [&](const char* name) {
    lua_pushstring(L, name);
    lua_rawget(L, -2);
    std::string value = lua_isstring(L, -1) ? text() : std::string();
    lua_pop(L, 1);
    return value;
  };
  if (!lua_istable(L, -1)) {
    error.text = "ERR " + (lua_isstring(L, -1) ? text() : std::string("unknown error"));
  } else {
    lua_pushliteral(L, "err");
    lua_rawget(L, -2);
    error.text = lua_isstring(L, -1) ? text() : std::string("ERR unknown error");
    lua_pop(L, 1);
    error.source = field("source");
    error.line = field("line");
    lua_pushliteral(L, "ignore_error_stats_update");
    lua_rawget(L, -2);
    error.counted = lua_toboolean(L, -1) != 0;
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return error;
}

void WriteError(ReplyWriter& reply, std::string_view text, bool counted) {
  if (!counted) return reply.Error(text);
  while (text.ends_with('\r') || text.ends_with('\n')) text.remove_suffix(1);
  reply.Raw("-" + OneLine(text) + "\r\n");
}

}  // namespace cairn
