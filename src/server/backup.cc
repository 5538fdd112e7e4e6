// SPDX-License-Identifier: BSD-3-Clause
#include "server/backup.h"

#include <filesystem>

#include "base/scheduling.h"
#include "base/thread.h"
#include "journal/journal.h"
#include "journal/verify.h"
#include "snapshot/verify.h"

namespace cairn {
namespace {

// A compaction that ends in between takes what a copy needs away; the next attempt is of a later
// LSN. More than one in a row is as good as impossible.
constexpr int kAttemptsMax = 5;

bool IsInside(const std::filesystem::path& path, const std::filesystem::path& folder) {
  auto inner = path.begin();
  for (const auto& part : folder)
    if (inner == path.end() || *inner++ != part) return false;
  return true;
}

}  // namespace

Result<std::string> ResolveBackupPath(FileSystem* fs, const Config& config,
                                      const std::string& path) {
  namespace files = std::filesystem;
  std::error_code error;
  const files::path dir = files::canonical(config.dir(), error);
  if (error) return Status::Io(config.dir() + ": " + error.message());
  files::path root = dir;
  if (!config.backup_dir().empty()) root = files::canonical(config.backup_dir(), error);
  if (error) return Status::Io("backup-dir " + config.backup_dir() + ": " + error.message());
  files::path wanted = root / path;                              // an absolute path stays as it is
  if (wanted.filename().empty()) wanted = wanted.parent_path();  // "PATH/"
  const files::path parent = files::canonical(wanted.parent_path(), error);
  if (error) return Status::Io(wanted.parent_path().string() + ": " + error.message());
  const files::path name = wanted.filename();
  const files::path target = parent / name;
  if (name.empty() || name == "." || name == ".." || !IsInside(parent, root))
    return Status::Invalid("the folder must be inside " + root.string() + " (see backup-dir)");
  if (IsInside(target, dir / config.appenddirname()))
    return Status::Invalid("the folder is the journal's own");
  if (files::is_symlink(target, error)) return Status::Invalid(target.string() + " is a link");
  auto there = fs->Exists(target);
  if (!there.ok()) return there.status();
  if (!*there) return target.string();
  auto names = fs->List(target);
  if (!names.ok()) return names.status();
  if (!names->empty())
    return Status::Invalid(target.string() + (*fs->Exists(target / kBackupMark)
                                                  ? " holds an unfinished backup"
                                                  : " is not empty"));
  return target.string();
}

Status RefuseUnfinishedBackup(FileSystem* fs, const std::string& dir) {
  auto there = fs->Exists(dir + "/" + kBackupMark);
  if (!there.ok()) return there.status();
  if (!*there) return Status::Ok();
  return Status::Invalid(dir + " holds a backup that was never finished (" + kBackupMark +
                         " is in it): it is not a copy of anything, use another one");
}

bool Backups::Start(const std::string& path, std::function<void()> ended, uint64_t* number) {
  std::lock_guard guard(mutex_);
  if (figures_.running || stopped_) return false;
  figures_.running = true;
  *number = ++number_;
  // The thread of the last one has said that it is over.
  if (thread_.joinable()) thread_.join();
  thread_ = std::thread([this, path, ended = std::move(ended)] {
    BeginThread("backup");
    LetOthersGoFirst();
    Run(path);
    if (!stopped_) ended();
  });
  return true;
}

bool Backups::Ended(uint64_t number) const {
  std::lock_guard guard(mutex_);
  return number < number_ || !figures_.running;
}

void Backups::Reply(uint64_t number, ReplyWriter& reply) const {
  std::lock_guard guard(mutex_);
  if (number != number_) return reply.Error("ERR Another backup was made meanwhile");
  if (figures_.running) return reply.Error("ERR The backup goes on, see INFO persistence");
  if (!last_status_.ok()) return reply.Error("ERR Backup failed: " + last_status_.message());
  reply.Map(5);
  reply.Bulk("path");
  reply.Bulk(last_report_.path);
  const std::pair<const char*, uint64_t> numbers[] = {{"lsn", last_report_.lsn},
                                                      {"bytes", last_report_.bytes},
                                                      {"keys", last_report_.keys},
                                                      {"files", last_report_.files}};
  for (const auto& [name, value] : numbers) {
    reply.Bulk(name);
    reply.Integer(static_cast<int64_t>(value));
  }
}

void Backups::Stop() {
  stopped_ = true;
  std::thread thread;
  {
    std::lock_guard guard(mutex_);
    thread = std::move(thread_);
  }
  if (thread.joinable()) thread.join();
}

Backups::Figures Backups::figures() const {
  std::lock_guard guard(mutex_);
  return figures_;
}

void Backups::Run(const std::string& path) {
  const int64_t start_ms = engine_.clock.MonotonicMs();
  Report report;
  auto target = ResolveBackupPath(&fs_, engine_.config, path);
  Status status = target.status();
  if (status.ok()) {
    engine_.log.Notice("Backup to %s started", target->c_str());
    report.path = *target;
    status = Make(*target, &report);
    if (!status.ok()) TakeAway(*target, report.made_folder);
  }
  if (status.ok()) {
    engine_.log.Notice("Backup to %s made and checked: LSN %llu, %llu bytes, %llu keys, %.3f s",
                       target->c_str(), static_cast<unsigned long long>(report.lsn),
                       static_cast<unsigned long long>(report.bytes),
                       static_cast<unsigned long long>(report.keys),
                       static_cast<double>(engine_.clock.MonotonicMs() - start_ms) / 1000);
  } else {
    engine_.log.Warning("Backup failed: %s", status.message().c_str());
  }
  std::lock_guard guard(mutex_);
  last_status_ = status;
  last_report_ = report;
  figures_.running = false;
  figures_.last_ok = status.ok();
  if (!status.ok()) return;
  ++figures_.done;
  figures_.last_ms = engine_.clock.WallMs();
  figures_.last_lsn = report.lsn;
  figures_.last_bytes = report.bytes;
  figures_.last_keys = report.keys;
}

Status Backups::Make(const std::string& target, Report* report) {
  auto there = fs_.Exists(target);
  if (!there.ok()) return there.status();
  report->made_folder = !*there;
  CAIRN_RETURN_IF_ERROR(fs_.MakeDirectory(target));
  CAIRN_RETURN_IF_ERROR(fs_.WriteFileAtomically(
      target + "/" + kBackupMark, "This backup is being made, or was given up in its middle.\n"));
  CAIRN_RETURN_IF_ERROR(fs_.SyncDirectory(std::filesystem::path(target).parent_path().string()));
  if (engine_.journal_kept) {
    const std::string folder = target + "/" + engine_.config.appenddirname();
    CAIRN_RETURN_IF_ERROR(fs_.MakeDirectory(folder));
    CAIRN_RETURN_IF_ERROR(fs_.SyncDirectory(target));
    CAIRN_RETURN_IF_ERROR(CopyJournal(folder, report));
  } else {
    CAIRN_RETURN_IF_ERROR(CopySnapshot(target, report));
  }
  CAIRN_RETURN_IF_ERROR(fs_.Remove(target + "/" + kBackupMark));
  return fs_.SyncDirectory(target);
}

Status Backups::CopyJournal(const std::string& folder, Report* report) {
  Journal& journal = *engine_.journal;
  const auto stopped = [this] { return stopped_.load(); };
  Result<JournalCopy> copy = Status::NotFound("not tried");
  for (int i = 0; i < kAttemptsMax && !copy.ok(); ++i) {
    if (copy.status().code() != StatusCode::kNotFound) break;
    // Nothing is between a change and its record under All: log and count are of one moment.
    Gate& gate = engine_.keyspace.gate();
    report->keys = 0;
    gate.Close();
    report->lsn = journal.tail();
    const uint32_t timeline = journal.manifest().LastTimeline();
    for (int db = 0; db < engine_.keyspace.databases(); ++db)
      report->keys += engine_.keyspace.Size(db);
    gate.Open();
    copy = journal.CopyTo(folder, timeline, report->lsn, stopped);
  }
  if (!copy.ok()) return copy.status();
  const Manifest& m = copy->manifest;
  CAIRN_RETURN_IF_ERROR(VerifyChain(&fs_, folder, m, report->lsn, keys_, stopped));
  for (const SnapshotEntry& s : m.snapshots) {
    if (s.name.empty()) continue;
    auto keys = VerifyBase(&fs_, folder + "/" + s.name, s.lsn, keys_, stopped);
    if (!keys.ok()) return keys.status();
  }
  if (m.snapshots.empty() && !m.base_name.empty()) {
    auto keys = VerifyBase(&fs_, folder + "/" + m.base_name, m.base_lsn, keys_, stopped);
    if (!keys.ok()) return keys.status();
  }
  CAIRN_RETURN_IF_ERROR(SaveManifest(&fs_, folder, m));
  report->bytes = copy->bytes + m.Encode().size();
  report->files = copy->files + 1;
  return Status::Ok();
}

Status Backups::CopySnapshot(const std::string& target, Report* report) {
  CAIRN_RETURN_IF_ERROR(snapshot_to_(target, &report->keys));
  const std::string path = target + "/" + engine_.config.dbfilename();
  const auto stopped = [this] { return stopped_.load(); };
  auto file = fs_.Open(path, FileSystem::Mode::kRead);
  if (!file.ok()) return file.status();
  auto size = (*file)->Size();
  if (!size.ok()) return size.status();
  report->bytes = *size;
  report->files = 1;
  if (!IsPackedSnapshot(&fs_, path)) return VerifyPlainRdb(&fs_, path, stopped);
  auto summary = ScanSnapshot(&fs_, path, keys_, [&](std::string_view) { return !stopped(); });
  return summary.status();
}

// The folder was empty or missing, so all in it is ours. What cannot be removed stays refused.
void Backups::TakeAway(const std::string& target, bool made_folder) {
  const std::string folder = target + "/" + engine_.config.appenddirname();
  std::error_code error;
  if (auto names = fs_.List(folder); names.ok()) {
    for (const std::string& name : *names) (void)fs_.Remove(folder + "/" + name);
    std::filesystem::remove(folder, error);
  }
  if (auto names = fs_.List(target); names.ok()) {
    for (const std::string& name : *names)
      if (name != kBackupMark) (void)fs_.Remove(target + "/" + name);
  }
  if (auto left = fs_.List(target); left.ok() && left->size() == 1)
    (void)fs_.Remove(target + "/" + kBackupMark);
  // A folder that was there before stays, empty; one that is not empty cannot be removed.
  if (made_folder) std::filesystem::remove(target, error);
}

}  // namespace cairn
