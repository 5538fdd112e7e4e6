// SPDX-License-Identifier: BSD-3-Clause
#include "utils/cairn-check/dataset.h"

#include "commands/families.h"
#include "exec/replay.h"
#include "journal/reader.h"
#include "journal/restore_point.h"
#include "script/registry.h"

namespace cairn {
namespace {

// The folder does not say how many the server has; a pointer a shard each costs nothing.
constexpr int kDatabases = 10'000;
constexpr int kAppliers = 2;

Registry AllCommands() {
  Registry registry;
  RegisterAllCommands(&registry);
  return registry;
}

}  // namespace

Dataset::Dataset(FileSystem* fs, const KeyRing* keys)
    : fs_(*fs),
      keys_(keys),
      registry_(AllCommands()),
      keyspace_(kDatabases),
      engine_(SystemClock(), &log_, &config_, &registry_, &keyspace_),
      functions_(&engine_),
      persistence_(&engine_, {&functions_}, [] {}, fs) {
  log_.set_level(LogLevel::kNothing);
  engine_.scripts = std::make_shared<ScriptRegistry>();
  engine_.modes.Set(kModeLoading, true);
  persistence_.set_keys(keys);
}

Status Dataset::Load(const std::string& dir, const std::string& target) {
  auto recovered = RecoverJournal(&fs_, dir, keys_, /*in_use=*/true);
  if (!recovered.ok()) return recovered.status();
  if (recovered->report.fresh) return Status::NotFound("there is no journal in " + dir);
  Lsn limit = recovered->tail_lsn;
  if (!target.empty()) {
    auto found = FindRestorePoint(&fs_, dir, &*recovered, "--to", target, keys_);
    if (!found.ok()) return found.status();
    limit = *found;
  }
  int database = -1;
  CAIRN_RETURN_IF_ERROR(LoadBase(dir, recovered->manifest, &database));
  return Replay(dir, recovered->manifest, limit, database);
}

Status Dataset::LoadBase(const std::string& dir, const Manifest& manifest, int* database) {
  if (manifest.base_name.empty()) return Status::Ok();
  auto report = persistence_.LoadFile(dir + "/" + manifest.base_name, nullptr, database);
  if (!report.ok()) return report.status();
  // A plain RDB came from a leader and does not say.
  if (report->packed && report->lsn != manifest.base_lsn)
    return Status::Corrupt("the base snapshot " + manifest.base_name + " is not of LSN " +
                           std::to_string(manifest.base_lsn));
  return Status::Ok();
}

Status Dataset::Replay(const std::string& dir, const Manifest& manifest, uint64_t limit,
                       int database) {
  Lsn from = manifest.base_lsn;
  if (manifest.base_name.empty() && !manifest.segments.empty())
    from = manifest.segments.front().first_lsn;
  auto reader = JournalReader::Open(&fs_, dir, manifest, from, limit, keys_);
  if (!reader.ok()) return reader.status();
  Replayer replayer(&engine_, kAppliers);
  auto done = replayer.Run(
      from, [&reader](StreamPiece* piece) { return (*reader)->Next(piece); },
      [] { return false; }, StreamKind::kJournal, database);
  if (!done.ok()) return done.status();
  if (done->refused > 0)
    fprintf(stderr, "%llu commands of the log failed and were passed over, as the server does: %s\n",
            static_cast<unsigned long long>(done->refused), done->first_refused.c_str());
  return Status::Ok();
}

Status Dataset::SaveRdb(const std::string& path) {
  auto there = fs_.Exists(path);
  if (!there.ok()) return there.status();
  if (*there) return Status::Io(path + " exists");
  const size_t slash = path.rfind('/');
  const std::string dir =
      slash == std::string::npos ? "." : path.substr(0, std::max<size_t>(slash, 1));
  return persistence_.SaveAs(dir, path.substr(slash + 1), SnapshotFormat::kPlain);
}

}  // namespace cairn
