// SPDX-License-Identifier: BSD-3-Clause
#include "exec/engine.h"

#include "exec/hot_keys.h"
#include "journal/journal.h"

namespace cairn {

Engine::Engine(Clock* clock_in, Log* log_in, ConfigStore* store_in, Registry* registry_in,
               Keyspace* keyspace_in)
    : clock(*clock_in),
      log(*log_in),
      config_store(*store_in),
      config(store_in->config()),
      registry(*registry_in),
      keyspace(*keyspace_in),
      users(registry_in) {
  hot_keys = std::make_unique<HotKeys>(Gate::kSlots);
  const auto read_bounds = [this](const Config& now) {
    latency.set_threshold_ms(now.latency_monitor_threshold());
    ReadCostBounds();
    return Status();
  };
  (void)read_bounds(config);
  config_store.OnChange({"slowlog-log-slower-than", "latency-monitor-threshold",
                         "commandlog-request-larger-than", "commandlog-reply-larger-than"},
                        read_bounds);
}

Engine::~Engine() = default;

void Engine::SetAudited(bool audited_now) {
  audited.store(audited_now, std::memory_order_relaxed);
  ReadCostBounds();
}

void Engine::ReadCostBounds() {
  std::lock_guard guard(cost_bounds_mutex_);
  cost_bounds.Read(config, audited.load(std::memory_order_relaxed) || hot_keys->on());
}

int Engine::AddThread() {
  const int slot = keyspace.gate().AddThread();
  thread_statistics_[slot] = statistics.AddThread(registry.all().size());
  return slot;
}

std::string Engine::LogRefusal() const {
  return "MISCONF Errors writing to the AOF file: " + journal->failure();
}

Thresholds Engine::ReadThresholds() const {
  Thresholds t;
  t.hash_max_listpack_entries = config.hash_max_listpack_entries();
  t.hash_max_listpack_value = config.hash_max_listpack_value();
  t.set_max_intset_entries = config.set_max_intset_entries();
  t.set_max_listpack_entries = config.set_max_listpack_entries();
  t.set_max_listpack_value = config.set_max_listpack_value();
  t.zset_max_listpack_entries = config.zset_max_listpack_entries();
  t.zset_max_listpack_value = config.zset_max_listpack_value();
  t.list_max_listpack_size = config.list_max_listpack_size();
  t.list_compress_depth = config.list_compress_depth();
  t.hll_sparse_max_bytes = config.hll_sparse_max_bytes();
  t.stream_node_max_bytes = config.stream_node_max_bytes();
  t.stream_node_max_entries = config.stream_node_max_entries();
  return t;
}

}  // namespace cairn
