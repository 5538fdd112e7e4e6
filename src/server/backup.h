// SPDX-License-Identifier: BSD-3-Clause
//
// Backups: BACKUP TO PATH, one at a time, on a thread of its own. The copy is a folder like `dir`:
//
//   with a journal   PATH/APPENDDIRNAME/  snapshots and segments, hard links of the server's own
//                                         where they can be made, then the manifest
//   without          PATH/DBFILENAME      a snapshot
//
// PATH/backup-unfinished is there first and goes last: a folder that has it is refused at start.
// Before the manifest is written every block is read back and checked. On an error, such as a full
// disk, what was made is taken away again.
//
// Thread rule: Start, Ended, Reply and figures from any thread; none waits for a file.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "base/encryption.h"
#include "base/file.h"
#include "exec/engine.h"
#include "resp/reply_writer.h"

namespace cairn {

inline constexpr const char* kBackupMark = "backup-unfinished";

// Where BACKUP TO `path` may write, as an absolute path: a folder that is missing or empty, inside
// backup-dir (or dir), outside of the journal's. Symbolic links are followed first.
Result<std::string> ResolveBackupPath(FileSystem* fs, const Config& config,
                                      const std::string& path);
// Says so where `dir` holds the remains of one.
Status RefuseUnfinishedBackup(FileSystem* fs, const std::string& dir);

class Backups {
 public:
  struct Figures {
    bool running = false;
    uint64_t done = 0;  // that succeeded
    bool last_ok = true;
    int64_t last_ms = 0;  // wall time of the last success; 0: none
    uint64_t last_lsn = 0, last_bytes = 0, last_keys = 0;
  };
  // Writes dir/dbfilename as a snapshot of this moment.
  using SnapshotTo = std::function<Status(const std::string& dir, uint64_t* keys)>;

  Backups(Engine* engine, FileSystem* fs, SnapshotTo snapshot_to)
      : engine_(*engine), fs_(*fs), snapshot_to_(std::move(snapshot_to)) {}
  ~Backups() { Stop(); }

  void set_keys(const KeyRing* keys) { keys_ = keys; }
  // `ended` is called on the backup's thread. False if one is under way.
  bool Start(const std::string& path, std::function<void()> ended, uint64_t* number);
  // The backup of that number, from Start.
  bool Ended(uint64_t number) const;
  void Reply(uint64_t number, ReplyWriter& reply) const;
  // Asks what is under way to give up.
  void RequestStop() { stopped_ = true; }
  bool stopping() const { return stopped_; }
  // The same, and waits for its end.
  void Stop();
  Figures figures() const;

 private:
  struct Report {
    std::string path;
    uint64_t lsn = 0, bytes = 0, keys = 0, files = 0;
    bool made_folder = false;  // PATH was missing
  };

  void Run(const std::string& path);
  Status Make(const std::string& target, Report* report);
  Status CopyJournal(const std::string& folder, Report* report);
  Status CopySnapshot(const std::string& target, Report* report);
  void TakeAway(const std::string& target, bool made_folder);

  Engine& engine_;
  FileSystem& fs_;
  const SnapshotTo snapshot_to_;
  const KeyRing* keys_ = nullptr;
  std::atomic<bool> stopped_{false};

  mutable std::mutex mutex_;  // never held across a file operation
  std::thread thread_;
  uint64_t number_ = 0;
  Status last_status_;
  Report last_report_;
  Figures figures_;
};

}  // namespace cairn
