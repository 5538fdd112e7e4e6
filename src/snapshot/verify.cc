// SPDX-License-Identifier: BSD-3-Clause
#include "snapshot/verify.h"

#include <algorithm>
#include <memory>

#include "base/bytes.h"
#include "base/crc.h"
#include "rdb/opcodes.h"

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

class Scan {
 public:
  Scan(File* file, const SnapshotSummary& summary, const KeyRing* keys,
       const std::function<bool(std::string_view)>& sink)
      : file_(file), summary_(summary), keys_(keys), sink_(sink) {}

  uint64_t offset() const { return offset_; }

  Status Run() {
    auto cipher = OpenCipher(summary_.header, keys_);
    if (!cipher.ok()) return cipher.status();
    cipher_ = std::move(*cipher);
    CAIRN_RETURN_IF_ERROR(Head());
    while (!ended_) CAIRN_RETURN_IF_ERROR(OnePart());
    if (offset_ != summary_.file_bytes - kSnapshotTrailerBytes)
      return Status::Corrupt("bytes between the last part and the trailer");
    const SnapshotTrailer& t = summary_.trailer;
    if (t.plain_bytes != plain_bytes_ || t.keys != keys_seen_ || t.parts != parts_)
      return Status::Corrupt("the snapshot has other parts than its trailer says");
    return Status::Ok();
  }

 private:
  Status Give(std::string_view plain) {
    crc_ = Crc64(crc_, plain);
    plain_bytes_ += plain.size();
    if (sink_ != nullptr && !sink_(plain)) return Status::Unavailable("reading was ended");
    return Status::Ok();
  }

  Status Head() {
    offset_ = kSnapshotHeaderBytes;
    const size_t frame_bytes = FrameBytesStored(kRdbHeaderBytes);
    CAIRN_RETURN_IF_ERROR(ReadExactly(file_, offset_, frame_bytes, &stored_));
    const std::string magic = stored_.substr(frame_bytes - 4 - kRdbHeaderBytes, kRdbHeaderBytes);
    std::string frame;
    AppendFrame(magic, 0, &frame);
    if (stored_ != frame) return Status::Corrupt("the head of the snapshot is damaged");
    offset_ += frame_bytes;
    return Give(magic);
  }

  Status OnePart() {
    PartHeader header;
    CAIRN_RETURN_IF_ERROR(ReadExactly(file_, offset_, kPartHeaderBytes, &stored_));
    CAIRN_RETURN_IF_ERROR(DecodePartHeader(stored_, &header));
    if (header.stored_bytes > kPartStoredBytesMax)
      return Status::Corrupt("part is longer than parts may be");
    if (header.stored_bytes > summary_.file_bytes - offset_ - kPartHeaderBytes)
      return Status::Corrupt("the file is cut short in a part");
    CAIRN_RETURN_IF_ERROR(
        ReadExactly(file_, offset_, kPartHeaderBytes + header.stored_bytes, &stored_));
    plain_.clear();
    CAIRN_RETURN_IF_ERROR(DecodePart(stored_, header, cipher_.get(), &plain_));
    ++parts_;
    keys_seen_ += header.keys;
    ended_ = (header.flags & kPartEnd) != 0;
    if (ended_) CAIRN_RETURN_IF_ERROR(CheckEnd());
    offset_ += stored_.size();
    return Give(plain_);
  }

  // The EOF opcode and the checksum of all before it; 0 if none was computed.
  Status CheckEnd() {
    if (plain_.size() != 1 + kRdbChecksumBytes) return Status::Corrupt("bad end mark");
    const uint64_t crc = Crc64(crc_, std::string_view(plain_).substr(0, 1));
    const auto stored = LoadLe<uint64_t>(plain_.data() + 1);
    if (stored != 0 && stored != crc) return Status::Corrupt("the RDB's checksum is wrong");
    return Status::Ok();
  }

  File* const file_;
  const SnapshotSummary& summary_;
  const KeyRing* const keys_;
  const std::function<bool(std::string_view)>& sink_;
  std::unique_ptr<BlockCipher> cipher_;
  std::string stored_, plain_;
  uint64_t offset_ = 0, crc_ = 0, plain_bytes_ = 0, keys_seen_ = 0, parts_ = 0;
  bool ended_ = false;
};

}  // namespace

bool IsPackedSnapshot(FileSystem* fs, const std::string& path) {
  auto file = fs->Open(path, FileSystem::Mode::kRead);
  if (!file.ok()) return false;
  char magic[4];
  auto read = (*file)->ReadAt(0, magic, sizeof magic);
  return read.ok() && *read == sizeof magic && LoadLe<uint32_t>(magic) == kSnapshotHeaderMagic;
}

Result<SnapshotSummary> ScanSnapshot(FileSystem* fs, const std::string& path, const KeyRing* keys,
                                     const std::function<bool(std::string_view)>& sink) {
  auto summary = ReadSnapshotSummary(fs, path);
  if (!summary.ok()) return summary.status();
  auto file = fs->Open(path, FileSystem::Mode::kRead);
  if (!file.ok()) return file.status();
  Scan scan(file->get(), *summary, keys, sink);
  if (const Status status = scan.Run(); !status.ok()) {
    // A missing key is no damage at some offset.
    if (status.code() == StatusCode::kInvalid)
      return Status::Invalid(path + ": " + status.message());
    return At(path, scan.offset(), status);
  }
  return summary;
}

Status VerifyPlainRdb(FileSystem* fs, const std::string& path,
                      const std::function<bool()>& stopped) {
  auto file = fs->Open(path, FileSystem::Mode::kRead);
  if (!file.ok()) return file.status();
  auto size = (*file)->Size();
  if (!size.ok()) return size.status();
  // "REDIS0010" at the start, the CRC64 of all before it at the end; 0: written without.
  constexpr std::string_view kMagic = "REDIS";
  constexpr size_t kCrcBytes = 8, kPieceBytes = 1 << 20;
  std::string bytes;
  if (*size < kMagic.size() + kCrcBytes)
    return At(path, *size, Status::Corrupt("the file is cut short"));
  uint64_t crc = 0;
  for (uint64_t offset = 0; offset < *size - kCrcBytes; offset += bytes.size()) {
    if (stopped != nullptr && stopped()) return Status::Unavailable("the server ends");
    const uint64_t piece = std::min<uint64_t>(kPieceBytes, *size - kCrcBytes - offset);
    CAIRN_RETURN_IF_ERROR(ReadExactly(file->get(), offset, piece, &bytes));
    if (offset == 0 && !bytes.starts_with(kMagic)) return At(path, 0, Status::Corrupt("no RDB"));
    crc = Crc64(crc, bytes);
  }
  CAIRN_RETURN_IF_ERROR(ReadExactly(file->get(), *size - kCrcBytes, kCrcBytes, &bytes));
  const auto wanted = LoadLe<uint64_t>(bytes.data());
  if (wanted != 0 && wanted != crc)
    return At(path, *size - kCrcBytes, Status::Corrupt("the checksum is wrong"));
  return Status::Ok();
}

Result<uint64_t> VerifyBase(FileSystem* fs, const std::string& path, uint64_t lsn,
                            const KeyRing* keys, const std::function<bool()>& stopped) {
  auto there = fs->Exists(path);
  if (!there.ok()) return there.status();
  if (!*there) return Status::Corrupt(path + " is missing");
  if (!IsPackedSnapshot(fs, path)) {
    CAIRN_RETURN_IF_ERROR(VerifyPlainRdb(fs, path, stopped));
    return 0;
  }
  std::function<bool(std::string_view)> sink;
  if (stopped != nullptr) sink = [&stopped](std::string_view) { return !stopped(); };
  auto base = ScanSnapshot(fs, path, keys, sink);
  if (!base.ok()) return base.status();
  if (base->header.lsn != lsn) return Status::Corrupt(path + " is of another LSN");
  return base->trailer.keys;
}

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
