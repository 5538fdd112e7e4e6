// SPDX-License-Identifier: BSD-3-Clause
#include "exec/executor.h"

#include <algorithm>
#include <limits>

#include "exec/access.h"
#include "exec/monitoring.h"
#include "exec/transaction.h"
#include "journal/journal.h"

namespace cairn {
namespace {

constexpr size_t kPrefetchedKeys = 64;  // of one command; the first

// As Executor::Prefetch, for a command of several keys: two misses a key are most of what MGET
// costs.
void PrefetchKeys(const Keyspace& keyspace, int db, Arguments arguments,
                  std::span<const KeyReference> keys) {
  using Table = HashTable<EntryTraits>;
  if (keys.size() < 2) return;
  uint64_t hashes[kPrefetchedKeys];
  const HashBucket* buckets[kPrefetchedKeys];
  size_t count = 0;
  for (const KeyReference& key : keys.first(std::min(keys.size(), kPrefetchedKeys))) {
    if ((key.flags & kNotKey) != 0) continue;
    const uint64_t hash = HashBytes(arguments[static_cast<size_t>(key.position)]);
    const KeyTable* table = keyspace.PeekTable(ShardOf(hash), db);
    if (table == nullptr) continue;
    hashes[count] = hash;
    buckets[count++] = table->entries.PrefetchBucket(hash);
  }
  for (size_t i = 0; i < count; ++i) Table::PrefetchItem(buckets[i], hashes[i]);
}

}  // namespace

Executor::Executor(Engine* engine)
    : engine_(*engine),
      slot_(engine->AddThread()),
      unit_(engine, slot_, this),
      random_(ReadTicks() ^ static_cast<uint64_t>(slot_) << 56),
      statistics_(engine->thread_statistics(slot_)),
      memo_(&engine->registry),
      members_(engine->registry),
      exec_command_(engine->registry.Find("exec")),
      ticks_per_us_(TicksPerMicrosecond()),
      busy_unit_(engine, slot_, this) {}

ExpiryMode Executor::ExpiryModeOf(uint64_t mode) {
  constexpr uint64_t kHiding =
      kModeFollower | kModeLogRefused | kModePausedAll | kModePausedWrite | kModeFailover |
      kModeLoading;
  return (mode & kHiding) == 0 ? ExpiryMode::kNormal : ExpiryMode::kHide;
}

void Executor::WakeJournal() {
  wake_owed_ = wakes_at_turn_end_;
  if (!wake_owed_) engine_.journal->WakeIfNeeded(static_cast<unsigned>(slot_));
}

void Executor::EndTurnWithWrites() {
  // This thread has seen the journal inside the gate, and it stays.
  wake_owed_ = false;
  engine_.journal->WakeIfNeeded(static_cast<unsigned>(slot_));
}

inline void Executor::Prepare(const Request& request, const Prepared* before,
                              Prepared* prepared) {
  prepared->parent = nullptr;
  prepared->row = 0;
  // A command with a key right behind its name has no subcommands, which more would depend on.
  if (request.same_name && before != nullptr && before->key.data() != nullptr &&
      before->command->parent == nullptr) {
    prepared->command = before->command;
  } else {
    prepared->command = memo_.Resolve(request.args, &prepared->parent);
  }
  prepared->key = {};
  const Command* command = prepared->command;
  if (command == nullptr || command->single_key == 0 ||
      request.args.size() <= static_cast<size_t>(command->single_key))
    return;
  prepared->key = request.args[static_cast<size_t>(command->single_key)];
  prepared->hash = HashBytes(prepared->key);
}

// A hint only: the database may be another one by the time the command runs. Buckets first, so that
// all of them are under way before the first one is looked into.
void Executor::Prefetch(const Session& session, std::span<const Prepared> chunk) {
  using Table = HashTable<EntryTraits>;
  const HashBucket* buckets[kChunk];
  for (size_t i = 0; i < chunk.size(); ++i) {
    buckets[i] = nullptr;
    if (chunk[i].key.data() == nullptr) continue;
    if (KeyTable* table = engine_.keyspace.PeekTable(ShardOf(chunk[i].hash), session.db))
      buckets[i] = table->entries.PrefetchBucket(chunk[i].hash);
  }
  for (size_t i = 0; i < chunk.size(); ++i) Table::PrefetchItem(buckets[i], chunk[i].hash);
}

// Another core had the lock last as often as not, if there are two; its cache line then takes about
// as long to come as a request to run. Not earlier: by the time it is needed others could want it.
inline void Executor::PrefetchLock(const Prepared& prepared) const {
  if (prepared.key.data() != nullptr) engine_.keyspace.PrefetchLock(ShardOf(prepared.hash));
}

// Nothing more of this read is run. Behind a barrier the bounds of requests are others: they are
// parsed again.
bool Executor::Stopped(const Session& session, const Command* command) {
  return session.suspended || session.close_after_reply ||
         (command != nullptr && command->Is(kBarrier)) ||
         session.record->closing.load(std::memory_order_relaxed);
}

size_t Executor::Run(Session& session, const RequestBatch& batch, size_t first, OutputBuffer& out,
                     int64_t clock_ms) {
  clock_ms_ = clock_ms;
  Prepared prepared[kChunk];
  size_t done = first;
  last_ticks_ = ReadTicks();
  Gate& gate = engine_.keyspace.gate();
  while (done < batch.size()) {
    if (!gate.EnterUnlessHeld(slot_)) [[unlikely]] {
      if (!RunWhileBusy(session, batch[done], out)) continue;
      if (session.retry) break;
      const Command* parent;
      if (Stopped(session, engine_.registry.Resolve(batch[done++].args, &parent))) break;
      continue;
    }
    const size_t chunk = std::min(kChunk, batch.size() - done);
    for (size_t i = 0; i < chunk; ++i)
      Prepare(batch[done + i], i == 0 ? nullptr : &prepared[i - 1], &prepared[i]);
    if (chunk > 1) {
      Prefetch(session, {prepared, chunk});
      FindRows({prepared, chunk});
    }
    for (size_t k = 0; k < std::min(kLocksAhead, chunk); ++k) PrefetchLock(prepared[k]);
    size_t i = 0;
    bool stop = false;
    uint64_t lane = LaneOf(session);
    while (i < chunk && !stop) {
      if (i + kLocksAhead < chunk) PrefetchLock(prepared[i + kLocksAhead]);
      const Command* command = prepared[i].command;
      if (prepared[i].key.data() == nullptr ||
          !RunKeyed(session, batch[done + i], prepared[i], lane, out)) {
        if (engine_.config.maxmemory() != 0 || out_of_memory()) [[unlikely]] {
          evictor_.BeforeCommand(clock_ms_, CurrentExpiryMode());
          // A unit under All among its own has let a busy script in: that is not waited for.
          if (!gate.inside(slot_)) break;
        }
        const uint64_t start = out.end_position();
        if (session.reply_mode == ReplyMode::kSkipNext) session.reply_mode = ReplyMode::kSkipThis;
        if (command != nullptr && MayRunScript(session, *command)) [[unlikely]] {
          RunOnFiber(session, batch[done + i], prepared[i], out);
          // Its reply comes when it has ended; the gate stays closed till then. What was written
          // before it does not wait for that.
          if (aside()) {
            if (engine_.journal != nullptr) WakeJournal();
            return done + i + 1 - first;
          }
        } else {
          RunOne(session, batch[done + i], prepared[i], lane, out);
        }
        if (session.reply_mode != ReplyMode::kOn) [[unlikely]]
          Silence(session, command, start, out);
        lane = LaneOf(session);
      }
      stop = Stopped(session, command);
      // A retried request (paused) is not done.
      if (session.retry) break;
      ++i;
      // A script became busy between two units: the rest is for RunWhileBusy.
      if (!gate.inside(slot_)) [[unlikely]]
        break;
    }
    // Inside the gate: only there may the journal be looked at while it is being opened.
    if (engine_.journal != nullptr) WakeJournal();
    gate.Leave(slot_);
    done += i;
    if (stop || session.retry) break;
  }
  return done - first;
}

// A user's rights change under All, which shows in the word.
inline uint64_t Executor::LaneOf(const Session& session) const {
  const uint64_t mode = engine_.modes.word();
  const bool plain = (mode & Modes::kFlagMask) == 0 && session.authenticated &&
                     !session.transaction.active && !IsRestricted(session) &&
                     session.pubsub == nullptr && session.monitor == nullptr &&
                     session.replication == nullptr && session.reply_mode == ReplyMode::kOn;
  return plain ? mode : kNoLane;
}

inline bool Executor::Unobstructed(const Command& command, Arguments arguments) const {
  return command.ArityFits(arguments.size()) && !out_of_memory() &&
         (!command.Is(kWrite | kMayReplicate) || engine_.journal == nullptr ||
          engine_.journal->Admits());
}

inline bool Executor::BeginKeyed(Session& session, const Command& command, Arguments arguments,
                                 uint64_t hash, uint64_t mode, ReplyWriter& reply) {
  if (unit_.TryBeginInShard(ShardOf(hash), clock_ms_, ExpiryModeOf(mode))) [[likely]]
    return true;
  LockPlan plan;
  plan.AddHash(hash);
  return BeginAfterBusy(session, command, arguments, plan, CurrentExpiryMode(), reply);
}

[[gnu::always_inline]] inline void Executor::Finish(Session& session, const Command& command, const Request& request,
                             uint64_t start, ReplyWriter& reply) {
  if (Observed()) [[unlikely]]
    Observe(session, command, request.args, Caller::kClient);
  uint64_t end = 0;
  if (unit_.active()) {
    if (unit_.has_news()) [[unlikely]]
      unit_.SetAuthor(session.id(), session.last_write_lsn);
    end = unit_.End();
    // A message for followers' subscribers is no write that others would have to wait for.
    if (end != 0 && (unit_.hold_lsn() != 0 || unit_.HoldFor(end) == 0))
      session.last_write_lsn = end;
  }
  if (unit_.hold_lsn() != 0 && unit_.hold_lsn() > engine_.journal->committed()) [[unlikely]] {
    if (!HoldReply(session, command, end != 0, start, reply)) return;
  }

  const uint64_t ticks = ReadTicks() - last_ticks_;
  last_ticks_ += ticks;
  // A call that waits is counted when it is answered.
  if (session.waiter != nullptr) [[unlikely]]
    return;
  CountCall(command, ticks);
  const CallCost cost{ticks, request.raw.size(), reply.out().end_position() - start, session.db};
  if (engine_.cost_bounds.Reached(cost)) [[unlikely]] {
    NoteCost(*session.record, command, request.args, cost, LastError(reply, 0));
    last_ticks_ = ReadTicks();  // what that took is no part of the next command
  }
}

// A mode may have changed while we waited for the locks, or the client have been
// killed.
inline bool Executor::StillAdmitted(Session& session, const Command& command, Arguments arguments,
                                    uint64_t mode, ReplyWriter& reply) {
  if (engine_.modes.word() == mode && engine_.keyspace.observer() == nullptr &&
      !session.record->closing.load(std::memory_order_relaxed)) [[likely]]
    return true;
  return StillAdmittedSlow(session, command, arguments, mode, reply);
}

[[gnu::noinline]] bool Executor::StillAdmittedSlow(Session& session, const Command& command,
                                                   Arguments arguments, uint64_t mode,
                                                   ReplyWriter& reply) {
  const uint64_t now = engine_.modes.word();
  if (now != mode) [[unlikely]] unit_.set_expiry_mode(ExpiryModeOf(now));
  if ((now == mode || PassGates(session, command, arguments, now, reply)) &&
      !session.record->closing.load(std::memory_order_relaxed) &&
      !Postponed(session, command, arguments))
    return true;
  unit_.End();
  return false;
}

bool Executor::RunKeyed(Session& session, const Request& request, const Prepared& prepared,
                        uint64_t lane, OutputBuffer& out) {
  const Command& command = *prepared.command;
  if (engine_.modes.word() != lane || engine_.config.maxmemory() != 0 ||
      !Unobstructed(command, request.args)) [[unlikely]]
    return false;
  ReplyWriter reply(&out, session.resp);
  const uint64_t start = out.end_position();
  outermost_ = &session;
  if (!BeginKeyed(session, command, request.args, prepared.hash, lane, reply) ||
      !StillAdmitted(session, command, request.args, lane, reply)) [[unlikely]] {
    if (Audited() && reply.error_count() != 0)
      Audit(*session.record, command, request.args, {0, 0, 0, session.db}, LastError(reply, 0));
    return true;
  }
  if (prepared.row != 0) [[unlikely]]
    PrefetchMembers(session.db, &request, {&prepared, prepared.row});
  session.record->last_command.store(command.id, std::memory_order_relaxed);
  Context ctx(*this, unit_, session, command, request.args, request.raw, reply);
  ctx.set_hashed_key(prepared.key, prepared.hash);
  command.spec.handler(ctx);
  unit_.SettleRequest(session.db, request.args, request.raw, ctx.has_effects(), session.incoming);
  CountReplyErrors(command, reply, 0);
  Finish(session, command, request, start, reply);
  return true;
}

void Executor::RunOne(Session& session, const Request& request, const Prepared& prepared,
                      uint64_t lane, OutputBuffer& out) {
  ReplyWriter reply(&out, session.resp);
  const uint64_t start = out.end_position();
  const Command* command = prepared.command;
  outermost_ = &session;
  if (command == nullptr) {
    RefuseUnknown(session, request, prepared.parent, reply);
    return;
  }
  const uint64_t mode = engine_.modes.word();
  const auto tell_of_refusal = [&] {
    if (Audited() && reply.error_count() != 0)
      Audit(*session.record, *command, request.args, {0, 0, 0, session.db}, LastError(reply, 0));
  };
  if (mode != lane || command->spec.handler == nullptr || !Unobstructed(*command, request.args))
      [[unlikely]] {
    if (!PassGates(session, *command, request.args, mode, reply)) return tell_of_refusal();
    if (session.transaction.active && !RunsInsideMulti(*command)) {
      Queue(session, *command, request.args, reply);
      return;
    }
  }
  if (command == exec_command_) [[unlikely]] {
    RunExec(session, *command, mode, reply);
  } else if (!RunSingle(session, *command, request, prepared, mode, reply)) {
    return tell_of_refusal();
  }
  Finish(session, *command, request, start, reply);
}

bool Executor::RunSingle(Session& session, const Command& command, const Request& request,
                         const Prepared& prepared, uint64_t mode, ReplyWriter& reply) {
  const bool hashed = prepared.key.data() != nullptr;
  for (bool everything = false;; everything = true) {
    if (hashed) {
      if (!BeginKeyed(session, command, request.args, prepared.hash, mode, reply)) return false;
    } else {
      int db = session.db;
      LockPlan plan = PlanFor(session, command, request.args, &db);
      plan.all |= everything;
      if (!plan.all && !plan.shards.empty())
        PrefetchKeys(engine_.keyspace, session.db, request.args, keys_.keys());
      if (!unit_.TryBegin(plan, clock_ms_, ExpiryModeOf(mode)) &&
          !BeginAfterBusy(session, command, request.args, plan, CurrentExpiryMode(), reply))
        return false;
    }
    if (!StillAdmitted(session, command, request.args, mode, reply)) [[unlikely]]
      return false;
    session.record->last_command.store(command.id, std::memory_order_relaxed);
    Context ctx(*this, unit_, session, command, request.args, request.raw, reply);
    if (hashed) ctx.set_hashed_key(prepared.key, prepared.hash);
    const uint64_t start = reply.out().end_position();
    const uint64_t errors = reply.error_count();
    if (command.Is(kScripting)) [[unlikely]] {
      Announce(session, command, request.args);
      if (!unit_.all()) unit_.RememberImages();
    }
    command.spec.handler(ctx);
    if (unit_.retreating()) [[unlikely]] {
      unit_.Rollback();
      reply.out().TruncateTo(start);
      continue;
    }
    unit_.SettleRequest(session.db, request.args, request.raw, ctx.has_effects(),
                        session.incoming);
    CountReplyErrors(command, reply, errors);
    return true;
  }
}

bool Executor::HoldReply(Session& session, const Command& command, bool wrote, uint64_t start,
                         ReplyWriter& reply) {
  OutputBuffer& out = reply.out();
  // Operators see what is not durable, or could not mend what keeps it from becoming so.
  if (!wrote && command.Is(kAdmin)) return true;
  if (wrote || !engine_.modes.Has(kModeLogRefused)) {
    out.MarkHold(start, unit_.hold_lsn());
    return true;
  }
  // The log is broken, so this could be for ever. A read is tried again until
  // its time is up; what cannot be run twice (EXEC, scripts) is told at once.
  out.TruncateTo(start);
  if (command.Is(kReadonly) && !session.suspended) {
    const int64_t now_ms = engine_.clock.MonotonicMs();
    if (session.log_deadline_ms == 0 &&
        __builtin_add_overflow(now_ms, engine_.config.busy_reply_threshold(),
                               &session.log_deadline_ms))
      session.log_deadline_ms = std::numeric_limits<int64_t>::max();
    if (now_ms < session.log_deadline_ms) {
      session.suspended = session.retry = true;
      return false;
    }
  }
  session.log_deadline_ms = 0;
  reply.Error(engine_.LogRefusal());
  engine_.statistics.CountError(reply.last_error_code());
  return true;
}

// CLIENT REPLY OFF and SKIP: whatever was said, be it QUEUED or an error, is not said; but what
// SUBSCRIBE and its relatives say are messages.
void Executor::Silence(Session& session, const Command* command, uint64_t start,
                       OutputBuffer& out) {
  constexpr uint64_t kSpeaksInMessages = kPubsub | kNoScript;
  if (command == nullptr || (command->spec.flags & kSpeaksInMessages) != kSpeaksInMessages)
    out.TruncateTo(start);
  if (session.reply_mode != ReplyMode::kSkipThis) return;
  // A parked request is not over: the skip is still due. That of one that waits is due at its end.
  if (session.waiter != nullptr) return;
  session.reply_mode = session.retry ? ReplyMode::kSkipNext : ReplyMode::kOn;
}

void Executor::CountReplyErrors(const Command& command, ReplyWriter& reply, uint64_t before) {
  if (reply.error_count() == before) [[likely]]
    return;
  Bump(statistics_->commands[command.id].failed);
  statistics_->Add(Stat::kErrors);
  engine_.statistics.CountError(reply.last_error_code());
}

bool Executor::PostponedSlow(Session& session, const Command& command, Arguments arguments) {
  if (!command.Is(kWrite) && !command.Is(kMayReplicate)) return false;
  keys_.Clear();
  if (!ExtractKeys(command, arguments, keys_)) return false;
  for (const KeyReference& reference : keys_.keys()) {
    if ((reference.flags & kNotKey) != 0) continue;
    // What is only read stays; but XREADGROUP notes what it has delivered.
    if ((reference.flags & kRO) != 0 && !command.Is(kBlocking)) continue;
    const std::string_view key = arguments[static_cast<size_t>(reference.position)];
    const uint64_t hash = HashBytes(key);
    const int shard = ShardOf(hash);
    KeyTable* table = engine_.keyspace.PeekTable(shard, session.db);
    if (table == nullptr) continue;
    const Entry* entry = table->entries.Find(
        hash, [key](const Entry* candidate) { return candidate->key() == key; });
    if (entry == nullptr || entry->epoch() == engine_.keyspace.shard(shard).epoch) continue;
    const bool whole = (reference.flags & (kOW | kRM | kWhole)) != 0;
    if (!engine_.keyspace.observer()->Postpone(shard, session.db, *entry, whole)) continue;
    session.suspended = session.retry = true;
    return true;
  }
  return false;
}

LockPlan Executor::PlanFor(const Session& session, const Command& command, Arguments arguments,
                           int* db) {
  (void)session;
  LockPlan plan;
  Scope scope = command.spec.scope;
  if (command.spec.scope_of != nullptr) scope = command.spec.scope_of(arguments);
  if (scope == Scope::kAll) plan.all = true;
  // Inside EXEC a walk cannot lock shard by shard: the caller asks for all (see RunExec).
  if (scope == Scope::kWalk) plan.walk = true;
  if (scope == Scope::kKeys && (command.spec.keys.count > 0 || command.spec.keys_of != nullptr)) {
    keys_.Clear();
    // A call whose keys cannot be told gets no locks; its handler words the error.
    if (ExtractKeys(command, arguments, keys_)) {
      for (const KeyReference& key : keys_.keys())
        if ((key.flags & kNotKey) == 0)
          plan.AddHash(HashBytes(arguments[static_cast<size_t>(key.position)]));
    }
  }
  // A script without keys says nothing of what it touches; and what others are told of its commands
  // as they run (monitors, caches) must not be told twice.
  if (RunsScripts(command) && (plan.shards.empty() || Observed() || engine_.tracking.has_clients()))
    plan.all = true;
  // SELECT inside MULTI changes where later commands look; shards do not depend on it.
  (void)db;
  return plan;
}

uint64_t Executor::Call(Session& session, const Command& command, Arguments arguments,
                        std::string_view raw, ReplyWriter& reply, Caller caller) {
  const uint64_t errors = reply.error_count();
  const int64_t dirty = unit_.dirty();
  const uint64_t start = ReadTicks();
  const int db = session.db;
  Context ctx(*this, unit_, session, command, arguments, raw, reply);
  ctx.set_in_exec(caller != Caller::kClient);
  if (command.Is(kScripting)) [[unlikely]]
    Announce(session, command, arguments);
  command.spec.handler(ctx);
  unit_.SettleCommand(db, arguments, raw, dirty, ctx.has_effects(), session.incoming);
  CountReplyErrors(command, reply, errors);
  if (Observed()) [[unlikely]]
    Observe(session, command, arguments, caller);
  const uint64_t ticks = ReadTicks() - start;
  CountCall(command, ticks);
  if (caller == Caller::kScript && Audited()) [[unlikely]]
    Audit(*outermost_->record, command, arguments, {ticks, 0, 0, db}, LastError(reply, errors));
  return ticks;
}

}  // namespace cairn
