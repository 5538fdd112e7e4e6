// SPDX-License-Identifier: BSD-3-Clause
//
// CONFIG GET, SET, REWRITE, RESETSTAT, HELP.
#include "acl/users.h"
#include "base/numbers.h"
#include "commands/families.h"
#include "commands/help.h"
#include "commands/protected_action.h"
#include "config/file_parser.h"
#include "exec/audit_log.h"
#include "exec/context.h"
#include "exec/executor.h"
#include "exec/late_reply.h"

namespace cairn {
namespace {

// CONFIG GET pattern [pattern ...]
void ConfigGet(Context& ctx) {
  const auto pairs = ctx.engine().config_store.Get(ctx.args().subspan(2));
  ctx.reply().Map(pairs.size());
  for (const auto& [name, value] : pairs) {
    ctx.reply().Bulk(name);
    ctx.reply().Bulk(value);
  }
}

// What CONFIG SET is about to change, as it could be set again.
ConfigStore::Pairs ValuesOf(const ConfigStore& store, const ConfigStore::Pairs& pairs) {
  std::vector<std::string_view> names;
  for (const auto& [name, value] : pairs) names.push_back(name);
  return store.Get(names);
}

// `appendonly` was set: files come and go. If that fails all of the CONFIG SET is taken back.
// `user` is the default user as it was: requirepass cannot say what ACL SETUSER gave it.
void SwitchLog(Executor& executor, const ConfigStore::Pairs& before, const std::string& user,
               ReplyWriter& reply) {
  Engine& engine = executor.engine();
  const Status status = engine.control->SwitchJournal();
  if (status.ok()) return reply.Ok();
  engine.log.Warning("CONFIG SET appendonly: %s", status.message().c_str());
  LockPlan plan;
  plan.all = true;
  // Behind a busy script, if one has all locks by now.
  Unit& unit = executor.unit();
  unit.Begin(plan, engine.clock.WallMs(), executor.CurrentExpiryMode());
  (void)engine.config_store.Set(before, true);
  std::vector<std::string_view> words = SplitAclWords(user);  // "user default ..."
  words[1] = "reset";
  (void)engine.users.Set("default", std::span(words).subspan(1));
  engine.modes.Bump();
  unit.End();
  executor.LeaveGate();
  reply.Error("ERR CONFIG SET failed (possibly related to argument 'appendonly') - " +
              status.message());
}

// Who turns the audit log off, or its rules to others, stands in it.
void TellAuditLog(Context& ctx, const ConfigStore::Pairs& pairs) {
  Engine& engine = ctx.engine();
  if (!engine.audited.load(std::memory_order_relaxed)) return;
  std::vector<std::string_view> options;
  for (const auto& [name, value] : pairs)
    if (ToLower(name).starts_with("audit-log")) options.push_back(name);
  if (!options.empty()) AuditSettings(engine, *ctx.session().record, options);
}

// CONFIG SET name value [name value ...]; scope All: most hooks change what every worker reads
void ConfigSet(Context& ctx) {
  if (ctx.argc() % 2 != 0) return ctx.Error(errors::kSyntax);
  ConfigStore::Pairs pairs;
  for (size_t i = 2; i < ctx.argc(); i += 2) pairs.emplace_back(ctx.arg(i), ctx.arg(i + 1));
  ConfigStore& store = ctx.engine().config_store;
  const bool logged = ctx.config().appendonly();
  ConfigStore::Pairs before = ValuesOf(store, pairs);
  const std::string user = ctx.engine().users.default_user()->Describe();
  TellAuditLog(ctx, pairs);
  const Status status = store.Set(pairs, MayDo(ctx, ctx.config().enable_protected_configs()));
  if (!status.ok()) return ctx.Error("ERR " + status.message());
  if (ctx.config().appendonly() == logged) return ctx.Ok();
  ReplyLater(ctx, [&executor = ctx.executor(), before = std::move(before), user](ReplyWriter& reply) {
    SwitchLog(executor, before, user, reply);
  });
}

// TLS files are read from disk, which nobody else need wait for: what is made of them is swapped in
// under a lock of its own.
Scope ConfigSetScope(Arguments arguments) {
  for (size_t i = 2; i < arguments.size(); i += 2) {
    const std::string name = ToLower(arguments[i]);
    if (!name.starts_with("tls-") || name == "tls-port") return Scope::kAll;
  }
  return Scope::kNone;
}

// Nothing as long as there is only a default user that `requirepass` describes.
std::vector<std::string> UserLines(const Users& users) {
  constexpr size_t kKeyword = sizeof "user";  // with the blank behind it
  std::vector<std::string> lines;
  for (const auto& user : users.All()) {
    std::string& line = lines.emplace_back();
    const std::string text = user->Describe().substr(kKeyword);
    for (const std::string_view word : SplitAclWords(text))
      (line += line.empty() ? "" : " ") += QuoteWord(word);
  }
  return lines;
}

// CONFIG REWRITE
void ConfigRewrite(Context& ctx) {
  if (ctx.engine().config_store.file().empty())
    return ctx.Error("ERR The server is running without a config file");
  // Users of a file of their own are not the configuration's business.
  const Users& users = ctx.engine().users;
  std::optional<std::vector<std::string>> lines;
  if (ctx.config().aclfile().empty()) lines = UserLines(users);
  ReplyLater(ctx, [&engine = ctx.engine(), lines = std::move(lines)](ReplyWriter& reply) {
    const Status status = engine.config_store.Rewrite(lines);
    if (status.ok()) return reply.Ok();
    engine.log.Warning("CONFIG REWRITE failed: %s", status.message().c_str());
    reply.Error("ERR " + status.message());
  });
}

// CONFIG RESETSTAT
void ConfigResetStat(Context& ctx) {
  ctx.engine().control->ResetStatistics();
  ctx.engine().lazy_free.ResetFreed();
  ctx.Ok();
}

void ConfigHelp(Context& ctx) {
  static constexpr std::string_view kLines[] = {
      "GET <pattern>",
      "    Return parameters matching the glob-like <pattern> and their values.",
      "SET <directive> <value>",
      "    Set the configuration <directive> to <value>.",
      "RESETSTAT",
      "    Reset statistics reported by the INFO command.",
      "REWRITE",
      "    Rewrite the configuration file."};
  ReplyHelp(ctx, "CONFIG", kLines);
}

constexpr uint64_t kConfigFlags = kAdmin | kNoScript | kLoading | kStale;
constexpr CommandSpec kRows[] = {
    {"CONFIG", -2, 0, {}, 0, nullptr, Scope::kNone},
    {"CONFIG|GET", -3, kConfigFlags, {}, 0, &ConfigGet},
    {"CONFIG|SET", -4, kConfigFlags, {}, 0, &ConfigSet, Scope::kAll, &ConfigSetScope},
    {"CONFIG|REWRITE", 2, kConfigFlags, {}, 0, &ConfigRewrite},
    {"CONFIG|RESETSTAT", 2, kConfigFlags, {}, 0, &ConfigResetStat},
    {"CONFIG|HELP", 2, kLoading | kStale, {}, 0, &ConfigHelp},
};

}  // namespace

std::span<const CommandSpec> ConfigCommands() {
  return kRows;
}

}  // namespace cairn
