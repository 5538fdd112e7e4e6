// SPDX-License-Identifier: BSD-3-Clause
//
// How a running script is looked at and ended: the interpreter's hook, busy-reply-threshold,
// SCRIPT KILL, and the way from the locks of its keys to scope All.
//
// A script that is to end is made to by errors that its pcall cannot keep off: from then on the
// hook raises one at every instruction.
#include "script/host.h"
#include "script/reply_to_lua.h"
#include "script/sandbox.h"

namespace cairn {
namespace {

// Some microseconds; but one instruction may be a call of a library function that takes long.
constexpr int kHookInstructions = 1000;
// What runs under the locks of its keys only is short, or All is better: others may wait for them.
constexpr uint32_t kFastHooksMax = 200;
constexpr uint32_t kFastCallsMax = 1000;
constexpr uint64_t kFastTicksMax = 50'000'000;  // in commands: some tens of milliseconds

constexpr const char* kKilled = "ERR Script killed by user with SCRIPT KILL...";

// The registry key of the host: its address.
char host_key;

void Hook(lua_State* L, lua_Debug*) {
  lua_pushlightuserdata(L, &host_key);
  lua_rawget(L, LUA_REGISTRYINDEX);
  auto* host = static_cast<ScriptHost*>(lua_touserdata(L, -1));
  lua_pop(L, 1);
  host->OnHook(L);
}

}  // namespace

void ScriptHost::SetHook() {
  lua_pushlightuserdata(L_, &host_key);
  lua_pushlightuserdata(L_, this);
  lua_rawset(L_, LUA_REGISTRYINDEX);
  lua_sethook(L_, Hook, LUA_MASKCOUNT, kHookInstructions);
}

void ScriptHost::OnHook(lua_State* L) {
  if (run_ == nullptr) return;
  if (run_->stop == nullptr) {
    const bool shutdown = executor_.engine().modes.Has(kModeShutdown);
    if (!executor_.unit().all()) {
      if (++run_->hooks > kFastHooksMax) Retreat();
    } else if (shutdown && (!run_->wrote || executor_.unit().has_savepoint())) {
      // A server that ends does not wait for a script that may never end.
      EndEarly("ERR Script killed: the server shuts down");
    } else {
      YieldIfLong();
    }
  }
  if (run_->stop == nullptr) {
    // A coroutine that has outlived the script that was ended in it.
    if (lua_gethookcount(L) == 1) lua_sethook(L, Hook, LUA_MASKCOUNT, kHookInstructions);
    return;
  }
  PushStop(L);
  lua_error(L);
}

void ScriptHost::PushStop(lua_State* L) {
  lua_sethook(L, Hook, LUA_MASKCOUNT, 1);
  PushError(L, run_->stop);
}

// -- the locks of its keys, or All --

// Before a script runs: false if its unit has too few locks for it; then it is run again.
bool ScriptHost::FitsLocks(Context& ctx, const std::atomic<bool>& needs_all) {
  if (ctx.unit().all() || !needs_all.load(std::memory_order_relaxed)) return true;
  ctx.unit().Retreat();
  return false;
}

bool ScriptHost::FitsUnit(const Command& command) {
  if (executor_.unit().all()) return true;
  return run_->calls < kFastCallsMax && run_->ticks < kFastTicksMax &&
         executor_.FitsUnit(session_, command, arguments_);
}

void ScriptHost::Retreat() {
  run_->needs_all->store(true, std::memory_order_relaxed);
  run_->stop = "ERR the script is run again";
  executor_.unit().Retreat();
}

// -- busy-reply-threshold --

void ScriptHost::YieldIfLong() {
  if (!executor_.unit().all() || !executor_.CanPutAside()) return;
  const Engine& engine = executor_.engine();
  const int64_t threshold_ms = engine.config.busy_reply_threshold();
  if (threshold_ms <= 0 || engine.clock.MonotonicMs() - run_->start_ms < threshold_ms) return;
  if (!run_->busy) BeginBusy();
  executor_.PutAside();
  if (engine.busy.kill_requested()) EndEarly(kKilled);
}

// At its end: from here on nobody kills it. Whoever was promised that what it has written goes gets
// what was promised, however near the script was to its end.
void ScriptHost::SettleKill() {
  Unit& unit = executor_.unit();
  if (unit.has_savepoint() && !unit.GiveUpSavepoint()) EndEarly(kKilled);
}

void ScriptHost::EndEarly(const char* why) {
  run_->stop = why;
  run_->taken_back = run_->wrote;
}

bool ScriptHost::NoteWrite(const Command& command) {
  Unit& unit = executor_.unit();
  BusyScript& busy = executor_.engine().busy;
  // A write without keys is one of whole databases: no key's image brings them back.
  const bool whole = command.spec.keys.count == 0 && command.spec.keys_of == nullptr;
  if (run_->busy && (busy.kill_requested() || (!run_->wrote && !busy.NoteWrite()))) {
    EndEarly(kKilled);
    return false;
  }
  run_->wrote = true;
  if (!whole || !unit.has_savepoint() || unit.GiveUpSavepoint()) return true;
  EndEarly(kKilled);
  return false;
}

// Everybody else is answered BUSY from here on; whoever waits at the gate is woken to be.
void ScriptHost::BeginBusy() {
  Engine& engine = executor_.engine();
  run_->busy = true;
  BusyScript::Description description;
  description.name = run_->name;
  description.command.assign(run_->command.begin(), run_->command.end());
  description.start_ms = run_->start_ms;
  description.is_function = run_->is_function;
  engine.busy.Begin(std::move(description), run_->wrote, !executor_.unit().has_savepoint());
  engine.modes.Set(kModeBusyScript, true);
  engine.keyspace.gate().Hold(true);
}

void ScriptHost::EndBusy() {
  Engine& engine = executor_.engine();
  engine.keyspace.gate().Hold(false);
  engine.modes.Set(kModeBusyScript, false);
  engine.busy.End();
}

}  // namespace cairn
