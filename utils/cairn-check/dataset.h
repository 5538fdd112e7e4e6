// SPDX-License-Identifier: BSD-3-Clause
//
// Dataset: what a journal folder holds, in memory as the server would have it, at its newest point
// or an earlier one. Nothing expires, nobody can change it. One thread.
#pragma once

#include <memory>
#include <string>

#include "base/encryption.h"
#include "base/file.h"
#include "base/log.h"
#include "config/store.h"
#include "exec/engine.h"
#include "server/function_source.h"
#include "server/persistence.h"
#include "spec/registry.h"

namespace cairn {

class Dataset {
 public:
  // Both outlive it; `keys` may be null.
  Dataset(FileSystem* fs, const KeyRing* keys);

  // Loads base and log, up to the LSN or time `target`, "" for all of it.
  Status Load(const std::string& dir, const std::string& target);
  // As an RDB of the lowest version that holds it; `path` must not exist.
  Status SaveRdb(const std::string& path);

 private:
  // `database` becomes the one that the stream behind the base is in, if it says so.
  Status LoadBase(const std::string& dir, const struct Manifest& manifest, int* database);
  Status Replay(const std::string& dir, const struct Manifest& manifest, uint64_t limit,
                int database);

  FileSystem& fs_;
  const KeyRing* const keys_;
  Log log_;
  ConfigStore config_;
  Registry registry_;
  Keyspace keyspace_;
  Engine engine_;
  FunctionSource functions_;
  Persistence persistence_;
};

}  // namespace cairn
