// SPDX-License-Identifier: BSD-3-Clause
//
// Session: what a connection means to commands: its database, user, protocol version, transaction.
// Owned by one worker and touched by no other thread; what others may see or set is its
// ClientRecord.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/string_block.h"
#include "keyspace/watch_table.h"
#include "spec/registry.h"

namespace cairn {

class Subscriber;
struct Waiter;
class User;

// Arguments that outlive the read they came with: copied, or, if most of `incoming` is one of them,
// by a reference to that block.
class OwnedArgs {
 public:
  OwnedArgs() = default;
  explicit OwnedArgs(Arguments arguments, StringBlock* incoming = nullptr);
  OwnedArgs(OwnedArgs&&) = default;
  OwnedArgs& operator=(OwnedArgs&&) = default;
  Arguments view() const { return {views_.data(), views_.size()}; }
  size_t bytes() const { return bytes_; }
  // The block, if there is one.
  const StringBlockRef& block() const { return block_; }

 private:
  std::unique_ptr<char[]> text_;
  StringBlockRef block_;
  std::vector<std::string_view> views_;
  size_t bytes_ = 0;
};

// What other threads may know of a client (CLIENT LIST) and ask of it (CLIENT KILL). Numbers are
// relaxed atomics with one writer, texts stand under the mutex. What is written with every read of
// the client's stands first, in as few cache lines as hold it: of ten thousand clients none is left
// in the cache by their next request.
struct alignas(64) ClientRecord {
  std::atomic<int64_t> last_active_ms{0};  // monotonic
  std::atomic<int> db{0}, resp{2};
  std::atomic<uint64_t> query_bytes{0}, query_capacity{0}, output_bytes{0}, output_memory{0};
  std::atomic<uint64_t> bytes_in{0}, bytes_out{0};

  std::atomic<uint32_t> flags{0};     // ClientFlag
  std::atomic<int> last_command{-1};  // Command::id
  std::atomic<int64_t> multi_bytes{0};
  // Of a blocked command's arguments; of what the client watches, subscribes to and tracks.
  std::atomic<uint64_t> argument_bytes{0}, state_bytes{0};
  std::atomic<int> multi{-1};  // queued commands; -1 outside MULTI
  std::atomic<int> watches{0}, subscriptions{0}, pattern_subscriptions{0}, shard_subscriptions{0};
  std::atomic<bool> closing{false};  // set by CLIENT KILL; tested after locking

  // Of invalidations: a client's id, 0: none, -1: not tracking.
  std::atomic<int64_t> redirect{-1};
  uint64_t id = 0;
  std::string address, local_address;  // constant
  int64_t created_ms = 0;              // monotonic
  int worker = 0;
  int fd = -1;

  mutable std::mutex mutex;
  std::shared_ptr<Waiter> waiter;  // what it waits for, if it is blocked
  std::string name, library_name, library_version, user = "default";

  // Everything this client takes, as CLIENT LIST's tot-mem and maxmemory-clients count it.
  uint64_t MemoryBytes() const {
    constexpr auto kRelaxed = std::memory_order_relaxed;
    return sizeof *this + query_capacity.load(kRelaxed) + output_memory.load(kRelaxed) +
           static_cast<uint64_t>(multi_bytes.load(kRelaxed)) + argument_bytes.load(kRelaxed) +
           state_bytes.load(kRelaxed);
  }
};
enum ClientFlag : uint32_t {
  kClientBlocked = 1 << 0,
  kClientMulti = 1 << 1,
  kClientDirtyCas = 1 << 2,
  kClientCloseAfterReply = 1 << 3,
  kClientPubsub = 1 << 4,
  kClientMonitor = 1 << 5,
  kClientNoEvict = 1 << 6,
  kClientNoTouch = 1 << 7,
  kClientUnix = 1 << 8,
  kClientTracking = 1 << 9,
  kClientReplica = 1 << 10,
  kClientUnblocked = 1 << 11,
  kClientTrackingBroken = 1 << 12,
  kClientTrackingBcast = 1 << 13,
};

struct WatchedKey {
  int db;
  std::string key;
  uint64_t hash;
  bool expired;  // logically expired already when it was watched
};

struct QueuedCommand {
  const Command* command;
  OwnedArgs args;
};

struct Transaction {
  bool active = false;   // MULTI was said
  bool aborted = false;  // a command was refused while queueing
  std::vector<QueuedCommand> queue;
  size_t bytes = 0;
  uint64_t flags = 0;  // the OR of the queued commands' flags
  uint64_t lacks = 0;  // the OR of those that they do not have
};

enum class ReplyMode : uint8_t { kOn, kOff, kSkipThis, kSkipNext };

// What every command asks for stands first, as in ClientRecord.
struct alignas(64) Session {
  explicit Session(std::shared_ptr<ClientRecord> r) : record(std::move(r)) {}

  std::shared_ptr<ClientRecord> record;
  std::shared_ptr<User> user;  // nullptr for internal ones: everything is allowed
  int db = 0;
  int resp = 2;
  bool authenticated = false;
  bool no_touch = false;
  bool no_evict = false;
  bool internal = false;  // not a client's: replay, cron
  bool close_after_reply = false;
  bool suspended = false;  // blocked or parked: later requests of the read wait
  bool retry = false;      // the request that suspended it is to be run again (parked)
  ReplyMode reply_mode = ReplyMode::kOn;
  uint64_t last_write_lsn = 0;       // end of this session's last journal record
  Subscriber* subscriber = nullptr;  // where messages for this client go
  // What holds the request that is running, if it came with a big argument: the connection's, or
  // EXEC's of a queued one. A string value takes the argument over out of it (Context::PutString).
  const StringBlockRef* incoming = nullptr;

  // Per-session state of other parts (subscriptions, tracking). `pubsub` is there while
  // the client is subscribed to anything (exec/subscribing.h), `replication` of one that said
  // REPLCONF, PSYNC or SYNC.
  struct Extension {
    virtual ~Extension() = default;
  };
  std::unique_ptr<Extension> pubsub, tracking, monitor, replication;
  std::shared_ptr<Waiter> waiter;  // of the blocking command that suspended it
  Transaction transaction;
  std::vector<WatchedKey> watched;
  std::shared_ptr<WatchState> watch_state;  // of all of `watched`
  // Of a follower: where in its output the stream ends. What is neither that nor was there before it
  // followed ends its connection (server/client.h).
  uint64_t stream_end = 0;
  // Until when, on the monotonic clock, a read of what is not durable waits for a broken log; 0:
  // none does.
  int64_t log_deadline_ms = 0;

  uint64_t id() const { return record->id; }
  bool in_transaction() const { return transaction.active; }
};

}  // namespace cairn
