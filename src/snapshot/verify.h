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
// A base of the log, of either kind: all of it checked, and a packed one to be of `lsn`. Returns
// its keys; a plain RDB, which a leader sent, does not say how many: 0.
Result<uint64_t> VerifyBase(FileSystem* fs, const std::string& path, uint64_t lsn,
                            const KeyRing* keys, const std::function<bool()>& stopped = nullptr);
// A plain RDB by its checksum alone; one without is taken as it is.
Status VerifyPlainRdb(FileSystem* fs, const std::string& path,
                      const std::function<bool()>& stopped = nullptr);
// Whether the file begins like a packed snapshot.
bool IsPackedSnapshot(FileSystem* fs, const std::string& path);

}  // namespace cairn
