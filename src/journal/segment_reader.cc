// SPDX-License-Identifier: BSD-3-Clause
#include "journal/segment_reader.h"

#include <string.h>

#include <algorithm>

#include "base/bytes.h"

namespace cairn {
namespace {

constexpr size_t kReadBytes = 256 * 1024;
constexpr size_t kScanStepBytes = 64 * 1024;
constexpr uint64_t kIndexBytesMax = kIndexFixedBytes + (uint64_t{1} << 24);  // of a segment of 1 TiB

}  // namespace

SegmentReader::SegmentReader(std::unique_ptr<File> file, std::string path)
    : file_(std::move(file)), path_(std::move(path)), read_bytes_(kReadBytes) {}

Result<std::unique_ptr<SegmentReader>> SegmentReader::OpenDamaged(FileSystem* fs,
                                                                  const std::string& path) {
  auto file = fs->Open(path, FileSystem::Mode::kRead);
  if (!file.ok()) return file.status();
  std::unique_ptr<SegmentReader> reader(new SegmentReader(std::move(*file), path));
  reader->header_status_ = DecodeSegmentHeader(reader->Peek(kSegmentHeaderBytes), &reader->header_);
  return reader;
}

Result<std::unique_ptr<SegmentReader>> SegmentReader::Open(FileSystem* fs, const std::string& path,
                                                           const KeyRing* keys) {
  auto reader = OpenDamaged(fs, path);
  if (!reader.ok()) return reader;
  SegmentReader& r = **reader;
  if (!r.status_.ok()) return r.status_;
  if (const Status& status = r.header_status_; !status.ok())
    return Status(status.code(), path + ": " + status.message());
  if (!r.header_.key.key_id.empty()) {
    if (keys == nullptr)
      return Status::Invalid(path + ": it is encrypted with key '" + r.header_.key.key_id +
                             "' and encryption-key-file is not set");
    auto cipher = keys->OpenFile(r.header_.key);
    if (!cipher.ok()) return Status::Invalid(path + ": " + cipher.status().message());
    r.cipher_ = std::move(*cipher);
  }
  r.offset_ = kSegmentHeaderBytes;
  r.next_lsn_ = r.header_.first_lsn;
  r.previous_crc_ = r.header_.crc;
  return reader;
}

std::string_view SegmentReader::Peek(size_t length) {
  const bool inside = offset_ >= buffer_offset_ && length <= buffer_.size() &&
                      offset_ - buffer_offset_ <= buffer_.size() - length;
  if (!inside) {
    // No more than there is: most files of a start are far shorter, and the room is zeroed.
    const auto size = file_->Size();
    if (!size.ok()) status_ = size.status();
    const uint64_t left = size.ok() && *size > offset_ ? *size - offset_ : 0;
    const size_t want = std::min<uint64_t>(std::max(length, read_bytes_), left);
    buffer_.resize(want);
    buffer_offset_ = offset_;
    auto got = file_->ReadAt(offset_, buffer_.data(), want);
    if (!got.ok() && want > length) {
      // Behind what is asked for there may be what a failed write left, which is nobody's.
      read_bytes_ = 0;
      got = file_->ReadAt(offset_, buffer_.data(), length);
    }
    if (!got.ok()) status_ = got.status();
    buffer_.resize(got.ok() ? *got : 0);
  }
  return std::string_view(buffer_).substr(offset_ - buffer_offset_, length);
}

SegmentReader::End SegmentReader::Bad(const Status& status) {
  // A read error of the disk is reported as it is: it is no statement about the bytes.
  if (status_.ok())
    status_ = Status(status.code(), path_ + ": " + status.message() + " at offset " +
                                        std::to_string(offset_) + ", LSN " +
                                        std::to_string(next_lsn_));
  return End::kBad;
}

bool SegmentReader::AcceptIndex() {
  std::string_view head = Peek(8);
  if (head.size() < 8 || LoadLe<uint32_t>(head.data()) != kIndexMagic) return false;
  const size_t bytes = size_t{LoadLe<uint32_t>(head.data() + 4)} + 8;
  if (bytes > kIndexBytesMax) return false;
  std::string_view frame = Peek(bytes);
  std::vector<IndexEntry> entries;
  Lsn first, end;
  auto size = file_->Size();
  if (!size.ok()) status_ = size.status();
  return size.ok() && *size == offset_ + bytes && DecodeIndex(frame, &entries, &first, &end).ok() &&
         end == next_lsn_;
}

// Whether the rest of the file is pads.
bool SegmentReader::AcceptPads() {
  auto size = file_->Size();
  if (!size.ok()) status_ = size.status();
  uint64_t at = offset_;
  while (size.ok() && at < *size) {
    char head[kPadHeadBytes];
    uint64_t bytes;
    auto got = file_->ReadAt(at, head, sizeof head);
    if (!got.ok()) status_ = got.status();
    if (!got.ok() || !DecodePadHead({head, *got}, &bytes)) return false;
    at += bytes;
  }
  return size.ok();
}

SegmentReader::End SegmentReader::Next(Block* block) {
  if (at_index_) return End::kClean;
  if (!status_.ok()) return End::kBad;
  const End end = ReadBlock(block);
  if (end == End::kNone) return end;
  // A pad that was read ahead may be a block by now, and a part of a block, read while it was
  // written over the pad, be whole.
  at_index_ = at_pads_ = false;
  buffer_.clear();
  status_ = Status::Ok();
  return ReadBlock(block);
}

SegmentReader::End SegmentReader::ReadBlock(Block* block) {
  std::string_view bytes = Peek(kBlockHeaderBytes);
  if (!status_.ok()) return End::kBad;
  if (bytes.empty()) return End::kClean;
  BlockHeader& header = block->header;
  if (Status status = DecodeBlockHeader(bytes, &header); !status.ok()) {
    at_index_ = AcceptIndex();
    at_pads_ = !at_index_ && status_.ok() && AcceptPads();
    return at_index_ || at_pads_ ? End::kClean : Bad(status);
  }
  at_pads_ = false;
  bytes = Peek(kBlockHeaderBytes + header.stored_bytes);
  if (Status status = CheckBlock(bytes, header); !status.ok()) return Bad(status);
  if (header.timeline != header_.timeline.number)
    return Bad(Status::Corrupt("block of timeline " + std::to_string(header.timeline)));
  if (header.salt != header_.salt) return Bad(Status::Corrupt("block of another segment"));
  if (chained_ && header.previous_crc != previous_crc_)
    return Bad(Status::Corrupt("block does not follow the one before it"));
  if (header.first_lsn != next_lsn_)
    return Bad(Status::Corrupt("block has LSN " + std::to_string(header.first_lsn)));
  block->offset = offset_;
  block->stored = bytes;
  chained_ = true;
  previous_crc_ = header.crc;
  offset_ += bytes.size();
  next_lsn_ = header.end_lsn();
  return End::kNone;
}

bool SegmentReader::ScanForBlock(Block* block) {
  status_ = Status::Ok();
  for (;;) {
    std::string_view bytes = Peek(kScanStepBytes);
    if (!status_.ok() || bytes.size() < kBlockHeaderBytes) return false;
    // The magic's bytes, least significant first.
    size_t at = bytes.find(std::string_view("\x51\x2a\x4d\x18", 4));
    if (at == std::string_view::npos) {
      offset_ += bytes.size() - 3;
      continue;
    }
    offset_ += at;
    BlockHeader& header = block->header;
    const bool block_like = DecodeBlockHeader(Peek(kBlockHeaderBytes), &header).ok();
    if (!status_.ok()) return false;
    if (block_like && (!header_status_.ok() || header.salt == header_.salt)) {
      bytes = Peek(kBlockHeaderBytes + header.stored_bytes);
      if (!status_.ok()) return false;
      if (CheckBlock(bytes, header).ok()) {
        block->offset = offset_;
        block->stored = bytes;
        offset_ += bytes.size();
        return true;
      }
    }
    ++offset_;
  }
}

void SegmentReader::ContinueAt(Lsn lsn, uint64_t offset) {
  offset_ = offset;
  next_lsn_ = lsn;
  chained_ = false;
}

void SegmentReader::SeekByIndex(Lsn lsn) {
  auto size = file_->Size();
  char trailer[8];
  if (!size.ok() || *size < kSegmentHeaderBytes + kIndexFixedBytes) return;
  auto got = file_->ReadAt(*size - 8, trailer, sizeof trailer);
  if (!got.ok() || *got != sizeof trailer || LoadLe<uint32_t>(trailer + 4) != kIndexTrailerMagic)
    return;
  const uint64_t bytes = LoadLe<uint32_t>(trailer);
  if (bytes < kIndexFixedBytes || bytes > std::min(*size - kSegmentHeaderBytes, kIndexBytesMax))
    return;
  std::string frame(bytes, '\0');
  got = file_->ReadAt(*size - bytes, frame.data(), bytes);
  std::vector<IndexEntry> entries;
  Lsn first, end;
  if (!got.ok() || *got != bytes || !DecodeIndex(frame, &entries, &first, &end).ok()) return;
  for (const IndexEntry& entry : entries) {
    if (entry.lsn > lsn) break;
    if (entry.offset >= *size - bytes) continue;  // no block's: the index is before the file's end
    if (entry.lsn > next_lsn_ && entry.offset > offset_) ContinueAt(entry.lsn, entry.offset);
  }
}

void SegmentReader::Seek(Lsn lsn) {
  SeekByIndex(lsn);
  // Without a salt anything that a client sent could be taken for a block behind a damaged one.
  if (header_.salt == 0) return;
  const uint64_t from = offset_;
  BlockHeader last;
  uint64_t offset = 0;
  Block block;
  while (ScanForBlock(&block) && block.header.first_lsn <= lsn) {
    const BlockHeader& h = block.header;
    if (!h.in_stream() || h.is_mark() || h.timeline != header_.timeline.number) continue;
    last = h;
    offset = block.offset;
  }
  LookAgain();  // what lies behind and cannot be read is met again by who needs it
  offset_ = from;
  if (offset > from) ContinueAt(last.first_lsn, offset);
}

}  // namespace cairn
