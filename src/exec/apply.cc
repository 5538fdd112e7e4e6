// SPDX-License-Identifier: BSD-3-Clause
//
// The half of the pipeline that applies what was recorded before: no gates of a session, no expiry,
// nothing journaled again.
#include "exec/executor.h"
#include "exec/transaction.h"

namespace cairn {

bool Executor::Apply(Session& session, Arguments arguments, OutputBuffer& out) {
  outermost_ = &session;
  const Command* command = engine_.registry.Resolve(arguments, nullptr);
  ReplyWriter reply(&out, 2);
  if (command == nullptr || command->spec.handler == nullptr ||
      !command->ArityFits(arguments.size())) {
    reply.Error("ERR unknown command or wrong number of arguments in the stream");
    return false;
  }
  clock_ms_ = engine_.clock.WallMs();
  const uint64_t errors = reply.error_count();
  engine_.keyspace.gate().Enter(slot_);
  if (command == exec_command_) {
    RunExec(session, *command, engine_.modes.word(), reply);
    if (unit_.active()) unit_.End();
  } else if (session.transaction.active && !RunsInsideMulti(*command)) {
    Queue(session, *command, arguments, reply);
  } else {
    int db = session.db;
    unit_.set_silent(true);
    unit_.Begin(PlanFor(session, *command, arguments, &db), clock_ms_, ExpiryMode::kApply);
    Context ctx(*this, unit_, session, *command, arguments, {}, reply);
    command->spec.handler(ctx);
    unit_.End();
  }
  engine_.keyspace.gate().Leave(slot_);
  return reply.error_count() == errors;
}

bool Executor::ApplyUnit(Session& session, std::span<const AppliedCommand> commands,
                         int64_t clock_ms, OutputBuffer& out) {
  return ApplyRecord(session, commands, clock_ms, {}, 0, out);
}

bool Executor::ApplyRecord(Session& session, std::span<const AppliedCommand> commands,
                           int64_t clock_ms, std::string_view bytes, uint32_t database_after,
                           OutputBuffer& out) {
  outermost_ = &session;
  ReplyWriter reply(&out, 2);
  clock_ms_ = clock_ms;
  LockPlan plan;
  for (const AppliedCommand& applied : commands) {
    if (applied.command->single_key != 0) {
      plan.AddHash(applied.hash);
    } else {
      int db = applied.db;
      plan.Merge(PlanFor(session, *applied.command, applied.args, &db));
    }
  }
  const bool group = commands.size() > 1;
  if (group && plan.walk) plan.all = true;
  unit_.set_silent(true);
  unit_.Begin(plan, clock_ms, ExpiryMode::kApply);
  for (const AppliedCommand& applied : commands) {
    session.db = applied.db;
    Context ctx(*this, unit_, session, *applied.command, applied.args, {}, reply);
    const auto key = static_cast<size_t>(applied.command->single_key);
    if (key != 0) ctx.set_hashed_key(applied.args[key], applied.hash);
    ctx.set_in_exec(group);
    applied.command->spec.handler(ctx);
    if (reply.error_count() != 0) break;
  }
  // What failed is no record: whoever applies the stream gives it up then.
  if (reply.error_count() == 0) unit_.SetVerbatim(bytes, database_after);
  unit_.End();
  return reply.error_count() == 0;
}

}  // namespace cairn
