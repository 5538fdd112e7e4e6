// SPDX-License-Identifier: BSD-3-Clause
//
// FCALL, FCALL_RO and FUNCTION.
//
// Libraries change under scope All; FUNCTION LOAD, DELETE, FLUSH and RESTORE are journaled as they
// were sent, so that a replay makes the same libraries.
#include <memory>
#include <string>
#include <vector>

#include "base/glob.h"
#include "commands/families.h"
#include "commands/help.h"
#include "exec/args.h"
#include "script/host.h"

namespace cairn {
namespace {

FunctionRegistry& RegistryOf(Context& ctx) {
  return ctx.engine().scripts->functions();
}

ScriptHost::LoadFor WhoLoads(Context& ctx) {
  return ctx.session().internal ? ScriptHost::LoadFor::kRecord : ScriptHost::LoadFor::kClient;
}

void RunFcall(Context& ctx, bool read_only) {
  ScriptHost& host = ScriptHost::Of(ctx.executor());
  ScriptHost::CalledFunction function;
  std::string error;
  if (!host.FindFunction(ctx.arg(1), &function, &error)) return ctx.Error(error);
  int64_t count;
  if (!ParseInt64(ctx.arg(2), &count)) return ctx.Error("ERR Bad number of keys provided");
  if (count > static_cast<int64_t>(ctx.argc()) - 3)
    return ctx.Error("ERR Number of keys can't be greater than number of args");
  if (count < 0) return ctx.Error("ERR Number of keys can't be negative");
  const Arguments rest = ctx.args().subspan(3);
  host.CallFunction(ctx, function, rest.first(static_cast<size_t>(count)),
                    rest.subspan(static_cast<size_t>(count)), read_only);
}

// FCALL function numkeys [key ...] [arg ...]  as the function does
void Fcall(Context& ctx) {
  RunFcall(ctx, false);
}
// FCALL_RO function numkeys [key ...] [arg ...]  as the function does
void FcallRo(Context& ctx) {
  RunFcall(ctx, true);
}

// FUNCTION LOAD [REPLACE] code  O(1) without the time to compile
void FunctionLoad(Context& ctx) {
  bool replace = false;
  for (size_t i = 2; i + 1 < ctx.argc(); ++i) {
    if (!EqualsIgnoreCase(ctx.arg(i), "replace"))
      return ctx.Error("ERR Unknown option given: " + std::string(ctx.arg(i)));
    replace = true;
  }
  const std::string_view code = ctx.arg(ctx.argc() - 1);
  const auto current = RegistryOf(ctx).Current();
  std::string error;
  // A name that is taken is seen before the code is run.
  Library named;
  if (!ReadLibraryShebang(code, &named, &error)) return ctx.Error(error);
  if (!replace && current->all().contains(named.name))
    return ctx.Error("ERR Library '" + named.name + "' already exists");
  const auto library = ScriptHost::Of(ctx.executor()).LoadLibrary(code, WhoLoads(ctx), &error);
  if (library == nullptr) return ctx.Error(error);
  auto next = std::make_shared<Libraries>(*current);
  if (!next->Add(library, replace, &error)) {
    ScriptHost::Of(ctx.executor()).ForgetLibrary(library.get());
    return ctx.Error(error);
  }
  RegistryOf(ctx).Install(std::move(next));
  ctx.Dirty();
  ctx.reply().Bulk(library->name);
}

// FUNCTION DELETE library  O(1)
void FunctionDelete(Context& ctx) {
  auto next = std::make_shared<Libraries>(*RegistryOf(ctx).Current());
  if (!next->Remove(std::string(ctx.arg(2)))) return ctx.Error("ERR Library not found");
  RegistryOf(ctx).Install(std::move(next));
  ctx.Dirty();
  ctx.Ok();
}

// FUNCTION FLUSH [ASYNC | SYNC]  O(N)
void FunctionFlush(Context& ctx) {
  if (ctx.argc() > 3) return RefuseArguments(ctx, "FUNCTION");
  if (ctx.argc() == 3 && !EqualsIgnoreCase(ctx.arg(2), "sync") &&
      !EqualsIgnoreCase(ctx.arg(2), "async"))
    return ctx.Error("ERR FUNCTION FLUSH only supports SYNC|ASYNC option");
  RegistryOf(ctx).Install(std::make_shared<Libraries>());
  ctx.Dirty();
  ctx.Ok();
}

// FUNCTION DUMP  O(N)
void FunctionDump(Context& ctx) {
  ctx.reply().Bulk(DumpLibraries(*RegistryOf(ctx).Current()));
}

// FUNCTION RESTORE payload [FLUSH | APPEND | REPLACE]  O(N)
void FunctionRestore(Context& ctx) {
  if (ctx.argc() > 4) return RefuseArguments(ctx, "FUNCTION");
  Args args(ctx, 3);
  const bool flush = args.Take("FLUSH");
  const bool replace = args.Take("REPLACE");
  if (!args.Take("APPEND") && args.More())
    return ctx.Error(
        "ERR Wrong restore policy given, value should be either FLUSH, APPEND or "
        "REPLACE.");
  std::vector<std::string> codes;
  std::string error;
  if (!ReadLibraryDump(ctx.arg(2), &codes, &error)) return ctx.Error(error);
  auto next = flush ? std::make_shared<Libraries>()
                    : std::make_shared<Libraries>(*RegistryOf(ctx).Current());
  ScriptHost& host = ScriptHost::Of(ctx.executor());
  std::vector<std::shared_ptr<const Library>> loaded;
  for (const std::string& code : codes) {
    loaded.push_back(host.LoadLibrary(code, WhoLoads(ctx), &error));
    if (loaded.back() != nullptr && next->Add(loaded.back(), replace, &error)) continue;
    for (const auto& library : loaded) host.ForgetLibrary(library.get());
    return ctx.Error(error);
  }
  RegistryOf(ctx).Install(std::move(next));
  ctx.Dirty();
  ctx.Ok();
}

void ReplyFunction(Context& ctx, const FunctionInfo& function) {
  ReplyWriter& reply = ctx.reply();
  reply.Map(3);
  reply.Bulk("name");
  reply.Bulk(function.name);
  reply.Bulk("description");
  function.has_description ? reply.Bulk(function.description) : reply.Null();
  reply.Bulk("flags");
  auto gap = reply.StartDeferred();
  size_t flags = 0;
  for (const ScriptFlagName* row = kScriptFlagNames; row->name != nullptr; ++row) {
    if ((function.flags & row->flag) == 0) continue;
    reply.SimpleString(row->name);
    ++flags;
  }
  reply.FinishSet(gap, flags);
}

// FUNCTION LIST [LIBRARYNAME pattern] [WITHCODE]  O(N)
void FunctionList(Context& ctx) {
  bool with_code = false;
  std::string_view pattern;
  for (size_t i = 2; i < ctx.argc(); ++i) {
    if (!with_code && EqualsIgnoreCase(ctx.arg(i), "withcode")) {
      with_code = true;
    } else if (pattern.data() == nullptr && EqualsIgnoreCase(ctx.arg(i), "libraryname")) {
      if (++i >= ctx.argc()) return ctx.Error("ERR library name argument was not given");
      pattern = ctx.arg(i);
    } else {
      return ctx.Error("ERR Unknown argument " + std::string(ctx.arg(i)));
    }
  }
  ReplyWriter& reply = ctx.reply();
  const auto libraries = RegistryOf(ctx).Current();
  auto gap = reply.StartDeferred();
  size_t count = 0;
  for (const auto& [name, library] : libraries->all()) {
    if (pattern.data() != nullptr && !GlobMatch(pattern, name, /*ignore_case=*/true)) continue;
    ++count;
    reply.Map(with_code ? 4 : 3);
    reply.Bulk("library_name");
    reply.Bulk(name);
    reply.Bulk("engine");
    reply.Bulk("LUA");
    reply.Bulk("functions");
    reply.Array(library->functions.size());
    for (const FunctionInfo& function : library->functions) ReplyFunction(ctx, function);
    if (!with_code) continue;
    reply.Bulk("library_code");
    reply.Bulk(library->code);
  }
  reply.FinishArray(gap, count);
}

// FUNCTION STATS  O(1)
void FunctionStats(Context& ctx) {
  ReplyWriter& reply = ctx.reply();
  const auto libraries = RegistryOf(ctx).Current();
  const BusyScript& busy = ctx.engine().busy;
  const BusyScript::Description running = busy.Describe();
  const bool is_running = busy.running();
  if (is_running && !running.is_function) return ctx.Error(busy.Error());
  reply.Map(2);
  reply.Bulk("running_script");
  if (is_running) {
    reply.Map(3);
    reply.Bulk("name");
    reply.Bulk(running.name);
    reply.Bulk("command");
    reply.Array(running.command.size());
    for (const std::string& word : running.command) reply.Bulk(word);
    reply.Bulk("duration_ms");
    reply.Integer(ctx.engine().clock.MonotonicMs() - running.start_ms);
  } else {
    reply.Null();
  }
  reply.Bulk("engines");
  reply.Map(1);
  reply.Bulk("LUA");
  reply.Map(2);
  reply.Bulk("libraries_count");
  reply.Integer(static_cast<int64_t>(libraries->all().size()));
  reply.Bulk("functions_count");
  reply.Integer(static_cast<int64_t>(libraries->function_count()));
}

// FUNCTION KILL  O(1)
void FunctionKill(Context& ctx) {
  const std::string_view error = ctx.engine().busy.Kill(/*is_function=*/true);
  error.empty() ? ctx.Ok() : ctx.Error(error);
}

// FUNCTION HELP  O(1)
void FunctionHelp(Context& ctx) {
  static constexpr std::string_view kLines[] = {
      "LOAD [REPLACE] <FUNCTION CODE>",
      "    Create a new library with the given library name and code.",
      "DELETE <LIBRARY NAME>",
      "    Delete the given library.",
      "LIST [LIBRARYNAME PATTERN] [WITHCODE]",
      "    Return general information on all the libraries:",
      "    * Library name",
      "    * The engine used to run the Library",
      "    * Library description",
      "    * Functions list",
      "    * Library code (if WITHCODE is given)",
      "    It also possible to get only function that matches a pattern using LIBRARYNAME "
      "argument.",
      "STATS",
      "    Return information about the current function running:",
      "    * Function name",
      "    * Command used to run the function",
      "    * Duration in MS that the function is running",
      "    If no function is running, return nil",
      "    In addition, returns a list of available engines.",
      "KILL",
      "    Kill the current running function.",
      "FLUSH [ASYNC|SYNC]",
      "    Delete all the libraries.",
      "    When called without the optional mode argument, the behavior is determined by the",
      "    lazyfree-lazy-user-flush configuration directive. Valid modes are:",
      "    * ASYNC: Asynchronously flush the libraries.",
      "    * SYNC: Synchronously flush the libraries.",
      "DUMP",
      "    Return a serialized payload representing the current libraries, can be restored using "
      "FUNCTION RESTORE command",
      "RESTORE <PAYLOAD> [FLUSH|APPEND|REPLACE]",
      "    Restore the libraries represented by the given payload, it is possible to give a "
      "restore "
      "policy to",
      "    control how to handle existing libraries (default APPEND):",
      "    * FLUSH: delete all existing libraries.",
      "    * APPEND: appends the restored libraries to the existing libraries. On collision, "
      "abort.",
      "    * REPLACE: appends the restored libraries to the existing libraries, On collision, "
      "replace the old",
      "      libraries with the new libraries (notice that even on this option there is a chance "
      "of "
      "failure",
      "      in case of functions name collision with another library).",
  };
  ReplyHelp(ctx, "FUNCTION", kLines);
}

constexpr uint64_t kCallFlags =
    kNoScript | kStale | kSkipMonitor | kNoMandatoryKeys | kMayReplicate | kScripting;
constexpr uint64_t kCallRoFlags =
    kReadonly | kNoScript | kStale | kSkipMonitor | kNoMandatoryKeys | kScripting;
constexpr uint64_t kFlags = kNoScript | kScripting;
constexpr KeySpecs kCallKeys = KeyNum(kRW | kAccess | kUpdate, 2);
constexpr KeySpecs kCallRoKeys = KeyNum(kRO | kAccess, 2);

constexpr CommandSpec kRows[] = {
    {"FCALL", -3, kCallFlags, kCallKeys, 0, &Fcall},
    {"FCALL_RO", -3, kCallRoFlags, kCallRoKeys, 0, &FcallRo},
    {"FUNCTION", -2, 0, {}, 0, nullptr},
    {"FUNCTION|DELETE", 3, kWrite | kFlags, {}, 0, &FunctionDelete, Scope::kAll},
    {"FUNCTION|DUMP", 2, kFlags, {}, 0, &FunctionDump, Scope::kNone},
    {"FUNCTION|FLUSH", -2, kWrite | kFlags, {}, 0, &FunctionFlush, Scope::kAll},
    {"FUNCTION|HELP", 2, kLoading | kStale | kScripting, {}, 0, &FunctionHelp, Scope::kNone},
    {"FUNCTION|KILL", 2, kFlags | kAllowBusy, {}, 0, &FunctionKill, Scope::kNone},
    {"FUNCTION|LIST", -2, kFlags, {}, 0, &FunctionList, Scope::kNone},
    {"FUNCTION|LOAD", -3, kWrite | kDenyOom | kFlags, {}, 0, &FunctionLoad, Scope::kAll},
    {"FUNCTION|RESTORE", -3, kWrite | kDenyOom | kFlags, {}, 0, &FunctionRestore, Scope::kAll},
    {"FUNCTION|STATS", 2, kFlags | kAllowBusy, {}, 0, &FunctionStats, Scope::kNone},
};

}  // namespace

std::span<const CommandSpec> FunctionCommands() {
  return kRows;
}

}  // namespace cairn
