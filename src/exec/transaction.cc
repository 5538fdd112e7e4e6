// SPDX-License-Identifier: BSD-3-Clause
//
// The half of the pipeline that belongs to MULTI: queueing, and EXEC, which locks the union of its
// commands' shards and of its watched keys' shards once.
#include "exec/transaction.h"

#include <optional>
#include <utility>

#include "exec/access.h"
#include "exec/executor.h"
#include "exec/late_reply.h"

namespace cairn {
namespace {
constexpr size_t kQueuedBytesMax = size_t{1} << 30;  // of one transaction
constexpr size_t kQueueReserved = 8;                 // most transactions are short
}

bool RunsInsideMulti(const Command& command) {
  if (!command.Is(kNoScript)) [[likely]]
    return false;
  const std::string& n = command.full_name;
  return n == "exec" || n == "discard" || n == "multi" || n == "watch" || n == "quit" ||
         n == "reset";
}

void ForgetWatches(Session& session) {
  if (session.watch_state != nullptr) session.watch_state->dead.store(true);
  session.watch_state.reset();
  session.watched.clear();
  session.record->watches.store(0, std::memory_order_relaxed);
}

void DiscardTransaction(Session& session) {
  session.transaction = {};
  session.record->multi.store(-1, std::memory_order_relaxed);
  ForgetWatches(session);
}

void Executor::Queue(Session& session, const Command& command, Arguments arguments,
                     ReplyWriter& reply) {
  Transaction& transaction = session.transaction;
  if (transaction.queue.empty()) transaction.queue.reserve(kQueueReserved);
  OwnedArgs owned(arguments, session.incoming == nullptr ? nullptr : session.incoming->get());
  // What was recorded once is replayed whatever its size.
  if (!session.internal && transaction.bytes + owned.bytes() > kQueuedBytesMax)
    return Reject(session, &command, "ERR transaction is too large", reply);
  transaction.bytes += owned.bytes();
  transaction.flags |= command.spec.flags;
  transaction.lacks |= ~command.spec.flags;
  transaction.queue.push_back({&command, std::move(owned)});
  session.record->multi.store(static_cast<int>(transaction.queue.size()),
                              std::memory_order_relaxed);
  reply.SimpleString("QUEUED");
}

bool Executor::WatchesStand(Session& session) {
  if (session.watch_state == nullptr) return true;
  if (session.watch_state->dirty.load(std::memory_order_acquire)) return false;
  for (const WatchedKey& watched : session.watched) {
    if (watched.expired) continue;
    KeyTable* table = engine_.keyspace.PeekTable(ShardOf(watched.hash), watched.db);
    const Entry* entry =
        table == nullptr ? nullptr : table->entries.Find(watched.hash, [&](const Entry* e) {
          return e->key() == watched.key;
        });
    // Alive when it was watched, past its time now: a change, though nobody deleted it yet.
    if (entry != nullptr && unit_.IsExpired(entry)) return false;
  }
  return true;
}

// The rules may have changed since the command was queued, by one of the transaction's own even.
bool Executor::StillAllowed(Session& session, const QueuedCommand& queued, ReplyWriter& reply) {
  if (!IsRestricted(session)) [[likely]]
    return true;
  const Command& command = *queued.command;
  const AccessAnswer answer =
      CheckAccess(engine_, session, *session.record, command, queued.args.view(), "multi");
  if (answer.ok()) return true;
  std::string_view reason = "no permission";
  if (answer.denial == AclDenial::kCommand)
    reason = "no permission to execute the command or subcommand";
  if (answer.denial == AclDenial::kKey) reason = "no permission to touch the specified keys";
  if (answer.denial == AclDenial::kChannel)
    reason = "no permission to access one of the channels used as arguments to the command";
  const uint64_t errors = reply.error_count();
  reply.Error(
      "NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC "
      "call. This command is no longer allowed for the following reason: " +
      std::string(reason));
  CountReplyErrors(command, reply, errors);
  return false;
}

void Executor::RunExec(Session& session, const Command& exec, uint64_t mode, ReplyWriter& reply) {
  Transaction& transaction = session.transaction;
  if (!transaction.active) return reply.Error("ERR EXEC without MULTI");
  if (transaction.aborted) {
    DiscardTransaction(session);
    reply.Error(errors::kExecAbort);
    Bump(statistics_->commands[exec.id].failed);
    engine_.statistics.CountError("EXECABORT");
    return;
  }
  LockPlan plan;
  for (const QueuedCommand& queued : transaction.queue) {
    const auto key = static_cast<size_t>(queued.command->single_key);
    if (key != 0 && key < queued.args.view().size()) {
      plan.AddHash(HashBytes(queued.args.view()[key]));
      continue;
    }
    int db = session.db;
    plan.Merge(PlanFor(session, *queued.command, queued.args.view(), &db));
  }
  if (plan.walk || ((transaction.flags & kScripting) != 0 && !CanRetreat(session))) plan.all = true;
  for (const WatchedKey& watched : session.watched) plan.AddHash(watched.hash);
  const bool applying = session.internal;
  const ExpiryMode expiry = applying ? ExpiryMode::kApply : CurrentExpiryMode();
  static constexpr std::string_view kExecOnly[] = {"EXEC"};
  const uint64_t start = reply.out().end_position();
  const int db = session.db;
  for (;;) {
    unit_.set_silent(applying);
    if (!unit_.TryBegin(plan, clock_ms_, expiry) &&
        !BeginAfterBusy(session, exec, kExecOnly, plan, expiry, reply))
      return;
    if (!applying && engine_.modes.word() != mode) [[unlikely]] {
      if (!PassGates(session, exec, kExecOnly, engine_.modes.word(), reply)) return;
      unit_.set_expiry_mode(CurrentExpiryMode());
    }
    for (const WatchedKey& watched : session.watched) unit_.NoteHash(watched.hash);
    // Killed while we waited for the locks: what CLIENT KILL answered OK for runs nothing more.
    if (!applying && session.record->closing.load(std::memory_order_relaxed)) return;
    if (!applying) {
      for (const QueuedCommand& queued : transaction.queue)
        if (Postponed(session, *queued.command, queued.args.view())) [[unlikely]] return;
    }
    if (!WatchesStand(session)) {
      DiscardTransaction(session);
      reply.NullArray();
      return;
    }
    Transaction running = std::move(transaction);
    DiscardTransaction(session);
    if ((running.flags & kScripting) != 0 && !unit_.all()) unit_.RememberImages();
    if (RunQueued(session, running, reply)) return;
    unit_.Rollback();
    reply.out().TruncateTo(start);
    session.db = db;
    // As it was: whoever got the gate before us may have changed a mode, and the gates ask what is
    // queued; one that is parked by them comes again as EXEC.
    session.record->multi.store(static_cast<int>(running.queue.size()), std::memory_order_relaxed);
    transaction = std::move(running);
    plan.all = true;
  }
}

bool Executor::RunQueued(Session& session, const Transaction& transaction, ReplyWriter& reply) {
  const bool may_retreat = unit_.remembers_images();
  reply.Array(transaction.queue.size());
  exec_reply_ = &reply;
  std::optional<ReplyWriter> rest;
  for (const QueuedCommand& queued : transaction.queue) {
    const Arguments args = queued.args.view();
    ReplyWriter& next = rest ? *rest : reply;
    if (!StillAllowed(session, queued, next)) continue;
    if (may_retreat && !RunsScripts(*queued.command) && !FitsUnit(session, *queued.command, args))
      return false;
    const uint64_t begin = next.out().end_position(), errors = next.error_count();
    const int db = session.db;
    const auto* const incoming = std::exchange(session.incoming, &queued.args.block());
    const uint64_t ticks = Call(session, *queued.command, args, {}, next, Caller::kExec);
    session.incoming = incoming;
    if (unit_.retreating()) return false;
    const CallCost cost{ticks, queued.args.bytes(), next.out().end_position() - begin, db};
    if (!session.internal && engine_.cost_bounds.Reached(cost)) [[unlikely]]
      NoteCost(*session.record, *queued.command, args, cost, LastError(next, errors));
    if (exec_rest_ != nullptr) {
      rest.emplace(exec_rest_.get(), session.resp);
      exec_rest_.reset();  // the unit keeps it
    }
  }
  return true;
}

void ReplyLater(Context& ctx, std::function<void(ReplyWriter&)> answer) {
  ctx.executor().ReplyLater(ctx, std::move(answer));
}

void Executor::ReplyLater(Context& ctx, std::function<void(ReplyWriter&)> answer) {
  if (!ctx.in_exec()) {
    unit_.AfterUnit([answer = std::move(answer), reply = &ctx.reply()] { answer(*reply); });
    return;
  }
  exec_rest_ = std::make_shared<OutputBuffer>();
  unit_.AfterUnit([answer = std::move(answer), reply = exec_reply_, rest = exec_rest_] {
    answer(*reply);
    reply->out().Splice(rest.get());
  });
}

}  // namespace cairn
