// SPDX-License-Identifier: BSD-3-Clause
//
// PING, ECHO, SELECT, AUTH, HELLO, QUIT, RESET: what a connection says about itself.
#include "base/version.h"
#include "commands/families.h"
#include "exec/access.h"
#include "exec/args.h"
#include "exec/context.h"
#include "exec/monitoring.h"
#include "exec/subscribing.h"
#include "exec/tracking.h"
#include "exec/transaction.h"

namespace cairn {
namespace {

// PING [message]  O(1)
void Ping(Context& ctx) {
  if (ctx.argc() > 2)
    return ctx.Error("ERR wrong number of arguments for 'ping' command");
  if (InSubscriberMode(ctx.session())) {
    // A RESP2 subscriber tells replies from messages by their shape.
    ctx.reply().Array(2);
    ctx.reply().Bulk("pong");
    return ctx.reply().Bulk(ctx.argc() == 2 ? ctx.arg(1) : "");
  }
  if (ctx.argc() == 2) return ctx.reply().Bulk(ctx.arg(1));
  ctx.reply().SimpleString("PONG");
}

// ECHO message  O(1)
void Echo(Context& ctx) { ctx.reply().Bulk(ctx.arg(1)); }

// SELECT index  O(1)
void Select(Context& ctx) {
  int64_t index;
  if (!ParseInt64(ctx.arg(1), &index)) return ctx.Error(errors::kNotInteger);
  if (index < INT32_MIN || index > INT32_MAX) return ctx.Error(errors::kIntRange);
  if (index < 0 || index >= ctx.unit().keyspace().databases())
    return ctx.Error(errors::kDbIndex);
  ctx.session().db = static_cast<int>(index);
  ctx.Ok();
}

bool Authenticate(Context& ctx, std::string_view name, std::string_view password) {
  Session& session = ctx.session();
  std::shared_ptr<User> user = ctx.engine().users.Authenticate(name, password);
  if (user == nullptr) {
    LogFailedAuth(ctx.engine(), *session.record, name, ctx.in_exec() ? "multi" : "toplevel");
    ctx.Error("WRONGPASS invalid username-password pair or user is disabled.");
    return false;
  }
  session.authenticated = true;
  {
    std::lock_guard guard(session.record->mutex);
    session.record->user = user->name();
  }
  session.user = std::move(user);
  return true;
}

// AUTH [username] password  O(N) in the number of passwords
void Auth(Context& ctx) {
  if (ctx.argc() > 3) return ctx.Error(errors::kSyntax);
  if (ctx.argc() == 2 && ctx.engine().users.default_nopass())
    return ctx.Error(
        "ERR AUTH <password> called without any password configured for the default user. Are you "
        "sure your configuration is correct?");
  const bool named = ctx.argc() == 3;
  if (Authenticate(ctx, named ? ctx.arg(1) : "default", ctx.arg(named ? 2 : 1))) ctx.Ok();
}

bool IsClientName(std::string_view name) {
  for (char c : name)
    if (c < '!' || c > '~') return false;
  return true;
}

// HELLO [protover [AUTH username password] [SETNAME clientname]]  O(1)
void Hello(Context& ctx) {
  Session& session = ctx.session();
  int64_t version = session.resp;
  std::string_view user, password, name;
  bool has_name = false, has_auth = false;
  if (ctx.argc() > 1) {
    if (!ParseInt64(ctx.arg(1), &version) )
      return ctx.Error("ERR Protocol version is not an integer or out of range");
    if (version < 2 || version > 3) return ctx.Error("NOPROTO unsupported protocol version");
  }
  Args args(ctx, 2);
  while (args.More()) {
    if (args.Take("AUTH", 2)) {
      user = args.Next();
      password = args.Next();
      has_auth = true;
    } else if (args.Take("SETNAME", 1)) {
      name = args.Next();
      has_name = true;
    } else {
      return ctx.Error("ERR Syntax error in HELLO option '" + std::string(args.Peek()) + "'");
    }
  }
  if (has_auth && !Authenticate(ctx, user, password)) return;
  if (!session.authenticated)
    return ctx.Error(
        "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO "
        "<proto> AUTH <user> <pass> option can be used to authenticate the client and select the "
        "RESP protocol version at the same time");
  if (has_name) {
    if (!IsClientName(name))
      return ctx.Error("ERR Client names cannot contain spaces, newlines or special characters.");
    std::lock_guard guard(session.record->mutex);
    session.record->name = name;
  }
  session.resp = static_cast<int>(version);
  ctx.reply().set_version(session.resp);
  ReplyWriter& reply = ctx.reply();
  reply.Map(7);
  reply.Bulk("server");
  reply.Bulk("redis");
  reply.Bulk("version");
  reply.Bulk(kRedisVersion);
  reply.Bulk("proto");
  reply.Integer(session.resp);
  reply.Bulk("id");
  reply.Integer(static_cast<int64_t>(session.id()));
  reply.Bulk("mode");
  reply.Bulk("standalone");
  reply.Bulk("role");
  reply.Bulk(ctx.engine().modes.Has(kModeFollower) ? "replica" : "master");
  reply.Bulk("modules");
  reply.EmptyArray();
}

// QUIT  O(1)
void Quit(Context& ctx) {
  ctx.session().close_after_reply = true;
  ctx.Ok();
}

// RESET  O(1)
void Reset(Context& ctx) {
  Session& session = ctx.session();
  DiscardTransaction(session);
  DropSubscriptions(session);
  StopTracking(session);
  StopMonitor(session);
  session.db = 0;
  session.resp = 2;
  session.reply_mode = ReplyMode::kOn;
  session.no_touch = session.no_evict = false;
  session.record->flags.fetch_and(~uint32_t{kClientNoEvict | kClientNoTouch},
                                  std::memory_order_relaxed);
  {
    std::lock_guard guard(session.record->mutex);
    session.record->name.clear();
    session.record->user = "default";
  }
  session.user = ctx.engine().users.default_user();
  session.authenticated = ctx.engine().users.default_open();
  ctx.reply().set_version(2);
  ctx.reply().SimpleString("RESET");
}

constexpr CommandSpec kRows[] = {
    {"PING", -1, kFast, {}, kAclConnection, &Ping},
    {"ECHO", 2, kLoading | kStale | kFast, {}, kAclConnection, &Echo},
    {"SELECT", 2, kLoading | kStale | kFast, {}, kAclConnection, &Select},
    {"AUTH", -2,
     kNoScript | kLoading | kStale | kFast | kNoAuth | kAllowBusy | kBarrier, {}, kAclConnection,
     &Auth},
    {"HELLO", -1,
     kNoScript | kLoading | kStale | kFast | kNoAuth | kAllowBusy | kBarrier, {}, kAclConnection,
     &Hello},
    {"QUIT", -1,
     kNoScript | kLoading | kStale | kFast | kNoAuth | kAllowBusy | kBarrier, {}, kAclConnection,
     &Quit},
    {"RESET", 1,
     kNoScript | kLoading | kStale | kFast | kNoAuth | kAllowBusy | kBarrier, {}, kAclConnection,
     &Reset},
};

}  // namespace

std::span<const CommandSpec> ConnectionCommands() { return kRows; }

}  // namespace cairn
