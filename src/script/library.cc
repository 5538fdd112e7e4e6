// SPDX-License-Identifier: BSD-3-Clause
//
// The part of ScriptHost that runs a library's code once, to learn its functions. While it does,
// `redis` is the only global, and another one: with redis.register_function, without redis.call.
#include <cstdint>

#include "base/clock.h"
#include "base/numbers.h"
#include "exec/modes.h"
#include "script/host.h"
#include "script/lua_to_reply.h"
#include "script/reply_to_lua.h"
#include "script/sandbox.h"

namespace cairn {
namespace {

constexpr const char* kChunkName = "@user_function";
// A worker that runs code which some worker has run before: only code that goes another way each
// time takes so long, and it may not hold the locks of an FCALL for ever.
constexpr int64_t kAgainMsMax = 30'000;
constexpr int kHookInstructions = 100000;

// What the code that runs registers, and how long it may take.
struct Registration {
  std::vector<FunctionInfo> functions;
  std::vector<int> references;
  int64_t start_ms = 0, ms_max = 0;
  const Modes* modes = nullptr;
};
// The address of this is the registry key under which the Registration stands.
char registration_key;

Registration* CurrentRegistration(lua_State* L) {
  lua_pushlightuserdata(L, &registration_key);
  lua_rawget(L, LUA_REGISTRYINDEX);
  auto* registration = static_cast<Registration*>(lua_touserdata(L, -1));
  lua_pop(L, 1);
  return registration;
}

// Loading happens under scope All: it may not take long where a client asks for it.
void StopSlowLoad(lua_State* L, lua_Debug*) {
  const Registration* registration = CurrentRegistration(L);
  if (registration == nullptr) return;
  const int64_t took_ms = SystemClock()->MonotonicMs() - registration->start_ms;
  const bool shutdown = registration->modes->Has(kModeShutdown);
  if (took_ms <= registration->ms_max && !shutdown) return;
  // Whatever may catch it does not go on for long.
  lua_sethook(L, StopSlowLoad, LUA_MASKCOUNT, 1);
  PushError(L, shutdown ? "ERR the server shuts down" : "ERR FUNCTION LOAD timeout");
  lua_error(L);
}

// One call of redis.register_function, read from the stack; plain, so that a raised error may
// jump over it.
struct Call {
  const char* name = nullptr;
  size_t name_length = 0;
  const char* description = nullptr;
  size_t description_length = 0;
  int callback = 0;  // stack index
  uint64_t flags = 0;
};

// The flags in the table on the top. An error's text, or nullptr.
const char* ReadFlags(lua_State* L, uint64_t* flags) {
  for (int i = 1;; ++i) {
    lua_rawgeti(L, -1, i);
    if (lua_isnil(L, -1)) break;
    size_t length = 0;
    const char* text = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &length) : nullptr;
    const uint64_t flag = text == nullptr ? 0 : ScriptFlagOf({text, length});
    if (flag == 0) return "ERR unknown flag given";
    *flags |= flag;
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return nullptr;
}

// One named argument: its name at index -2, its value at -1.
const char* ReadNamed(lua_State* L, Call* call) {
  if (!lua_isstring(L, -2))
    return "ERR named argument key given to redis.register_function is not a string";
  // A number is left alone: to make a string of it would disturb the walk over the table.
  const std::string_view key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
  if (key == "function_name") {
    if (!lua_isstring(L, -1))
      return "ERR function_name argument given to redis.register_function must be a string";
    call->name = lua_tolstring(L, -1, &call->name_length);
  } else if (key == "description") {
    if (!lua_isstring(L, -1))
      return "ERR description argument given to redis.register_function must be a string";
    call->description = lua_tolstring(L, -1, &call->description_length);
  } else if (key == "callback") {
    if (!lua_isfunction(L, -1))
      return "ERR callback argument given to redis.register_function must be a function";
    lua_pushvalue(L, -1);
    lua_replace(L, 2);
    call->callback = 2;
  } else if (key == "flags") {
    if (!lua_istable(L, -1))
      return "ERR flags argument to redis.register_function must be a table representing function "
             "flags";
    return ReadFlags(L, &call->flags);
  } else {
    return "ERR unknown argument given to redis.register_function";
  }
  return nullptr;
}

// redis.register_function{function_name=, callback=, description=, flags=}
const char* ReadTable(lua_State* L, Call* call) {
  if (!lua_istable(L, 1))
    return "ERR calling redis.register_function with a single argument is only applicable to Lua "
           "table (representing named arguments).";
  lua_settop(L, 1);
  lua_pushnil(L);  // where the callback goes
  lua_pushnil(L);
  while (lua_next(L, 1) != 0) {
    if (const char* error = ReadNamed(L, call)) return error;
    lua_settop(L, 3);
  }
  if (call->name == nullptr) return "ERR redis.register_function must get a function name argument";
  if (call->callback == 0) return "ERR redis.register_function must get a callback argument";
  return nullptr;
}

// redis.register_function(name, callback)
const char* ReadPair(lua_State* L, Call* call) {
  if (!lua_isstring(L, 1)) return "ERR first argument to redis.register_function must be a string";
  if (!lua_isfunction(L, 2))
    return "ERR second argument to redis.register_function must be a function";
  call->name = lua_tolstring(L, 1, &call->name_length);
  call->callback = 2;
  return nullptr;
}

const char* Register(lua_State* L) {
  Registration* registration = CurrentRegistration(L);
  if (registration == nullptr)
    return "ERR redis.register_function can only be called on FUNCTION LOAD command";
  Call call;
  const int count = lua_gettop(L);
  if (count < 1 || count > 2) return "ERR wrong number of arguments to redis.register_function";
  if (const char* error = count == 1 ? ReadTable(L, &call) : ReadPair(L, &call)) return error;
  const std::string_view name(call.name, call.name_length);
  if (!IsFunctionName(name))
    return "ERR Library names can only contain letters, numbers, or underscores(_) and must be at "
           "least one character long";
  for (const FunctionInfo& other : registration->functions)
    if (EqualsIgnoreCase(other.name, name)) return "ERR Function already exists in the library";
  FunctionInfo info;
  info.name = name;
  info.flags = call.flags;
  if (call.description != nullptr) {
    info.description.assign(call.description, call.description_length);
    info.has_description = true;
  }
  registration->functions.push_back(std::move(info));
  lua_pushvalue(L, call.callback);
  registration->references.push_back(luaL_ref(L, LUA_REGISTRYINDEX));
  return nullptr;
}

int RegisterFunction(lua_State* L) {
  if (const char* error = Register(L)) {
    PushError(L, error);
    return lua_error(L);
  }
  return 0;
}

void SetRegistration(lua_State* L, Registration* registration) {
  lua_pushlightuserdata(L, &registration_key);
  registration != nullptr ? lua_pushlightuserdata(L, registration) : lua_pushnil(L);
  lua_rawset(L, LUA_REGISTRYINDEX);
}

}  // namespace

void PushLoadBuiltins(lua_State* L, ScriptHost* host) {
  lua_newtable(L);
  PushRedisTable(L, host, RegisterFunction);
  lua_setfield(L, -2, "redis");
  MakeStrict(L);
}

// Runs the code with the globals that loading has; functions end up in *registration.
bool ScriptHost::RunLibrary(const Library& library, int64_t ms_max,
                            std::vector<FunctionInfo>* functions, std::vector<int>* references,
                            std::string* error) {
  const std::string_view code = std::string_view(library.code).substr(library.code_offset);
  if (!LoadLuaText(L_, code, kChunkName)) {
    *error = std::string("ERR Error compiling function: ") + lua_tostring(L_, -1);
    lua_settop(L_, 0);
    return false;
  }
  ForgetKeys();
  logged_bytes_ = 0;
  Registration registration;
  registration.start_ms = SystemClock()->MonotonicMs();
  registration.ms_max = ms_max;
  registration.modes = &executor_.engine().modes;
  SetRegistration(L_, &registration);
  ShowBuiltins(L_, load_builtins_);
  lua_sethook(L_, StopSlowLoad, LUA_MASKCOUNT, kHookInstructions);
  lua_pushcfunction(L_, HandleScriptError);
  lua_insert(L_, 1);
  const int status = ProtectedRun(0, 0);
  SetHook();
  ShowBuiltins(L_, builtins_);
  SetRegistration(L_, nullptr);
  if (status != 0) {
    *error = "ERR Error registering functions: " + TakeError(L_).text;
    for (int reference : registration.references) luaL_unref(L_, LUA_REGISTRYINDEX, reference);
  }
  lua_settop(L_, 0);
  *functions = std::move(registration.functions);
  *references = std::move(registration.references);
  return status == 0;
}

std::shared_ptr<const Library> ScriptHost::LoadLibrary(std::string_view code, LoadFor whom,
                                                       std::string* error) {
  auto library = std::make_shared<Library>();
  if (!ReadLibraryShebang(code, library.get(), error)) return nullptr;
  CompiledLibrary compiled;
  const int64_t ms_max = whom == LoadFor::kClient ? load_ms_max_ : INT64_MAX;
  if (!RunLibrary(*library, ms_max, &library->functions, &compiled.functions, error))
    return nullptr;
  if (library->functions.empty()) {
    *error = "ERR No functions registered";
    return nullptr;
  }
  compiled.library = library;
  libraries_[library.get()] = std::move(compiled);
  return library;
}

void ScriptHost::ForgetLibrary(const Library* library) {
  auto found = libraries_.find(library);
  if (found == libraries_.end()) return;
  for (int reference : found->second.functions) luaL_unref(L_, LUA_REGISTRYINDEX, reference);
  libraries_.erase(found);
}

// Forgets libraries that are no longer installed.
void ScriptHost::SyncLibraries() {
  FunctionRegistry& registry = registry_.functions();
  if (library_generation_ == registry.generation()) return;
  library_generation_ = registry.generation();
  installed_ = registry.Current();
  for (auto it = libraries_.begin(); it != libraries_.end();) {
    const auto found = installed_->all().find(it->second.library->name);
    if (found != installed_->all().end() && found->second == it->second.library) {
      ++it;
      continue;
    }
    for (int reference : it->second.functions) luaL_unref(L_, LUA_REGISTRYINDEX, reference);
    it = libraries_.erase(it);
  }
}

bool ScriptHost::FindFunction(std::string_view name, CalledFunction* called, std::string* error) {
  SyncLibraries();
  const Libraries::Found found = installed_->Find(name);
  if (found.library == nullptr) return *error = "ERR Function not found", false;
  auto compiled = libraries_.find(found.library.get());
  if (compiled == libraries_.end()) {
    CompiledLibrary fresh;
    std::vector<FunctionInfo> functions;
    if (!RunLibrary(*found.library, kAgainMsMax, &functions, &fresh.functions, error)) return false;
    fresh.library = found.library;
    compiled = libraries_.emplace(found.library.get(), std::move(fresh)).first;
  }
  // The code registers the same functions wherever it runs, unless it is written to do otherwise.
  if (found.index >= compiled->second.functions.size())
    return *error = "ERR Function not found", false;
  called->library = found.library.get();
  called->info = &found.library->functions[found.index];
  called->reference = compiled->second.functions[found.index];
  return true;
}

void ScriptHost::CallFunction(Context& ctx, const CalledFunction& function, Arguments keys,
                              Arguments args, bool read_only) {
  if (!FitsLocks(ctx, function.library->needs_all)) return;
  if (!Admit(ctx, function.info->flags, read_only)) return;
  ScriptRun run;
  run.name = function.info->name;
  run.is_function = true;
  run.needs_all = &function.library->needs_all;
  Begin(ctx, &run, function.info->flags, read_only);
  ForgetKeys();
  lua_rawgeti(L_, LUA_REGISTRYINDEX, error_handler_);
  lua_rawgeti(L_, LUA_REGISTRYINDEX, function.reference);
  PushTable(keys);
  PushTable(args);
  Finish(ctx, ProtectedRun(2, 1));
}

}  // namespace cairn
