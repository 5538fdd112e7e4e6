// SPDX-License-Identifier: BSD-3-Clause
#include "exec/blocking.h"

#include "exec/engine.h"
#include "exec/errors.h"
#include "exec/executor.h"
#include "exec/replication_control.h"
#include "exec/snapshot_control.h"
#include "exec/unit.h"
#include "journal/journal.h"

namespace cairn {

Waiter::Waiter(uint64_t order, const BlockRequest& request, const Session& session,
               const Command* command_in, Arguments arguments)
    : WaitTicket(order, request.type, request.wakes_on_absence),
      what(request.what),
      timeout_ms(request.timeout_ms),
      target_lsn(request.target_lsn),
      replicas(request.replicas),
      local(request.local),
      backup(request.backup),
      command(command_in),
      args(arguments),
      record(session.record),
      user(session.user),
      db(session.db),
      resp(session.resp),
      no_touch(session.no_touch),
      first_key(request.first_key),
      keys(request.keys),
      next_look_ms(request.next_look_ms) {}

void StartWait(Session& session, std::shared_ptr<Waiter> waiter) {
  session.suspended = true;
  session.waiter = waiter;
  // Together: who has seen the flag in CLIENT LIST finds the waiter, and nobody claims before it.
  std::lock_guard guard(session.record->mutex);
  session.record->flags.fetch_or(kClientBlocked, std::memory_order_relaxed);
  session.record->waiter = std::move(waiter);
}

void LookAgain(Executor& executor, const Waiter& waiter, int64_t clock_ms) {
  const Journal* journal = executor.engine().journal;
  if (executor.CurrentExpiryMode() != ExpiryMode::kNormal ||
      (journal != nullptr && !journal->Admits()))
    return;
  LockPlan plan;
  plan.shards = waiter.shards;
  executor.RunUnit(plan, clock_ms, [&](Unit& unit) {
    for (std::string_view key : waiter.key_names()) unit.Ready(waiter.db, key, HashBytes(key));
  });
}

bool ClaimWait(Waiter& waiter) {
  if (!waiter.Claim()) return false;
  waiter.record->flags.fetch_and(~uint32_t{kClientBlocked}, std::memory_order_relaxed);
  return true;
}

void FinishWait(Session& session, OutputBuffer& out, uint64_t hold,
                FunctionRef<void(ReplyWriter&)> write) {
  session.waiter.reset();
  {
    std::lock_guard guard(session.record->mutex);
    session.record->waiter.reset();
  }
  const ReplyMode mode = session.reply_mode;
  // CLIENT REPLY SKIP was for this reply.
  if (mode == ReplyMode::kSkipThis) session.reply_mode = ReplyMode::kOn;
  if (mode == ReplyMode::kOff || mode == ReplyMode::kSkipThis) return;
  const uint64_t start = out.end_position();
  ReplyWriter reply(&out, session.resp);
  write(reply);
  if (hold != 0) out.MarkHold(start, hold);
}

namespace {

bool IsDurable(const Engine& engine, const Waiter& waiter) {
  return engine.journal_kept && engine.journal->durable() >= waiter.target_lsn;
}

int64_t CountFollowers(const Engine& engine, const Waiter& waiter) {
  if (engine.replication == nullptr) return 0;
  return engine.replication->CountAcknowledged(waiter.target_lsn,
                                               waiter.what == BlockRequest::For::kLocalSync);
}

}  // namespace

bool IsAcknowledged(const Engine& engine, const Waiter& waiter) {
  if (waiter.what == BlockRequest::For::kBackup)
    return engine.snapshots->BackupEnded(waiter.backup);
  if (waiter.local && !engine.journal_kept) return true;  // the log has ended: in vain
  if (waiter.local && !IsDurable(engine, waiter)) return false;
  return waiter.replicas == 0 || CountFollowers(engine, waiter) >= waiter.replicas;
}

void ReplyTimedOut(const Engine& engine, const Waiter& waiter, ReplyWriter& reply) {
  switch (waiter.what) {
    case BlockRequest::For::kKeys:
      return reply.NullArray();
    case BlockRequest::For::kReplicas:
      return reply.Integer(CountFollowers(engine, waiter));
    case BlockRequest::For::kBackup:
      return engine.snapshots->ReplyBackup(waiter.backup, reply);
    case BlockRequest::For::kLocalSync:
      break;
  }
  if (waiter.local && !engine.journal_kept) return reply.Error(errors::kNoLocalLog);
  reply.Array(2);
  reply.Integer(IsDurable(engine, waiter));
  reply.Integer(CountFollowers(engine, waiter));
}

void WaitReply::Run(LocalClients& clients) {
  const uint64_t id = waiter_->record->id;
  if (unserved_) clients.WaitUnserved(waiter_, failed_);
  const bool there = clients.Visit(id, [this](Session& session, OutputBuffer& out) {
    DCHECK(session.waiter == waiter_);
    FinishWait(session, out, hold_, [this](ReplyWriter& reply) { reply.out().Splice(&out_); });
    if (write_lsn_ != 0) session.last_write_lsn = write_lsn_;
  });
  if (there) clients.Resume(id);
}

bool UnblockClient(Unit& unit, ClientRecord& record, std::string_view error) {
  std::shared_ptr<Waiter> waiter;
  {
    std::lock_guard guard(record.mutex);
    waiter = record.waiter;
  }
  if (waiter == nullptr || !ClaimWait(*waiter)) return false;
  auto task = std::make_unique<WaitReply>(waiter);
  task->set_unserved(!error.empty());
  ReplyWriter reply(&task->out(), waiter->resp);
  if (error.empty()) {
    ReplyTimedOut(unit.engine(), *waiter, reply);
  } else {
    reply.Error(error);
    unit.engine().statistics.CountError(reply.last_error_code());
  }
  unit.Post(record.worker, std::move(task));
  return true;
}

size_t UnblockAllClients(Unit& unit, std::string_view error) {
  size_t unblocked = 0;
  for (const auto& record : unit.engine().control->Clients())
    unblocked += UnblockClient(unit, *record, error);
  return unblocked;
}

}  // namespace cairn
