// SPDX-License-Identifier: BSD-3-Clause
//
// What an operator names as a point of a log: an LSN, or a time in UTC like
// "2026-01-31T12:00:00[.123][Z]", whose resolution is that of blocks: 100 ms. And what becomes of
// the timeline that a restore leaves: DIR/timeline-N, a journal folder of links.
//
// Any thread.
#pragma once

#include <string>

#include "journal/recovery.h"

namespace cairn {

// The LSN that `target` means in the log of `dir`; replay ends at the last whole record at or
// before it. For one before the base the newest snapshot at or before it becomes `recovered`'s
// base. kInvalid if it is neither, or outside the log; `option` is what the operator called it.
Result<Lsn> FindRestorePoint(FileSystem* fs, const std::string& dir, Recovered* recovered,
                             const std::string& option, const std::string& target,
                             const KeyRing* keys);

// Before a restore: links all files of `manifest`, and it, into a new folder DIR/timeline-N, and
// returns its path. Durable.
Result<std::string> KeepTimeline(FileSystem* fs, const std::string& dir, const Manifest& manifest);

// Behind a restore: removes from `dir` the files that `current` does not list and a kept timeline
// does. The last step, done anew by each start; what fails stays for the next one.
void RemoveKept(FileSystem* fs, const std::string& dir, const Manifest& current);

}  // namespace cairn
