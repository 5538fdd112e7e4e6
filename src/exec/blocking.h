// SPDX-License-Identifier: BSD-3-Clause
//
// Blocking commands: how a client waits, and how its wait ends.
//
//   handler finds nothing      ctx.Block(request): under the locks of all its keys a Waiter is put
//                              into their queues and the session is suspended
//   somebody changes a key     his unit, before it gives its locks back, runs the Waiter's command
//                              again as a unit of its own (exec/serve.cc). The handler asks
//                              ctx.Claim() before its first change; if it replied, the reply is
//                              posted to the client's worker, which resumes the client
//   the time is up, CLIENT     the wait is claimed, and the reply that says so is written or
//   posted; UNBLOCK, end of connection the registrations are taken out of the queues afterwards
//
// Whoever claims the wait (WaitTicket::Claim, once) owes the client its reply; nobody but the
// client's worker touches its Session. A waiter that was looked at and not served keeps its place.
// Invariant: while a waiter waits and its keys' shards are unlocked, running its command would
// find nothing; so a newcomer never overtakes.
//
// WAIT, WAITAOF and BACKUP wait for no key: their Waiters stand in no queue. The client's worker
// looks at them whenever the log has become durable further, a follower has acknowledged something
// or a backup has ended.
//
// A command may also find something because time passes (XREADGROUP CLAIM: an entry has been
// pending for long enough): it says when, and at that time the client's worker makes its keys ready.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>

#include "base/function_ref.h"
#include "base/output_buffer.h"
#include "exec/delivery.h"
#include "exec/session.h"
#include "keyspace/keyspace.h"
#include "resp/reply_writer.h"
#include "spec/registry.h"

namespace cairn {

class Executor;
class Unit;
struct Engine;
struct TrackedClient;

// What a command that found nothing to answer waits for.
struct BlockRequest {
  enum class For : uint8_t { kKeys, kReplicas, kLocalSync, kBackup };
  For what = For::kKeys;
  int64_t timeout_ms = 0;     // 0: for ever
  Type type = Type::kString;  // of the values that may serve it
  size_t first_key = 0;       // the arguments that are the keys it waits for
  size_t keys = 0;
  bool wakes_on_absence = false;   // also when a key vanishes or changes its type
  int64_t next_look_ms = 0;        // Unix time at which to run it again whatever happens; 0: never
  Arguments arguments;             // to run again; empty: those of the request
  // kReplicas, kLocalSync: everything below is to be on so many followers (with kLocalSync: on
  // their disks), and with `local` on this server's.
  uint64_t target_lsn = 0;
  int64_t replicas = 0;
  bool local = false;
  uint64_t backup = 0;  // kBackup: until the backup of this number has ended
};

// A client's wait. Constant but for its ticket and next_look_ms, which is written by whoever runs the
// command, under the locks of its keys: any thread may look at it.
struct Waiter final : WaitTicket {
  Waiter(uint64_t order, const BlockRequest& request, const Session& session,
         const Command* command_in, Arguments arguments);

  const BlockRequest::For what;
  const int64_t timeout_ms;
  const uint64_t target_lsn;
  const int64_t replicas;
  const bool local;
  const uint64_t backup;
  const Command* const command;
  const OwnedArgs args;
  const std::shared_ptr<ClientRecord> record;
  const std::shared_ptr<User> user;
  const int db, resp;
  const bool no_touch;
  const size_t first_key, keys;
  ShardSet shards;           // everything the command locks
  // Who caches what the command will read, or nullptr.
  std::shared_ptr<TrackedClient> reader;
  uint64_t spent_ticks = 0;  // by its first run, which found nothing
  std::atomic<int64_t> next_look_ms;  // see BlockRequest

  Arguments key_names() const { return args.view().subspan(first_key, keys); }
};

// Suspends the session, whose request is now the waiter's business.
void StartWait(Session& session, std::shared_ptr<Waiter> waiter);

// On the client's worker, when next_look_ms has come: makes the keys that it waits for ready. Nothing
// where changes are held up (CLIENT PAUSE, a log without room).
void LookAgain(Executor& executor, const Waiter& waiter, int64_t clock_ms);

// Claims the wait: true for one caller. From here on CLIENT LIST shows the client unblocked.
bool ClaimWait(Waiter& waiter);

// On the client's worker, by whoever claimed: ends the session's wait. `write` writes the reply,
// which CLIENT REPLY may keep from being sent; bytes leave when the log is durable up to `hold`.
void FinishWait(Session& session, OutputBuffer& out, uint64_t hold,
                FunctionRef<void(ReplyWriter&)> write);

// A wait for followers or the disk is over: all of it is there.
bool IsAcknowledged(const Engine& engine, const Waiter& waiter);

// What a wait is answered with whose time is up, or that waited for followers or the disk.
void ReplyTimedOut(const Engine& engine, const Waiter& waiter, ReplyWriter& reply);

// Brings a claimed wait's reply to the client's worker.
class WaitReply final : public WorkerTask {
 public:
  explicit WaitReply(std::shared_ptr<Waiter> waiter) : waiter_(std::move(waiter)) {}
  OutputBuffer& out() { return out_; }
  // The reply shows changes up to `hold`; a record of the client's own ends at `write_lsn` (or 0).
  void set_lsns(uint64_t hold, uint64_t write_lsn) {
    hold_ = hold;
    write_lsn_ = write_lsn;
  }
  // Nobody served it: the call is still to be counted and its registrations are to be swept.
  void set_unserved(bool failed) {
    unserved_ = true;
    failed_ = failed;
  }
  void Run(LocalClients& clients) override;

 private:
  std::shared_ptr<Waiter> waiter_;
  OutputBuffer out_;
  uint64_t hold_ = 0, write_lsn_ = 0;
  bool unserved_ = false, failed_ = false;
};

// Ends the wait of a client of any worker: with `error`, or as if its time were up where that is
// empty. False if it does not wait (any more).
bool UnblockClient(Unit& unit, ClientRecord& record, std::string_view error);
// Of all clients: before the server changes its role. Returns how many.
size_t UnblockAllClients(Unit& unit, std::string_view error);

inline constexpr std::string_view kUnblockedByCommand =
    "UNBLOCKED client unblocked via CLIENT UNBLOCK";
inline constexpr std::string_view kUnblockedByRole =
    "UNBLOCKED force unblock from blocking operation, instance state changed (master -> "
    "replica?)";

}  // namespace cairn
