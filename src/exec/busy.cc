// SPDX-License-Identifier: BSD-3-Clause
//
// The part of the pipeline that keeps a worker answering while a script takes long.
//
// What may run a script (EVAL and its kind, EXEC with one queued) runs on a stack of its own. When
// the script has gone beyond busy-reply-threshold, the hook of the interpreter puts that stack
// aside: RunOnFiber returns with the unit still open and the gate still closed, the session is
// suspended, and the worker's loop goes on, resuming the stack once a turn (ContinueAside). From
// its point of view nothing has happened; all its locals are as they were.
//
// Meanwhile the gate is "held": nobody waits for it. Commands are answered BUSY before any lock;
// the few that a busy server takes run without locks, in a unit of their own (RunWhileBusy).
#include "exec/executor.h"
#include "exec/transaction.h"
#include "journal/journal.h"

namespace cairn {

bool Executor::MayRunScript(const Session& session, const Command& command) const {
  if (&command == exec_command_) return (session.transaction.flags & kScripting) != 0;
  return command.Is(kScripting) && RunsScripts(command);
}

void Executor::RunOnFiber(Session& session, const Request& request, const Prepared& prepared,
                          OutputBuffer& out) {
  if (aside_ == nullptr) aside_ = std::make_unique<Aside>();
  Aside& aside = *aside_;
  aside.session = &session;
  aside.request = request;
  aside.prepared = prepared;
  const bool ended = aside.fiber.Start(
      [](void* self) {
        auto* executor = static_cast<Executor*>(self);
        Aside& a = *executor->aside_;
        executor->RunOne(*a.session, a.request, a.prepared, kNoLane, a.out);
      },
      this);
  if (ended) {
    aside.session = nullptr;
    return out.Splice(&aside.out);
  }
  // The request's bytes are the read's; it needs its own from here on.
  aside.arguments = OwnedArgs(request.args);
  aside.request.args = aside.arguments.view();
  aside.request.raw = {};
  aside.client = session.id();
  aside.start_ticks = last_ticks_;
  session.suspended = true;
  const BusyScript::Description script = engine_.busy.Describe();
  engine_.log.Warning(
      "Slow script detected: still in execution after %lld milliseconds. You can try killing the "
      "script using the %s command. Script name is: %s.",
      static_cast<long long>(engine_.clock.MonotonicMs() - script.start_ms),
      script.is_function ? "FUNCTION KILL" : "SCRIPT KILL", script.name.c_str());
}

void Executor::PutAside() {
  aside_->fiber.Suspend();
}

bool Executor::ContinueAside(LocalClients& clients) {
  // What it takes counts from its own start, whatever ran in between.
  last_ticks_ = aside_->start_ticks;
  outermost_ = aside_->session;
  if (!aside_->fiber.Resume()) return true;
  aside_->session = nullptr;
  const uint64_t client = aside_->client;
  clients.Visit(client, [this](Session& session, OutputBuffer& out) {
    if (session.reply_mode == ReplyMode::kOn) out.Splice(&aside_->out);
    if (session.reply_mode == ReplyMode::kSkipThis) session.reply_mode = ReplyMode::kOn;
  });
  aside_->out.Clear();
  aside_->arguments = OwnedArgs();
  if (engine_.journal != nullptr) engine_.journal->WakeIfNeeded(static_cast<unsigned>(slot_));
  engine_.keyspace.gate().Leave(slot_);
  clients.Resume(client);
  return false;
}

bool Executor::BeginAfterBusy(Session& session, const Command& command, Arguments arguments,
                              const LockPlan& plan, ExpiryMode expiry, ReplyWriter& reply) {
  Gate& gate = engine_.keyspace.gate();
  for (;;) {
    auto users = engine_.users.KeepStill();
    if (!PassGates(session, command, arguments, engine_.modes.word(), reply)) return false;
    users.unlock();
    // It is over already.
    if (gate.EnterUnlessHeld(slot_) && unit_.TryBegin(plan, clock_ms_, expiry)) return true;
  }
}

bool Executor::RunWhileBusy(Session& session, const Request& request, OutputBuffer& out) {
  const uint64_t mode = engine_.modes.word();
  // Over already: through the gate as always.
  if (!aside() && !Modes::Has(mode, kModeBusyScript)) return false;
  if (session.reply_mode == ReplyMode::kSkipNext) session.reply_mode = ReplyMode::kSkipThis;
  const uint64_t start = out.end_position();
  ReplyWriter reply(&out, session.resp);
  const Command* parent = nullptr;
  const Command* command = engine_.registry.Resolve(request.args, &parent);
  // The script may end meanwhile, and users change.
  const auto users = engine_.users.KeepStill();
  bool ran = false;
  if (command == nullptr) {
    RefuseUnknown(session, request, parent, reply);
  } else if (PassGates(session, *command, request.args, mode, reply)) {
    if (session.transaction.active && !RunsInsideMulti(*command)) {
      Queue(session, *command, request.args, reply);
    } else {
      RunAllowed(session, *command, request, reply);
      ran = true;
    }
  }
  if (command != nullptr && Audited() && (ran || reply.error_count() != 0))
    Audit(*session.record, *command, request.args, {0, 0, 0, session.db}, LastError(reply, 0));
  if (session.reply_mode != ReplyMode::kOn) Silence(session, command, start, out);
  return true;
}

void Executor::RunAllowed(Session& session, const Command& command, const Request& request,
                          ReplyWriter& reply) {
  const uint64_t errors = reply.error_count();
  if (command.full_name == "watch" && !session.transaction.active) {
    // Whether the script will change the keys nobody knows: EXEC has to fail.
    if (session.watch_state == nullptr) session.watch_state = std::make_shared<WatchState>();
    session.watch_state->dirty.store(true);
    reply.Ok();
  } else {
    busy_unit_.BeginDetached(clock_ms_);
    Context ctx(*this, busy_unit_, session, command, request.args, request.raw, reply);
    command.spec.handler(ctx);
    CountReplyErrors(command, reply, errors);
    busy_unit_.End();
  }
  Bump(statistics_->commands[command.id].calls);
  statistics_->Add(Stat::kCommands);
}

}  // namespace cairn
