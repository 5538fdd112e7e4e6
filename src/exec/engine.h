// SPDX-License-Identifier: BSD-3-Clause
//
// Engine: what all executors share: the keyspace, the journal, the command registry, the
// configuration, modes and statistics. Made by server/ and handed to everybody by reference.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "acl/acl_log.h"
#include "acl/users.h"
#include "base/clock.h"
#include "base/latency_events.h"
#include "base/log.h"
#include "base/published.h"
#include "config/config.h"
#include "config/store.h"
#include "exec/accounting.h"
#include "exec/busy_script.h"
#include "exec/command_log.h"
#include "exec/loading.h"
#include "exec/memory_limit.h"
#include "exec/modes.h"
#include "exec/server_control.h"
#include "exec/statistics.h"
#include "exec/tracking.h"
#include "keyspace/keyspace.h"
#include "keyspace/lazy_free.h"
#include "pubsub/hub.h"
#include "spec/registry.h"
#include "types/thresholds.h"

namespace cairn {

class AuditLog;
class HotKeys;
class Journal;
class LsnStripes;
class Migrator;
class ReplicationControl;
class ScriptRegistry;
class SnapshotControl;

struct Engine {
  Engine(Clock* clock_in, Log* log_in, ConfigStore* store_in, Registry* registry_in,
         Keyspace* keyspace_in);
  ~Engine();

  Clock& clock;
  Log& log;
  ConfigStore& config_store;
  const Config& config;
  Registry& registry;
  Keyspace& keyspace;
  LazyFree lazy_free;
  Modes modes;
  BusyScript busy;
  MemoryLimit memory{this};
  LoadingProgress loading;  // while kModeLoading is set
  Statistics statistics;
  CommandLog command_log;
  LatencyEvents latency;
  CostBounds cost_bounds;
  std::shared_ptr<AuditLog> audit;  // exec/audit_log.h; set while `audited`
  std::atomic<bool> audited{false};
  std::unique_ptr<HotKeys> hot_keys;  // exec/hot_keys.h
  std::shared_ptr<Migrator> migrator;  // cluster/migrator.h; set before the first command
  // Memory of clients that maxmemory-clients limits, while it is set (server/client_memory.h).
  std::atomic<int64_t> client_bytes{0};
  std::atomic<uint64_t> evicted_clients{0};
  PubsubHub pubsub;
  Users users;
  AclLog acl_log;
  Tracking tracking{this};
  ServerControl* control = nullptr;  // set by server/ before the first command, as the next
  SnapshotControl* snapshots = nullptr;
  ReplicationControl* replication = nullptr;
  // The log; all three change while nobody is inside the gate. nullptr: there was never one. One
  // that was given up stays as an object, at rest, for those who look at it from outside the gate.
  Published<Journal> journal;
  // The same while changes are appended to it, else nullptr.
  Published<Journal> open_journal;
  // It is the database. Else it only feeds followers, or has no base yet, and a start ignores it.
  std::atomic<bool> journal_kept{false};
  // Followers that get the stream: what is meant for them alone is appended only if there are any.
  std::atomic<int> followers{0};
  // Under appendfsync always: the last LSN by key hash, for replies that must wait; else nullptr.
  LsnStripes* stripes = nullptr;
  std::shared_ptr<ScriptRegistry> scripts;  // the scripts known; set before the first command
  std::atomic<int64_t> saved_changes{0};    // statistics.Changes() at the last snapshot's instant
  std::string run_id, replication_id;
  size_t startup_bytes = 0;  // allocated before anything was loaded
  std::atomic<bool> active_expire{true};
  // After --restore-to: keys whose time came before this stay, as the fields of hashes do whatever
  // their time; 0: none do.
  std::atomic<int64_t> kept_until_ms{0};
  // Output that a client does not read grows to this; then the client is cut off.
  size_t output_bytes_max = size_t{4} << 30;
  std::atomic<uint64_t> next_client_id{1};

  // Commands are told to the audit log, or not any more. Under scope All or before any command.
  void SetAudited(bool audited_now);
  // To be called when what CostBounds::Read asks for has changed. Any thread.
  void ReadCostBounds();

  // Gives a thread its slot: of the gate, the journal and the statistics alike.
  int AddThread();
  ThreadStatistics* thread_statistics(int slot) { return thread_statistics_[slot]; }

  // Changes to the dataset since the last snapshot.
  int64_t UnsavedChanges() const {
    return statistics.Changes() - saved_changes.load(std::memory_order_relaxed);
  }

  // The error of writes while the journal refuses them.
  std::string LogRefusal() const;

  // The thresholds of small encodings, read afresh: a plain copy.
  Thresholds ReadThresholds() const;

 private:
  ThreadStatistics* thread_statistics_[Gate::kSlots] = {};
  std::mutex cost_bounds_mutex_;  // the last to write them is who read last
};

}  // namespace cairn
