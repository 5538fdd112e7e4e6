// SPDX-License-Identifier: BSD-3-Clause
//
// One process owns a journal folder: the server from its start to its end, cairn-check while it
// repairs. Two of them appending to one log would destroy it.
#pragma once

#include <string>

#include "base/file_lock.h"

namespace cairn {

// The file in a journal folder that its owner holds locked. It is not part of the log.
inline constexpr const char* kFolderLockName = "cairn.lock";

// kUnavailable, in one line for the operator: somebody else owns the folder, which must exist.
inline Result<FileLock> LockJournalFolder(const std::string& dir) {
  auto lock = FileLock::Take(dir + "/" + kFolderLockName);
  if (lock.ok() || lock.status().code() != StatusCode::kUnavailable) return lock;
  return Status::Unavailable("The journal in " + dir + " is in use: " + lock.status().message());
}

}  // namespace cairn
