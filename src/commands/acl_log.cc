// SPDX-License-Identifier: BSD-3-Clause
//
// ACL LOG, and the file of users: ACL LOAD and SAVE.
#include "acl/acl_log.h"

#include <algorithm>

#include "base/file.h"
#include "base/numbers.h"
#include "commands/acl_common.h"
#include "commands/acl_sessions.h"
#include "exec/context.h"
#include "exec/executor.h"
#include "exec/late_reply.h"

namespace cairn {
namespace {

constexpr std::string_view kNoFile =
    "ERR This Redis instance is not configured to use an ACL file. You may want to specify users "
    "via the ACL SETUSER command and then issue a CONFIG REWRITE (assuming you have a Redis "
    "configuration file set) in order to store users in the Redis configuration.";

void ReplyEntry(ReplyWriter& reply, const AclLogEntry& entry, int64_t now_ms) {
  const auto text = [&](std::string_view name, std::string_view value) {
    reply.Bulk(name);
    reply.Bulk(value);
  };
  const auto number = [&](std::string_view name, int64_t value) {
    reply.Bulk(name);
    reply.Integer(value);
  };
  reply.Map(10);
  number("count", static_cast<int64_t>(entry.count));
  text("reason", NameOf(entry.reason));
  text("context", entry.context);
  text("object", entry.object);
  text("username", entry.user);
  reply.Bulk("age-seconds");
  reply.Double(static_cast<double>(now_ms - entry.created_ms) / 1000);
  text("client-info", entry.client_info);
  number("entry-id", entry.id);
  number("timestamp-created", entry.created_ms);
  number("timestamp-last-updated", entry.updated_ms);
}

}  // namespace

std::string UnknownAclSubcommand(Context& ctx) {
  return "ERR unknown subcommand or wrong number of arguments for '" + std::string(ctx.arg(1)) +
         "'. Try ACL HELP.";
}

// ACL LOG [count | RESET]  O(N)
void AclLogCommand(Context& ctx) {
  constexpr int64_t kDefaultCount = 10;
  if (ctx.argc() > 3) return ctx.Error(UnknownAclSubcommand(ctx));
  int64_t count = kDefaultCount;
  if (ctx.argc() == 3) {
    if (EqualsIgnoreCase(ctx.arg(2), "reset")) {
      ctx.engine().acl_log.Reset();
      return ctx.Ok();
    }
    if (!ParseInt64(ctx.arg(2), &count)) return ctx.Error(errors::kNotInteger);
    count = std::max<int64_t>(count, 0);
  }
  const auto entries = ctx.engine().acl_log.Newest(static_cast<size_t>(count));
  const int64_t now = ctx.engine().clock.WallMs();
  ctx.reply().Array(entries.size());
  for (const AclLogEntry& entry : entries) ReplyEntry(ctx.reply(), entry, now);
}

namespace {

// Without locks but for the moment of the change.
void LoadUsers(Executor& executor, Session& session, const std::string& file, ReplyWriter& reply) {
  Engine& engine = executor.engine();
  auto text = RealFileSystem()->ReadFile(file);
  if (!text.ok())
    return reply.Error("ERR Error loading ACLs, opening file '" + file + "': " +
                       text.status().message());
  // A script that has become busy meanwhile may keep All for itself.
  bool done = false;
  Status status;
  LockPlan all;
  all.all = true;
  executor.RunUnit(all, engine.clock.WallMs(), [&](Unit& unit) {
    done = true;
    std::vector<std::string> gone;
    status = engine.users.Load(file, *text, &gone);
    if (!status.ok()) return;
    engine.modes.Bump();
    CloseSessionsOf(unit, session, gone);
    for (const auto& user : engine.users.All()) CloseSubscribersOf(unit, session, user->name());
  });
  if (!done) return reply.Error(engine.busy.Error());
  if (status.ok()) return reply.Ok();
  reply.Error("ERR " + status.message() +
              ". WARNING: ACL errors detected, no change to the previously active ACL rules was "
              "performed");
}

}  // namespace

// ACL LOAD  O(N)
void AclLoad(Context& ctx) {
  const std::string& file = ctx.config().aclfile();
  if (file.empty()) return ctx.Error(kNoFile);
  ReplyLater(ctx, [&executor = ctx.executor(), &session = ctx.session(), file](ReplyWriter& reply) {
    LoadUsers(executor, session, file, reply);
  });
}

// ACL SAVE  O(N)
void AclSave(Context& ctx) {
  Engine& engine = ctx.engine();
  const std::string& file = engine.config.aclfile();
  if (file.empty()) return ctx.Error(kNoFile);
  ReplyLater(ctx, [&engine, file](ReplyWriter& reply) {
    const auto turn = engine.users.OwnFile();
    auto still = engine.users.KeepStill();
    const std::string text = engine.users.Text();
    still.unlock();
    const Status status = RealFileSystem()->WriteFileAtomically(file, text);
    if (status.ok()) return reply.Ok();
    engine.log.Warning("ACL SAVE failed: %s", status.message().c_str());
    reply.Error("ERR There was an error trying to save the ACLs. Please check the server logs for "
                "more information");
  });
}

}  // namespace cairn
