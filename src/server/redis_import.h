// SPDX-License-Identifier: BSD-3-Clause
//
// RedisImport: finds and loads what a Redis or Valkey server left in a folder, so that pointing
// `dir` at it is all it takes. The files are only read. Looked for in this order, as Redis with
// `appendonly yes` does; the last one only Cairn looks for:
//
//   1. DIR/appenddirname/appendfilename.manifest   multi-part AOF: base, then increments in order
//   2. DIR/appendfilename                          one AOF, perhaps with an RDB in front
//   3. DIR/dbfilename                              a snapshot
//
// Manifest of a multi-part AOF: a file a line, "file NAME seq NUMBER type b|h|i" (base, history,
// increment), names in double quotes if they hold blanks.
//
// Thread rule: the main thread at start, before the journal is opened.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "config/config.h"
#include "exec/replay.h"

namespace cairn {

class Persistence;
struct Recovered;

struct RedisFiles {
  std::vector<std::string> aofs;  // paths in the order in which they are to be loaded
  std::string rdb;                // if there is no AOF
  std::string passed_over;        // a snapshot beside AOFs, which are newer as a rule

  bool empty() const { return aofs.empty() && rdb.empty(); }
};

// kCorrupt if a manifest is malformed or names a file that is not there.
Result<RedisFiles> FindRedisFiles(FileSystem* fs, const Config& config);
// The names of a multi-part AOF's manifest, base first; history is left out.
Result<std::vector<std::string>> ParseAofManifest(std::string_view text);

// Loads them into the empty keyspace. An AOF that ends inside a record is loaded up to there if it
// is the last one and `aof-load-truncated` says so.
Status LoadRedisFiles(FileSystem* fs, const RedisFiles& files, Engine* engine,
                      Persistence* persistence, Replayer* replayer,
                      const std::function<bool()>& stop);
// Writes what is loaded as the base that the new journal in `dir`, not opened yet, begins with.
Status SaveFirstBase(Persistence* persistence, const std::string& dir, Recovered* recovered);

}  // namespace cairn
