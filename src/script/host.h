// SPDX-License-Identifier: BSD-3-Clause
//
// ScriptHost: what runs scripts on one worker: its Lua state, what it has compiled, and the script
// that is running. Made on the worker's first use of it.
//
//   EVAL -> Find (compile if new) -> check the script's flags against the gates -> Run:
//     KEYS, ARGV -> lua_pcall -> redis.call -> Call -> Executor::Call inside the open unit ->
//     the reply as a Lua value ... -> what the script returned as a reply
//
// All that a script changes belongs to the unit of the command that runs it: one time, one journal
// record, nothing seen by others before its end.
//
// Thread rule: its executor's thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <lua5.1/lua.hpp>

#include "base/hash.h"
#include "exec/executor.h"
#include "script/registry.h"
#include "script/sandbox.h"

namespace cairn {

// What redis.set_repl chooses among; anything but none means all.
enum class ReplMode : int { kNone = 0, kAof = 1, kReplica = 2, kAll = 3 };

// One run of a script or function.
struct ScriptRun {
  std::string name;  // the script's SHA-1 or the function's name, for error texts
  bool read_only = false;
  bool allow_oom = false;
  bool out_of_memory = false;  // above maxmemory when it began
  bool wrote = false;          // called a write command
  bool is_function = false;
  std::atomic<bool>* needs_all = nullptr;  // where it is remembered that it does
  int64_t start_ms = 0;                    // monotonic
  Arguments command;                       // as it was called; good until it is put aside first
  uint32_t calls = 0;                      // of commands
  uint64_t ticks = 0;                      // of the processor, in commands
  uint32_t hooks = 0;                      // how often the interpreter's hook has looked
  bool busy = false;                       // beyond busy-reply-threshold: others are told so
  // Why it is to end: an error that no pcall may catch; nullptr while it may go on.
  const char* stop = nullptr;
  bool taken_back = false;  // what it has written is, at its end
  ReplMode repl = ReplMode::kAll;
  const ClientRecord* client = nullptr;  // who runs it, for the log of refusals
};

class ScriptHost {
 public:
  explicit ScriptHost(Executor* executor);
  ~ScriptHost();
  ScriptHost(const ScriptHost&) = delete;
  ScriptHost& operator=(const ScriptHost&) = delete;

  // The host of a worker.
  static ScriptHost& Of(Executor& executor);

  struct Compiled {
    std::shared_ptr<const Script> script;
    int function;  // registry reference
  };
  // The compiled script of this text; it becomes known to all workers. nullptr: *error is the
  // reply. `pin`: SCRIPT LOAD asks.
  const Compiled* FindByBody(std::string_view body, bool pin, std::string* error);
  // The compiled script of a SHA-1 (any case); nullptr if nobody knows it.
  const Compiled* FindBySha(std::string_view sha);

  // Runs a script inside ctx's unit and replies. `read_only`: by one of the _RO commands.
  void Eval(Context& ctx, const Compiled& compiled, Arguments keys, Arguments args, bool read_only);

  // -- functions (library.cc) --
  // Runs a library's code and reads what it registers; not installed yet. nullptr: *error is the
  // reply. A client's code may not take long; what was loaded once (the log, a snapshot, a leader's
  // stream) is loaded again however slow the machine is just then.
  enum class LoadFor { kClient, kRecord };
  std::shared_ptr<const Library> LoadLibrary(std::string_view code, LoadFor whom,
                                             std::string* error);
  // For tests: how long a client's code may take.
  void set_load_ms_max(int64_t ms) { load_ms_max_ = ms; }
  struct CalledFunction {
    const Library* library;  // good until libraries change, as the next
    const FunctionInfo* info;
    int reference;  // registry
  };
  // Drops a library that came to nothing.
  void ForgetLibrary(const Library* library);
  bool FindFunction(std::string_view name, CalledFunction* called, std::string* error);
  void CallFunction(Context& ctx, const CalledFunction& function, Arguments keys, Arguments args,
                    bool read_only);

  // The interpreter's hook, every so many instructions while a script runs.
  void OnHook(lua_State* L);
  // Installs that hook.
  void SetHook();

  // -- for redis_api.cc --
  ScriptRun* running() { return run_; }
  Session& session() { return session_; }
  Executor& executor() { return executor_; }
  // redis.call and redis.pcall: the arguments are on the stack of L; pushes one value. False: it is
  // an error's table.
  bool Call(lua_State* L);
  // Reads the stack of L as a command's arguments. False: pushed an error's table.
  bool ReadArguments(lua_State* L);
  Arguments arguments() const { return arguments_; }
  // Counts a line for the log that is kept until the unit ends. False: there are enough of them.
  bool MayLog(size_t bytes);

 private:
  struct BodyHash {
    size_t operator()(std::string_view text) const { return HashBytes(text); }
  };
  struct NumberText {
    char text[40];
  };

  const Compiled* Compile(const std::shared_ptr<const Script>& script, std::string* error);
  bool LoadChunk(std::string_view body, size_t offset, std::string* error);
  const Compiled* Remember(std::shared_ptr<const Script> script, int function);
  void Forget();
  void DropEvicted();
  bool FitsLocks(Context& ctx, const std::atomic<bool>& needs_all);
  bool FitsUnit(const Command& command);
  void Retreat();
  void YieldIfLong();
  // Before a write command. False: it may not run, and the script is to end.
  bool NoteWrite(const Command& command);
  void EndEarly(const char* why);
  void SettleKill();
  void BeginBusy();
  void EndBusy();
  // Pushes the error that ends the script, and sees to it that none keeps it alive.
  void PushStop(lua_State* L);
  bool Admit(Context& ctx, uint64_t flags, bool read_only);
  void Begin(Context& ctx, ScriptRun* run, uint64_t flags, bool read_only);
  void PushTable(Arguments values);
  void SetGlobal(int name, Arguments values);
  void ForgetKeys();
  bool RunLibrary(const Library& library, int64_t ms_max, std::vector<FunctionInfo>* functions,
                  std::vector<int>* references, std::string* error);
  void SyncLibraries();
  void Finish(Context& ctx, int status);
  void ReplyResult(Context& ctx, int status);
  bool CallCommand(lua_State* L);
  std::string AccessRefusal(const Command& command);
  std::string WriteRefusal(const Command& command);
  void PushCommandReply(lua_State* L);

  Executor& executor_;
  ScriptRegistry& registry_;
  // Runs the function on the stack within the bound of Lua's memory.
  int ProtectedRun(int arguments, int results);
  // Frees what the last script left behind, if it is much.
  void CollectGarbage();

  LuaMemory memory_;
  lua_State* L_;
  int builtins_, load_builtins_;  // registry references: the globals while running, while loading
  int keys_name_, argv_name_, error_handler_;  // registry references, too
  bool keys_set_ = false;                      // the globals KEYS and ARGV are there
  uint64_t generation_;
  int runs_since_gc_ = 0;
  size_t logged_bytes_ = 0;    // by the script that runs, or the library that is loaded
  size_t bytes_after_gc_ = 0;  // of Lua, after the last whole collection
  std::unordered_map<std::string_view, std::unique_ptr<Compiled>> by_sha_;
  std::unordered_map<std::string_view, Compiled*, BodyHash> by_body_;

  struct CompiledLibrary {
    std::shared_ptr<const Library> library;
    std::vector<int> functions;  // registry references
  };
  int64_t load_ms_max_ = 500;
  uint64_t library_generation_ = 0;
  std::shared_ptr<const Libraries> installed_ = std::make_shared<Libraries>();
  std::unordered_map<const Library*, CompiledLibrary> libraries_;

  Session session_;  // of the commands that scripts call
  ScriptRun* run_ = nullptr;
  ChunkPool pool_;
  OutputBuffer out_{&pool_};
  std::string gathered_;
  std::vector<std::string_view> arguments_;
  std::vector<NumberText> numbers_;
};

// redis_api.cc: pushes the table `redis`; the one of a library that is loading if
// `register_function` is given.
void PushRedisTable(lua_State* L, ScriptHost* host, lua_CFunction register_function);
// library.cc: pushes what the globals are while a library is loaded.
void PushLoadBuiltins(lua_State* L, ScriptHost* host);
// The error handler of scripts: makes a table of the error, with its place in the script.
int HandleScriptError(lua_State* L);

}  // namespace cairn
