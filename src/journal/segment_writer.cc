// SPDX-License-Identifier: BSD-3-Clause
#include "journal/segment_writer.h"

#include <algorithm>

#include "base/random.h"

namespace cairn {
namespace {

constexpr uint64_t kIndexStepBytes = 1 << 20;

}  // namespace

void SegmentWriter::Begin(StreamPoint point, uint64_t wall_ms) {
  CHECK(!begun_);
  begun_ = true;
  first_lsn_ = point.lsn;
  first_ms_ = last_ms_ = wall_ms;
  SegmentHeader header;
  header.timeline = timeline_;
  header.first_lsn = point.lsn;
  header.sequence = sequence_;
  header.created_ms = wall_ms;
  header.database = point.database;
  if (keys_ != nullptr) cipher_ = keys_->NewFile(&header.key);
  RandomBytes(reinterpret_cast<unsigned char*>(&salt_), sizeof salt_);
  header.salt = salt_;
  EncodeSegmentHeader(&header, &buffer_);
  previous_crc_ = header.crc;
  if (point.database == kNoDatabase || point.database == 0) return;
  char select[kSelectBytesMax];
  BlockHeader preamble;
  preamble.flags = kBlockNotInStream;
  preamble.first_lsn = preamble.last_unit_lsn = point.lsn;
  preamble.first_ms = preamble.last_ms = wall_ms;
  AddBlock(preamble, {select, EncodeSelect(select, point.database)}, 0);
}

void SegmentWriter::AddBlock(BlockHeader header, std::string_view plain, int acceleration,
                             bool aligned) {
  DCHECK(begun_);
  header.timeline = timeline_.number;
  header.previous_crc = previous_crc_;
  header.salt = salt_;
  const bool data = header.in_stream() && !plain.empty();
  if (data && (index_.empty() || header.first_lsn - index_.back().lsn >= kIndexStepBytes))
    index_.push_back({header.first_lsn, bytes()});
  if (cipher_ != nullptr) header.nonce = next_nonce_++;
  EncodeBlock(&header, plain, acceleration, &buffer_, cipher_.get(), aligned ? kDirectAlignBytes : 0,
              offset_);
  previous_crc_ = header.crc;
  last_ms_ = header.last_ms;
}

Status SegmentWriter::PrepareTail(uint64_t bytes) {
  // The first bytes of a file are its header's, never a pad's.
  if (tail_refused_ || offset_ == 0 || this->bytes() < file_bytes_) return Status::Ok();
  std::string room(this->bytes() + bytes - file_bytes_, '\0');
  EncodePadHead(static_cast<uint32_t>(room.size()), room.data());
  if (file_->WriteAt(file_bytes_, room).ok()) {
    file_bytes_ += room.size();
    return Status::Ok();
  }
  tail_refused_ = true;
  return file_->Truncate(file_bytes_);
}

Status SegmentWriter::Flush() {
  if (buffer_.empty()) return Status::Ok();
  const uint64_t end = bytes();
  if (end < file_bytes_) {
    char head[kPadHeadBytes];
    EncodePadHead(static_cast<uint32_t>(std::max(file_bytes_ - end, uint64_t{kPadHeadBytes})), head);
    buffer_.append(head, sizeof head);
  }
  CAIRN_RETURN_IF_ERROR(file_->WriteAt(offset_, buffer_));
  file_bytes_ = std::max(file_bytes_, offset_ + buffer_.size());
  offset_ = end;
  buffer_.clear();
  return Status::Ok();
}

Status SegmentWriter::Finish(Lsn end) {
  if (offset_ < file_bytes_) CAIRN_RETURN_IF_ERROR(file_->Truncate(offset_));
  file_bytes_ = offset_;
  EncodeIndex(index_, first_lsn_, end, &buffer_);
  return Flush();
}

}  // namespace cairn
