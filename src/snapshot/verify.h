// SPDX-License-Identifier: BSD-3-Clause
//
// What can be said of a packed snapshot without loading it: a summary by its header and trailer,
// the RDB in it, and whether every byte is as it was written.
//
// Any thread. Errors: kCorrupt with file and offset, kNotFound, kInvalid if it cannot be opened
// with the keys given.
#pragma once

#include <functional>
#include <string>
#include <string_view>

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

// Reads all of it in bounded memory, checking every checksum and count; `sink`, if given, gets the
// RDB piece by piece and ends the reading by returning false (kUnavailable).
Result<SnapshotSummary> ScanSnapshot(FileSystem* fs, const std::string& path, const KeyRing* keys,
                                     const std::function<bool(std::string_view)>& sink = nullptr);
// Whether the file begins like one.
bool IsPackedSnapshot(FileSystem* fs, const std::string& path);

}  // namespace cairn
