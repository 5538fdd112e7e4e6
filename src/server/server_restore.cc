// SPDX-License-Identifier: BSD-3-Clause
//
// cairn-server --restore-to LSN|TIME: the data as it was. The log is replayed up to the last whole
// record at or before the target and goes on there, on a new timeline. The timeline that was is
// kept first: DIR/timeline-N holds a manifest and hard links to all its files, a journal folder
// like any other (`appenddirname` may point at it).
//
// Expiry rests afterwards, or keys that were alive then would vanish at once; `DEBUG
// SET-ACTIVE-EXPIRE 1` or the next start ends that.
#include "journal/recovery.h"
#include "journal/restore_point.h"
#include "server/server.h"

namespace cairn {
namespace {

constexpr int kFoldersMax = 1000;  // kept timelines of one number

}  // namespace

// Up to where the log is to be replayed: its end, or what the operator asked for.
Result<Lsn> Server::RestoreLimit(Recovered* recovered) {
  if (restore_to_.empty()) return recovered->tail_lsn;
  auto lsn = FindRestorePoint(RealFileSystem(), JournalFolder(), recovered, "--restore-to",
                              restore_to_, keys_.get());
  if (!lsn.ok()) return lsn;
  if (*lsn == recovered->tail_lsn) {
    log_.Warning("--restore-to %s: the log has nothing behind that, its end is LSN %llu; this is a "
                 "start as ever, on the same timeline", restore_to_.c_str(),
                 static_cast<unsigned long long>(*lsn));
    restore_to_.clear();
    return lsn;
  }
  engine_->modes.Set(kModeExpiryOff, true);
  log_.Warning("Restoring to LSN %llu, on a new timeline", static_cast<unsigned long long>(*lsn));
  return lsn;
}

// Everything of the timeline that ends, as a journal folder of its own that nobody writes to.
Status Server::KeepTimeline(const Manifest& manifest) {
  FileSystem* files = RealFileSystem();
  const std::string dir = JournalFolder();
  std::string kept;
  for (int n = 0; n < kFoldersMax && kept.empty(); ++n) {
    const std::string name = dir + "/timeline-" + std::to_string(manifest.LastTimeline()) +
                             (n == 0 ? "" : "." + std::to_string(n));
    auto there = files->Exists(name);
    if (!there.ok()) return there.status();
    if (!*there) kept = name;
  }
  if (kept.empty()) return Status::Limit("too many kept timelines in " + dir);
  CAIRN_RETURN_IF_ERROR(files->MakeDirectory(kept));
  CAIRN_RETURN_IF_ERROR(LinkFiles(files, manifest, dir, kept));
  CAIRN_RETURN_IF_ERROR(files->SyncDirectory(dir));
  log_.Warning("The timeline that was is kept in %s", kept.c_str());
  return Status::Ok();
}

}  // namespace cairn
