// SPDX-License-Identifier: BSD-3-Clause
//
// The gates of the pipeline: what a command has to pass before it gets a lock, in Redis's order,
// and how one that may not pass is refused.
#include "base/numbers.h"
#include "exec/access.h"
#include "exec/executor.h"
#include "exec/replication_control.h"
#include "exec/subscribing.h"
#include "exec/transaction.h"
#include "journal/journal.h"

namespace cairn {
namespace {

// Commands of these names reach a Redis port when a browser is tricked into it.
bool IsHttp(std::string_view name) {
  return EqualsIgnoreCase(name, "post") || EqualsIgnoreCase(name, "host:");
}

std::string Printable(std::string_view text, size_t bytes_max) {
  // Redis prints such texts up to their first NUL.
  std::string out(text.substr(0, std::min(bytes_max, text.find('\0'))));
  for (char& c : out)
    if (c == '\r' || c == '\n' || c == '\0') c = ' ';
  return out;
}

bool Follows(const Session& session) {
  return session.replication != nullptr &&
         (session.record->flags.load(std::memory_order_relaxed) & kClientReplica) != 0;
}

// A full sync that is loaded as it comes may be given up: nothing here depends on it.
bool EndsSync(const Engine& engine, const Command& command) {
  return (command.full_name == "replicaof" || command.full_name == "slaveof") &&
         engine.replication != nullptr && engine.replication->Link().loading_as_it_comes;
}

}  // namespace

bool Executor::NeedsAuth(const Session& session) const {
  return !session.authenticated && !engine_.users.default_open();
}

void Executor::Reject(Session& session, const Command* command, std::string_view error,
                      ReplyWriter& reply) {
  // A refusal while queueing spoils the transaction.
  if (session.transaction.active) session.transaction.aborted = true;
  if (command == exec_command_ && command != nullptr) {
    // A refused EXEC ends its transaction.
    DiscardTransaction(session);
    // Redis words an arity error here without its code.
    const std::string_view text = error.starts_with("ERR ") ? error.substr(4) : error;
    reply.Error("EXECABORT Transaction discarded because of: " + std::string(text));
  } else {
    reply.Error(error);
  }
  statistics_->Add(Stat::kErrors);
  if (command != nullptr) Bump(statistics_->commands[command->id].rejected);
  engine_.statistics.CountError(reply.last_error_code());
}

void Executor::RefuseUnknown(Session& session, const Request& request, const Command* parent,
                             ReplyWriter& reply) {
  const Arguments args = request.args;
  if (IsHttp(args[0])) {
    engine_.log.Warning(
        "Possible SECURITY ATTACK detected. It looks like somebody is sending POST or Host: "
        "commands to Cairn. This is likely due to an attacker attempting to use Cross Protocol "
        "Scripting to compromise your Cairn instance. Connection from %s aborted.",
        session.record->address.c_str());
    session.close_after_reply = true;
    return;
  }
  if (NeedsAuth(session)) return Reject(session, nullptr, errors::kNoAuth, reply);
  if (parent != nullptr) {
    const std::string text = "ERR unknown subcommand '" + Printable(args[1], 128) + "'. Try " +
                             [&] {
                               std::string upper = parent->full_name;
                               for (char& c : upper) c = static_cast<char>(toupper(c));
                               return upper;
                             }() +
                             " HELP.";
    return Reject(session, nullptr, text, reply);
  }
  constexpr size_t kShownBytesMax = 128;
  std::string shown;
  for (size_t i = 1; i < args.size() && shown.size() < kShownBytesMax; ++i)
    shown += "'" + Printable(args[i], kShownBytesMax - shown.size()) + "' ";
  Reject(session, nullptr,
         "ERR unknown command '" + Printable(args[0], kShownBytesMax) +
             "', with args beginning with: " + shown,
         reply);
}

// Queued commands take memory too, whatever they will do.
bool Executor::NeedsMemory(const Session& session, const Command& command) const {
  if (command.Is(kDenyOom)) return true;
  if (!session.transaction.active) return false;
  return &command == exec_command_ ? (session.transaction.flags & kDenyOom) != 0
                                   : !RunsInsideMulti(command);
}

// What may write only because it runs scripts, all of which say that they do not, does not.
bool Executor::OnlyReads(const Session& session, const Command& command,
                         Arguments arguments) const {
  if (&command == exec_command_) {
    for (const QueuedCommand& queued : session.transaction.queue)
      if (!OnlyReads(session, *queued.command, queued.args.view())) return false;
    return true;
  }
  if ((command.spec.flags & (kWrite | kMayReplicate)) == 0) return true;
  return RunsScripts(command) && engine_.control->OnlyReads(command, arguments);
}

bool Executor::PassGates(Session& session, const Command& command, Arguments arguments,
                         uint64_t mode, ReplyWriter& reply) {
  if (!command.ArityFits(arguments.size()) || command.spec.handler == nullptr) {
    Reject(session, &command,
           "ERR wrong number of arguments for '" + command.full_name + "' command", reply);
    return false;
  }
  if (NeedsAuth(session) && !command.Is(kNoAuth)) {
    Reject(session, &command, errors::kNoAuth, reply);
    return false;
  }
  const bool writes = command.Is(kWrite) ||
                      (&command == exec_command_ && (session.transaction.flags & kWrite) != 0);
  if (session.transaction.active && command.Is(kNoMulti)) {
    Reject(session, &command, "ERR Command not allowed inside a transaction", reply);
    return false;
  }
  if (IsRestricted(session)) [[unlikely]] {
    const AccessAnswer answer =
        CheckAccess(engine_, session, *session.record, command, arguments, "toplevel");
    if (!answer.ok()) {
      Reject(session, &command,
             "NOPERM " + DescribeDenial(answer, session.user->name(), command, arguments, false),
             reply);
      return false;
    }
  }
  if (Modes::Has(mode, kModeBusyScript) && !command.Is(kAllowBusy)) [[unlikely]] {
    Reject(session, &command, engine_.busy.Error(), reply);
    return false;
  }
  // A script may turn out to write: its commands find a failed log themselves, but room in the
  // log's buffer has to be waited for here.
  const bool may_write =
      writes || command.Is(kMayReplicate) ||
      (&command == exec_command_ && (session.transaction.flags & kMayReplicate) != 0);
  if (may_write && engine_.journal != nullptr && !engine_.journal->Admits()) [[unlikely]] {
    if (engine_.journal->state() == JournalState::kOk) {
      // The log's buffer is full: wait, before any lock, until it has drained.
      session.suspended = session.retry = true;
      return false;
    }
    if (writes) {
      Reject(session, &command, engine_.LogRefusal(), reply);
      return false;
    }
  }
  if (InSubscriberMode(session) && !AllowedInSubscriberMode(command)) [[unlikely]] {
    Reject(session, &command,
           "ERR Can't execute '" + command.full_name +
               "': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in "
               "this context",
           reply);
    return false;
  }
  if ((session.monitor != nullptr || Follows(session)) &&
      (command.spec.flags & (kWrite | kReadonly | kMayReplicate)) != 0) [[unlikely]] {
    // Redis says so to monitors, too.
    Reject(session, &command, errors::kReplicaKeyspace, reply);
    return false;
  }
  // EXEC may what all that it runs may.
  const auto may = [&](uint64_t flag) {
    return command.Is(flag) &&
           (&command != exec_command_ || (session.transaction.lacks & flag) == 0);
  };
  if (Modes::Has(mode, kModeLoading) && !may(kLoading) && !EndsSync(engine_, command))
      [[unlikely]] {
    Reject(session, &command, errors::kLoading, reply);
    return false;
  }
  if (out_of_memory() && NeedsMemory(session, command)) [[unlikely]] {
    Reject(session, &command, errors::kOom, reply);
    return false;
  }
  if ((mode & Modes::kFlagMask) == 0) [[likely]]
    return true;
  // PING too, as in Redis: health checks are to notice.
  if (Modes::Has(mode, kModeSaveFailed) && (writes || command.full_name == "ping")) {
    Reject(session, &command, errors::kSaveFailed, reply);
    return false;
  }
  if (Modes::Has(mode, kModeSnapshotLag) && writes) {
    // Before any lock, until the snapshot has written what it holds of older writes.
    session.suspended = session.retry = true;
    return false;
  }
  if (Modes::Has(mode, kModeFewFollowers) && writes) {
    Reject(session, &command, errors::kNoReplicas, reply);
    return false;
  }
  if (Modes::Has(mode, kModeFollower) && writes) {
    Reject(session, &command, errors::kReadOnly, reply);
    return false;
  }
  if (Modes::Has(mode, kModeStale) && !may(kStale)) {
    Reject(session, &command, errors::kMasterDown, reply);
    return false;
  }
  // The role changes under All, on a worker, which a script that has become busy would keep waiting:
  // so none begins, be it one that only reads.
  const bool failover = Modes::Has(mode, kModeFailover);
  const bool paused = Modes::Has(mode, kModePausedAll) ||
                      (failover && (may_write || MayRunScript(session, command))) ||
                      (may_write && Modes::Has(mode, kModePausedWrite) &&
                       !OnlyReads(session, command, arguments));
  // CLIENT stays usable, or nobody could end the pause. Inside MULTI too commands wait, and EXEC
  // more than any: it is what would write after PAUSE's OK.
  if (paused && !command.full_name.starts_with("client") && !Follows(session)) {
    session.suspended = session.retry = true;
    return false;
  }
  return true;
}

}  // namespace cairn
