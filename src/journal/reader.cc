// SPDX-License-Identifier: BSD-3-Clause
#include "journal/reader.h"

#include <algorithm>

namespace cairn {

Result<std::unique_ptr<SegmentReader>> OpenSegment(FileSystem* fs, const std::string& dir,
                                                   const SegmentEntry& entry,
                                                   const KeyRing* keys) {
  const std::string path = SegmentPath(dir, entry);
  auto reader = SegmentReader::Open(fs, path, keys);
  if (!reader.ok()) return reader;
  const SegmentHeader& header = (*reader)->header();
  const bool known = entry.state != SegmentState::kNext;
  if (header.timeline.number != entry.timeline || (known && header.first_lsn != entry.first_lsn))
    return Status::Corrupt(path + " is not the segment the manifest names");
  return reader;
}

Result<std::unique_ptr<JournalReader>> JournalReader::Open(FileSystem* fs, std::string dir,
                                                           Manifest manifest, Lsn from,
                                                           Lsn limit, const KeyRing* keys) {
  std::unique_ptr<JournalReader> reader(
      new JournalReader(fs, std::move(dir), std::move(manifest), from, limit, keys));
  const auto& segments = reader->manifest_.segments;
  if (from >= limit) return reader;
  // The last segment that begins at or below `from`.
  size_t count = 0;
  while (count < segments.size() && segments[count].state != SegmentState::kNext &&
         segments[count].first_lsn <= from)
    ++count;
  if (count == 0 && segments.empty() && from == reader->manifest_.base_lsn) return reader;
  if (count == 0) return Status::NotFound("the log does not reach back to LSN " +
                                          std::to_string(from));
  reader->next_segment_ = count - 1;
  return reader;
}

Result<bool> JournalReader::OpenNextSegment() {
  if (next_segment_ >= manifest_.segments.size()) return false;
  const SegmentEntry& entry = manifest_.segments[next_segment_++];
  if (entry.state == SegmentState::kNext) return false;
  auto segment = OpenSegment(fs_, dir_, entry, keys_);
  if (!segment.ok()) {
    // A running journal lists its live segment before it writes the first byte.
    auto file = fs_->Open(SegmentPath(dir_, entry), FileSystem::Mode::kRead);
    if (entry.state == SegmentState::kOpen && file.ok()) {
      auto size = (*file)->Size();
      if (size.ok() && *size == 0) return false;
    }
    return segment.status();
  }
  segment_ = std::move(*segment);
  segment_name_ = SegmentName(entry.timeline, entry.sequence);
  if (entry.first_lsn > position_)
    return Status::Corrupt(SegmentPath(dir_, entry) + " begins at LSN " +
                           std::to_string(entry.first_lsn) + " where " + std::to_string(position_) +
                           " was expected");
  segment_end_ = entry.ended() ? entry.end_lsn : kLsnMax;
  if (entry.ended() && position_ > entry.first_lsn) segment_->Seek(position_);
  return true;
}

bool JournalReader::Fill(const SegmentReader::Block& block, Lsn end, StreamPiece* piece) {
  const BlockHeader& h = block.header;
  const Lsn to = std::min(h.end_lsn(), end);
  if (!h.in_stream() || to <= position_) return false;
  const size_t skip = position_ - h.first_lsn;
  piece->lsn = position_;
  piece->bytes = std::string_view(plain_).substr(skip, to - position_);
  piece->first_ms = h.first_ms;
  piece->last_ms = h.last_ms;
  piece->timeline = h.timeline;
  piece->file = segment_name_;
  const bool known = h.first_record != kNoOffset && h.first_record >= skip &&
                     h.first_record - skip < piece->bytes.size();
  piece->first_record = known ? h.first_record - skip : std::string_view::npos;
  piece->database = known ? h.database : kNoDatabase;
  position_ = to;
  return true;
}

Result<bool> JournalReader::Next(StreamPiece* piece) {
  SegmentReader::Block block;
  while (position_ < limit_) {
    if (segment_ == nullptr || position_ >= segment_end_) {
      auto opened = OpenNextSegment();
      if (!opened.ok() || !*opened) return opened;
    }
    const SegmentReader::End end = segment_->Next(&block);
    if (end == SegmentReader::End::kBad) return segment_->status();
    if (end == SegmentReader::End::kClean) {
      if (segment_end_ != kLsnMax)
        return Status::Corrupt(dir_ + "/" + segment_name_ + " ends at LSN " +
                               std::to_string(segment_->next_lsn()) + ", offset " +
                               std::to_string(segment_->offset()) + ", instead of " +
                               std::to_string(segment_end_));
      segment_ = nullptr;
      continue;
    }
    if (!block.header.in_stream() || block.header.end_lsn() <= position_) continue;
    if (Status status = segment_->Decode(block, &plain_); !status.ok()) return status;
    if (Fill(block, std::min(limit_, segment_end_), piece)) return true;
  }
  return false;
}

Result<Lsn> FindLsnAtTime(FileSystem* fs, const std::string& dir, const Manifest& manifest,
                          uint64_t time_ms, const KeyRing* keys) {
  Lsn found = manifest.segments.empty() ? manifest.base_lsn : manifest.segments.front().first_lsn;
  const Lsn from = manifest.NeededFrom();
  for (const SegmentEntry& entry : manifest.segments) {
    if (entry.state == SegmentState::kNext || entry.first_ms > time_ms) break;
    auto segment = OpenSegment(fs, dir, entry, keys);
    if (!segment.ok()) return segment.status();
    if (entry.ended() && from > entry.first_lsn) (*segment)->Seek(from);
    const Lsn end = entry.ended() ? entry.end_lsn : kLsnMax;
    SegmentReader::Block block;
    while ((*segment)->next_lsn() < end &&
           (*segment)->Next(&block) == SegmentReader::End::kNone) {
      if (block.header.last_ms > time_ms) return found;
      found = std::max(found, std::min(block.header.last_unit_lsn, end));
    }
    if (!(*segment)->status().ok()) return (*segment)->status();
  }
  return found;
}

}  // namespace cairn
