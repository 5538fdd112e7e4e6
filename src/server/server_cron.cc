// SPDX-License-Identifier: BSD-3-Clause
//
// What each worker does from time to time: limits on clients, slices of expiry and eviction, rates.
#include "server/server.h"

#include <algorithm>

#include "base/large_block.h"
#include "base/memory.h"
#include "repl/replication.h"
#include "server/client.h"
#include "server/persistence.h"

namespace cairn {
namespace {

constexpr int64_t kCronMs = 100;
// Expired keys and fields go, and room is made under maxmemory, in slices of about this long.
constexpr int64_t kSliceUs = 1000;
constexpr size_t kExpirePerSlice = 2000;  // keys and fields
// The share of a worker's time that slices may take while there is much to do, as Redis has it:
// active-expire-effort adds to it.
constexpr int64_t kSlicePercent = 25, kSlicePercentPerEffort = 2;

}  // namespace

void Server::StartCron(size_t index) {
  WorkerContext& context = *contexts_[index];
  context.worker.Post([this, &context, index] {
    context.cron.set_callback([this, index] { Cron(index); });
    context.worker.ScheduleAfter(&context.cron, kCronMs);
    context.background.set_callback([this, index] { Background(index); });
    context.worker.ScheduleAfter(&context.background, kCronMs);
  });
}

void Server::Cron(size_t index) {
  WorkerContext& context = *contexts_[index];
  const int64_t wall_ms = context.worker.wall_ms(), now_ms = context.worker.monotonic_ms();
  context.worker.ScheduleAfter(&context.cron, kCronMs);
  const int64_t timeout_ms = config_.timeout() * 1000;
  if (timeout_ms > 0) {
    std::vector<Client*> idle;
    for (auto& [id, client] : context.clients)
      if (!client->session().suspended && client->session().pubsub == nullptr &&
          client->session().monitor == nullptr && client->session().replication == nullptr &&
          now_ms - client->session().record->last_active_ms.load(std::memory_order_relaxed) >
              timeout_ms)
        idle.push_back(client);
    for (Client* client : idle) client->connection()->Close();
  }
  context.ForgetWaits();
  context.CheckOutputs();
  if (config_.min_replicas_durable() > 0)
    for (auto& [id, client] : context.clients) client->CheckHeld();
  LimitTracking(context, index);
  ResumeOverdue(context, now_ms);
  if (index == 0) {
    context.trimmer.Slice(wall_ms);
    engine_->memory.Measure();
    DecayLarge();
    MemoryMeter::NotePeak(static_cast<size_t>(std::max<int64_t>(engine_->memory.Used(), 0)));
    SampleRates(now_ms);
    persistence_->Cron(wall_ms);
    replication_->Cron();
    EndOverduePause(now_ms);
  }
}

void Server::Background(size_t index) {
  WorkerContext& context = *contexts_[index];
  Worker& worker = context.worker;
  worker.RefreshClock();
  const int64_t now = worker.wall_ms(), start_us = worker.monotonic_us();
  const int first = static_cast<int>(index), step = static_cast<int>(contexts_.size());
  const size_t gone = context.executor.ExpireSlice(first, step, kExpirePerSlice, now, kSliceUs) +
                      context.executor.ExpireFieldsSlice(first, step, kExpirePerSlice / 4, now);
  worker.RefreshClock();
  Engine& engine = *engine_;
  engine.latency.AddIfSlow("expire-cycle", worker.monotonic_us() - start_us, now / 1000);
  const bool above = context.executor.EvictSlice(now, kSliceUs);
  worker.RefreshClock();
  const int64_t spent_us = worker.monotonic_us() - start_us;
  engine.thread_statistics(context.executor.slot())
      ->Add(Stat::kExpireCycleMicros, static_cast<uint64_t>(std::max<int64_t>(spent_us, 0)));
  // Much is due: the next slice comes as soon as clients have had their share.
  const int64_t share =
      kSlicePercent + kSlicePercentPerEffort * (config_.active_expire_effort() - 1);
  const bool busy = above || gone >= kExpirePerSlice / 20;
  const int64_t rest_ms = spent_us * (100 - share) / share / 1000;
  worker.ScheduleAfter(&context.background,
                       busy ? std::clamp<int64_t>(rest_ms, 1, kCronMs) : kCronMs);
}

void Server::SampleRates(int64_t now_ms) {
  const NetTotals net = net_totals();
  commands_rate_.Sample(now_ms, engine_->statistics.Sum(Stat::kCommands));
  input_rate_.Sample(now_ms, net.bytes_in);
  output_rate_.Sample(now_ms, net.bytes_out);
}

// What clients are believed to cache is bounded: keys beyond the limit are invalidated.
void Server::LimitTracking(WorkerContext& context, size_t index) {
  constexpr size_t kPerShard = 1000;
  const auto limit = static_cast<size_t>(config_.tracking_table_max_keys());
  Tracking& tracking = engine_->tracking;
  if (limit == 0 || tracking.key_count() <= limit) return;
  // Two at once would each forget what is too much. Who comes second comes again.
  if (limits_tracking_.exchange(true, std::memory_order_acquire)) return;
  for (size_t shard = index; shard < kShards && tracking.key_count() > limit;
       shard += contexts_.size()) {
    LockPlan plan;
    plan.shards.Add(static_cast<int>(shard));
    context.executor.RunUnit(plan, context.worker.wall_ms(), [&](Unit& unit) {
      const size_t keys = tracking.key_count();  // others may have forgotten some meanwhile
      if (keys > limit)
        unit.ForgetSomeCached(static_cast<int>(shard), std::min(keys - limit, kPerShard));
    });
  }
  limits_tracking_.store(false, std::memory_order_release);
}

// Reads that have waited long enough for a broken log run once more, and are told so.
void Server::ResumeOverdue(WorkerContext& context, int64_t now_ms) {
  std::vector<uint64_t> parked;
  parked.swap(context.parked);
  for (uint64_t id : parked) {
    auto found = context.clients.find(id);
    if (found == context.clients.end()) continue;
    const int64_t deadline = found->second->session().log_deadline_ms;
    if (deadline != 0 && now_ms >= deadline) {
      found->second->Resume();
    } else {
      context.parked.push_back(id);
    }
  }
}

void Server::ResumeParked() {
  for (auto& context : contexts_) {
    WorkerContext* c = context.get();
    c->worker.Post([c] {
      std::vector<uint64_t> parked;
      parked.swap(c->parked);
      for (uint64_t id : parked)
        if (auto found = c->clients.find(id); found != c->clients.end()) found->second->Resume();
    });
  }
}

}  // namespace cairn
