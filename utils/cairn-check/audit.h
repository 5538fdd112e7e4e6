// SPDX-License-Identifier: BSD-3-Clause
//
// cairn-check audit: whether the lines of audit logs are those that the server wrote
// (base/audit_chain.h).
#pragma once

#include <string>
#include <vector>

#include "base/file.h"
#include "base/status.h"

namespace cairn {

struct AuditReport {
  std::string text;   // what was found, a line a file
  bool torn = false;  // the last line of the last file is not whole: the server was writing it
};

// Reads the files in this order, the oldest first; each goes on where the one before ends. kCorrupt
// names the first line that is not what was written.
Result<AuditReport> VerifyAudit(FileSystem* fs, const std::vector<std::string>& paths);

}  // namespace cairn
