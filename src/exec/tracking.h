// SPDX-License-Identifier: BSD-3-Clause
//
// Client-side caching: who has read which keys, and telling them when those change.
//
//   read    RememberReads: the keys of a read-only command go into their shards' tables, under the
//           shards' locks, before the unit ends
//   change  Unit::Changed takes whoever read the key out of the table at once; the unit's end
//           posts the invalidations while its locks are held, so before the writer's reply leaves
//
// In broadcasting mode nothing is remembered: changed keys are compared with the prefixes that
// clients asked for. Their workers collect them for a loop turn: one message a prefix.
//
// Clients are named by a shared record, never by pointer to their session: entries of clients that
// are gone or do not track any more are skipped when their key changes. As in Redis a table knows
// keys, not databases: a change in any database invalidates.
//
// Locks: a shard's table, its shard's lock; clients and prefixes, the mutex, inside which nothing
// is locked. Without a tracking client a change costs one relaxed load.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "exec/delivery.h"
#include "exec/session.h"
#include "keyspace/keyspace.h"
#include "pubsub/local_table.h"

namespace cairn {

class Unit;
struct Engine;

enum TrackingMode : uint32_t {
  kTrackingOn = 1 << 0,
  kTrackingBcast = 1 << 1,
  kTrackingOptIn = 1 << 2,
  kTrackingOptOut = 1 << 3,
  kTrackingNoLoop = 1 << 4,
  kTrackingBroken = 1 << 5,  // the client that messages were redirected to is gone
};

// A client that tracks, or did. Its worker writes, any thread reads.
struct TrackedClient {
  TrackedClient(uint64_t id_in, int worker_in) : id(id_in), worker(worker_in) {}
  const uint64_t id;
  const int worker;
  std::atomic<uint32_t> mode{0};
  std::atomic<uint64_t> redirect{0};  // a client's id; 0: none
  std::atomic<int> redirect_worker{0};

  bool Has(TrackingMode bit) const { return (mode.load(std::memory_order_relaxed) & bit) != 0; }
};
using TrackedClientRef = std::shared_ptr<TrackedClient>;

// A changed key, and who had read it.
struct Invalidation {
  std::string key;
  bool broadcast;
  std::vector<TrackedClientRef> readers;
  bool expired = false;  // to broadcasting clients nobody's doing, whatever NOLOOP says
};

class Tracking {
 public:
  static constexpr int kWorkersMax = 256;

  explicit Tracking(Engine* engine) : engine_(*engine) {}
  Tracking(const Tracking&) = delete;
  Tracking& operator=(const Tracking&) = delete;

  // A change may concern somebody: some client tracks, or the table holds keys (what clients read
  // that do not track any more goes with the next change, or they would hear of it once they do).
  bool active() const { return active_.load(std::memory_order_relaxed) != 0; }
  // Some client tracks.
  bool has_clients() const { return client_count_.load(std::memory_order_relaxed) != 0; }
  bool broadcasting() const { return prefix_count() != 0; }

  // -- on the client's worker --
  void Enable(const TrackedClientRef& client, uint32_t mode, uint64_t redirect, int redirect_worker,
              const std::vector<std::string>& prefixes);
  void Disable(const TrackedClientRef& client, const std::vector<std::string>& prefixes);

  // -- when the worker has emptied its mailbox --
  // Tells its broadcasting clients what that collected, all keys of a prefix at once: before it
  // reads on, or a client whose request came after a writer's reply would still trust its copy.
  void FlushInbox(int worker, LocalClients& clients);

  // -- under the shard's lock --
  void Remember(const TrackedClientRef& client, std::string_view key, uint64_t hash);
  // Takes the key's readers out of the table; some may not track any more.
  std::vector<TrackedClientRef> Take(std::string_view key, uint64_t hash);
  // Takes up to `limit` keys out of a shard's table, whichever they are.
  std::vector<Invalidation> TakeAny(int shard, size_t limit);
  // Under All: forgets everything that was read.
  void Forget();

  // -- the end of a unit, with its locks held --
  // `writer`: the client whose command it was; 0: nobody's.
  void Post(Unit& unit, const std::vector<Invalidation>& invalidations, uint64_t writer,
            uint64_t hold);
  // Everything was flushed: every client is told.
  void PostFlush(Unit& unit, uint64_t hold);

  size_t key_count() const { return keys_.load(std::memory_order_relaxed); }
  size_t item_count() const { return items_.load(std::memory_order_relaxed); }
  size_t prefix_count() const { return prefix_total_.load(std::memory_order_relaxed); }

 private:
  friend class BroadcastTask;
  using ChangedKeys = std::vector<std::pair<std::string, uint64_t>>;  // and who changed each
  // Readers of a key are sorted by address.
  using Table =
      std::unordered_map<std::string, std::vector<TrackedClientRef>, NameHash, std::equal_to<>>;
  // What a worker has collected for its broadcasting clients. That worker only.
  struct Inbox {
    struct Pending {
      std::map<std::string, uint64_t> keys;  // and who changed it, if it is one
      uint64_t hold = 0;
    };
    std::map<std::string, Pending> by_prefix;
  };

  void PostBroadcasts(Unit& unit, const std::vector<Invalidation>& invalidations, uint64_t writer,
                      uint64_t hold);
  void Collect(int worker, const std::string& prefix, const ChangedKeys& keys, uint64_t hold);

  Engine& engine_;
  std::array<Table, kShards> tables_;
  std::atomic<size_t> active_{0};  // client_count_ and keys_ together
  std::atomic<size_t> client_count_{0}, keys_{0}, items_{0}, prefix_total_{0};
  std::mutex mutex_;
  std::map<uint64_t, TrackedClientRef> clients_;                   // that track
  std::map<std::string, std::vector<TrackedClientRef>> prefixes_;  // of broadcasting clients
  std::array<Inbox, kWorkersMax> inboxes_;
};

// What a session knows about its tracking; made by the first CLIENT TRACKING ON.
struct SessionTracking final : Session::Extension {
  explicit SessionTracking(Tracking* tracking_in) : tracking(*tracking_in) {}
  ~SessionTracking() override;
  Tracking& tracking;
  TrackedClientRef client;
  bool caching = false;  // CLIENT CACHING was said for the next command
  std::vector<std::string> prefixes;
};
// nullptr: this session does not track.
SessionTracking* FindTracking(const Session& session);
void StopTracking(Session& session);
// Also where tracking broke, which others notice: what CLIENT LIST shows.
void TellTrackingFlags(ClientRecord& record, const TrackedClient& client);

}  // namespace cairn
