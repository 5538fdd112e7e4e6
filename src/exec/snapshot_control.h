// SPDX-License-Identifier: BSD-3-Clause
//
// SnapshotControl: what commands ask of whoever makes snapshots. Implemented in server/. Nothing
// here may be called by a thread that holds locks or is inside the gate, Claim, Cancel, LastSave and
// the calls about backups excepted: the others belong into Unit::AfterUnit.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/status.h"
#include "resp/reply_writer.h"

namespace cairn {

class SnapshotControl {
 public:
  virtual ~SnapshotControl() = default;

  enum class Kind : uint8_t { kSave, kBackgroundSave, kRewrite };
  enum class Claimed : uint8_t {
    kStarted,    // Run is to follow, by whoever claimed
    kScheduled,  // begins when the one under way has ended
    kSaving,     // refused: a snapshot is under way
    kRewriting   // refused: the log is being compacted, or will be
  };
  // Decides what becomes of a request: the reply of BGSAVE and BGREWRITEAOF.
  virtual Claimed Claim(Kind kind, bool may_schedule) = 0;
  // Takes the instant, then writes in the background (kSave: waits for the end and says how it
  // went).
  virtual Status Run() = 0;

  enum class Cancelled : uint8_t { kRunning, kScheduled, kNothing };
  virtual Cancelled Cancel() = 0;
  // When the last snapshot succeeded, or the server began: seconds since the epoch.
  virtual int64_t LastSaveSeconds() = 0;

  // A file for followers, DIR/name in the folder that SyncFolder says: an RDB, or with
  // encryption-key-file a packed snapshot of it.
  struct SyncRequest {
    std::string name;
    std::function<void(uint64_t lsn)> at_instant;                    // under All
    std::function<void(const Status&, uint64_t rdb_bytes)> done;  // on the snapshot's thread
  };
  // kUnavailable while another snapshot is under way: to be asked again.
  virtual Status StartSync(SyncRequest request) = 0;
  virtual std::string SyncFolder() = 0;
  // Puts what a leader's RDB file holds in place of the dataset, which the caller has emptied,
  // with kModeLoading set. No snapshot begins before `settle` has returned, which is called with
  // the database that the stream behind the file begins in; a snapshot under way is given up.
  virtual Status LoadSync(const std::string& path, const std::function<bool()>& stopped,
                          const std::function<Status(int database)>& settle) = 0;

  // BACKUP TO `path`, on a thread of its own: false if one is under way. ServerControl's
  // OnAcknowledged is called when it has ended.
  virtual bool StartBackup(const std::string& path, uint64_t* number) = 0;
  // Of the backup with that number: any thread, at once.
  virtual bool BackupEnded(uint64_t number) = 0;
  virtual void ReplyBackup(uint64_t number, ReplyWriter& reply) = 0;

  struct ReloadRequest {
    bool save = true, flush = true;
  };
  // DEBUG RELOAD. Other clients are told LOADING meanwhile.
  virtual Status Reload(const ReloadRequest& request) = 0;
};

}  // namespace cairn
