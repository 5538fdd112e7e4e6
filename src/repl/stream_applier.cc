// SPDX-License-Identifier: BSD-3-Clause
#include "repl/stream_applier.h"

#include "base/numbers.h"
#include "exec/stream_limits.h"
#include "journal/journal.h"

namespace cairn {
namespace {

// What the leader took has no limit that a setting here could break.
constexpr ParseLimits kNoLimits = {.bulk_bytes_max = UINT64_MAX >> 1, .authenticated = true};

constexpr const char* kNoDatabaseHere = "no such database here, see 'databases'";
// Redis sends scripts as such before 5.0, and until 7.0 with lua-replicate-commands no.
constexpr const char* kScript = "a script itself; only what scripts change can be applied here";

// What changes data, and what a Redis before 7.0 says of its scripts. Handlers of other commands count
// on a client, and on a thread that is not the link's: REPLICAOF would wait for its own end. Nor does
// a script run here, which nobody could put aside or kill: leaders send what it changed.
bool BelongsInStream(const Command& command) {
  if (RunsScripts(command)) return false;
  return (command.spec.flags & (kWrite | kMayReplicate)) != 0 ||
         command.full_name == "script|load" || command.full_name == "script|flush";
}

std::shared_ptr<ClientRecord> LinkRecord() {
  auto record = std::make_shared<ClientRecord>();
  record->address = "leader";
  return record;
}

}  // namespace

StreamApplier::StreamApplier(Engine* engine, Executor* executor, std::function<bool()> stopped)
    : engine_(*engine),
      executor_(*executor),
      stopped_(std::move(stopped)),
      select_(engine->registry.Find("select")),
      multi_(engine->registry.Find("multi")),
      exec_(engine->registry.Find("exec")),
      ping_(engine->registry.Find("ping")),
      replconf_(engine->registry.Find("replconf")),
      session_(LinkRecord()),
      out_(&pool_),
      parser_(std::make_unique<RequestParser>()) {
  session_.internal = session_.authenticated = true;
}

void StreamApplier::Begin(int database) {
  parser_ = std::make_unique<RequestParser>();
  batch_.Clear();
  db_ = database;
  database_.store(database, std::memory_order_relaxed);
  record_.clear();
  in_multi_ = false;
  group_.clear();
  group_arguments_.clear();
}

Status StreamApplier::Feed(char* data, size_t n) {
  parser_->Feed(data, n);
  Status status;
  size_t left = parser_->buffered_bytes();
  while (status.ok()) {
    batch_.Clear();
    const ParseOutcome outcome = parser_->Next(kNoLimits, &batch_);
    if (outcome == ParseOutcome::kNeedMore) break;
    if (outcome == ParseOutcome::kError) {
      status = Status::Corrupt("the leader's stream: " + parser_->error());
      break;
    }
    const size_t bytes = left - parser_->buffered_bytes();
    left = parser_->buffered_bytes();
    // Offsets count bytes: what the parser lets pass or skips in a client's requests is no record.
    if (batch_.back().raw.size() != bytes) {
      status = Status::Corrupt("the leader's stream holds what is no record");
    } else {
      status = Take(batch_.back());
    }
  }
  if (status.ok()) AppendRest();
  LeaveGate();
  parser_->EndRead();
  return status;
}

void StreamApplier::EnterGate() {
  if (in_gate_ && ++in_gate_records_ == Executor::kChunk) LeaveGate();
  if (in_gate_) return;
  executor_.EnterGate();
  in_gate_ = true;
  in_gate_records_ = 0;
}

void StreamApplier::LeaveGate() {
  if (!in_gate_) return;
  engine_.journal->WakeIfNeeded(static_cast<unsigned>(executor_.slot()));
  executor_.LeaveGate();
  in_gate_ = false;
}

Status StreamApplier::WaitForRoom() {
  if (engine_.journal->Admits()) [[likely]]
    return Status::Ok();
  LeaveGate();
  while (!engine_.journal->Admits()) {
    if (stopped_()) return Status::Unavailable("the link is given up");
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return Status::Ok();
}

bool StreamApplier::Select(Arguments arguments) {
  int64_t db;
  if (arguments.size() != 2 || !ParseInt64(arguments[1], &db) || db < 0 ||
      db >= engine_.keyspace.databases())
    return false;
  db_ = static_cast<int>(db);
  return true;
}

Status StreamApplier::Take(const Request& request) {
  const Arguments arguments = request.args;
  const auto fails = [&](const std::string& what) {
    return Status::Corrupt("the leader's stream: '" + std::string(arguments[0].substr(0, 128)) +
                           "': " + what);
  };
  const Command* command = engine_.registry.Resolve(arguments, nullptr);
  if (command == nullptr || command->spec.handler == nullptr) return fails("unknown command");
  if (!command->ArityFits(arguments.size())) return fails("wrong number of arguments");
  if (MayNotFit(request) && !ArgumentsFit(*command, arguments)) [[unlikely]]
    return fails("an argument of 4 GiB, which is more than can be kept here");
  record_.append(request.raw);
  if (command == select_) {
    if (!Select(arguments)) return fails(kNoDatabaseHere);
    return Status::Ok();
  }
  if (command == multi_) {
    if (in_multi_) return fails("inside MULTI");
    in_multi_ = true;
    return Status::Ok();
  }
  if (command == replconf_) {
    ack_wanted_ |= arguments.size() == 3 && EqualsIgnoreCase(arguments[1], "getack");
    return Status::Ok();
  }
  if (command == ping_) return Status::Ok();
  if (command == exec_) {
    if (!in_multi_) return fails("without MULTI");
    in_multi_ = false;
    const Status status = Apply(group_);
    group_.clear();
    group_arguments_.clear();
    return status;
  }
  if (!BelongsInStream(*command))
    return fails(RunsScripts(*command) ? kScript : "no command that changes data");
  // A snapshot said so, of a leader that has more of them; SELECT would have been refused.
  if (db_ >= engine_.keyspace.databases()) return fails(kNoDatabaseHere);
  AppliedCommand applied{command, arguments, db_, 0};
  if (command->single_key != 0)
    applied.hash = HashBytes(arguments[static_cast<size_t>(command->single_key)]);
  if (!in_multi_) return Apply({&applied, 1});
  // A group may come in several reads, so its arguments are kept.
  applied.args = group_arguments_.emplace_back(arguments).view();
  group_.push_back(applied);
  return Status::Ok();
}

Status StreamApplier::Apply(std::span<const AppliedCommand> commands) {
  CAIRN_RETURN_IF_ERROR(WaitForRoom());
  if (commands.empty()) return Status::Ok();
  EnterGate();
  const bool applied = executor_.ApplyRecord(session_, commands, engine_.clock.WallMs(), record_,
                                             static_cast<uint32_t>(db_), out_);
  if (applied) database_.store(db_, std::memory_order_relaxed);
  std::string reply;
  if (!applied) {
    iovec vector;
    if (out_.Gather(&vector, 1, 256) == 1)
      reply.assign(static_cast<const char*>(vector.iov_base), vector.iov_len);
  }
  out_.Clear();
  record_.clear();
  if (applied) return Status::Ok();
  return Status::Corrupt("the leader's stream cannot be applied: '" +
                         commands.front().command->full_name + "': " + reply);
}

// What is left changes no data; half a group waits for its end.
void StreamApplier::AppendRest() {
  if (record_.empty() || in_multi_) return;
  EnterGate();
  engine_.journal->AppendRaw(static_cast<unsigned>(executor_.slot()), record_,
                             static_cast<uint32_t>(db_));
  database_.store(db_, std::memory_order_relaxed);
  record_.clear();
}

}  // namespace cairn
