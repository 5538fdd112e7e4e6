// SPDX-License-Identifier: BSD-3-Clause
//
// Persistence: when snapshots are made and what becomes of their files.
//
//   without a journal   DIR/dbfilename, a plain RDB, loaded at the next start
//   with one            a packed snapshot in the journal's folder: the new base of the log, which
//                       is then free of what came before it
//
// It answers SAVE, BGSAVE and BGREWRITEAOF, watches the `save` points, refuses writes while
// snapshots fail, and knows the figures of INFO. With a journal it compacts by itself when the log
// has grown (auto-aof-rewrite-*), and gives a journal that lost bytes to a failing disk a new base.
//
// Thread rule: SnapshotControl's calls as that says; Cron from worker 0; LoadFile and
// SaveForShutdown from a thread that holds no lock and is not inside the gate. The mutex is never
// held across a file operation or a wait.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "exec/engine.h"
#include "exec/snapshot_control.h"
#include "server/backup.h"
#include "snapshot/loader.h"
#include "snapshot/snapshotter.h"

namespace cairn {

class Persistence final : public SnapshotControl, public PressureListener {
 public:
  // `resume_parked` runs requests again that waited for a mode to end.
  Persistence(Engine* engine, std::vector<AuxSource*> aux_sources,
              std::function<void()> resume_parked, FileSystem* fs = RealFileSystem());
  ~Persistence() override;

  // Loads a snapshot file of any kind into the empty keyspace and logs what it found. `database`
  // becomes the one that the stream behind it begins in, if the file says so. With `merge` the
  // keyspace need not be empty: keys of the file replace others.
  Result<LoadReport> LoadFile(const std::string& path, std::function<bool()> stopped,
                              int* database = nullptr, bool merge = false);
  // The same from `source`, which will say so many bytes, 0 if that is not known.
  Result<LoadReport> LoadFrom(ByteSource* source, uint64_t bytes, std::function<bool()> stopped,
                              int* database);
  // What a start without a journal loads: DIR/dbfilename, if there is one.
  Status LoadAtStart(std::function<bool()> stopped);
  // Makes the last snapshot of an orderly end, if `save` points or the request ask for one. Before
  // it, every client is paused; if it fails they go on.
  Status SaveForShutdown(bool save, bool nosave);
  // What the log begins at, for auto-aof-rewrite-percentage: the size of the base as an RDB.
  // Before the first snapshot or load: encrypts and opens what is beside a journal.
  void set_keys(const KeyRing* keys) {
    keys_ = keys;
    backups_.set_keys(keys);
  }
  void NoteBase(uint64_t plain_bytes) { base_bytes_ = plain_bytes; }
  // The journal lost bytes that memory no longer has: a snapshot is made as soon as possible, and
  // the log goes on behind it. Any thread, returns at once.
  void RequestRebase() { rebase_wanted_ = true; }
  // The log began under keys that were there: a snapshot is made as soon as possible and becomes
  // its first base; then ServerControl's OnFirstBase is called. False takes it back.
  void RequestFirstBase(bool wanted) { first_base_wanted_ = wanted; }
  // Runs `change` while no snapshot is under way; one that is, is given up.
  void WithoutSnapshot(const std::function<void()>& change);
  // Writes what was loaded, before anybody changes it, as DIR/NAME: packed (encrypted, if there are
  // keys) it may be the base of a journal that begins at LSN 0; plain it is an RDB.
  Status SaveAs(const std::string& dir, const std::string& name, SnapshotFormat format);
  // Gives up what is under way and waits for its end. When the workers have ended.
  void Stop();

  void Cron(int64_t now_ms);

  // SnapshotControl
  Claimed Claim(Kind kind, bool may_schedule) override;
  Status Run() override;
  Status SaveBehindRewrite() override;
  Claimed Schedule(Kind kind) override;
  void StartScheduled() override;
  Cancelled Cancel() override;
  int64_t LastSaveSeconds() override { return last_save_s_.load(std::memory_order_relaxed); }
  Status StartSync(SyncRequest request) override;
  std::string SyncFolder() override;
  Result<std::string> KeylessRdb(bool functions, uint64_t* lsn) override;
  Status LoadSync(const SyncLoad& load) override;
  bool Empty() override;
  Status Reload(const ReloadRequest& request) override;
  bool StartBackup(const std::string& path, uint64_t* number) override;
  bool BackupEnded(uint64_t number) override { return backups_.Ended(number); }
  void ReplyBackup(uint64_t number, ReplyWriter& reply) override { backups_.Reply(number, reply); }
  // PressureListener
  void OnPressure(bool high) override;
  void OnPostponedReady() override;
  void OnInPlace(int64_t duration_us) override;

  struct Figures {
    bool saving = false, rewriting = false, rewrite_scheduled = false;
    int64_t current_s = -1;  // of the one under way
    Snapshotter::Progress progress;
    bool save_ok = true, rewrite_ok = true;
    int64_t last_save_time_s = -1, last_rewrite_time_s = -1;
    uint64_t saves = 0, rewrites = 0, rewrite_failures_in_a_row = 0;
    uint64_t loaded_keys = 0;
    uint64_t base_bytes = 0, log_bytes = 0;  // with a journal; uncompressed
  };
  Figures figures() const;
  Backups::Figures backup_figures() const { return backups_.figures(); }

 private:
  static constexpr int64_t kLookAgainMs = 10;  // whether a script has become busy: nobody tells

  SnapshotRequest MakeRequest();
  void AtInstant(SnapshotInstant* instant);
  void Done(const SnapshotResult& result);
  void PutOff(Kind kind);
  Status Install(const SnapshotResult& result);
  void LogResult(Kind kind, const SnapshotResult& result, const Status& status);
  // The journal is the database or becomes it, and snapshots are its bases.
  bool Logged() const { return engine_.journal_kept || first_base_wanted_; }
  // The snapshotter is taken for a snapshot that is no SAVE's; refused while another one runs or
  // any of these modes stands.
  Status ClaimForOthers(uint64_t unless_modes = 0);
  void ClaimForOthersLocked();
  bool EndClaims(std::unique_lock<std::mutex>& lock, const std::function<bool()>& stopped);
  // The same for a backup, which waits for its turn.
  Status ClaimForBackup();
  void SyncDone(const SnapshotResult& result);
  bool SavePointReached(int64_t now_s);
  bool LogGrew(int64_t now_s);
  bool RebaseDue(int64_t now_s);
  uint64_t LogBytes() const;
  void Unclaim();
  Status SaveAndPause(bool save, bool nosave);
  Claimed ClaimLocked(Kind kind, bool may_schedule);
  void UpdateMode();
  using LoadInto = std::function<Result<LoadReport>(const LoadOptions&, LoadTotals*)>;
  Result<LoadReport> LoadAny(const std::string& name, uint64_t bytes,
                             std::function<bool()> stopped, int* database, const LoadInto& load);
  Status SnapshotForBackup(const std::string& dir, uint64_t* keys);
  std::string FileDir() const;
  void EmptyKeyspace();
  Status ReloadAlone(const ReloadRequest& request);
  Status LoadAgain(const ReloadRequest& request);

  Engine& engine_;
  const Config& config_;
  const std::vector<AuxSource*> aux_sources_;
  const std::function<void()> resume_parked_;
  FileSystem* const fs_;
  const KeyRing* keys_ = nullptr;
  Snapshotter snapshotter_;
  std::vector<int> load_slots_;
  std::atomic<uint64_t> base_bytes_{0};
  std::atomic<bool> rebase_wanted_{false};
  std::atomic<bool> first_base_wanted_{false};
  std::atomic<int64_t> last_save_s_;

  mutable std::mutex mutex_;
  // A claim has ended, or the server does; by Cron also for what nobody tells of: modes, scripts.
  std::condition_variable changed_;
  // The one under way, from Claim to Done.
  bool claimed_ = false;
  bool cancel_at_start_ = false;
  Kind kind_ = Kind::kSave;
  bool for_others_ = false;  // a full sync or a backup: nobody waits for it at the end
  bool save_scheduled_ = false, rewrite_scheduled_ = false;
  int withheld_ = 0;  // WithoutSnapshots that wait or run: nothing begins by itself
  bool departing_ = false;  // SaveForShutdown runs: who waits to save gives up
  size_t used_memory_ = 0;        // before the instant
  int64_t changes_at_instant_ = 0;  // under All, then by Done alone
  bool becomes_base_ = false;  // the snapshot under way; by whoever claimed
  std::optional<SyncRequest> sync_;  // the snapshot under way is for followers; by whoever claimed
  // Of a SAVE that waits, in its Run; by whose claim it is the only one.
  struct Ending {
    bool over = false;
    Status status;
  };
  Ending* ending_ = nullptr;
  int64_t last_try_s_ = 0;
  Figures figures_;
  Backups backups_;
};

}  // namespace cairn
