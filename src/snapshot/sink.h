// SPDX-License-Identifier: BSD-3-Clause
//
// SnapshotSink: turns sealed parts into a file, in whatever order they come. Compressing and
// checksumming happen on the caller's thread, only giving each part its place and writing it is
// one after the other; CRC-64s of parts are combined in file order.
//
// Parts are collected and written a MiB at a time, past the page cache: a file of gigabytes that
// goes through it pushes out what others have there, and its fdatasync and its removal are
// milliseconds in the kernel in which nobody else gets that core (utils/bench/FIGURES.md).
//
// The file has a temporary name until Commit: it is complete under its own name, or not there. Its
// first bytes are written last, since the RDB version is known only then. For readers who do not
// wait for the end (SinkOptions::followed) all of that is otherwise.
//
// Thread rule: Add from any thread; the rest from one, before and after all Adds. The first error
// latches and is what Commit returns.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "base/encryption.h"
#include "base/file.h"
#include "rdb/opcodes.h"
#include "snapshot/format.h"
#include "snapshot/part.h"

namespace cairn {

struct SinkOptions {
  FileSystem* fs = nullptr;
  std::string dir, name;  // the file is DIR/NAME; meanwhile DIR/temp-NAME
  SnapshotFormat format = SnapshotFormat::kPlain;
  int acceleration = 1;           // of LZ4, for kPacked; 0 stores
  bool checksum = true;           // else the RDB's CRC is 0: not computed
  SnapshotHeader header;          // kPacked; the sink fills in the key
  const KeyRing* keys = nullptr;  // kPacked: encrypts; null: does not
  // Told how much of the file is there to stay. The file then stands under its own name from the
  // start, begins with `version`, and is never synced: it is of no use after a crash.
  std::function<void(uint64_t bytes)> followed;
  int version = kRdbVersionMin;  // not below that of any part, where it is followed
};

class SnapshotSink final : public PartReceiver {
 public:
  static Result<std::unique_ptr<SnapshotSink>> Create(SinkOptions options);
  // Without Commit the temporary file is removed.
  ~SnapshotSink() override;

  // Records without keys (AUX, FUNCTION2), before the first Add.
  void AddHead(std::string_view records);
  // A sealed part. Once something failed it does nothing.
  void Add(const Part& part) override;
  // BeginRun waits for the end of another run, and so does Add.
  void BeginRun() override;
  void AddToRun(std::string_view piece) override;
  void EndRun(std::string_view piece, int version) override;
  Status Commit();

  Status status() const;
  bool failed() const override { return failed_.load(std::memory_order_relaxed); }
  uint64_t keys() const { return keys_.load(std::memory_order_relaxed); }
  // Of the RDB, and of the file.
  uint64_t plain_bytes() const { return plain_bytes_.load(std::memory_order_relaxed); }
  uint64_t file_bytes() const { return file_bytes_.load(std::memory_order_relaxed); }

 private:
  explicit SnapshotSink(SinkOptions options) : options_(std::move(options)) {}
  // How a piece of records stands to a run.
  enum class Place { kAlone, kInRun };
  std::string Path() const { return options_.dir + "/" + options_.name; }
  std::string TemporaryPath() const {
    return options_.followed != nullptr ? Path() : options_.dir + "/temp-" + options_.name;
  }
  std::string Head() const;
  void AddRecords(std::string_view records, uint64_t keys, uint32_t flags, Place place);
  void AddPieces(std::string_view records, uint64_t keys);
  void Write(std::string_view stored, std::unique_lock<std::mutex>* lock);
  void WriteOut(std::unique_lock<std::mutex>* lock);
  void SyncNow(std::unique_lock<std::mutex>* lock);
  void NoteVersion(int version);
  void Fail(const Status& status);
  uint64_t HeadBytes() const;

  SinkOptions options_;  // Create's to change
  std::unique_ptr<File> file_;
  std::mutex cipher_mutex_;  // a leaf
  std::unique_ptr<BlockCipher> cipher_;
  uint64_t next_nonce_ = 0;
  std::atomic<bool> failed_{false};
  std::atomic<uint64_t> keys_{0}, plain_bytes_{0}, file_bytes_{0};
  mutable std::mutex mutex_;  // of all below; held while a part gets its place
  Status status_;
  DirectString collected_;         // the file from written_bytes_ on
  DirectString outgoing_;          // what of it is being written, without the mutex
  bool writing_ = false;           // somebody has outgoing_ and the file
  std::condition_variable wrote_;
  uint64_t written_bytes_ = 0;     // given to the file
  uint64_t crc_ = 0;  // of the RDB behind its magic
  uint64_t parts_ = 0;
  uint64_t synced_bytes_ = 0;
  bool syncing_ = false;
  bool run_ = false;
  std::condition_variable run_ended_;
  bool committed_ = false;
  int version_ = kRdbVersionMin;
};

}  // namespace cairn
