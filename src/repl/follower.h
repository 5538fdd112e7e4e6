// SPDX-License-Identifier: BSD-3-Clause
//
// Follower: one follower as its leader sees it, and the file of a full sync.
//
//   REPLCONF ...    a FollowerSession hangs at the client's session, with what the client said
//   PSYNC, SYNC     kAsked: the feeder (feeder.h) decides
//                     the log holds what it misses      -> kOnline
//                     else  kWaiting: for a snapshot    -> kSending: the file -> kOnline
//   connection gone the session's extension goes, and with it the follower
//
// Thread rule: what stands under "feeder" is the feeder thread's; the rest is constant from PSYNC
// on, or atomic.
#pragma once

#include <unistd.h>

#include <atomic>
#include <memory>
#include <string>

#include "exec/replication_control.h"
#include "exec/session.h"
#include "journal/lsn.h"
#include "journal/reader.h"
#include "repl/rdb_pipe.h"
#include "repl/stream_tail.h"

namespace cairn {

// The snapshot that followers who came before its instant share. The file goes with the last of
// them.
struct SyncFile {
  enum class State { kMaking, kReady, kFailed };

  explicit SyncFile(std::string path_in) : path(std::move(path_in)) {}
  ~SyncFile() { unlink(path.c_str()); }

  const std::string path;
  std::atomic<bool> begun{false};  // the instant is past: whoever comes now is too late
  std::atomic<State> state{State::kMaking};
  Lsn lsn = 0;  // these four: written before `state` is kReady
  std::string id;
  uint64_t bytes = 0;  // of the RDB
  std::string error;
};

struct Follower {
  enum class State { kAsked, kWaiting, kSending, kOnline };

  std::shared_ptr<ClientRecord> record;
  FollowerRequest request;
  std::string address;  // as it announced it, else the connection's
  int port = 0;
  bool second_id_understood = false;  // capa psync2
  bool snapshot_only = false;         // rdb-only: goes when it has the file
  StreamTail tail;                    // what it has before the offset that it asks for

  std::atomic<State> state{State::kAsked};
  std::atomic<uint64_t> acknowledged{0}, durable{0};
  std::atomic<int64_t> acknowledged_ms{0};  // wall clock, of the last sign of life
  std::atomic<bool> gone{false};
  // Bytes given to its worker and not yet in its connection's buffer; bytes in that buffer.
  std::atomic<uint64_t> posted{0}, buffered{0};

  // -- feeder --
  Lsn next = 0;  // the first byte of the stream not yet sent
  std::shared_ptr<SyncFile> file;
  uint64_t file_offset = 0;
  int file_fd = -1;
  std::unique_ptr<RdbPipe> pipe;  // of an encrypted file; file_fd is its
  std::unique_ptr<JournalReader> reader;
  bool probing = false;
  int64_t kept_alive_ms = 0;

  Follower() = default;
  Follower(const Follower&) = delete;
  Follower& operator=(const Follower&) = delete;
  ~Follower() {
    if (file_fd >= 0 && pipe == nullptr) close(file_fd);
  }
};

class Feeder;

// Hangs at the session of a client that spoke REPLCONF or PSYNC. `follower` is nullptr before the
// latter.
struct FollowerSession final : Session::Extension {
  ~FollowerSession() override;

  std::string address;
  int port = 0;
  bool capable_psync2 = false, snapshot_only = false;
  StreamTail tail;
  Feeder* feeder = nullptr;
  std::shared_ptr<Follower> follower;
};

}  // namespace cairn
