// SPDX-License-Identifier: BSD-3-Clause
//
// ReplicationControl: what commands, snapshots and INFO ask of replication above them. Implemented
// in repl/.
//
// Thread rule: any thread. What its comment calls slow may wait for threads and files, so it
// belongs into Unit::AfterUnit, where no lock is held; nothing else waits.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"

namespace cairn {

struct Session;

// What bounds the output of a follower's connection has room for some pieces of the stream: less
// counts as this.
constexpr int64_t kReplicaBufferBytesMin = 1 << 20;

// A follower, as INFO, ROLE and WAIT see it.
struct FollowerFacts {
  std::string address;
  int port = 0;
  const char* state = "";     // Redis's word: wait_bgsave, send_bulk, online
  uint64_t acknowledged = 0;  // applied there
  bool keeps_log = false;     // it has said what is durable there, be it nothing yet
  int64_t lag_s = 0;          // since its last ACK
};

// The link to the leader, as INFO and ROLE see it.
struct LinkFacts {
  bool follower = false;  // else nothing below counts
  std::string host;
  int port = 0;
  const char* state = "";  // of ROLE: connect, connecting, handshake, sync, connected
  bool up = false, syncing = false;
  bool loading_as_it_comes = false;  // a full sync that can be given up at any time
  int64_t last_io_s = -1;
  int64_t down_since_s = -1;
  uint64_t sync_total_bytes = 0, sync_read_bytes = 0;
};

struct StreamFacts {
  std::string id, second_id;  // second_id "" if none
  uint64_t offset = 0;
  int64_t second_offset = -1;
};

struct FollowerRequest {
  std::string id;       // "?" or "" for whoever has nothing
  int64_t offset = -1;  // the first byte wanted, counted from 1; -1: none
  bool old = false;     // SYNC: sends no ACKs, hears no +FULLRESYNC
};

// FAILOVER. Host "": whichever follower is first; timeout 0: none.
struct FailoverRequest {
  std::string host;
  int port = 0;
  bool force = false;
  int64_t timeout_ms = 0;
};

class ReplicationControl {
 public:
  virtual ~ReplicationControl() = default;

  // -- leader --
  // What REPLCONF tells about the client before PSYNC, by Redis's option name. False: unknown.
  virtual bool Describe(Session& session, std::string_view option, std::string_view value) = 0;
  // The client follows from now on; what it is sent comes later. Empty, or the error.
  virtual std::string Follow(Session& session, const FollowerRequest& request) = 0;
  // REPLCONF ACK offset [FACK offset]; no `durable` from one that keeps no log.
  virtual void Acknowledge(Session& session, uint64_t applied,
                           std::optional<uint64_t> durable) = 0;
  virtual std::vector<FollowerFacts> Followers() = 0;
  // How many followers have applied (made durable) everything below `lsn`.
  virtual int64_t CountAcknowledged(uint64_t lsn, bool durable) = 0;
  // Asks all of them for an ACK soon.
  virtual void RequestAcknowledgements() = 0;

  // -- role --
  virtual LinkFacts Link() = 0;
  virtual StreamFacts Stream() const = 0;
  // Slow. Follows another server, or (host "") nobody any more.
  virtual void ReplicaOf(const std::string& host, int port) = 0;
  // Slow; "" or the error. FAILOVER, FAILOVER ABORT (`force`: though two may lead then), and what a
  // leader that fails over asks of the follower that is to lead, whose stream must be `id`.
  virtual std::string BeginFailover(const FailoverRequest& request) = 0;
  virtual std::string AbortFailover(bool force) = 0;
  virtual std::string TakeOver(const std::string& id) = 0;
  virtual bool FailingOver() = 0;
  virtual const char* FailoverStateName() = 0;  // INFO's word
  // The server is to end. BeginLeaving (slow): writes wait, so that followers can come to have
  // everything; false, and nothing is changed, where there is nobody to wait for. EndLeaving: the
  // server goes on.
  virtual bool BeginLeaving() = 0;
  virtual bool FollowersHaveAll() = 0;
  virtual void EndLeaving() = 0;
  // Slow. Runs `change`, which replaces the data by what it was written as, while nothing comes from
  // a leader and the role stays. kUnavailable: it was not run.
  virtual Status WithoutLink(const std::function<void()>& change) = 0;
  // Slow. DEBUG CHANGE-REPL-ID.
  virtual Status ChangeId() = 0;

  // -- snapshots --
  // The instant of any snapshot, under All: its LSN, and records for its head.
  using AuxRecords = std::vector<std::pair<std::string, std::string>>;
  virtual uint64_t AtSnapshot(AuxRecords* aux) = 0;
};

}  // namespace cairn
