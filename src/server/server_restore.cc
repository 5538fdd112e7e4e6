// SPDX-License-Identifier: BSD-3-Clause
//
// cairn-server --restore-to LSN|TIME: the data as it was. The log is replayed up to the last whole
// record at or before the target and goes on there, on a new timeline. The timeline that was is
// kept first: DIR/timeline-N holds a manifest and hard links to all its files, a journal folder
// like any other (`appenddirname` may point at it). TIME is UTC, "2026-01-31T12:00:00[.123][Z]",
// its resolution that of blocks: 100 ms.
//
// Expiry rests afterwards, or keys that were alive then would vanish at once; `DEBUG
// SET-ACTIVE-EXPIRE 1` or the next start ends that.
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/numbers.h"
#include "journal/reader.h"
#include "journal/recovery.h"
#include "server/server.h"

namespace cairn {
namespace {

constexpr int kFoldersMax = 1000;  // kept timelines of one number

bool ParseTime(const std::string& text, uint64_t* ms) {
  tm parts = {};
  const char* rest = strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
  if (rest == nullptr) return false;
  const time_t seconds = timegm(&parts);
  if (seconds < 0) return false;
  unsigned milliseconds = 0;
  int used = 0;
  if (sscanf(rest, ".%3u%n", &milliseconds, &used) == 1 && used == 4) rest += used;
  *ms = static_cast<uint64_t>(seconds) * 1000 + milliseconds;
  return *rest == '\0' || strcmp(rest, "Z") == 0;
}

}  // namespace

// Up to where the log is to be replayed: its end, or what the operator asked for.
Result<Lsn> Server::RestoreLimit(const Recovered& recovered) {
  if (restore_to_.empty()) return recovered.tail_lsn;
  const Manifest& m = recovered.manifest;
  Lsn lsn;
  uint64_t ms;
  if (ParseTime(restore_to_, &ms)) {
    auto found = FindLsnAtTime(RealFileSystem(), JournalFolder(), m, ms, keys_.get());
    if (!found.ok()) return found.status();
    lsn = *found;
  } else if (!ParseUint64(restore_to_, &lsn)) {
    return Status::Invalid("--restore-to takes an LSN or a time like 2026-01-31T12:00:00Z, not '" +
                           restore_to_ + "'");
  }
  if (lsn > recovered.tail_lsn || lsn < m.base_lsn)
    return Status::Invalid("--restore-to " + restore_to_ + ": the log here goes from LSN " +
                           std::to_string(m.base_lsn) + " to " +
                           std::to_string(recovered.tail_lsn) +
                           "; cairn-check points lists what can be restored");
  engine_->modes.Set(kModeExpiryOff, true);
  log_.Warning("Restoring to LSN %llu, on a new timeline", static_cast<unsigned long long>(lsn));
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
  for (const SegmentEntry& segment : manifest.segments)
    CAIRN_RETURN_IF_ERROR(files->Link(SegmentPath(dir, segment), SegmentPath(kept, segment)));
  if (!manifest.base_name.empty())
    CAIRN_RETURN_IF_ERROR(
        files->Link(dir + "/" + manifest.base_name, kept + "/" + manifest.base_name));
  CAIRN_RETURN_IF_ERROR(SaveManifest(files, kept, manifest));
  CAIRN_RETURN_IF_ERROR(files->SyncDirectory(kept));
  CAIRN_RETURN_IF_ERROR(files->SyncDirectory(dir));
  log_.Warning("The timeline that was is kept in %s", kept.c_str());
  return Status::Ok();
}

}  // namespace cairn
