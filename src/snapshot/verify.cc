// SPDX-License-Identifier: BSD-3-Clause
#include "snapshot/verify.h"

namespace cairn {
namespace {

Status At(const std::string& path, uint64_t offset, const Status& status) {
  return Status(status.code(),
                path + ": offset " + std::to_string(offset) + ": " + status.message());
}

Status ReadExactly(File* file, uint64_t offset, size_t size, std::string* into) {
  into->resize(size);
  auto read = file->ReadAt(offset, into->data(), size);
  if (!read.ok()) return read.status();
  if (*read != size) return Status::Corrupt("the file is cut short");
  return Status::Ok();
}

}  // namespace

Result<SnapshotSummary> ReadSnapshotSummary(FileSystem* fs, const std::string& path) {
  auto file = fs->Open(path, FileSystem::Mode::kRead);
  if (!file.ok()) return file.status();
  auto size = (*file)->Size();
  if (!size.ok()) return size.status();
  SnapshotSummary summary;
  summary.file_bytes = *size;
  if (*size < kSnapshotHeaderBytes + kSnapshotTrailerBytes)
    return At(path, *size, Status::Corrupt("the file is cut short"));
  std::string bytes;
  Status status = ReadExactly(file->get(), 0, kSnapshotHeaderBytes, &bytes);
  if (status.ok()) status = DecodeSnapshotHeader(bytes, &summary.header);
  if (!status.ok()) return At(path, 0, status);
  const uint64_t at = *size - kSnapshotTrailerBytes;
  status = ReadExactly(file->get(), at, kSnapshotTrailerBytes, &bytes);
  if (status.ok()) status = DecodeSnapshotTrailer(bytes, &summary.trailer);
  if (!status.ok()) return At(path, at, status);
  return summary;
}

}  // namespace cairn
