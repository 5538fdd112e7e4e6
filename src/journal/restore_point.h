// SPDX-License-Identifier: BSD-3-Clause
//
// What an operator names as a point of a log: an LSN, or a time in UTC like
// "2026-01-31T12:00:00[.123][Z]", whose resolution is that of blocks: 100 ms.
//
// Any thread.
#pragma once

#include <string>

#include "journal/recovery.h"

namespace cairn {

// The LSN that `target` means in the log of `dir`; replay ends at the last whole record at or before
// it. For one before the base the newest snapshot at or before it becomes the base of `recovered`.
// kInvalid if it is neither, or outside the log; `option` is what the operator called it.
Result<Lsn> FindRestorePoint(FileSystem* fs, const std::string& dir, Recovered* recovered,
                             const std::string& option, const std::string& target,
                             const KeyRing* keys);

}  // namespace cairn
