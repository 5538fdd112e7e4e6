// SPDX-License-Identifier: BSD-3-Clause
#include "journal/segment_writer.h"

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

void SegmentWriter::AddBlock(BlockHeader header, std::string_view plain, int acceleration) {
  DCHECK(begun_);
  header.timeline = timeline_.number;
  header.previous_crc = previous_crc_;
  header.salt = salt_;
  const bool data = header.in_stream() && !plain.empty();
  if (data && (index_.empty() || header.first_lsn - index_.back().lsn >= kIndexStepBytes))
    index_.push_back({header.first_lsn, bytes()});
  if (cipher_ != nullptr) header.nonce = next_nonce_++;
  EncodeBlock(&header, plain, acceleration, &buffer_, cipher_.get());
  previous_crc_ = header.crc;
  last_ms_ = header.last_ms;
}

void SegmentWriter::AddIndex(Lsn end) { EncodeIndex(index_, first_lsn_, end, &buffer_); }

Status SegmentWriter::Flush() {
  if (buffer_.empty()) return Status::Ok();
  CAIRN_RETURN_IF_ERROR(file_->WriteAt(offset_, buffer_));
  offset_ += buffer_.size();
  buffer_.clear();
  return Status::Ok();
}

}  // namespace cairn
