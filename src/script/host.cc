// SPDX-License-Identifier: BSD-3-Clause
#include "script/host.h"

#include "base/check.h"
#include "base/numbers.h"
#include "exec/access.h"
#include "script/lua_to_reply.h"
#include "script/reply_to_lua.h"
#include "script/sandbox.h"
#include "script/sha1.h"

namespace cairn {
namespace {

constexpr int kRunsPerGcStep = 50;
constexpr int kGcPausePercent = 200, kGcStepPercent = 200;  // Lua's own
constexpr const char* kChunkName = "@user_script";
constexpr uint32_t kCallsPerLook = 256;         // commands of a script between looks at the clock
constexpr uint64_t kTicksPerLook = 10'000'000;  // of the processor: some milliseconds

Session MakeSession() {
  Session session(std::make_shared<ClientRecord>());
  session.authenticated = true;
  return session;
}

}  // namespace

ScriptHost& ScriptHost::Of(Executor& executor) {
  if (executor.script_host() == nullptr)
    executor.script_host() = std::make_shared<ScriptHost>(&executor);
  return *executor.script_host();
}

ScriptHost::ScriptHost(Executor* executor)
    : executor_(*executor),
      registry_(*executor->engine().scripts),
      L_(NewSandbox(&memory_, &builtins_)),
      generation_(registry_.generation()),
      session_(MakeSession()) {
  CHECK(L_ != nullptr);
  lua_rawgeti(L_, LUA_REGISTRYINDEX, builtins_);
  PushRedisTable(L_, this, nullptr);
  lua_setfield(L_, -2, "redis");
  lua_pop(L_, 1);
  PushLoadBuiltins(L_, this);
  load_builtins_ = luaL_ref(L_, LUA_REGISTRYINDEX);
  // What each run needs, made once.
  lua_pushliteral(L_, "KEYS");
  keys_name_ = luaL_ref(L_, LUA_REGISTRYINDEX);
  lua_pushliteral(L_, "ARGV");
  argv_name_ = luaL_ref(L_, LUA_REGISTRYINDEX);
  lua_pushcfunction(L_, HandleScriptError);
  error_handler_ = luaL_ref(L_, LUA_REGISTRYINDEX);
  SetHook();
}

ScriptHost::~ScriptHost() {
  // A script that was put aside for good, because the process ends: its stack is no more.
  if (run_ != nullptr) return;
  lua_close(L_);
}

// -- what is compiled --

bool ScriptHost::LoadChunk(std::string_view body, size_t offset, std::string* error) {
  const std::string_view code = body.substr(offset);
  if (LoadLuaText(L_, code, kChunkName)) return true;
  *error = std::string("ERR Error compiling script (new function): ") + lua_tostring(L_, -1);
  lua_pop(L_, 1);
  return false;
}

const ScriptHost::Compiled* ScriptHost::Remember(std::shared_ptr<const Script> script,
                                                 int function) {
  auto compiled = std::make_unique<Compiled>(Compiled{std::move(script), function});
  Compiled* result = compiled.get();
  const Script& s = *result->script;
  by_body_[s.body] = result;
  by_sha_[s.sha] = std::move(compiled);
  return result;
}

void ScriptHost::Forget() {
  by_body_.clear();
  for (auto& [sha, compiled] : by_sha_) luaL_unref(L_, LUA_REGISTRYINDEX, compiled->function);
  by_sha_.clear();
  generation_ = registry_.generation();
  lua_gc(L_, LUA_GCCOLLECT, 0);
}

// Scripts that the registry evicted stay compiled here until there are many of them.
void ScriptHost::DropEvicted() {
  if (by_sha_.size() <= 2 * (registry_.size() + ScriptRegistry::kEvalScriptsMax)) return;
  for (auto it = by_sha_.begin(); it != by_sha_.end();) {
    if (!it->second->script->dropped.load(std::memory_order_relaxed)) {
      ++it;
      continue;
    }
    luaL_unref(L_, LUA_REGISTRYINDEX, it->second->function);
    by_body_.erase(it->second->script->body);
    // The key is a view into the script: it must outlive the erasure.
    const std::unique_ptr<Compiled> last = std::move(it->second);
    it = by_sha_.erase(it);
  }
}

const ScriptHost::Compiled* ScriptHost::FindByBody(std::string_view body, bool pin,
                                                   std::string* error) {
  if (generation_ != registry_.generation()) Forget();
  if (auto found = by_body_.find(body); found != by_body_.end()) {
    Compiled* compiled = found->second;
    const Script& script = *compiled->script;
    if (!script.dropped.load(std::memory_order_relaxed) &&
        (!pin || script.pinned.load(std::memory_order_relaxed))) {
      registry_.Touch(script);
      return compiled;
    }
    luaL_unref(L_, LUA_REGISTRYINDEX, compiled->function);
    by_body_.erase(found);
    const std::unique_ptr<Compiled> last = std::move(by_sha_[script.sha]);
    by_sha_.erase(script.sha);
  }
  Shebang shebang;
  if (!ReadShebang(body, &shebang, error)) return nullptr;
  if (!LoadChunk(body, shebang.code_offset, error)) return nullptr;
  const int function = luaL_ref(L_, LUA_REGISTRYINDEX);
  DropEvicted();
  return Remember(registry_.Add(body, Sha1Hex(body), shebang, pin), function);
}

const ScriptHost::Compiled* ScriptHost::FindBySha(std::string_view sha) {
  if (sha.size() != kSha1HexBytes) return nullptr;
  if (generation_ != registry_.generation()) Forget();
  char lower[kSha1HexBytes];
  for (size_t i = 0; i < kSha1HexBytes; ++i)
    lower[i] = static_cast<char>(sha[i] >= 'A' && sha[i] <= 'Z' ? sha[i] + 32 : sha[i]);
  const std::string_view name(lower, kSha1HexBytes);
  if (auto found = by_sha_.find(name);
      found != by_sha_.end() && !found->second->script->dropped.load(std::memory_order_relaxed)) {
    registry_.Touch(*found->second->script);
    return found->second.get();
  }
  const std::shared_ptr<const Script> script = registry_.Find(name);
  if (script == nullptr) return nullptr;
  // Some worker compiled this very text: it compiles here too.
  std::string error;
  return FindByBody(script->body, script->pinned.load(std::memory_order_relaxed), &error);
}

// -- running --

// The gates of a script as a whole, by its flags; its commands meet theirs in Call.
bool ScriptHost::Admit(Context& ctx, uint64_t flags, bool read_only) {
  const bool compat = (flags & kScriptCompat) != 0;
  const bool writes = !compat && (flags & kScriptNoWrites) == 0;
  const Modes& modes = ctx.engine().modes;
  if (writes && modes.Has(kModeFollower)) {
    ctx.Error(errors::kReadOnly);
  } else if (modes.Has(kModeStale) && (flags & kScriptAllowStale) == 0) {
    ctx.Error(errors::kMasterDown);
  } else if (compat) {
    return true;
  } else if (writes && modes.Has(kModeLogRefused)) {
    ctx.Error(ctx.engine().LogRefusal());
  } else if (writes && read_only) {
    ctx.Error("ERR Can not execute a script with write flag using *_ro command.");
  } else if (ctx.executor().out_of_memory() && (flags & (kScriptAllowOom | kScriptNoWrites)) == 0) {
    ctx.Error(
        "OOM allow-oom flag is not set on the script, can not run it when used memory > "
        "'maxmemory'");
  } else {
    return true;
  }
  return false;
}

void ScriptHost::Begin(Context& ctx, ScriptRun* run, uint64_t flags, bool read_only) {
  const bool compat = (flags & kScriptCompat) != 0;
  run->read_only = read_only || (!compat && (flags & kScriptNoWrites) != 0);
  run->allow_oom = (flags & kScriptAllowOom) != 0;
  run->out_of_memory = ctx.executor().out_of_memory();
  // SELECT and setresp inside a script end with it.
  session_.db = ctx.session().db;
  session_.resp = 2;
  session_.no_touch = ctx.session().no_touch;
  // Pointers are compared first: handing over a reference count costs atomics.
  if (session_.user != ctx.session().user) session_.user = ctx.session().user;
  run->client = ctx.session().record.get();
  run->command = ctx.args();
  run->start_ms = ctx.engine().clock.MonotonicMs();
  run_ = run;
  logged_bytes_ = 0;
  // Only what can become busy can be killed.
  if (ctx.unit().all() && executor_.CanPutAside() && ctx.config().busy_reply_threshold() > 0)
    ctx.unit().SetSavepoint();
}

void ScriptHost::PushTable(Arguments values) {
  lua_createtable(L_, static_cast<int>(values.size()), 0);
  for (size_t i = 0; i < values.size(); ++i) {
    lua_pushlstring(L_, values[i].data(), values[i].size());
    lua_rawseti(L_, -2, static_cast<int>(i + 1));
  }
}

// Sets a field of the builtins, which are on the top.
void ScriptHost::SetGlobal(int name, Arguments values) {
  lua_rawgeti(L_, LUA_REGISTRYINDEX, name);
  PushTable(values);
  lua_rawset(L_, -3);
}

// Functions get keys and arguments as parameters; the globals of the last EVAL are not theirs.
void ScriptHost::ForgetKeys() {
  if (!keys_set_) return;
  keys_set_ = false;
  lua_rawgeti(L_, LUA_REGISTRYINDEX, builtins_);
  for (const int name : {keys_name_, argv_name_}) {
    lua_rawgeti(L_, LUA_REGISTRYINDEX, name);
    lua_pushnil(L_);
    lua_rawset(L_, -3);
  }
  lua_pop(L_, 1);
}

int ScriptHost::ProtectedRun(int arguments, int results) {
  memory_.bounded = true;
  const int status = lua_pcall(L_, arguments, results, 1);
  memory_.bounded = false;
  return status;
}

void ScriptHost::CollectGarbage() {
  constexpr size_t kMuchBytes = 64 << 20;
  if (memory_.bytes > kMuchBytes && memory_.bytes / 2 > bytes_after_gc_) {
    lua_gc(L_, LUA_GCCOLLECT, 0);
    bytes_after_gc_ = memory_.bytes;
  }
  if (++runs_since_gc_ < kRunsPerGcStep) return;
  runs_since_gc_ = 0;
  // What a script set lasts no longer.
  lua_gc(L_, LUA_GCSETPAUSE, kGcPausePercent);
  lua_gc(L_, LUA_GCSETSTEPMUL, kGcStepPercent);
  lua_gc(L_, LUA_GCSTEP, 1);
}

void ScriptHost::Eval(Context& ctx, const Compiled& compiled, Arguments keys, Arguments args,
                      bool read_only) {
  const Script& script = *compiled.script;
  if (!FitsLocks(ctx, script.needs_all)) return;
  if (!Admit(ctx, script.flags, read_only)) return;
  ScriptRun run;
  run.name = script.sha;
  run.needs_all = &script.needs_all;
  Begin(ctx, &run, script.flags, read_only);
  lua_rawgeti(L_, LUA_REGISTRYINDEX, builtins_);
  keys_set_ = true;
  SetGlobal(keys_name_, keys);
  SetGlobal(argv_name_, args);
  lua_pop(L_, 1);
  lua_rawgeti(L_, LUA_REGISTRYINDEX, error_handler_);
  lua_rawgeti(L_, LUA_REGISTRYINDEX, compiled.function);
  Finish(ctx, ProtectedRun(0, 1));
}

void ScriptHost::Finish(Context& ctx, int status) {
  if (run_->busy && run_->stop == nullptr) SettleKill();
  if (run_->taken_back && status == 0) {
    WriteError(ctx.reply(), run_->stop, false);
  } else if (!ctx.unit().retreating()) {  // one that retreats has no result: it is run again
    ReplyResult(ctx, status);
  }
  // What the commands changed is journaled as their effects, never as the script.
  ctx.NoEffect();
  run_->taken_back ? ctx.unit().ReturnToSavepoint() : ctx.unit().DropSavepoint();
  if (run_->busy) EndBusy();
  if (run_->stop != nullptr) SetHook();
  run_ = nullptr;
  lua_settop(L_, 0);
  CollectGarbage();
}

void ScriptHost::ReplyResult(Context& ctx, int status) {
  if (status == 0) return WriteLuaValue(L_, session_.resp, ctx.reply());
  LuaError error = TakeError(L_);
  if (!error.source.empty() && !error.line.empty())
    error.text += " script: " + run_->name + ", on " + error.source + ":" + error.line + ".";
  WriteError(ctx.reply(), error.text, error.counted);
}

// -- redis.call --

bool ScriptHost::ReadArguments(lua_State* L) {
  const int count = lua_gettop(L);
  if (count == 0) {
    PushError(L, "ERR Please specify at least one argument for this redis lib call");
    return false;
  }
  arguments_.clear();
  numbers_.clear();
  numbers_.reserve(static_cast<size_t>(count));
  for (int i = 1; i <= count; ++i) {
    const int type = lua_type(L, i);
    if (type == LUA_TSTRING) {
      size_t length;
      const char* text = lua_tolstring(L, i, &length);
      arguments_.emplace_back(text, length);
    } else if (type == LUA_TNUMBER) {
      // Lua's own conversion would lose digits.
      char* text = numbers_.emplace_back().text;
      arguments_.emplace_back(text, FormatDouble(text, lua_tonumber(L, i)));
    } else {
      PushError(L, "ERR Lua redis lib command arguments must be strings or integers");
      return false;
    }
  }
  return true;
}

// Why a write command may not run now, or nothing. Once a script has written it goes through with
// it: what would stop it in the middle is not looked at any more.
std::string ScriptHost::WriteRefusal(const Command& command) {
  Engine& engine = executor_.engine();
  // PUBLISH and PFCOUNT too: who pauses writes lets read-only scripts through.
  if (command.Is(kWrite | kMayReplicate) && run_->read_only)
    return "ERR Write commands are not allowed from read-only scripts.";
  if (run_->wrote) return {};
  if (command.Is(kWrite) && engine.modes.Has(kModeFollower)) return std::string(errors::kReadOnly);
  if (command.Is(kWrite) && engine.modes.Has(kModeLogRefused)) return engine.LogRefusal();
  if (command.Is(kDenyOom) && run_->out_of_memory && !run_->allow_oom)
    return std::string(errors::kOom);
  return {};
}

std::string ScriptHost::AccessRefusal(const Command& command) {
  if (!IsRestricted(session_)) [[likely]]
    return {};
  const AccessAnswer answer =
      CheckAccess(executor_.engine(), session_, *run_->client, command, arguments_, "lua");
  if (answer.ok()) return {};
  return "ERR ACL failure in script: " +
         DescribeDenial(answer, session_.user->name(), command, arguments_, false);
}

bool ScriptHost::MayLog(size_t bytes) {
  constexpr size_t kLoggedBytesMax = 16 << 20, kBytesPerLine = 100;
  logged_bytes_ += bytes + kBytesPerLine;
  return logged_bytes_ <= kLoggedBytesMax;
}

bool ScriptHost::Call(lua_State* L) {
  // An error of Lua must not leave this in its middle.
  memory_.bounded = false;
  const bool ok = CallCommand(L);
  memory_.bounded = true;
  return ok;
}

bool ScriptHost::CallCommand(lua_State* L) {
  if (run_->stop != nullptr) return PushStop(L), false;
  if (!ReadArguments(L)) return false;
  const Command* parent = nullptr;
  const Command* command = executor_.engine().registry.Resolve(arguments_, &parent);
  std::string refusal;
  if (command == nullptr) {
    refusal = "ERR Unknown Redis command called from script";
  } else if (!command->ArityFits(arguments_.size()) || command->spec.handler == nullptr) {
    refusal = "ERR Wrong number of args calling Redis command from script";
  } else if (command->Is(kNoScript)) {
    refusal = "ERR This Redis command is not allowed from script";
  } else if (executor_.engine().modes.Has(kModeStale) && !command->Is(kStale)) {
    refusal = "ERR Can not execute the command on a stale replica";
  } else {
    refusal = AccessRefusal(*command);
    if (refusal.empty()) refusal = WriteRefusal(*command);
  }
  if (!refusal.empty()) {
    executor_.statistics().Add(Stat::kErrors);
    executor_.engine().statistics.CountError(refusal.substr(0, refusal.find(' ')));
    PushError(L, refusal, true);
    return false;
  }
  if (!FitsUnit(*command)) {
    Retreat();
    return PushStop(L), false;
  }
  if (command->Is(kWrite) && !NoteWrite(*command)) return PushStop(L), false;
  ReplyWriter reply(&out_, session_.resp);
  const bool quiet = run_->repl == ReplMode::kNone;
  if (quiet) executor_.unit().set_quiet(true);
  const uint64_t ticks =
      executor_.Call(session_, *command, arguments_, {}, reply, Executor::Caller::kScript);
  if (quiet) executor_.unit().set_quiet(false);
  const bool failed = reply.error_count() != 0;
  run_->ticks += ticks;
  lua_settop(L, 0);
  PushCommandReply(L);
  // Between commands that take long the hook would look too seldom.
  if (++run_->calls % kCallsPerLook == 0 || ticks > kTicksPerLook) YieldIfLong();
  if (run_->stop != nullptr) return PushStop(L), false;
  return !failed;
}

void ScriptHost::PushCommandReply(lua_State* L) {
  iovec piece;
  const size_t size = out_.size();
  if (out_.Gather(&piece, 1, size) == 1 && piece.iov_len == size) {
    PushReply(L, {static_cast<const char*>(piece.iov_base), size});
  } else {
    gathered_.clear();
    while (!out_.empty()) {
      out_.Gather(&piece, 1, SIZE_MAX);
      gathered_.append(static_cast<const char*>(piece.iov_base), piece.iov_len);
      out_.Consume(piece.iov_len);
    }
    PushReply(L, gathered_);
    constexpr size_t kKeptBytes = 1 << 20;
    if (gathered_.capacity() > kKeptBytes) gathered_ = {};
  }
  out_.Clear();
}

}  // namespace cairn
