// SPDX-License-Identifier: BSD-3-Clause
#include "repl/received_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/bytes.h"
#include "base/crc.h"
#include "base/file.h"
#include "rdb/opcodes.h"
#include "rdb/reader.h"

namespace cairn {
namespace {

constexpr const char* kName = "temp-sync.rdb";
constexpr uint64_t kSyncEveryBytes = 32 << 20;  // as Redis: no avalanche of dirty pages at the end
constexpr size_t kPieceBytes = 1 << 20;
constexpr size_t kEndBytes = 1 + kRdbChecksumBytes;  // the end mark and the checksum

Status Failure(const char* what) {
  return Status::Io(std::string(what) + ": " + strerror(errno));
}

}  // namespace

Result<std::unique_ptr<ReceivedFile>> ReceivedFile::Create(const std::string& folder,
                                                           const KeyRing* keys, uint64_t lsn) {
  std::unique_ptr<ReceivedFile> file(new ReceivedFile(folder + "/" + kName));
  if (keys == nullptr) {
    file->fd_ = open(file->path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (file->fd_ < 0) return Failure(("cannot create " + file->path_).c_str());
    return file;
  }
  SinkOptions options;
  options.fs = RealFileSystem();
  options.dir = folder;
  options.name = kName;
  options.format = SnapshotFormat::kPacked;
  options.header.lsn = lsn;
  options.keys = keys;
  auto sink = SnapshotSink::Create(std::move(options));
  if (!sink.ok()) return sink.status();
  file->sink_ = std::move(*sink);
  file->sink_->BeginRun();
  return file;
}

ReceivedFile::~ReceivedFile() {
  if (fd_ >= 0) close(fd_);
  if (!finished_) unlink(path_.c_str());
}

Status ReceivedFile::AddPlain(std::string_view bytes) {
  unsynced_bytes_ += bytes.size();
  while (!bytes.empty()) {
    const ssize_t n = write(fd_, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Failure("writing the snapshot received");
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  if (unsynced_bytes_ < kSyncEveryBytes) return Status::Ok();
  // Only begun: nobody waits for the disk before the end.
  (void)sync_file_range(fd_, 0, 0, SYNC_FILE_RANGE_WRITE);
  unsynced_bytes_ = 0;
  return Status::Ok();
}

Status ReceivedFile::Add(std::string_view bytes) {
  if (sink_ == nullptr) return AddPlain(bytes);
  const size_t missing = std::min(kRdbHeaderBytes - head_.size(), bytes.size());
  head_.append(bytes.substr(0, missing));
  crc_ = Crc64(crc_, bytes.substr(0, missing));
  pending_.append(bytes.substr(missing));
  // The last bytes stay: they are the end mark, or part of the last piece.
  while (pending_.size() > kPieceBytes + kEndBytes) {
    const std::string_view piece(pending_.data(), kPieceBytes);
    crc_ = Crc64(crc_, piece);
    sink_->AddToRun(piece);
    pending_.erase(0, kPieceBytes);
  }
  return sink_->status();
}

Status ReceivedFile::Finish() {
  if (sink_ == nullptr) {
    if (fsync(fd_) != 0) return Failure("syncing the snapshot received");
    finished_ = true;
    return Status::Ok();
  }
  RdbReader reader{std::string_view(head_)};
  const int version = reader.FileHeader();
  if (pending_.size() < kEndBytes || !reader.status().ok())
    return Status::Corrupt("the leader sent no RDB");
  const std::string_view end = std::string_view(pending_).substr(pending_.size() - kEndBytes);
  const auto stored = LoadLe<uint64_t>(end.data() + 1);
  const uint64_t crc =
      Crc64(crc_, std::string_view(pending_).substr(0, pending_.size() - kRdbChecksumBytes));
  if (static_cast<RdbOpcode>(end[0]) != RdbOpcode::kEof || (stored != 0 && stored != crc))
    return Status::Corrupt("the RDB's checksum is wrong");
  pending_.resize(pending_.size() - kEndBytes);
  sink_->EndRun(pending_, version);
  CAIRN_RETURN_IF_ERROR(sink_->Commit());
  finished_ = true;
  return Status::Ok();
}

}  // namespace cairn
