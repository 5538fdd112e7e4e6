// SPDX-License-Identifier: BSD-3-Clause
//
// cairn-check export: the data set of a journal folder as a file of Redis's.
#pragma once

#include <string>

#include "base/encryption.h"
#include "base/file.h"

namespace cairn {

// Writes `path`, which must not exist, as an AOF that redis-server loads: the base snapshot (an RDB
// preamble), if there is one, then the stream. Synced when this returns OK; else removed.
Status ExportAof(FileSystem* fs, const std::string& dir, const std::string& path,
                 const KeyRing* keys);

// Writes `path`, which must not exist, as a snapshot that redis-server loads: the data set at the
// LSN or time `target`, "" for the newest. Takes as much memory as the server would.
Status ExportRdb(FileSystem* fs, const std::string& dir, const std::string& path,
                 const std::string& target, const KeyRing* keys);

}  // namespace cairn
