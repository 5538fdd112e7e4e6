// SPDX-License-Identifier: BSD-3-Clause
//
// cairn-server --restore-to LSN|TIME: the data as it was. The log is replayed up to the last whole
// record at or before the target and goes on there, on a new timeline. The timeline that was is
// kept first: DIR/timeline-N holds a manifest and hard links to all its files, a journal folder
// like any other, once it is moved to where `appenddirname` can name it.
//
// Keys whose time came between then and this start stay (restore-keep-expired), or what one went
// back for would vanish at once; what has its time still to come expires as ever.
#include "journal/recovery.h"
#include "journal/restore_point.h"
#include "server/server.h"

namespace cairn {

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
  log_.Warning("Restoring to LSN %llu, on a new timeline", static_cast<unsigned long long>(*lsn));
  if (config_.restore_keep_expired()) {
    engine_->kept_until_ms.store(SystemClock()->WallMs(), std::memory_order_relaxed);
    log_.Warning("Keys that have expired since then, and the fields of hashes, stay until CONFIG SET "
                 "restore-keep-expired no or the next start");
  }
  return lsn;
}

}  // namespace cairn
