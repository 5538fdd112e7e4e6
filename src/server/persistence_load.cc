// SPDX-License-Identifier: BSD-3-Clause
//
// The half of Persistence that loads: at the start, for DEBUG RELOAD, and what tells how far it is.
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <optional>

#include "base/numbers.h"
#include "exec/access_clock.h"
#include "exec/loading_report.h"
#include "exec/replication_control.h"
#include "journal/journal.h"
#include "server/persistence.h"

namespace cairn {
namespace {

// What a leader announces is believed so far (some 200 MiB of tables), however long its snapshot
// is.
constexpr uint64_t kStreamedKeysMax = 16 << 20;

}  // namespace

Result<LoadReport> Persistence::LoadFile(const std::string& path, std::function<bool()> stopped,
                                         int* database, bool merge) {
  uint64_t bytes = 0;
  if (auto file = fs_->Open(path, FileSystem::Mode::kRead); file.ok())
    if (auto size = (*file)->Size(); size.ok()) bytes = *size;
  return LoadAny(path, bytes, std::move(stopped), database,
                 [&](const LoadOptions& options, LoadTotals* totals) {
                   LoadOptions of_file = options;
                   of_file.merge = merge;
                   return LoadSnapshot(fs_, path, std::move(of_file), totals);
                 });
}

Result<LoadReport> Persistence::LoadFrom(ByteSource* source, uint64_t bytes,
                                         std::function<bool()> stopped, int* database) {
  const std::string name = "the leader's snapshot";
  return LoadAny(name, bytes, std::move(stopped), database,
                 [&](const LoadOptions& options, LoadTotals* totals) {
                   return LoadSnapshot(source, name, options, totals);
                 });
}

// What is the same wherever the bytes come from.
Result<LoadReport> Persistence::LoadAny(const std::string& name, uint64_t bytes,
                                        std::function<bool()> stopped, int* database,
                                        const LoadInto& load) {
  const int64_t start = engine_.clock.MonotonicMs();
  LoadOptions options;
  options.keyspace = &engine_.keyspace;
  options.slots = load_slots_;
  options.thresholds = engine_.ReadThresholds();
  options.keys = keys_;
  options.checksum = config_.rdbchecksum();
  options.aux_sources = aux_sources_;
  options.log = &engine_.log;
  options.lfu = UsesLfu(config_);
  options.now_ms = engine_.clock.WallMs();
  options.stopped = std::move(stopped);
  options.announced_keys_max = kStreamedKeysMax;
  engine_.loading.Begin(bytes, options.now_ms);
  std::optional<LoadingReport> told(std::in_place, &engine_, "snapshot");
  options.progress = [&told](uint64_t loaded) { told->Add(loaded); };
  options.memory = [this](uint64_t used) { engine_.loading.NoteMemory(used); };
  LoadTotals totals;
  auto report = load(options, &totals);
  told.reset();
  {
    std::lock_guard guard(mutex_);
    figures_.loaded_keys = totals.keys;
  }
  if (!report.ok()) return report;
  int64_t number;
  for (const auto& [key, value] : totals.aux)
    if (database != nullptr && key == "repl-stream-db" && ParseInt64(value, &number) &&
        number >= 0 && number <= INT_MAX)
      *database = static_cast<int>(number);
  engine_.log.Notice("DB loaded from disk: %.3f seconds: %llu keys, RDB version %d, %s",
                     static_cast<double>(engine_.clock.MonotonicMs() - start) / 1000,
                     static_cast<unsigned long long>(totals.keys.load()), report->version,
                     name.c_str());
  if (totals.skipped > 0)
    engine_.log.Warning("%llu keys of the file were skipped: empty collections or modules' keys",
                        static_cast<unsigned long long>(totals.skipped.load()));
  return report;
}

Status Persistence::LoadAtStart(std::function<bool()> stopped) {
  const std::string path = config_.dir() + "/" + config_.dbfilename();
  auto exists = fs_->Exists(path);
  if (!exists.ok()) return exists.status();
  if (!*exists) return Status::Ok();
  auto report = LoadFile(path, std::move(stopped));
  return report.status();
}

Status Persistence::SaveAs(const std::string& dir, const std::string& name, SnapshotFormat format) {
  SnapshotRequest request = MakeRequest();
  request.dir = dir;
  request.name = name;
  request.format = format;
  request.keys = format == SnapshotFormat::kPacked ? keys_ : nullptr;
  request.threads = static_cast<int>(load_slots_.size());  // nobody is served yet
  request.pressure = nullptr;
  SnapshotResult result;
  request.done = [&result](const SnapshotResult& done) { result = done; };
  CAIRN_RETURN_IF_ERROR(snapshotter_.Start(std::move(request)));
  snapshotter_.Wait();
  NoteBase(result.plain_bytes);
  return result.status;
}

void Persistence::EmptyKeyspace() {
  Gate& gate = engine_.keyspace.gate();
  gate.Close();
  KeyTables all;
  for (int db = 0; db < engine_.keyspace.databases(); ++db)
    for (auto& table : engine_.keyspace.Detach(db)) all.push_back(std::move(table));
  gate.Open();
  engine_.lazy_free.Post(std::move(all));
}

// Half of the data is not what a log goes on from.
Status Persistence::LoadAgain(const ReloadRequest& request) {
  const std::string name = Logged() ? engine_.journal->manifest().base_name : config_.dbfilename();
  if (request.flush) EmptyKeyspace();
  const Status status =
      LoadFile(FileDir() + "/" + name, nullptr, nullptr, request.merge).status();
  if (status.ok() || !request.flush || !Logged()) return status;
  engine_.log.Warning("DEBUG RELOAD failed, the process ends; its data is in the journal: %s",
                      status.message().c_str());
  _exit(1);
}

// What comes from a leader passes no gate, and what of it came behind the file would be lost.
Status Persistence::Reload(const ReloadRequest& request) {
  Status status;
  const Status alone =
      engine_.replication->WithoutLink([&] { status = ReloadAlone(request); });
  return alone.ok() ? status : alone;
}

Status Persistence::ReloadAlone(const ReloadRequest& request) {
  Gate& gate = engine_.keyspace.gate();
  if (!request.save && Logged())
    return Status::Invalid("without a save the journal's last writes would be lost");
  const bool claimed = request.save ? Claim(Kind::kSave, false) == Claimed::kStarted
                                    : ClaimForOthers().ok();
  if (!claimed) return Status::Unavailable("Background save already in progress");
  // From here on nobody changes anything: expiry and commands look at the mode under their locks.
  engine_.modes.Set(kModeLoading, true);
  gate.Close();
  gate.Open();
  Status status;
  if (request.save) {
    status = Run();
  } else {
    std::lock_guard guard(mutex_);
    Unclaim();
  }
  // No snapshot is taken of what is half loaded, as a follower that comes meanwhile would have it.
  if (status.ok()) WithoutSnapshot([&] { status = LoadAgain(request); });
  engine_.modes.Set(kModeLoading, false);
  if (!status.ok()) engine_.log.Warning("DEBUG RELOAD: %s", status.message().c_str());
  return status;
}

}  // namespace cairn
