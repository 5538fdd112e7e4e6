// SPDX-License-Identifier: BSD-3-Clause
//
// The functions of the table `redis` that scripts call. Each finds its host in its first upvalue.
// Where one raises, the error is a table {err="CODE text"}, so that its text stays as it is; Lua
// adds no position to it.
#include <cmath>
#include <string>
#include <string_view>

#include "base/log.h"
#include "base/version.h"
#include "exec/access.h"
#include "script/host.h"
#include "script/reply_to_lua.h"
#include "script/sandbox.h"
#include "script/sha1.h"

namespace cairn {
namespace {

ScriptHost& HostOf(lua_State* L) {
  return *static_cast<ScriptHost*>(lua_touserdata(L, lua_upvalueindex(1)));
}

int Raise(lua_State* L, const char* text) {
  PushError(L, text);
  return lua_error(L);
}

// A finalizer may run when no script does.
bool NotRunning(ScriptHost& host) {
  return host.running() == nullptr;
}
constexpr const char* kNotRunning =
    "ERR redis.call/pcall can only be called inside a script invocation";

// redis.call(command, ...): errors are raised.
int Call(lua_State* L) {
  ScriptHost& host = HostOf(L);
  if (NotRunning(host)) return Raise(L, kNotRunning);
  if (!host.Call(L)) return lua_error(L);
  return 1;
}

// redis.pcall(command, ...): errors are returned.
int ProtectedCall(lua_State* L) {
  ScriptHost& host = HostOf(L);
  if (NotRunning(host)) return Raise(L, kNotRunning);
  host.Call(L);
  return 1;
}

std::string_view WithoutLineEnds(std::string_view text) {
  while (text.starts_with('\r') || text.starts_with('\n')) text.remove_prefix(1);
  while (text.ends_with('\r') || text.ends_with('\n')) text.remove_suffix(1);
  return text;
}

// redis.error_reply(text)
int ErrorReply(lua_State* L) {
  if (lua_gettop(L) != 1 || lua_type(L, 1) != LUA_TSTRING) {
    PushError(L, "ERR wrong number or type of arguments");
    return 1;
  }
  std::string_view text = lua_tostring(L, 1);  // as Redis, up to a zero byte
  if (text.starts_with('-')) text.remove_prefix(1);
  // The code is ERR where the text is a single word.
  const size_t space = text.find(' ');
  const std::string_view code = space == std::string_view::npos ? "ERR" : text.substr(0, space);
  if (space != std::string_view::npos) text.remove_prefix(space + 1);
  text = WithoutLineEnds(text);
  lua_pushlstring(L, code.data(), code.size());
  lua_pushliteral(L, " ");
  lua_pushlstring(L, text.data(), text.size());
  lua_concat(L, 3);
  PushError(L, lua_tostring(L, -1));
  return 1;
}

// redis.status_reply(text)
int StatusReply(lua_State* L) {
  if (lua_gettop(L) != 1 || lua_type(L, 1) != LUA_TSTRING) {
    PushError(L, "ERR wrong number or type of arguments");
    return 1;
  }
  lua_createtable(L, 0, 1);
  lua_pushvalue(L, 1);
  lua_setfield(L, -2, "ok");
  return 1;
}

// redis.sha1hex(text)
int Sha1(lua_State* L) {
  if (lua_gettop(L) != 1) return Raise(L, "ERR wrong number of arguments");
  size_t length = 0;
  const char* text = lua_tolstring(L, 1, &length);
  char digest[kSha1HexBytes];
  (void)Sha1Hex({text != nullptr ? text : "", length}).copy(digest, sizeof digest);
  lua_pushlstring(L, digest, sizeof digest);
  return 1;
}

// redis.log(level, text, ...). Written when the unit has ended: nothing is printed under a lock.
int WriteLog(lua_State* L) {
  constexpr size_t kTextBytesMax = 64 * 1024;
  const int count = lua_gettop(L);
  if (count < 2) return Raise(L, "ERR redis.log() requires two arguments or more.");
  if (!lua_isnumber(L, 1)) return Raise(L, "ERR First argument must be a number (log level).");
  const auto level = static_cast<int>(lua_tonumber(L, 1));
  if (level < 0 || level > 3) return Raise(L, "ERR Invalid debug level.");
  ScriptHost& host = HostOf(L);
  Engine& engine = host.executor().engine();
  if (level < static_cast<int>(engine.log.level())) return 0;
  // Numbers become texts here: nothing below raises an error.
  for (int i = 2; i <= count; ++i) (void)lua_tolstring(L, i, nullptr);
  std::string text;
  for (int i = 2; i <= count; ++i) {
    size_t length;
    const char* piece = lua_tolstring(L, i, &length);
    if (piece == nullptr) continue;
    if (!text.empty()) text += ' ';
    text.append(piece, std::min(length, kTextBytesMax - std::min(text.size(), kTextBytesMax)));
  }
  if (!host.MayLog(text.size())) return 0;
  const auto write = [log = &engine.log, level, text = std::move(text)] {
    switch (level) {
      case 0:
        return log->Debug("%s", text.c_str());
      case 1:
        return log->Verbose("%s", text.c_str());
      case 2:
        return log->Notice("%s", text.c_str());
      default:
        return log->Warning("%s", text.c_str());
    }
  };
  if (host.executor().unit().active()) host.executor().unit().AfterUnit(write);
  return 0;
}

// redis.setresp(2 | 3): how replies of commands are given to the script from here on.
int SetResp(lua_State* L) {
  if (lua_gettop(L) != 1) return Raise(L, "ERR redis.setresp() requires one argument.");
  const lua_Number version = std::floor(lua_tonumber(L, 1));  // of a number its whole part counts
  if (version != 2 && version != 3) return Raise(L, "ERR RESP version must be 2 or 3.");
  HostOf(L).session().resp = static_cast<int>(version);
  return 0;
}

// redis.set_repl(flags): with REPL_NONE the commands that follow are not journaled.
int SetRepl(lua_State* L) {
  if (lua_gettop(L) != 1) return Raise(L, "ERR redis.set_repl() requires two arguments.");
  const auto flags = static_cast<int64_t>(lua_tonumber(L, 1));
  if ((flags & ~int64_t{3}) != 0)
    return Raise(L,
                 "ERR Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or "
                 "REPL_NONE.");
  if (ScriptRun* run = HostOf(L).running()) run->repl = static_cast<ReplMode>(flags);
  return 0;
}

// Effects are what is journaled, always: scripts of old times ask for it.
int ReplicateCommands(lua_State* L) {
  lua_pushboolean(L, 1);
  return 1;
}

// The debugger is not there: no step is ever taken.
int Breakpoint(lua_State* L) {
  lua_pushboolean(L, 0);
  return 1;
}
int Debug(lua_State*) {
  return 0;
}

// redis.acl_check_cmd(command, ...): may the user who runs the script run it?
int AclCheckCommand(lua_State* L) {
  ScriptHost& host = HostOf(L);
  if (!host.ReadArguments(L)) return lua_error(L);
  const Command* parent = nullptr;
  const Command* command = host.executor().engine().registry.Resolve(host.arguments(), &parent);
  if (command == nullptr) return Raise(L, "ERR Invalid command passed to redis.acl_check_cmd()");
  const Session& session = host.session();
  lua_pushboolean(L, !IsRestricted(session) ||
                         AskAccess(*session.user, *command, host.arguments(), session.db).ok());
  return 1;
}

struct Function {
  const char* name;
  lua_CFunction function;
  bool loading = false;  // also there while a library is loaded
};
constexpr Function kFunctions[] = {
    {"call", Call},
    {"pcall", ProtectedCall},
    {"error_reply", ErrorReply},
    {"status_reply", StatusReply},
    {"sha1hex", Sha1},
    {"log", WriteLog, true},
    {"setresp", SetResp},
    {"set_repl", SetRepl},
    {"replicate_commands", ReplicateCommands},
    {"breakpoint", Breakpoint},
    {"debug", Debug},
    {"acl_check_cmd", AclCheckCommand},
};
struct Constant {
  const char* name;
  int value;
};
constexpr Constant kConstants[] = {
    {"LOG_DEBUG", 0}, {"LOG_VERBOSE", 1}, {"LOG_NOTICE", 2},   {"LOG_WARNING", 3}, {"REPL_NONE", 0},
    {"REPL_AOF", 1},  {"REPL_SLAVE", 2},  {"REPL_REPLICA", 2}, {"REPL_ALL", 3},
};

}  // namespace

void PushRedisTable(lua_State* L, ScriptHost* host, lua_CFunction register_function) {
  const bool loading = register_function != nullptr;
  lua_newtable(L);
  for (const Function& row : kFunctions) {
    if (loading && !row.loading) continue;
    lua_pushlightuserdata(L, host);
    lua_pushcclosure(L, row.function, 1);
    lua_setfield(L, -2, row.name);
  }
  for (const Constant& row : kConstants) {
    if (loading && !std::string_view(row.name).starts_with("LOG_")) continue;
    lua_pushinteger(L, row.value);
    lua_setfield(L, -2, row.name);
  }
  lua_pushstring(L, kRedisVersion);
  lua_setfield(L, -2, "REDIS_VERSION");
  lua_pushinteger(L, kRedisVersionNumber);
  lua_setfield(L, -2, "REDIS_VERSION_NUM");
  if (loading) {
    lua_pushcfunction(L, register_function);
    lua_setfield(L, -2, "register_function");
  }
  ProtectTable(L, loading);
}

int HandleScriptError(lua_State* L) {
  lua_settop(L, 1);
  if (lua_istable(L, 1) && lua_getmetatable(L, 1) != 0) {
    // Not to be written into: it may stand for a protected table.
    lua_settop(L, 1);
    lua_createtable(L, 0, 3);
    for (const char* name : {"err", "ignore_error_stats_update"}) {
      lua_pushstring(L, name);
      lua_pushvalue(L, -1);
      lua_rawget(L, 1);
      lua_rawset(L, 2);
    }
    lua_replace(L, 1);
  }
  if (!lua_istable(L, 1)) {
    switch (lua_type(L, 1)) {
      case LUA_TSTRING:
      case LUA_TNUMBER:
        lua_pushfstring(L, "ERR %s", lua_tostring(L, 1));
        break;
      case LUA_TNIL:
        lua_pushliteral(L, "ERR nil");
        break;
      case LUA_TBOOLEAN:
        lua_pushfstring(L, "ERR %s", lua_toboolean(L, 1) ? "true" : "false");
        break;
      default:
        lua_pushfstring(L, "ERR %s: %p", luaL_typename(L, 1), lua_topointer(L, 1));
    }
    lua_createtable(L, 0, 3);
    lua_pushvalue(L, 2);
    lua_setfield(L, 3, "err");
    lua_replace(L, 1);
    lua_settop(L, 1);
  }
  // Level 0 is this handler, 1 is who raised the error; a C function's place is its caller's.
  lua_Debug where;
  bool known = lua_getstack(L, 1, &where) != 0 && lua_getinfo(L, "Sl", &where) != 0;
  if (known && *where.what == 'C')
    known = lua_getstack(L, 2, &where) != 0 && lua_getinfo(L, "Sl", &where) != 0;
  if (!known) return 1;
  lua_pushliteral(L, "source");
  lua_pushstring(L, where.source);
  lua_rawset(L, 1);
  lua_pushliteral(L, "line");
  lua_pushinteger(L, where.currentline);
  lua_rawset(L, 1);
  return 1;
}

}  // namespace cairn
