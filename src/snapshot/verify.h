// SPDX-License-Identifier: BSD-3-Clause
//
// What can be said of a packed snapshot without loading it: a summary by its header and trailer,
// and whether every byte is as it was written.
//
// Any thread. Errors: kCorrupt with file and offset, kNotFound.
#pragma once

#include <string>

#include "base/file.h"
#include "snapshot/format.h"

namespace cairn {

struct SnapshotSummary {
  SnapshotHeader header;
  SnapshotTrailer trailer;
  uint64_t file_bytes = 0;
};

// Reads header and trailer alone.
Result<SnapshotSummary> ReadSnapshotSummary(FileSystem* fs, const std::string& path);

}  // namespace cairn
