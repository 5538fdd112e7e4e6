// SPDX-License-Identifier: BSD-3-Clause
//
// SnapshotControl: what commands ask of whoever makes snapshots. Implemented in server/. Nothing
// here may be called by a thread that holds locks or is inside the gate, Claim, Cancel, LastSave
// and the calls about backups excepted: the others belong into Unit::AfterUnit.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/byte_source.h"
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
  // SAVE where Claim said kRewriting: waits for that, then claims and runs. kUnavailable if a busy
  // script has all locks, kInvalid if another save was first.
  virtual Status SaveBehindRewrite() = 0;
  // kScheduled: the next call of StartScheduled begins it, or Cron's; kSaving, kRewriting: one of its
  // kind is under way.
  virtual Claimed Schedule(Kind kind) = 0;
  // Begins what is scheduled, unless something is under way.
  virtual void StartScheduled() = 0;

  enum class Cancelled : uint8_t { kRunning, kScheduled, kNothing };
  virtual Cancelled Cancel() = 0;
  // When the last snapshot succeeded, or the server began: seconds since the epoch.
  virtual int64_t LastSaveSeconds() = 0;

  // A file for followers, DIR/name in the folder that SyncFolder says: an RDB, or packed. With
  // encryption-key-file it is packed and encrypted whatever is asked for.
  struct SyncRequest {
    std::string name;
    bool packed = false;
    std::function<void(uint64_t lsn)> at_instant;  // under All
    // So many bytes of the file are there to stay. Not if it is encrypted.
    std::function<void(uint64_t bytes)> grown;
    // `bytes` of the file; if it is encrypted, of the RDB in it. On the snapshot's thread.
    std::function<void(const Status&, uint64_t bytes)> done;
  };
  // kUnavailable while another snapshot is under way or a busy script has all locks: to be asked
  // again. Then nothing of the request is called.
  virtual Status StartSync(SyncRequest request) = 0;
  virtual std::string SyncFolder() = 0;
  // An RDB of this instant without keys, `functions` or nothing at all in it, and the LSN behind
  // which the stream goes on. kUnavailable while a busy script has all locks.
  virtual Result<std::string> KeylessRdb(bool functions, uint64_t* lsn) = 0;

  // A leader's snapshot that is to take the place of the dataset, which the caller has emptied,
  // with kModeLoading set.
  struct SyncLoad {
    std::string path;              // the file; or
    ByteSource* source = nullptr;  // the bytes as they come,
    uint64_t bytes = 0;            // so many, 0 if the leader did not say
    uint64_t lsn = 0;              // of which a packed one has to be
    std::function<bool()> stopped;
    // Takes what was here away; empty if there is nothing. Not before: a snapshot that was claimed
    // already would else be of no keys, and the log's new base.
    std::function<void()> clear;
    // All of it is there; the stream behind it begins in this database. No snapshot begins before
    // this has returned; one under way is given up before anything else.
    std::function<Status(int database)> settle;
  };
  virtual Status LoadSync(const SyncLoad& load) = 0;
  // There is neither a key nor a function: nothing that could be served while a snapshot comes.
  virtual bool Empty() = 0;

  // BACKUP TO `path`, on a thread of its own: false if one is under way. ServerControl's
  // OnAcknowledged is called when it has ended.
  virtual bool StartBackup(const std::string& path, uint64_t* number) = 0;
  // Of the backup with that number: any thread, at once.
  virtual bool BackupEnded(uint64_t number) = 0;
  virtual void ReplyBackup(uint64_t number, ReplyWriter& reply) = 0;

  struct ReloadRequest {
    bool save = true, flush = true;
    bool merge = false;  // what was not flushed gives way to the file's
  };
  // DEBUG RELOAD. Other clients are told LOADING meanwhile.
  virtual Status Reload(const ReloadRequest& request) = 0;
};

}  // namespace cairn
