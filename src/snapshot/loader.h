// SPDX-License-Identifier: BSD-3-Clause
//
// Loading a snapshot file into the keyspace: an RDB as Redis and Valkey write it, the same inside
// any LZ4 frames, or our packed form, whose parts are loaded by several threads.
//
// Checksums are verified where there are any, a plain RDB's if so asked. An error names file, offset
// and reason; the keyspace then holds what came before it, and is not to be served.
//
// Thread rule: any thread that holds no lock and is not inside the gate. It starts threads of its
// own, one for each further slot.
#pragma once

#include <string>

#include "base/byte_source.h"
#include "base/file.h"
#include "snapshot/record_loader.h"

namespace cairn {

struct LoadReport {
  int version = 0;      // of the RDB
  bool packed = false;  // written by Cairn: lsn says where its log goes on
  uint64_t lsn = 0;
  uint64_t end_offset = 0;  // behind a plain RDB: in an AOF with a preamble its commands begin here
};

// `totals` may be watched while it runs. kNotFound if there is no such file.
Result<LoadReport> LoadSnapshot(FileSystem* fs, const std::string& path, LoadOptions options,
                                LoadTotals* totals);
// The same as it comes, from what errors call `name`. The source is read up to the snapshot's end,
// or somewhat further.
Result<LoadReport> LoadSnapshot(ByteSource* source, const std::string& name,
                                const LoadOptions& options, LoadTotals* totals);

}  // namespace cairn
