// SPDX-License-Identifier: BSD-3-Clause
//
// The half of the pipeline that belongs to blocked clients: putting them into the queues of their
// keys, and serving them, first come first, when a unit has made a key ready.
//
// Serving runs the client's command again, as Redis does since 7.2, in the thread and under the
// locks of the unit that made the key ready. Locks that the command needs besides are only tried;
// if one is taken, what is left to serve is noted in its shards, and the unit goes on under All
// (Unit::End). Whoever locks such a shard in between serves first (Unit::Begin).
#include <utility>

#include "exec/access.h"
#include "exec/blocking.h"
#include "exec/executor.h"
#include "exec/tracking.h"

namespace cairn {

bool Context::ClaimSlow() {
  if (!claimed_) claimed_ = ClaimWait(*waiter_);
  return claimed_;
}

void Context::Block(const BlockRequest& request) {
  if (waiter_ == nullptr) return executor_.Block(*this, request);
  // A waiter that is looked at in vain stays where it is.
  waiter_->next_look_ms.store(request.next_look_ms, std::memory_order_relaxed);
}

namespace {

// As Executor::RememberReads asks: who caches what the command reads, or nullptr.
TrackedClientRef ReaderOf(const Session& session, const Command& command) {
  const SessionTracking* tracking = FindTracking(session);
  if (tracking == nullptr || !command.Is(kReadonly)) return nullptr;
  const TrackedClient& client = *tracking->client;
  if (client.Has(kTrackingOptIn) && !tracking->caching) return nullptr;
  if (client.Has(kTrackingOptOut) && tracking->caching) return nullptr;
  return tracking->client;
}

}  // namespace

void Executor::Block(Context& ctx, const BlockRequest& request) {
  DCHECK(ctx.may_block());
  const Arguments arguments = request.arguments.empty() ? ctx.args() : request.arguments;
  WaitCounters& counters = engine_.keyspace.wait_counters();
  const uint64_t order = counters.next_order.fetch_add(1, std::memory_order_relaxed);
  auto waiter = std::make_shared<Waiter>(order, request, ctx.session(), &ctx.command(), arguments);
  waiter->spent_ticks = ReadTicks() - last_ticks_;
  waiter->reader = ReaderOf(ctx.session(), ctx.command());
  int db = ctx.db();
  waiter->shards = PlanFor(ctx.session(), ctx.command(), arguments, &db).shards;
  for (std::string_view key : waiter->key_names()) {
    const int index = ShardOf(HashBytes(key));
    CHECK(unit_.Holds(index));
    Shard& shard = engine_.keyspace.shard(index);
    if (shard.waiters == nullptr) shard.waiters = std::make_unique<WaitTable>(&counters);
    shard.waiters->Add(db, key, waiter);
  }
  StartWait(ctx.session(), std::move(waiter));
}

namespace {

// Under the lock of the key's shard.
void RemoveTicket(Keyspace& keyspace, const Waiter& waiter, std::string_view key) {
  Shard& shard = keyspace.shard(ShardOf(HashBytes(key)));
  WaitCounters& counters = keyspace.wait_counters();
  if (shard.waiters == nullptr) return;
  shard.waiters->Remove(waiter.db, key, waiter);
  if (!shard.waiters->empty()) return;
  shard.waiters.reset();
  if (std::exchange(shard.unserved, false)) counters.unserved_shards.fetch_sub(1);
}

}  // namespace

bool Executor::TryForget(const Waiter& waiter) {
  Gate& gate = engine_.keyspace.gate();
  if (!gate.TryEnter(slot_)) return false;
  bool all_taken = true;
  for (std::string_view key : waiter.key_names()) {
    Shard& shard = engine_.keyspace.shard(ShardOf(HashBytes(key)));
    if (shard.lock.TryLock()) {
      RemoveTicket(engine_.keyspace, waiter, key);
      shard.lock.Unlock();
    } else {
      all_taken = false;
    }
  }
  gate.Leave(slot_);
  return all_taken;
}

bool Executor::ServeReady() {
  // Serving may make further keys ready (BLMOVE): they come after those of the round before. Each
  // served client leaves the queues for good, so this ends.
  while (!unit_.ready().empty()) {
    std::vector<ReadyKey> keys;
    keys.swap(unit_.ready());
    for (size_t i = 0; i < keys.size(); ++i) {
      if (ServeKey(keys[i])) continue;
      for (; i < keys.size(); ++i) LeaveUnserved(keys[i]);
      for (const ReadyKey& key : unit_.ready()) LeaveUnserved(key);
      unit_.ready().clear();
      return false;
    }
  }
  return true;
}

void Executor::LeaveUnserved(const ReadyKey& key) {
  Shard& shard = engine_.keyspace.shard(ShardOf(key.hash));
  if (shard.waiters == nullptr) return;
  shard.waiters->unserved.push_back({key.db, key.key});
  if (!std::exchange(shard.unserved, true))
    engine_.keyspace.wait_counters().unserved_shards.fetch_add(1);
}

void Executor::ServeUnserved() {
  for (int i = 0; i < kShards; ++i) {
    Shard& shard = engine_.keyspace.shard(i);
    if (!shard.unserved) continue;
    shard.unserved = false;
    engine_.keyspace.wait_counters().unserved_shards.fetch_sub(1);
    for (DbKey& key : shard.waiters->unserved) {
      const uint64_t hash = HashBytes(key.key);
      unit_.ready().push_back({key.db, hash, std::move(key.key)});
    }
    shard.waiters->unserved.clear();
  }
  CHECK(ServeReady());
}

// False if a lock could not be had: the key is as ready as before.
bool Executor::ServeKey(const ReadyKey& key) {
  Shard& shard = engine_.keyspace.shard(ShardOf(key.hash));
  if (shard.waiters == nullptr) return true;
  WaitQueue* queue = shard.waiters->Find(key.db, key.key);
  if (queue == nullptr) return true;
  queue->ready = false;
  // Tickets are taken out one by one behind the walk: the queue lives until the last one goes.
  uint64_t next = 0;
  for (;;) {
    auto found = queue->tickets.lower_bound(next);
    if (found == queue->tickets.end()) break;
    next = found->first + 1;
    const auto waiter = std::static_pointer_cast<Waiter>(found->second);
    const bool last = std::next(found) == queue->tickets.end();
    const Entry* entry = unit_.Lookup(key.db, key.key, key.hash);
    if (entry == nullptr && queue->on_absence == 0) break;
    const bool of_interest =
        waiter->wakes_on_absence() || (entry != nullptr && entry->type() == waiter->type());
    if (!waiter->over() && of_interest) {
      if (!unit_.TryLock(waiter->shards)) {
        queue->ready = true;
        return false;
      }
      Serve(waiter);
    }
    if (waiter->over()) ForgetHeld(*waiter);
    if (last) break;
  }
  // A look-up may have expired the key.
  if (unit_.effect_count() > 0) unit_.EndServed();
  return true;
}

void Executor::ForgetHeld(const Waiter& waiter) {
  for (std::string_view key : waiter.key_names())
    if (unit_.Holds(ShardOf(HashBytes(key)))) RemoveTicket(engine_.keyspace, waiter, key);
}

namespace {

// What a gate says now that let the command pass when the client began to wait; empty if nothing.
std::string Refusal(Executor& executor, const Session& session, const Waiter& waiter) {
  Engine& engine = executor.engine();
  const Command& command = *waiter.command;
  if (IsRestricted(session)) {
    const AccessAnswer answer =
        CheckAccess(engine, session, *waiter.record, command, waiter.args.view(), "toplevel");
    if (!answer.ok())
      return "NOPERM " +
             DescribeDenial(answer, session.user->name(), command, waiter.args.view(), false);
  }
  if (command.Is(kDenyOom) && executor.out_of_memory()) return std::string(errors::kOom);
  return "";
}

}  // namespace

// The time it waited does not count: that of its runs does.
void Executor::CountWaited(const Waiter& waiter, uint64_t ticks, size_t reply_bytes,
                           bool failed) {
  const Command& command = *waiter.command;
  const CallCost cost{waiter.spent_ticks + ticks, waiter.args.bytes(), reply_bytes, waiter.db};
  CountCall(command, cost.ticks);
  if (failed) {
    Bump(statistics_->commands[command.id].failed);
    statistics_->Add(Stat::kErrors);
  }
  if (engine_.cost_bounds.Reached(cost)) [[unlikely]]
    NoteCost(*waiter.record, command, waiter.args.view(), cost, failed ? "ERR" : "",
             "command-unblocking");
}

// Runs the waiter's command. If it found something to answer and nobody else ended the wait, the
// reply is on its way to the client afterwards; else nothing happened.
void Executor::Serve(const std::shared_ptr<Waiter>& waiter) {
  const Command& command = *waiter->command;
  // Killed: it must run nothing more. Applying a leader's stream: no changes of our own.
  if (waiter->record->closing.load(std::memory_order_relaxed)) return;
  if (unit_.silent() && command.Is(kWrite)) return;
  // What the handler may know of the client; the Session itself is its own worker's.
  Session session(waiter->record);
  session.authenticated = true;
  session.user = waiter->user;
  session.db = waiter->db;
  session.resp = waiter->resp;
  session.no_touch = waiter->no_touch;
  auto task = std::make_unique<WaitReply>(waiter);
  ReplyWriter reply(&task->out(), waiter->resp);
  const uint64_t start = ReadTicks();
  Context ctx(*this, unit_, session, command, waiter->args.view(), {}, reply);
  ctx.set_waiter(waiter.get());
  if (const std::string refusal = Refusal(*this, session, *waiter); !refusal.empty()) {
    reply.Error(refusal);
  } else {
    command.spec.handler(ctx);
    unit_.SettleCommand(waiter->db, waiter->args.view(), {}, 0, ctx.has_effects(), nullptr);
  }
  // It is the waiter's doing, not that of whoever woke it.
  if (unit_.has_news()) [[unlikely]]
    unit_.SetAuthor(waiter->record->id, 0);
  const uint64_t end = unit_.EndServed();
  // Errors and what only reads were replied without a claim.
  if (task->out().empty() || (!ctx.claimed() && !ClaimWait(*waiter))) return;
  if (const TrackedClientRef& reader = waiter->reader;
      reader != nullptr && reader->Has(kTrackingOn) && !reader->Has(kTrackingBcast)) {
    // All its keys, as when it runs at once.
    for (std::string_view key : waiter->key_names())
      engine_.tracking.Remember(reader, key, HashBytes(key));
  }
  task->set_lsns(unit_.hold_lsn(), end);
  if (reply.error_count() != 0) engine_.statistics.CountError(reply.last_error_code());
  CountWaited(*waiter, ReadTicks() - start, task->out().size(), reply.error_count() != 0);
  unit_.Post(waiter->record->worker, std::move(task));
}

}  // namespace cairn
