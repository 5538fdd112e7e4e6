// SPDX-License-Identifier: BSD-3-Clause
#include "journal/tail_scan.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "journal/recovery.h"

namespace cairn {
namespace {

// Where the last byte of the file stands that is not zero, at least `from`: what was made ahead for
// blocks to come, or what the disk never got of them, is nothing that could be cut.
Result<uint64_t> UsedBytes(FileSystem* fs, const std::string& path, uint64_t from) {
  constexpr uint64_t kStepBytes = 64 * 1024;
  auto file = fs->Open(path, FileSystem::Mode::kRead);
  if (file.status().code() == StatusCode::kNotFound) return from;
  if (!file.ok()) return file.status();
  const auto size = (*file)->Size();
  if (!size.ok()) return size.status();
  std::string buffer(kStepBytes, '\0');
  for (uint64_t end = *size; end > from;) {
    const uint64_t begin = std::max(from, end - std::min(end, kStepBytes));
    const auto read = (*file)->ReadAt(begin, buffer.data(), end - begin);
    if (!read.ok()) return read.status();
    const std::string_view bytes(buffer.data(), *read);
    const size_t last = bytes.find_last_not_of('\0');
    if (last != std::string_view::npos) return begin + last + 1;
    end = begin;
  }
  return from;
}

}  // namespace

void TailScan::Stop(size_t segment, uint64_t offset, std::string reason) {
  stopped_ = true;
  stop_segment_ = segment;
  stop_offset_ = offset;
  stop_reason_ = std::move(reason);
}

Status TailScan::ReadError() const {
  const Status& status = reader_->status();
  return status.ok() || status.code() == StatusCode::kCorrupt ? Status::Ok() : status;
}

Status TailScan::Missing(const SegmentEntry& segment) const {
  return Status::Corrupt(SegmentPath(dir_, segment) + " is missing, with all from LSN " +
                         std::to_string(expected_) + " on");
}

// An empty file says nothing. One that is listed had a durable name before its first byte, so a missing one
// is what somebody took away; that costs nothing as long as it was a next one that the log had not come
// to, the one before it not being complete.
Status TailScan::ScanSegment(const SegmentEntry& segment) {
  const size_t index = static_cast<size_t>(&segment - segments_.data());
  const std::string path = SegmentPath(dir_, segment);
  auto damaged = SegmentReader::OpenDamaged(fs_, path);
  if (!damaged.ok()) {
    if (damaged.status().code() != StatusCode::kNotFound) return damaged.status();
    const bool complete =
        reader_ != nullptr && reader_segment_ + 1 == index && reader_->has_index();
    return segment.state == SegmentState::kNext && !complete ? Status::Ok() : Missing(segment);
  }
  auto size = (*damaged)->FileBytes();
  if (!size.ok()) return size.status();
  if (*size == 0) return Status::Ok();
  auto reader = SegmentReader::Open(fs_, path, keys_);
  if (!reader.ok()) {
    if (reader.status().code() != StatusCode::kCorrupt) return reader.status();
    Stop(index, 0, reader.status().message());
    return Status::Ok();
  }
  const SegmentHeader& header = (*reader)->header();
  // It was begun since the one before it was read.
  if (header.first_lsn > expected_ && reader_ != nullptr) {
    (void)ReadBlocks();
    CAIRN_RETURN_IF_ERROR(ReadError());
  }
  if (header.first_lsn != expected_ || header.timeline.number != segment.timeline) {
    Stop(index, 0,
         path + " begins at LSN " + std::to_string(header.first_lsn) + " where " +
             std::to_string(expected_) + " was expected");
    return Status::Ok();
  }
  SegmentEntry entry = segment;
  entry.state = SegmentState::kOpen;
  entry.first_lsn = expected_;
  entry.first_ms = entry.last_ms = header.created_ms;
  found_.push_back(entry);
  reader_ = std::move(*reader);
  reader_segment_ = index;
  SegmentReader::End end;
  Lsn promised = 0;
  CAIRN_RETURN_IF_ERROR(ReadToEnd(segment, &end, &promised));
  if (in_use_) return Status::Ok();
  const SegmentReader& r = *reader_;
  if (end == SegmentReader::End::kBad) {
    Stop(index, r.offset(), r.status().message());
  } else if (r.at_pads() && promised > expected_) {
    // The pad stood there once: the disk has lost the blocks that replaced it.
    Stop(index, r.offset(), path + " has blocks behind its end at offset " +
                                std::to_string(r.offset()));
  }
  return Status::Ok();
}

// What can be read of found_.back() now.
SegmentReader::End TailScan::ReadBlocks() {
  SegmentReader::Block block;
  SegmentReader::End end;
  reader_->LookAgain();
  while ((end = reader_->Next(&block)) == SegmentReader::End::kNone) {
    expected_ = reader_->next_lsn();
    found_.back().last_ms = block.header.last_ms;
    last_unit_ = std::max(last_unit_, block.header.last_unit_lsn);
    if (last_unit_ != expected_) continue;
    unit_segment_ = reader_segment_;
    unit_offset_ = reader_->offset();
  }
  found_.back().end_lsn = expected_;
  // The index is no cut tail.
  const auto size = reader_->FileBytes();
  if (reader_->has_index() && size.ok()) unit_offset_ = *size;
  return end;
}

// Where blocks behind the end `promised` more, that is read if it is there by now: a server has written
// it since. One that goes on doing so is followed no farther than it was at the first look.
Status TailScan::ReadToEnd(const SegmentEntry& segment, SegmentReader::End* end, Lsn* promised) {
  for (;;) {
    const uint64_t from = reader_->offset();
    *end = ReadBlocks();
    CAIRN_RETURN_IF_ERROR(ReadError());
    if (*end == SegmentReader::End::kClean && !reader_->at_pads()) return Status::Ok();
    const bool more = reader_->offset() > from;
    if (*promised > 0 && expected_ >= *promised) in_use_ = may_be_in_use_;
    if (in_use_ || (*promised > 0 && !more)) return Status::Ok();
    if (*promised == 0) {
      const auto behind = Promised(segment, reader_->offset());
      if (!behind.ok()) return behind.status();
      *promised = *behind;
    }
    if (*promised > expected_) continue;
    if (may_be_in_use_ && *end == SegmentReader::End::kBad) *end = AwaitBlock(&in_use_);
    return ReadError();
  }
}

// Behind a block that was bad, in a log that may be in use: it may have been met while it was written.
// What a disk takes for that is short; a block that stays bad is.
SegmentReader::End TailScan::AwaitBlock(bool* came) {
  constexpr int kLooksMax = 20;
  constexpr std::chrono::milliseconds kBetweenLooks(1);
  const uint64_t from = reader_->offset();
  for (int look = 1;; ++look) {
    const SegmentReader::End end = ReadBlocks();
    *came = reader_->offset() > from;
    if (*came || look == kLooksMax) return end;
    std::this_thread::sleep_for(kBetweenLooks);
  }
}

Result<Lsn> TailScan::Promised(const SegmentEntry& segment, uint64_t offset) const {
  auto reader = SegmentReader::OpenDamaged(fs_, SegmentPath(dir_, segment));
  if (reader.status().code() == StatusCode::kNotFound) {
    if (segment.state == SegmentState::kNext) return Lsn{0};
    return Missing(segment);
  }
  if (!reader.ok()) return reader.status();
  // Without its header nobody knows which blocks are this file's.
  if (!(*reader)->status().ok()) return (*reader)->status();
  (*reader)->SkipTo(offset);
  Lsn greatest = 0;
  SegmentReader::Block block;
  while ((*reader)->ScanForBlock(&block))
    if (block.header.timeline == segment.timeline)
      greatest = std::max(greatest, block.header.synced_lsn);
  if (!(*reader)->status().ok()) return (*reader)->status();
  return greatest;
}

Result<Lsn> TailScan::GreatestPromiseBehind() const {
  Lsn greatest = 0;
  for (size_t i = stop_segment_; i < segments_.size(); ++i) {
    const auto promised = Promised(segments_[i], i == stop_segment_ ? stop_offset_ : 0);
    if (!promised.ok()) return promised;
    greatest = std::max(greatest, *promised);
  }
  return greatest;
}

// What follows the last complete unit, where that is cut.
Status TailScan::CountCut(RecoveryReport* report) const {
  for (size_t i = unit_segment_; i < segments_.size(); ++i) {
    const uint64_t from = i == unit_segment_ ? unit_offset_ : 0;
    const auto used = UsedBytes(fs_, SegmentPath(dir_, segments_[i]), from);
    if (!used.ok()) return used.status();
    report->bytes_cut += *used - from;
  }
  return Status::Ok();
}

Status TailScan::Run(RecoveryReport* report) {
  for (size_t i = 0; i < segments_.size() && !stopped_ && !in_use_; ++i)
    CAIRN_RETURN_IF_ERROR(ScanSegment(segments_[i]));
  if (stopped_) {
    const auto behind = GreatestPromiseBehind();
    if (!behind.ok()) return behind.status();
    const Lsn promised = *behind;
    // It was being written when it was read.
    if (may_be_in_use_ && promised > expected_ && reader_ != nullptr &&
        stop_segment_ == reader_segment_) {
      (void)ReadBlocks();
      CAIRN_RETURN_IF_ERROR(ReadError());
      in_use_ = expected_ >= promised;
    }
    if (promised > expected_)
      return Status::Corrupt("the log is damaged at LSN " + std::to_string(expected_) +
                             " though it was durable up to " + std::to_string(promised) + ": " +
                             stop_reason_);
    report->cut_reason = stop_reason_;
  } else if (last_unit_ < expected_) {
    report->cut_reason = "the last record is incomplete";
  }
  if (segments_.empty()) return Status::Ok();
  report->cut_lsn = last_unit_;
  report->cut_file =
      SegmentName(segments_[unit_segment_].timeline, segments_[unit_segment_].sequence);
  // A log in use is not cut at all; a header without a block cuts nothing that anyone wrote.
  if (in_use_) report->cut_reason.clear();
  if (in_use_ || (!stopped_ && last_unit_ == expected_)) return Status::Ok();
  return CountCut(report);
}

}  // namespace cairn
