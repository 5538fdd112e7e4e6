// SPDX-License-Identifier: BSD-3-Clause
//
// EVAL, EVALSHA, their read-only forms, and SCRIPT.
#include "commands/families.h"
#include "commands/help.h"
#include "exec/args.h"
#include "script/host.h"

namespace cairn {
namespace {

constexpr std::string_view kNoScriptError = "NOSCRIPT No matching script. Please use EVAL.";

// The keys and arguments of `script numkeys [key ...] [arg ...]`. False: the error was replied.
bool SplitArguments(Context& ctx, Arguments* keys, Arguments* args) {
  int64_t count;
  if (!ParseInt64(ctx.arg(2), &count)) return ctx.Error(errors::kNotInteger), false;
  if (count > static_cast<int64_t>(ctx.argc()) - 3)
    return ctx.Error("ERR Number of keys can't be greater than number of args"), false;
  if (count < 0) return ctx.Error("ERR Number of keys can't be negative"), false;
  *keys = ctx.args().subspan(3, static_cast<size_t>(count));
  *args = ctx.args().subspan(3 + static_cast<size_t>(count));
  return true;
}

void RunEval(Context& ctx, bool read_only) {
  Arguments keys, args;
  if (!SplitArguments(ctx, &keys, &args)) return;
  ScriptHost& host = ScriptHost::Of(ctx.executor());
  std::string error;
  const ScriptHost::Compiled* script = host.FindByBody(ctx.arg(1), false, &error);
  if (script == nullptr) return ctx.Error(error);
  host.Eval(ctx, *script, keys, args, read_only);
}

void RunEvalSha(Context& ctx, bool read_only) {
  ScriptHost& host = ScriptHost::Of(ctx.executor());
  if (ctx.arg(1).size() != 40) return ctx.Error(kNoScriptError);
  Arguments keys, args;
  if (!SplitArguments(ctx, &keys, &args)) return;
  const ScriptHost::Compiled* script = host.FindBySha(ctx.arg(1));
  if (script == nullptr) return ctx.Error(kNoScriptError);
  host.Eval(ctx, *script, keys, args, read_only);
}

// EVAL script numkeys [key ...] [arg ...]  as the script does
void Eval(Context& ctx) {
  RunEval(ctx, false);
}
// EVAL_RO script numkeys [key ...] [arg ...]  as the script does
void EvalRo(Context& ctx) {
  RunEval(ctx, true);
}
// EVALSHA sha1 numkeys [key ...] [arg ...]  as the script does
void EvalSha(Context& ctx) {
  RunEvalSha(ctx, false);
}
// EVALSHA_RO sha1 numkeys [key ...] [arg ...]  as the script does
void EvalShaRo(Context& ctx) {
  RunEvalSha(ctx, true);
}

// SCRIPT LOAD script  O(N) for N bytes
void ScriptLoad(Context& ctx) {
  std::string error;
  const auto* script = ScriptHost::Of(ctx.executor()).FindByBody(ctx.arg(2), true, &error);
  if (script == nullptr) return ctx.Error(error);
  ctx.reply().Bulk(script->script->sha);
}

// SCRIPT EXISTS sha1 [sha1 ...]  O(N)
void ScriptExists(Context& ctx) {
  ctx.reply().Array(ctx.argc() - 2);
  for (size_t i = 2; i < ctx.argc(); ++i)
    ctx.reply().Integer(ctx.engine().scripts->Find(ToLower(ctx.arg(i))) != nullptr);
}

// SCRIPT FLUSH [ASYNC | SYNC]  O(N)
void ScriptFlush(Context& ctx) {
  if (ctx.argc() > 3 || (ctx.argc() == 3 && !EqualsIgnoreCase(ctx.arg(2), "sync") &&
                         !EqualsIgnoreCase(ctx.arg(2), "async")))
    return ctx.Error("ERR SCRIPT FLUSH only support SYNC|ASYNC option");
  ctx.engine().scripts->Flush();
  ctx.Ok();
}

// SCRIPT SHOW sha1  O(1); of Valkey 8
void ScriptShow(Context& ctx) {
  const auto script = ctx.engine().scripts->Find(ToLower(ctx.arg(2)));
  if (script == nullptr) return ctx.Error(kNoScriptError);
  ctx.reply().Bulk(script->body);
}

// SCRIPT KILL  O(1)
void ScriptKill(Context& ctx) {
  const std::string_view error = ctx.engine().busy.Kill(/*is_function=*/false);
  error.empty() ? ctx.Ok() : ctx.Error(error);
}

// SCRIPT DEBUG YES | SYNC | NO  O(1)
void ScriptDebug(Context& ctx) {
  if (EqualsIgnoreCase(ctx.arg(2), "no")) return ctx.Ok();
  if (!EqualsIgnoreCase(ctx.arg(2), "yes") && !EqualsIgnoreCase(ctx.arg(2), "sync"))
    return ctx.Error("ERR Use SCRIPT DEBUG YES/SYNC/NO");
  ctx.Error("ERR Cairn has no debugger for scripts");
}

// SCRIPT HELP  O(1)
void ScriptHelp(Context& ctx) {
  static constexpr std::string_view kLines[] = {
      "DEBUG (YES|SYNC|NO)",
      "    Set the debug mode for subsequent scripts executed.",
      "EXISTS <sha1> [<sha1> ...]",
      "    Return information about the existence of the scripts in the script cache.",
      "FLUSH [ASYNC|SYNC]",
      "    Flush the Lua scripts cache. Very dangerous on replicas.",
      "    When called without the optional mode argument, the behavior is determined by the",
      "    lazyfree-lazy-user-flush configuration directive. Valid modes are:",
      "    * ASYNC: Asynchronously flush the scripts cache.",
      "    * SYNC: Synchronously flush the scripts cache.",
      "KILL",
      "    Kill the currently executing Lua script.",
      "LOAD <script>",
      "    Load a script into the scripts cache without executing it.",
      "SHOW <sha1>",
      "    Return the text of a script in the scripts cache.",
  };
  ReplyHelp(ctx, "SCRIPT", kLines);
}

constexpr uint64_t kEvalRoFlags =
    kReadonly | kNoScript | kStale | kSkipMonitor | kNoMandatoryKeys | kScripting;
constexpr uint64_t kEvalFlags =
    kNoScript | kStale | kSkipMonitor | kNoMandatoryKeys | kMayReplicate | kScripting;
constexpr uint64_t kScriptFlags = kNoScript | kScripting;
constexpr KeySpecs kEvalKeys = KeyNum(kRW | kAccess | kUpdate, 2);
constexpr KeySpecs kEvalRoKeys = KeyNum(kRO | kAccess, 2);

constexpr CommandSpec kRows[] = {
    {"EVAL", -3, kEvalFlags, kEvalKeys, 0, &Eval},
    {"EVAL_RO", -3, kEvalRoFlags, kEvalRoKeys, 0, &EvalRo},
    {"EVALSHA", -3, kEvalFlags, kEvalKeys, 0, &EvalSha},
    {"EVALSHA_RO", -3, kEvalRoFlags, kEvalRoKeys, 0, &EvalShaRo},
    {"SCRIPT", -2, 0, {}, 0, nullptr},
    {"SCRIPT|DEBUG", 3, kScriptFlags, {}, 0, &ScriptDebug, Scope::kNone},
    {"SCRIPT|EXISTS", -3, kScriptFlags, {}, 0, &ScriptExists, Scope::kNone},
    {"SCRIPT|FLUSH", -2, kScriptFlags, {}, 0, &ScriptFlush, Scope::kAll},
    {"SCRIPT|HELP", 2, kLoading | kStale | kScripting, {}, 0, &ScriptHelp, Scope::kNone},
    {"SCRIPT|KILL", 2, kScriptFlags | kAllowBusy, {}, 0, &ScriptKill, Scope::kNone},
    {"SCRIPT|LOAD", 3, kScriptFlags | kStale, {}, 0, &ScriptLoad, Scope::kNone},
    {"SCRIPT|SHOW", 3, kScriptFlags, {}, 0, &ScriptShow, Scope::kNone},
};

}  // namespace

std::span<const CommandSpec> ScriptingCommands() {
  return kRows;
}

}  // namespace cairn
