// SPDX-License-Identifier: BSD-3-Clause
//
// StreamApplier: a leader's stream, applied record by record. Each top-level record (a command, or
// MULTI to EXEC) is one unit, whose journal record is the leader's bytes as they are: so at every
// instant the journal's tail is what has been applied, and both are the leader's offset. Expiry is
// off.
//
// SELECT, PING and REPLCONF change no data; they are part of the next record, or of a record of
// their own when the bytes at hand end with them.
//
// Anything that cannot be applied is an error, never skipped: the data would differ from the
// leader's from there on.
//
// Thread rule: one thread, not inside the gate.
#pragma once

#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "exec/executor.h"

namespace cairn {

class StreamApplier {
 public:
  // `stopped` is asked while the journal has no room.
  StreamApplier(Engine* engine, Executor* executor, std::function<bool()> stopped);

  // The stream goes on at the journal's tail, in `database`; what was begun is forgotten.
  void Begin(int database);
  Status Feed(char* data, size_t n);
  // An ACK was asked for since the last call.
  bool TakeAckWanted() { return std::exchange(ack_wanted_, false); }
  // Of the stream at the journal's tail. Any thread, under All.
  int database() const { return database_.load(std::memory_order_relaxed); }

 private:
  Status Take(const Request& request);
  Status Apply(std::span<const AppliedCommand> commands);
  Status WaitForRoom();
  void AppendRest();
  bool Select(Arguments arguments);
  void EnterGate();
  void LeaveGate();

  Engine& engine_;
  Executor& executor_;
  const std::function<bool()> stopped_;
  const Command *select_, *multi_, *exec_, *ping_, *replconf_;
  Session session_;
  ChunkPool pool_;
  OutputBuffer out_;
  std::unique_ptr<RequestParser> parser_;
  RequestBatch batch_;
  int db_ = 0;                    // of the stream, at what was taken last
  std::atomic<int> database_{0};  // ... and at what was appended last
  std::string record_;            // bytes taken and not yet appended
  bool in_multi_ = false;
  std::vector<AppliedCommand> group_;
  std::deque<OwnedArgs> group_arguments_;
  bool in_gate_ = false;
  size_t in_gate_records_ = 0;
  bool ack_wanted_ = false;
};

}  // namespace cairn
