// SPDX-License-Identifier: BSD-3-Clause
//
// The half of Persistence that replication and backups ask for: snapshots for others, and the
// loading of a leader's; and what waits for the end of another one.
#include <chrono>
#include <mutex>

#include "base/crc.h"
#include "base/version.h"
#include "exec/replication_control.h"
#include "journal/journal.h"
#include "rdb/opcodes.h"
#include "rdb/writer.h"
#include "script/registry.h"
#include "server/persistence.h"

namespace cairn {
namespace {

// Of LZ4: a file that is sent and forgotten is worth less effort than one that stays.
constexpr int kSyncAcceleration = 8;

}  // namespace

// As Redis, which saves beside the child that rewrites; here there is one walk at a time.
Status Persistence::SaveBehindRewrite() {
  {
    std::unique_lock lock(mutex_);
    while (withheld_ > 0 || (claimed_ && kind_ == Kind::kRewrite)) {
      // It cannot end before the script does.
      if (engine_.keyspace.gate().held())
        return Status::Unavailable("a busy script has all locks");
      if (departing_) return Status::Unavailable("the server is shutting down");
      changed_.wait_for(lock, std::chrono::milliseconds(kLookAgainMs));
    }
    if (ClaimLocked(Kind::kSave, false) != Claimed::kStarted)
      return Status::Invalid("Background save already in progress");
  }
  return Run();
}

SnapshotControl::Claimed Persistence::Schedule(Kind kind) {
  std::lock_guard guard(mutex_);
  const bool rewrite = kind == Kind::kRewrite;
  if (claimed_ && (kind_ == Kind::kRewrite) == rewrite)
    return rewrite ? Claimed::kRewriting : Claimed::kSaving;
  (rewrite ? rewrite_scheduled_ : save_scheduled_) = true;
  return Claimed::kScheduled;
}

std::string Persistence::SyncFolder() {
  return engine_.journal->dir();
}

// Under mutex_.
void Persistence::ClaimForOthersLocked() {
  claimed_ = figures_.saving = true;
  cancel_at_start_ = false;
  kind_ = Kind::kSave;
  for_others_ = true;
}

Status Persistence::ClaimForOthers(uint64_t unless_modes) {
  {
    std::lock_guard guard(mutex_);
    if (claimed_ || (engine_.modes.word() & unless_modes) != 0)
      return Status::Unavailable("a snapshot is under way");
    ClaimForOthersLocked();
  }
  // The one before has said that it is done, and may still be on its last line.
  snapshotter_.Wait();
  return Status::Ok();
}

// Gives up whatever is under way until nothing is. Under `lock` of mutex_, which is given back at
// times. False: `stopped` said so before.
bool Persistence::EndClaims(std::unique_lock<std::mutex>& lock,
                            const std::function<bool()>& stopped) {
  while (claimed_) {
    if (stopped != nullptr) {
      lock.unlock();  // it may write to a leader
      const bool stop = stopped();
      lock.lock();
      if (stop) return false;
    }
    // What was claimed and has not begun is not heard of yet, so this is said again.
    snapshotter_.Cancel();
    changed_.wait_for(lock, std::chrono::milliseconds(kLookAgainMs));
  }
  return true;
}

void Persistence::WithoutSnapshot(const std::function<void()>& change) {
  {
    std::unique_lock lock(mutex_);
    ++withheld_;
    (void)EndClaims(lock, nullptr);
    // No claim of a save's: one that is scheduled stays so.
    ClaimForOthersLocked();
  }
  snapshotter_.Wait();
  change();
  std::lock_guard guard(mutex_);
  --withheld_;
  Unclaim();
}

Status Persistence::StartSync(SyncRequest request) {
  // Asked again soon: nothing is prepared in vain.
  if (engine_.keyspace.gate().held()) return Status::Unavailable("a busy script has all locks");
  CAIRN_RETURN_IF_ERROR(ClaimForOthers());
  sync_ = std::move(request);
  SnapshotRequest snapshot = MakeRequest();
  snapshot.dir = SyncFolder();
  snapshot.name = sync_->name;
  // Followers want it in the clear, but as a file it would give away what the log hides.
  snapshot.format =
      sync_->packed || keys_ != nullptr ? SnapshotFormat::kPacked : SnapshotFormat::kPlain;
  snapshot.acceleration = kSyncAcceleration;
  if (keys_ == nullptr) snapshot.followed = sync_->grown;
  snapshot.done = [this](const SnapshotResult& result) { SyncDone(result); };
  engine_.log.Notice("Starting a snapshot for replicas");
  const Status status = snapshotter_.Start(std::move(snapshot));
  if (status.ok()) return status;
  sync_.reset();
  std::lock_guard guard(mutex_);
  Unclaim();
  return status;
}

void Persistence::SyncDone(const SnapshotResult& result) {
  const SyncRequest request = std::move(*sync_);
  sync_.reset();
  {
    std::lock_guard guard(mutex_);
    Unclaim();
  }
  if (result.status.ok())
    engine_.log.Notice("The snapshot for replicas is made: %llu keys, %llu bytes in %.3f seconds",
                       static_cast<unsigned long long>(result.keys),
                       static_cast<unsigned long long>(result.file_bytes),
                       static_cast<double>(result.duration_ms) / 1000);
  const uint64_t rdb_bytes =
      keys_ == nullptr ? result.file_bytes : kRdbHeaderBytes + result.plain_bytes;
  request.done(result.status, rdb_bytes);
}

Result<std::string> Persistence::KeylessRdb(bool functions, uint64_t* lsn) {
  Gate& gate = engine_.keyspace.gate();
  if (!gate.CloseUnlessHeld()) return Status::Unavailable("a busy script has all locks");
  ReplicationControl::AuxRecords position;
  *lsn = engine_.replication->AtSnapshot(&position);
  const auto libraries = engine_.scripts->functions().Current();
  gate.Open();
  std::string rdb;
  RdbWriter writer(&rdb);
  writer.FileHeader(kRdbVersionMin);
  writer.Aux("redis-ver", kRedisVersion);
  writer.Aux("redis-bits", "64");
  writer.Aux("cairn-ver", kVersion);
  for (const auto& [name, value] : position) writer.Aux(name, value);
  if (functions)
    for (const auto& [name, library] : libraries->all()) writer.Function(library->code);
  writer.EofOpcode();
  writer.Checksum(Crc64(0, rdb));
  return rdb;
}

bool Persistence::Empty() {
  Gate& gate = engine_.keyspace.gate();
  gate.Close();
  size_t keys = 0;
  for (int db = 0; db < engine_.keyspace.databases(); ++db) keys += engine_.keyspace.Size(db);
  gate.Open();
  return keys == 0 && engine_.scripts->functions().Current()->all().empty();
}

bool Persistence::StartBackup(const std::string& path, uint64_t* number) {
  return backups_.Start(
      path, [this] { engine_.control->OnAcknowledged(); }, number);
}

Status Persistence::ClaimForBackup() {
  // A shutdown's own and DEBUG RELOAD's snapshots are not to find another one in their way.
  constexpr uint64_t kNotWhile = kModePausedAll | kModeLoading;
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] {
        // Behind a busy script it could only be given back.
        const bool free = !claimed_ && withheld_ == 0 && !engine_.keyspace.gate().held() &&
                          (engine_.modes.word() & kNotWhile) == 0;
        return backups_.stopping() || free;
      });
    }
    if (backups_.stopping()) return Status::Unavailable("the server ends");
    if (ClaimForOthers(kNotWhile).ok()) return Status::Ok();
  }
}

// Without a journal: on the backup's thread, which waits for snapshots under way and busy scripts.
Status Persistence::SnapshotForBackup(const std::string& dir, uint64_t* keys) {
  SnapshotResult result;
  for (bool started = false; !started;) {
    CAIRN_RETURN_IF_ERROR(ClaimForBackup());
    SnapshotRequest request = MakeRequest();
    request.dir = dir;
    request.done = [&result](const SnapshotResult& done) { result = done; };
    started = snapshotter_.Start(std::move(request)).ok();
    if (started) {
      // Stop may have looked for a snapshot before this one was there.
      if (backups_.stopping()) snapshotter_.Cancel();
      snapshotter_.Wait();
    }
    // One that met a busy script waits for it at its next claim.
    std::lock_guard guard(mutex_);
    Unclaim();
  }
  *keys = result.keys;
  return result.status;
}

Status Persistence::LoadSync(const SyncLoad& load) {
  // What is being written is of the dataset that goes; nothing new begins meanwhile.
  {
    std::unique_lock lock(mutex_);
    if (!EndClaims(lock, load.stopped))
      return Status::Unavailable("the link was given up while a snapshot ended");
    claimed_ = true;
    kind_ = Kind::kSave;
    for_others_ = false;
  }
  snapshotter_.Wait();
  if (load.clear != nullptr) load.clear();
  engine_.scripts->functions().Install(std::make_shared<Libraries>());
  int database = 0;
  const auto report = load.source == nullptr
                          ? LoadFile(load.path, load.stopped, &database)
                          : LoadFrom(load.source, load.bytes, load.stopped, &database);
  Status status = report.status();
  if (status.ok() && report->packed && report->lsn != load.lsn)
    status = Status::Corrupt("the snapshot is of another position than its leader said");
  if (status.ok()) status = load.settle(database);
  // The keys that came are the caller's to remove.
  if (!status.ok()) engine_.scripts->functions().Install(std::make_shared<Libraries>());
  std::lock_guard guard(mutex_);
  Unclaim();
  return status;
}

}  // namespace cairn
