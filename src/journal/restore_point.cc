// SPDX-License-Identifier: BSD-3-Clause
#include "journal/restore_point.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include <algorithm>

#include "base/numbers.h"
#include "journal/reader.h"

namespace cairn {
namespace {

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

// Of the state at earlier times nothing is known: when the first segment or, if nothing was written
// since, the oldest snapshot was made.
uint64_t BeginsAtMs(const Manifest& m) {
  uint64_t ms = m.segments.empty() ? UINT64_MAX : m.segments.front().first_ms;
  if (!m.snapshots.empty() && m.snapshots.front().created_ms > 0)
    ms = std::min(ms, m.snapshots.front().created_ms);
  return ms == UINT64_MAX ? 0 : ms;
}

}  // namespace

Result<Lsn> FindRestorePoint(FileSystem* fs, const std::string& dir, Recovered* recovered,
                             const std::string& option, const std::string& target,
                             const KeyRing* keys) {
  const Manifest& m = recovered->manifest;
  Lsn lsn;
  uint64_t ms;
  if (ParseTime(target, &ms)) {
    // Before it nothing is known, unless that there was nothing, which is hardly what is meant.
    if (ms < BeginsAtMs(m))
      return Status::Invalid(option + " " + target +
                             ": the log here begins later; cairn-check points lists what can be "
                             "restored");
    auto found = FindLsnAtTime(fs, dir, m, ms, keys);
    if (!found.ok()) return found.status();
    lsn = *found;
  } else if (!ParseUint64(target, &lsn)) {
    return Status::Invalid(option + " takes an LSN or a time like 2026-01-31T12:00:00Z, not '" +
                           target + "'");
  }
  if (lsn > recovered->tail_lsn || lsn < m.RestorableFrom())
    return Status::Invalid(option + " " + target + ": the log here goes from LSN " +
                           std::to_string(m.RestorableFrom()) + " to " +
                           std::to_string(recovered->tail_lsn) +
                           "; cairn-check points lists what can be restored");
  if (lsn < m.base_lsn) CAIRN_RETURN_IF_ERROR(recovered->RewindBase(lsn));
  return lsn;
}

}  // namespace cairn
