// SPDX-License-Identifier: BSD-3-Clause
//
// REPLCONF, PSYNC, SYNC: what followers say to their leader. REPLICAOF, SLAVEOF, ROLE: who leads.
#include <algorithm>
#include <optional>

#include "commands/families.h"
#include "exec/args.h"
#include "exec/context.h"
#include "exec/late_reply.h"
#include "exec/replication_control.h"

namespace cairn {
namespace {

constexpr size_t kAddressBytesMax = 255;  // as Redis: of a host's name

// REPLCONF ACK offset [FACK offset]: no reply, as Redis does
void ReadAck(Context& ctx) {
  int64_t applied, told;
  std::optional<uint64_t> durable;
  if (!ParseInt64(ctx.arg(2), &applied) || applied < 0) return;
  if (ctx.argc() >= 5 && EqualsIgnoreCase(ctx.arg(3), "fack")) {
    if (!ParseInt64(ctx.arg(4), &told) || told < 0) return;
    durable = static_cast<uint64_t>(told);
  }
  ctx.engine().replication->Acknowledge(ctx.session(), static_cast<uint64_t>(applied), durable);
}

// Of the words of REPLCONF rdb-filter-only, what a snapshot is to hold beside nothing: the first that
// is not "functions"; "" if there is none.
std::string_view UnknownFilter(std::string_view words) {
  while (!words.empty()) {
    const std::string_view word = words.substr(0, words.find(' '));
    if (!word.empty() && !EqualsIgnoreCase(word, "functions")) return word;
    words.remove_prefix(std::min(word.size() + 1, words.size()));
  }
  return {};
}

// REPLCONF option value [option value ...]  O(1)
void ReplConf(Context& ctx) {
  if (ctx.argc() % 2 == 0) return ctx.Error(errors::kSyntax);
  for (size_t i = 1; i < ctx.argc(); i += 2) {
    const std::string_view option = ctx.arg(i), value = ctx.arg(i + 1);
    int64_t number;
    if (EqualsIgnoreCase(option, "ack")) return ReadAck(ctx);
    // A leader's question; the link answers it, not a client.
    if (EqualsIgnoreCase(option, "getack")) return;
    if (EqualsIgnoreCase(option, "listening-port") && !ParseInt64(value, &number))
      return ctx.Error(errors::kNotInteger);
    if (EqualsIgnoreCase(option, "rdb-only")) {
      if (!ParseInt64(value, &number)) return ctx.Error(errors::kNotInteger);
      if (number < 0 || number > 1)
        return ctx.Error("ERR value is out of range, value must between 0 and 1");
    }
    if (EqualsIgnoreCase(option, "rdb-filter-only"))
      if (const std::string_view word = UnknownFilter(value); !word.empty())
        return ctx.Error("ERR Unsupported rdb-filter-only option: " + std::string(word));
    if (EqualsIgnoreCase(option, "ip-address") && value.size() > kAddressBytesMax)
      return ctx.Error("ERR REPLCONF ip-address provided by replica instance is too long: " +
                       std::to_string(value.size()) + " bytes");
    if (!ctx.engine().replication->Describe(ctx.session(), option, value))
      return ctx.Error("ERR Unrecognized REPLCONF option: " + std::string(option));
  }
  ctx.Ok();
}

// What a follower is sent comes from the feeder; here only a refusal is said. A follower's further
// requests mean nothing.
void Follow(ReplicationControl& replication, Session& session, const FollowerRequest& request,
            ReplyWriter& reply) {
  const bool follows = (session.record->flags.load() & kClientReplica) != 0;
  const std::string error = replication.Follow(session, request);
  if (!error.empty()) return reply.Error(error);
  if (!follows) session.stream_end = reply.out().end_position();
}

// PSYNC replicationid offset [FAILOVER]  O(1)
void PSync(Context& ctx) {
  FollowerRequest request;
  request.id = ctx.arg(1);
  if (!ParseInt64(ctx.arg(2), &request.offset)) return ctx.Error(errors::kNotInteger);
  if (ctx.argc() <= 3 || !EqualsIgnoreCase(ctx.arg(3), "failover"))
    return Follow(*ctx.engine().replication, ctx.session(), request, ctx.reply());
  // Its leader wants this server in its place: the role changes first.
  ReplyLater(ctx, [replication = ctx.engine().replication, &session = ctx.session(),
                   request](ReplyWriter& reply) {
    const std::string error = replication->TakeOver(request.id);
    if (!error.empty()) return reply.Error(error);
    Follow(*replication, session, request, reply);
  });
}

// SYNC  O(1)
void Sync(Context& ctx) {
  FollowerRequest request;
  request.old = true;
  Follow(*ctx.engine().replication, ctx.session(), request, ctx.reply());
}

// REPLICAOF host port | NO ONE  O(1)
void ReplicaOf(Context& ctx) {
  ReplicationControl* replication = ctx.engine().replication;
  if (replication->FailingOver())
    return ctx.Error("ERR REPLICAOF not allowed while failing over.");
  std::string host;
  int64_t port = 0;
  if (!EqualsIgnoreCase(ctx.arg(1), "no") || !EqualsIgnoreCase(ctx.arg(2), "one")) {
    if ((ctx.session().record->flags.load() & kClientReplica) != 0)
      return ctx.Error("ERR Command is not valid when client is a replica.");
    if (!ParseInt64(ctx.arg(2), &port) || port < 0 || port > 65535)
      return ctx.Error("ERR Invalid master port");
    host = ctx.arg(1);
    const LinkFacts link = replication->Link();
    if (link.follower && link.host == host && link.port == port)
      return ctx.reply().SimpleString("OK Already connected to specified master");
  }
  // The role changes when the unit is over, before the reply leaves.
  ctx.unit().AfterUnit(
      [replication, host, port] { replication->ReplicaOf(host, static_cast<int>(port)); });
  ctx.Ok();
}

// FAILOVER [TO host port [FORCE]] [TIMEOUT milliseconds] | ABORT [FORCE]  O(1)
void Failover(Context& ctx) {
  ReplicationControl* replication = ctx.engine().replication;
  const auto answer = [&ctx](auto change) {
    ReplyLater(ctx, [change](ReplyWriter& reply) {
      const std::string error = change();
      return error.empty() ? reply.Ok() : reply.Error(error);
    });
  };
  const bool forced = ctx.argc() == 3 && EqualsIgnoreCase(ctx.arg(2), "force");
  if ((ctx.argc() == 2 || forced) && EqualsIgnoreCase(ctx.arg(1), "abort"))
    return answer([replication, forced] { return replication->AbortFailover(forced); });
  FailoverRequest request;
  for (size_t i = 1; i < ctx.argc(); ++i) {
    const std::string_view option = ctx.arg(i);
    if (EqualsIgnoreCase(option, "timeout") && i + 1 < ctx.argc() && request.timeout_ms == 0) {
      if (!ParseInt64(ctx.arg(++i), &request.timeout_ms)) return ctx.Error(errors::kNotInteger);
      if (request.timeout_ms <= 0)
        return ctx.Error("ERR FAILOVER timeout must be greater than 0");
    } else if (EqualsIgnoreCase(option, "to") && i + 2 < ctx.argc() && request.host.empty()) {
      int64_t port;
      if (!ParseInt64(ctx.arg(i + 2), &port)) return ctx.Error(errors::kNotInteger);
      request.host = ctx.arg(i + 1);
      request.port = static_cast<int>(std::clamp<int64_t>(port, -1, 65536));
      i += 2;
    } else if (EqualsIgnoreCase(option, "force") && !request.force) {
      request.force = true;
    } else {
      return ctx.Error(errors::kSyntax);
    }
  }
  answer([replication, request] { return replication->BeginFailover(request); });
}

// ROLE  O(1)
void Role(Context& ctx) {
  ReplicationControl& replication = *ctx.engine().replication;
  ReplyWriter& reply = ctx.reply();
  const auto offset = static_cast<int64_t>(replication.Stream().offset);
  const LinkFacts link = replication.Link();
  if (ctx.engine().modes.Has(kModeFollower) || link.follower) {
    reply.Array(5);
    reply.Bulk("slave");
    reply.Bulk(link.host);
    reply.Integer(link.port);
    reply.Bulk(link.state);
    return reply.Integer(link.up ? offset : -1);
  }
  std::vector<FollowerFacts> online;
  for (FollowerFacts& follower : replication.Followers())
    if (std::string_view(follower.state) == "online") online.push_back(std::move(follower));
  reply.Array(3);
  reply.Bulk("master");
  reply.Integer(offset);
  reply.Array(online.size());
  for (const FollowerFacts& follower : online) {
    reply.Array(3);
    reply.Bulk(follower.address);
    reply.Bulk(std::to_string(follower.port));
    reply.Bulk(std::to_string(follower.acknowledged));
  }
}

constexpr uint64_t kSyncFlags = kAdmin | kNoScript | kNoAsyncLoading | kNoMulti | kBarrier;
constexpr uint64_t kRoleFlags = kAdmin | kNoScript | kStale | kNoAsyncLoading;
constexpr CommandSpec kRows[] = {
    {"REPLCONF", -1, kAdmin | kNoScript | kLoading | kStale | kAllowBusy, {}, 0, &ReplConf},
    {"PSYNC", -3, kSyncFlags, {}, 0, &PSync},
    {"SYNC", 1, kSyncFlags, {}, 0, &Sync},
    {"REPLICAOF", 3, kRoleFlags, {}, 0, &ReplicaOf},
    {"SLAVEOF", 3, kRoleFlags, {}, 0, &ReplicaOf},
    {"FAILOVER", -1, kAdmin | kNoScript | kStale, {}, 0, &Failover},
    {"ROLE", 1, kNoScript | kLoading | kStale | kFast, {}, kAclAdmin | kAclDangerous, &Role},
};

}  // namespace

std::span<const CommandSpec> ReplicationCommands() {
  return kRows;
}

}  // namespace cairn
