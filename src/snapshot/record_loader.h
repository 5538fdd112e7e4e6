// SPDX-License-Identifier: BSD-3-Clause
//
// RecordLoader: puts the records of an RDB into the keyspace. Nothing is dropped because of its
// expiry: a log replayed behind the snapshot may still count on the key.
//
// Thread rule: one object a thread; several may load into one keyspace at a time. Not inside the
// gate.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "base/encryption.h"
#include "base/log.h"
#include "keyspace/keyspace.h"
#include "rdb/reader.h"
#include "snapshot/aux_source.h"
#include "snapshot/entry_batch.h"
#include "types/thresholds.h"

namespace cairn {

struct LoadOptions {
  Keyspace* keyspace = nullptr;
  std::vector<int> slots;  // of the gate, one a thread; at least one
  Thresholds thresholds;
  const KeyRing* keys = nullptr;  // of encrypted snapshots
  std::vector<AuxSource*> aux_sources;
  Log* log = nullptr;
  bool lfu = false;  // what the access clock of entries is to be
  int64_t now_ms = 0;
  // So many keys at most are believed when they are announced: room is made for them.
  uint64_t announced_keys_max = 0;
  bool merge = false;    // a key that is there gives way, and is no error
  bool checksum = true;  // of a plain RDB is verified; the packed form's always is
  std::function<void(uint64_t)> progress;  // bytes of the file read, by one thread
  std::function<void(uint64_t)> memory;  // what the file says its data took, if it does
  std::function<bool()> stopped;  // asked now and then; true ends the loading with an error
};

// What the threads of one load share.
struct LoadTotals {
  std::atomic<uint64_t> keys{0}, volatile_keys{0};
  std::atomic<uint64_t> skipped{0};    // keys of modules and empty collections
  std::atomic<uint64_t> metadata{0};   // keys whose metadata of modules was skipped
  std::atomic<uint64_t> announced{0};  // keys that room was made for
  std::mutex mutex;                    // guards what follows
  std::vector<std::pair<std::string, std::string>> aux;
};

class RecordLoader {
 public:
  RecordLoader(const LoadOptions* options, LoadTotals* totals, int slot)
      : options_(*options), totals_(*totals), slot_(slot), batch_(options->keyspace, slot, options->merge) {}

  // Reads records up to the EOF opcode (true) or, if the reader ends at a record's end, up to
  // there (false), and has put all of it into the keyspace. Errors: kCorrupt; the reader's
  // position() is where (of a key that is there twice: some records behind it).
  Result<bool> Load(RdbReader* reader);

 private:
  Status Opcode(uint8_t byte, RdbReader* reader);
  Status Aux(RdbReader* reader);
  Status Function(RdbReader* reader);
  void ModuleAux(RdbReader* reader);
  void KeyMeta(RdbReader* reader);
  Result<bool> Records(RdbReader* reader);
  void Announced(uint64_t keys);
  Status Key(uint8_t type, RdbReader* reader);
  Status Object(uint8_t type, RdbReader* reader);
  Status Damaged(const Status& status) const;
  Status Take(Entry* entry);
  Status InsertBatch();
  uint32_t Access() const;

  const LoadOptions& options_;
  LoadTotals& totals_;
  const int slot_;
  int db_ = 0;
  int64_t expiry_ms_ = kNoExpiry;
  int64_t idle_seconds_ = -1;
  int frequency_ = -1;
  std::string key_;
  EntryBatch batch_;
};

}  // namespace cairn
