// SPDX-License-Identifier: BSD-3-Clause
//
// ReceivedFile: where a leader's RDB goes as it comes: into a file as it is or, on a server whose
// files are encrypted, into a packed snapshot (snapshot/format.h). That one is a single run of
// parts, whose end mark is our own: the leader's checksum is checked here.
//
// Thread rule: one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/encryption.h"
#include "base/status.h"
#include "snapshot/sink.h"

namespace cairn {

class ReceivedFile {
 public:
  // FOLDER/temp-sync.rdb; `lsn` is what a packed one says of itself. Without Finish it is removed.
  static Result<std::unique_ptr<ReceivedFile>> Create(const std::string& folder,
                                                      const KeyRing* keys, uint64_t lsn);
  ~ReceivedFile();

  Status Add(std::string_view bytes);
  // All of it is there. Durable when this returns.
  Status Finish();
  const std::string& path() const { return path_; }

 private:
  explicit ReceivedFile(std::string path) : path_(std::move(path)) {}
  Status AddPlain(std::string_view bytes);

  const std::string path_;
  int fd_ = -1;
  uint64_t unsynced_bytes_ = 0;
  bool finished_ = false;
  // Of a packed one: the first bytes of the RDB, what is behind them and not in a part yet.
  std::unique_ptr<SnapshotSink> sink_;
  std::string head_, pending_;
  uint64_t crc_ = 0;  // of all but `pending_`
};

}  // namespace cairn
