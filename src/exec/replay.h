// SPDX-License-Identifier: BSD-3-Clause
//
// Replay: applies a recorded stream to the keyspace, on several threads.
//
//   reader thread          calling thread            applier threads, one a group of shards
//   files, decompression   records, db, MULTI        commands
//     [piece][piece] --->  dispatcher  --- job ----> applier 0
//                                      --- job ----> applier 1 ...
//
// A job is one applier's share of a piece (about 256 KiB), so queues and wake-ups cost a record
// next to nothing. All queues carry their records in stream order. A record whose keys lie in
// several groups (MSET, RENAME, a MULTI group) stands in the queue of each: who arrives last
// executes it, the others wait. What names no keys or takes scope All (FLUSHALL, SWAPDB, FUNCTION)
// stands in all of them. Since every queue has the same order, nobody waits in a circle.
//
// Nobody waits while inside the gate, and expiry is off (ExpiryMode::kApply): what is in the
// stream is applied, whatever the time.
//
// Thread rule: Run blocks; one call at a time. Other threads may use the keyspace meanwhile, but
// must not write.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "exec/replay_parts.h"
#include "journal/reader.h"

namespace cairn {

// The next piece of the stream; false at its end. Called by one thread.
using StreamSource = std::function<Result<bool>(StreamPiece*)>;

struct ReplayReport {
  Lsn end_lsn = 0;         // of the last whole top-level record
  std::string unfinished;  // why what follows it was dropped; "" if nothing was
  int end_database = 0;    // the stream is in this one there
  uint64_t commands = 0;
  uint64_t refused = 0;       // commands that failed and were passed over
  std::string first_refused;  // position and reason of the first one
  int64_t milliseconds = 0;
};

class Replayer {
 public:
  // More appliers than this wait for the dispatcher.
  static constexpr int kAppliersMax = 16;

  // Takes a slot of the engine for each applier, for ever.
  Replayer(Engine* engine, int appliers);
  ~Replayer();

  // Applies the stream, which begins at `from` in `database` (-1: what its files say, else 0). `stop` is asked now
  // and then. Progress is told to engine.loading, which the caller has begun, and the log.
  Result<ReplayReport> Run(Lsn from, const StreamSource& source, const std::function<bool()>& stop,
                           StreamKind kind = StreamKind::kJournal, int database = -1);

 private:
  struct Applier;
  struct Piece;

  void Read(const StreamSource& source, BoundedQueue<Piece>* pieces, Status* status);
  Status Dispatch(Lsn from, int database, StreamKind kind, BoundedQueue<Piece>* pieces,
                  const std::function<bool()>& stop, ReplayReport* report);

  Engine& engine_;
  std::vector<std::unique_ptr<Applier>> appliers_;
};

}  // namespace cairn
