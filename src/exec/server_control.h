// SPDX-License-Identifier: BSD-3-Clause
//
// ServerControl: what commands ask of the server above them: its clients, its life, its INFO.
// Implemented in server/. Every call may come from any worker; none waits for another thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "exec/delivery.h"
#include "exec/session.h"

namespace cairn {

struct ShutdownRequest {
  bool save = false, nosave = false, now = false, force = false;
};

class ServerControl {
 public:
  virtual ~ServerControl() = default;

  // All connected clients, in the order of their ids.
  virtual std::vector<std::shared_ptr<ClientRecord>> Clients() = 0;
  // Marks the client closing and tells its worker. False if it is gone.
  virtual bool Kill(uint64_t client_id) = 0;
  // nullptr if there is no such client.
  virtual std::shared_ptr<ClientRecord> FindClient(uint64_t client_id) = 0;
  // Suspends commands (or only writes) of all clients until the monotonic `until_ms`; 0 ends it.
  virtual void Pause(int64_t until_ms, bool writes_only) = 0;
  // Asks the main thread to end the server. If that goes on after all (ABORT, or the last snapshot
  // failed), `went_on` is called there.
  virtual void Shutdown(const ShutdownRequest& request, std::function<void()> went_on) = 0;
  // False: nobody has asked for the end, or it is too late to go on.
  virtual bool AbortShutdown() = 0;
  // The text of INFO for these section names (lower case; empty: the default ones).
  virtual std::string Info(const std::vector<std::string>& sections) = 0;
  virtual void ResetStatistics() = 0;
  // Puts a task into a worker's mailbox (ClientRecord::worker). True: call Wake, once no lock is
  // held. See exec/delivery.h; inside a unit use Unit::Post, which does both.
  [[nodiscard]] virtual bool Put(int worker, std::unique_ptr<WorkerTask> task) = 0;
  virtual void Wake(int worker) = 0;
  // DEBUG LOADAOF: empties the keyspace and replays the journal, under kModeLoading; blocks, so call
  // it outside the gate. An error means that nothing was changed; a failed replay ends the process,
  // whose data is then only in the files.
  virtual Status ReloadJournal() = 0;
  // With appendonly no: makes a journal for followers, if there is none yet. Blocks on files, so
  // call it without locks and outside the gate.
  virtual Status EnsureJournal() = 0;
  // Brings the log in line with what CONFIG SET appendonly says. Blocks on files, so call it
  // without locks and outside the gate. On an error the log is as it was.
  virtual Status SwitchJournal() = 0;
  // The log that SwitchJournal began has the snapshot it begins at: from now on it is the database.
  virtual void OnFirstBase() = 0;
  // The journal has begun another timeline at `lsn`, with every writer shut out: what remembers
  // LSNs of the old one forgets them.
  virtual void OnTimeline(uint64_t lsn) = 0;
  // A follower has acknowledged more: who waits for that is looked at.
  virtual void OnAcknowledged() = 0;
  // This server leads no more, and what its replies wait for (min-replicas-durable) will never be
  // known: their clients are told so and cut off. Before anything else can end these waits.
  virtual void GiveUpHeld() = 0;
  // Stops every worker for this long (DEBUG SLEEP).
  virtual void Sleep(int64_t microseconds) = 0;
  // Whether the script or function that this call of EVAL, EVALSHA or FCALL names says that it writes
  // nothing (the flag no-writes); else it may. May be called under locks.
  virtual bool OnlyReads(const Command& command, Arguments arguments) = 0;
};

}  // namespace cairn
