// SPDX-License-Identifier: BSD-3-Clause
//
// WAIT and WAITAOF: until this connection's writes are elsewhere, or on disk. A write that another
// thread did for this client while it was blocked counts as its own.
#include "commands/blocking_common.h"
#include "commands/families.h"
#include "exec/args.h"
#include "exec/replication_control.h"
#include "journal/journal.h"

namespace cairn {
namespace {

bool RefusedOnReplica(Context& ctx, std::string_view text) {
  if (!ctx.engine().modes.Has(kModeFollower)) return false;
  ctx.Error(text);
  return true;
}

// WAIT numreplicas timeout  O(1)
void Wait(Context& ctx) {
  int64_t replicas;
  BlockRequest request;
  request.what = BlockRequest::For::kReplicas;
  if (RefusedOnReplica(ctx,
                       "ERR WAIT cannot be used with replica instances. Please also note that "
                       "since Redis 4.0 if a replica is configured to be writable (which is not "
                       "the default) writes to replicas are just local and are not propagated."))
    return;
  if (!ParseInt64(ctx.arg(1), &replicas)) return ctx.Error(errors::kNotInteger);
  if (!ReadTimeoutMs(ctx, ctx.arg(2), &request.timeout_ms)) return;
  request.target_lsn = ctx.session().last_write_lsn;
  request.replicas = replicas;
  ReplicationControl& replication = *ctx.engine().replication;
  const int64_t there = replication.CountAcknowledged(request.target_lsn, false);
  if (there >= replicas || !ctx.may_block()) return ctx.reply().Integer(there);
  ctx.Block(request);
  replication.RequestAcknowledgements();
}

// WAITAOF numlocal numreplicas timeout  O(1)
void WaitAof(Context& ctx) {
  int64_t local, replicas;
  BlockRequest request;
  request.what = BlockRequest::For::kLocalSync;
  if (!ParseInt64(ctx.arg(1), &local)) return ctx.Error(errors::kNotInteger);
  if (local < 0 || local > 1)
    return ctx.Error("ERR value is out of range, value must between 0 and 1");
  if (!ParseInt64(ctx.arg(2), &replicas)) return ctx.Error(errors::kNotInteger);
  if (replicas < 0) return ctx.Error(errors::kPositive);
  if (!ReadTimeoutMs(ctx, ctx.arg(3), &request.timeout_ms)) return;
  if (RefusedOnReplica(ctx,
                       "ERR WAITAOF cannot be used with replica instances. Please also note that "
                       "writes to replicas are just local and are not propagated."))
    return;
  const Journal* journal = ctx.engine().journal;
  if (local > 0 && !ctx.engine().journal_kept)
    return ctx.Error(errors::kNoLocalLog);
  request.target_lsn = ctx.session().last_write_lsn;
  request.replicas = replicas;
  request.local = local > 0;
  const bool synced = ctx.engine().journal_kept && journal->durable() >= request.target_lsn;
  ReplicationControl& replication = *ctx.engine().replication;
  const int64_t there = replication.CountAcknowledged(request.target_lsn, true);
  if ((synced >= request.local && there >= replicas) || !ctx.may_block()) {
    ctx.reply().Array(2);
    ctx.reply().Integer(synced);
    return ctx.reply().Integer(there);
  }
  ctx.Block(request);
  if (replicas > 0) replication.RequestAcknowledgements();
}

constexpr uint64_t kFlags = kBlocking;
constexpr CommandSpec kRows[] = {
    {"WAIT", 3, kFlags, {}, kAclConnection, &Wait},
    {"WAITAOF", 4, kFlags, {}, kAclConnection, &WaitAof},
};

}  // namespace

std::span<const CommandSpec> WaitCommands() {
  return kRows;
}

}  // namespace cairn
