// SPDX-License-Identifier: BSD-3-Clause
//
// ACL LOG, and the file of users: ACL LOAD and SAVE.
#include "acl/acl_log.h"

#include <algorithm>

#include "base/file.h"
#include "base/numbers.h"
#include "commands/acl_common.h"
#include "exec/context.h"

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

void CloseSessionsOf(Context& ctx, std::span<const std::string> users) {
  if (users.empty()) return;
  for (const auto& record : ctx.engine().control->Clients()) {
    std::string name;
    {
      std::lock_guard guard(record->mutex);
      name = record->user;
    }
    if (std::find(users.begin(), users.end(), name) == users.end()) continue;
    if (record->id == ctx.session().id()) {
      ctx.session().close_after_reply = true;
    } else {
      ctx.engine().control->Kill(record->id);
    }
  }
}

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

// ACL LOAD  O(N)
void AclLoad(Context& ctx) {
  Engine& engine = ctx.engine();
  const std::string& file = engine.config.aclfile();
  if (file.empty()) return ctx.Error(kNoFile);
  // Read under All: an operator's rare command, and what was read is in force when it answers.
  auto text = RealFileSystem()->ReadFile(file);
  if (!text.ok()) return ctx.Error("ERR Error loading ACLs, opening file '" + file + "': " +
                                   text.status().message());
  std::vector<std::string> lost;
  const Status status = engine.users.Load(file, *text, &lost);
  if (!status.ok())
    return ctx.Error("ERR " + status.message() +
                     ". WARNING: ACL errors detected, no change to the previously active ACL rules "
                     "was performed");
  engine.modes.Bump();
  CloseSessionsOf(ctx, lost);
  ctx.Ok();
}

// ACL SAVE  O(N)
void AclSave(Context& ctx) {
  Engine& engine = ctx.engine();
  const std::string& file = engine.config.aclfile();
  if (file.empty()) return ctx.Error(kNoFile);
  const Status status = RealFileSystem()->WriteFileAtomically(file, engine.users.Text());
  if (status.ok()) return ctx.Ok();
  engine.log.Warning("ACL SAVE failed: %s", status.message().c_str());
  ctx.Error("ERR There was an error trying to save the ACLs. Please check the server logs for more "
            "information");
}

}  // namespace cairn
