// SPDX-License-Identifier: BSD-3-Clause
#include "exec/replay_dispatcher.h"

#include "base/numbers.h"
#include "exec/stream_limits.h"

namespace cairn {
namespace {

// What the writer wrote has no limit that a setting of today could break.
constexpr ParseLimits kNoLimits = {.bulk_bytes_max = UINT64_MAX >> 1, .authenticated = true};

// Handlers of other commands count on a client.
bool BelongsInAof(const Command& command) {
  const uint64_t flags = command.spec.flags;
  return ((flags & (kWrite | kMayReplicate)) != 0 && (flags & kBlocking) == 0) ||
         command.full_name == "script|load";
}

}  // namespace

ReplayDispatcher::ReplayDispatcher(Engine* engine, int groups, Lsn from, int database,
                                   StreamKind kind, ReplayFailure* failure)
    : engine_(*engine),
      groups_(groups),
      kind_(kind),
      failure_(*failure),
      select_(engine->registry.Find("select")),
      multi_(engine->registry.Find("multi")),
      exec_(engine->registry.Find("exec")),
      non_data_{engine->registry.Find("ping"), engine->registry.Find("replconf"),
                engine->registry.Find("publish"), engine->registry.Find("spublish")},
      db_(database),
      position_(from),
      fed_(from),
      end_lsn_(from),
      end_database_(database) {
  CHECK(groups >= 1 && groups <= kGroupsMax);
}

std::string ReplayDispatcher::Unfinished() const {
  if (multi_pending_.has_value())
    return std::string("MULTI at ") + failure_.unit() + " " + std::to_string(multi_pending_->lsn) +
           " without its EXEC";
  return position_ < fed_ ? "the last record is incomplete" : "";
}

bool ReplayDispatcher::Dispatch(const std::shared_ptr<ReplayBatch>& batch,
                                std::vector<ReplayJob>* jobs) {
  batch_ = batch.get();
  jobs_ = jobs;
  std::string& bytes = batch->bytes;
  parser_.Feed(bytes.data(), bytes.size());
  fed_ += bytes.size();
  ParseOutcome outcome;
  while ((outcome = parser_.Next(kNoLimits, &batch->requests)) == ParseOutcome::kRequest) {
    const Lsn lsn = position_;
    position_ = fed_ - parser_.buffered_bytes();
    Request request = batch->requests.back();
    // A request that lies across pieces is in the parser's own memory, which goes with the next.
    if (request.begin < bytes.data() || request.begin >= bytes.data() + bytes.size())
      request.args = batch->owned.emplace_back(request.args).view();
    const bool note = kind_ == StreamKind::kRedisAof && request.is_inline &&
                      request.args[0].starts_with('#');
    if (request.is_inline && !note) return Fail(lsn, "this is no record of a log");
    if (!note && !Take(request, lsn)) return false;
    if (multi_pending_.has_value()) continue;
    end_lsn_ = position_;
    end_database_ = db_;
  }
  if (outcome == ParseOutcome::kError) return Fail(position_, parser_.error());
  parser_.EndRead();
  if (multi_pending_.has_value()) OwnPending();
  return true;
}

bool ReplayDispatcher::Fail(Lsn lsn, const std::string& what) {
  failure_.Note(lsn, batch_->file, what);
  return false;
}

bool ReplayDispatcher::FailOrRefuse(Lsn lsn, const std::string& what) {
  if (kind_ == StreamKind::kJournal) return Fail(lsn, what);
  failure_.NoteRefused(lsn, batch_->file, what);
  return true;
}

bool ReplayDispatcher::IsNonData(const Command* command) const {
  for (const Command* non_data : non_data_)
    if (command == non_data) return true;
  return false;
}

bool ReplayDispatcher::Take(const Request& request, Lsn lsn) {
  const Arguments args = request.args;
  const Command* command = engine_.registry.Resolve(args, nullptr);
  if (command == nullptr || command->spec.handler == nullptr)
    return Fail(lsn, "unknown command '" + std::string(args[0].substr(0, 128)) + "'");
  if (!command->ArityFits(args.size()))
    return Fail(lsn, "wrong number of arguments for '" + command->full_name + "'");
  if (MayNotFit(request) && !ArgumentsFit(*command, args)) [[unlikely]]
    return Fail(lsn, "'" + command->full_name +
                         "' with an argument of 4 GiB, which is more than can be kept here");
  ++commands_;
  if (command == select_) return Select(args, lsn);
  if (command == multi_) {
    if (multi_pending_.has_value()) return FailOrRefuse(lsn, "MULTI inside MULTI");
    multi_pending_.emplace();
    multi_pending_->lsn = lsn;
    return true;
  }
  if (command == exec_) {
    if (!multi_pending_.has_value()) return FailOrRefuse(lsn, "EXEC without MULTI");
    FinishUnit();
    return true;
  }
  if (IsNonData(command)) return true;
  // The log was begun there by a server that had more of them.
  if (db_ >= engine_.keyspace.databases()) return FailDatabase(std::to_string(db_), lsn);
  if (kind_ == StreamKind::kRedisAof && !BelongsInAof(*command))
    return FailOrRefuse(lsn, command->full_name + " is no command that changes data");
  AppliedCommand applied{command, args, db_, 0};
  const Groups groups = GroupsOf(*command, args, &applied.hash);
  if (multi_pending_.has_value()) {
    multi_pending_->groups |= groups;
    multi_pending_->commands.push_back(applied);
    return true;
  }
  ReplayEntry entry{applied, nullptr, lsn};
  if (!std::has_single_bit(groups)) {
    entry.unit = &batch_->units.emplace_back();
    entry.unit->commands.push_back(applied);
  }
  Push(groups, entry);
  return true;
}

bool ReplayDispatcher::FailDatabase(const std::string& database, Lsn lsn) {
  return Fail(lsn, "SELECT " + database + ": there are only " +
                       std::to_string(engine_.keyspace.databases()) +
                       " databases, see 'databases'");
}

bool ReplayDispatcher::Select(Arguments arguments, Lsn lsn) {
  int64_t db;
  if (!ParseInt64(arguments[1], &db) || db < 0 || db >= engine_.keyspace.databases())
    return FailDatabase(std::string(arguments[1].substr(0, 32)), lsn);
  db_ = static_cast<int>(db);
  return true;
}

ReplayDispatcher::Groups ReplayDispatcher::GroupsOf(const Command& command, Arguments arguments,
                                                    uint64_t* hash) {
  const Groups all = groups_ == kGroupsMax ? ~Groups{0} : (Groups{1} << groups_) - 1;
  const auto group = [this](uint64_t h) { return Groups{1} << (ShardOf(h) % groups_); };
  if (command.single_key != 0) {
    *hash = HashBytes(arguments[static_cast<size_t>(command.single_key)]);
    return group(*hash);
  }
  Scope scope = command.spec.scope;
  if (command.spec.scope_of != nullptr) scope = command.spec.scope_of(arguments);
  if (scope != Scope::kKeys) return all;
  keys_.Clear();
  if (!ExtractKeys(command, arguments, keys_)) return all;
  Groups groups = 0;
  for (const KeyReference& key : keys_.keys())
    if ((key.flags & kNotKey) == 0)
      groups |= group(HashBytes(arguments[static_cast<size_t>(key.position)]));
  return groups == 0 ? all : groups;
}

void ReplayDispatcher::Push(Groups groups, const ReplayEntry& entry) {
  if (entry.unit != nullptr)
    entry.unit->missing.store(static_cast<uint32_t>(std::popcount(groups)),
                              std::memory_order_relaxed);
  for (; groups != 0; groups &= groups - 1)
    (*jobs_)[static_cast<size_t>(std::countr_zero(groups))].entries.push_back(entry);
}

void ReplayDispatcher::FinishUnit() {
  Pending pending = std::move(*multi_pending_);
  multi_pending_.reset();
  if (pending.commands.empty()) return;
  ReplayEntry entry;
  entry.lsn = pending.lsn;
  entry.unit = &batch_->units.emplace_back();
  entry.unit->commands = std::move(pending.commands);
  entry.unit->owned = std::move(pending.owned);
  Push(pending.groups, entry);
}

void ReplayDispatcher::OwnPending() {
  Pending& pending = *multi_pending_;
  for (; pending.owned_commands < pending.commands.size(); ++pending.owned_commands) {
    AppliedCommand& applied = pending.commands[pending.owned_commands];
    applied.args = pending.owned.emplace_back(applied.args).view();
  }
}

}  // namespace cairn
