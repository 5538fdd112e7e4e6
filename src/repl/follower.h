// SPDX-License-Identifier: BSD-3-Clause
//
// Follower: one follower as its leader sees it, and the file of a full sync.
//
//   REPLCONF ...    a FollowerSession hangs at the client's session, with what the client said
//   PSYNC, SYNC     kAsked: the feeder (feeder.h) decides
//                     the log holds what it misses      -> kOnline
//                     else  kWaiting: for a snapshot    -> kSending: the file, perhaps while it is
//                                                          made -> kOnline
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

// A snapshot that followers share. The file goes with the last of them.
struct SyncFile {
  enum class State { kMaking, kReady, kFailed };

  SyncFile(std::string path_in, bool packed_in) : path(std::move(path_in)), packed(packed_in) {}
  ~SyncFile() { unlink(path.c_str()); }

  const std::string path;
  const bool packed;               // for Cairns; else an RDB
  std::atomic<bool> begun{false};  // the instant is past
  Lsn lsn = 0;                     // these two: written before `begun` is set
  std::string id;
  std::atomic<uint64_t> available{0};  // bytes that can be sent; of the RDB, if it is encrypted
  std::atomic<State> state{State::kMaking};
  std::string error;  // written before `state` is kFailed
};

// What of a snapshot a follower wants: REPLCONF rdb-filter-only.
enum class SnapshotContent { kAll, kFunctions, kNothing };

struct Follower {
  enum class State { kAsked, kWaiting, kSending, kOnline };

  std::shared_ptr<ClientRecord> record;
  FollowerRequest request;
  std::string address;  // as it announced it, else the connection's
  int port = 0;
  bool second_id_understood = false;  // capa psync2
  bool mark_understood = false;       // capa eof: takes a snapshot whose length is not known
  bool packed_understood = false;     // capa cairn-packed
  bool snapshot_only = false;         // rdb-only: goes when it has the file
  SnapshotContent content = SnapshotContent::kAll;
  StreamTail tail;                    // what it has before the offset that it asks for

  std::atomic<State> state{State::kAsked};
  std::atomic<uint64_t> acknowledged{0}, durable{0};
  std::atomic<bool> keeps_log{false};  // it has told what is durable there, 0 included
  std::atomic<int64_t> acknowledged_ms{0};  // monotonic: when it was heard last
  std::atomic<bool> gone{false};
  // All of the snapshot is sent, the mark behind it too, and nothing follows before it has
  // answered.
  std::atomic<bool> sent_all{false}, answered{false};
  // Bytes given to its worker and not yet in its connection's buffer; bytes in that buffer.
  std::atomic<uint64_t> posted{0}, buffered{0};

  // -- feeder --
  Lsn next = 0;  // the first byte of the stream not yet sent
  std::shared_ptr<SyncFile> file;
  uint64_t file_offset = 0;
  std::string mark;  // that ends the snapshot; empty if its length was said
  int file_fd = -1;
  std::unique_ptr<RdbPipe> pipe;  // of an encrypted file; file_fd is its
  std::unique_ptr<JournalReader> reader;
  bool probing = false;
  int64_t kept_alive_ms = 0;
  int64_t moved_ms = 0;  // monotonic: when it last had room for more of the file, or had it all

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
  bool capable_psync2 = false, capable_eof = false, capable_packed = false;
  bool snapshot_only = false;
  SnapshotContent content = SnapshotContent::kAll;
  StreamTail tail;
  Feeder* feeder = nullptr;
  std::shared_ptr<Follower> follower;
};

}  // namespace cairn
