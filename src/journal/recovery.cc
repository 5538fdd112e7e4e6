// SPDX-License-Identifier: BSD-3-Clause
#include "journal/recovery.h"

#include <algorithm>
#include <cctype>
#include <chrono>
#include <thread>

#include "journal/segment_reader.h"
#include "journal/verify.h"

namespace cairn {
namespace {

constexpr std::string_view kBaseSuffix = ".rdb.lz4", kReceivedSuffix = ".rdb";
constexpr std::string_view kFirstBaseEnd = "-0000000000000000.rdb.lz4";  // of LSN 0

// Where the last byte of the file stands that is not zero, at least `from`: what was made ahead for
// blocks to come, or what the disk never got of them, is nothing that could be cut.
uint64_t UsedBytes(FileSystem* fs, const std::string& path, uint64_t from) {
  constexpr uint64_t kStepBytes = 64 * 1024;
  auto file = fs->Open(path, FileSystem::Mode::kRead);
  if (!file.ok()) return from;
  const auto size = (*file)->Size();
  std::string buffer(kStepBytes, '\0');
  for (uint64_t end = size.ok() ? *size : 0; end > from;) {
    const uint64_t begin = std::max(from, end - std::min(end, kStepBytes));
    const auto read = (*file)->ReadAt(begin, buffer.data(), end - begin);
    const std::string_view bytes(buffer.data(), read.ok() ? *read : 0);
    const size_t last = bytes.find_last_not_of('\0');
    if (last != std::string_view::npos) return begin + last + 1;
    end = begin;
  }
  return from;
}

// Walks the segments whose end the manifest does not know.
class TailScan {
 public:
  TailScan(FileSystem* fs, const std::string& dir, const std::vector<SegmentEntry>& segments,
           Lsn expected, const KeyRing* keys, bool in_use)
      : fs_(fs),
        dir_(dir),
        segments_(segments),
        keys_(keys),
        may_be_in_use_(in_use),
        expected_(expected),
        last_unit_(expected) {}

  Status Run(RecoveryReport* report);

  Lsn last_unit() const { return last_unit_; }
  // What the segment headers and blocks told of each open segment: first LSN and times.
  const std::vector<SegmentEntry>& found() const { return found_; }

 private:
  Status ScanSegment(const SegmentEntry& segment);
  SegmentReader::End ReadBlocks();
  Status ReadToEnd(const SegmentEntry& segment, SegmentReader::End* end, Lsn* promised);
  void Stop(size_t segment, uint64_t offset, std::string reason);
  // The greatest durable LSN that blocks from `offset` on state.
  Lsn Promised(const SegmentEntry& segment, uint64_t offset) const;
  SegmentReader::End AwaitBlock(bool* came);
  Lsn GreatestPromiseBehind() const;

  FileSystem* const fs_;
  const std::string& dir_;
  const std::vector<SegmentEntry>& segments_;
  const KeyRing* const keys_;
  std::vector<SegmentEntry> found_;
  std::unique_ptr<SegmentReader> reader_;  // of found_.back()
  size_t reader_segment_ = 0;              // which of segments_ that is
  const bool may_be_in_use_;
  bool in_use_ = false;  // a server writes to it, and what follows is not there yet
  Lsn expected_;
  Lsn last_unit_;
  size_t unit_segment_ = 0;   // the segment that last_unit_ lies in
  uint64_t unit_offset_ = 0;  // the file offset behind it
  bool stopped_ = false;
  size_t stop_segment_ = 0;
  uint64_t stop_offset_ = 0;
  std::string stop_reason_;
};

void TailScan::Stop(size_t segment, uint64_t offset, std::string reason) {
  stopped_ = true;
  stop_segment_ = segment;
  stop_offset_ = offset;
  stop_reason_ = std::move(reason);
}

// An empty file says nothing; a missing one can only be an unused next: the name of one in use was
// durable before its first byte.
Status TailScan::ScanSegment(const SegmentEntry& segment) {
  const size_t index = static_cast<size_t>(&segment - segments_.data());
  const std::string path = SegmentPath(dir_, segment);
  auto damaged = SegmentReader::OpenDamaged(fs_, path);
  if (!damaged.ok()) {
    if (damaged.status().code() != StatusCode::kNotFound) return damaged.status();
    if (segment.state == SegmentState::kNext) return Status::Ok();
    return Status::Corrupt(path + " is missing, with all from LSN " + std::to_string(expected_) +
                           " on");
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
  if (header.first_lsn > expected_ && reader_ != nullptr) (void)ReadBlocks();
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
    if (*end == SegmentReader::End::kBad && reader_->status().code() != StatusCode::kCorrupt)
      return reader_->status();
    if (*end == SegmentReader::End::kClean && !reader_->at_pads()) return Status::Ok();
    const bool more = reader_->offset() > from;
    if (*promised > 0 && expected_ >= *promised) in_use_ = may_be_in_use_;
    if (in_use_ || (*promised > 0 && !more)) return Status::Ok();
    if (*promised == 0) *promised = Promised(segment, reader_->offset());
    if (*promised > expected_) continue;
    if (may_be_in_use_ && *end == SegmentReader::End::kBad) *end = AwaitBlock(&in_use_);
    const bool unread = *end == SegmentReader::End::kBad &&
                        reader_->status().code() != StatusCode::kCorrupt;
    return unread ? reader_->status() : Status::Ok();
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

Lsn TailScan::Promised(const SegmentEntry& segment, uint64_t offset) const {
  auto reader = SegmentReader::OpenDamaged(fs_, SegmentPath(dir_, segment));
  if (!reader.ok()) return 0;
  (*reader)->SkipTo(offset);
  Lsn greatest = 0;
  SegmentReader::Block block;
  while ((*reader)->ScanForBlock(&block))
    if (block.header.timeline == segment.timeline)
      greatest = std::max(greatest, block.header.synced_lsn);
  return greatest;
}

Lsn TailScan::GreatestPromiseBehind() const {
  Lsn greatest = 0;
  for (size_t i = stop_segment_; i < segments_.size(); ++i)
    greatest = std::max(greatest, Promised(segments_[i], i == stop_segment_ ? stop_offset_ : 0));
  return greatest;
}

Status TailScan::Run(RecoveryReport* report) {
  for (size_t i = 0; i < segments_.size() && !stopped_ && !in_use_; ++i)
    CAIRN_RETURN_IF_ERROR(ScanSegment(segments_[i]));
  if (stopped_) {
    const Lsn promised = GreatestPromiseBehind();
    // It was being written when it was read.
    if (may_be_in_use_ && promised > expected_ && reader_ != nullptr &&
        stop_segment_ == reader_segment_) {
      (void)ReadBlocks();
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
  for (size_t i = unit_segment_; i < segments_.size(); ++i) {
    const uint64_t from = i == unit_segment_ ? unit_offset_ : 0;
    report->bytes_cut += UsedBytes(fs_, SegmentPath(dir_, segments_[i]), from) - from;
  }
  // A header without a block cuts nothing that anyone wrote; a log in use is not cut at all.
  if (in_use_) report->cut_reason.clear();
  if (in_use_ || (!stopped_ && last_unit_ == expected_)) report->bytes_cut = 0;
  return Status::Ok();
}

Status CheckSealed(FileSystem* fs, const std::string& dir, const SegmentEntry& segment) {
  const std::string path = SegmentPath(dir, segment);
  auto reader = SegmentReader::OpenDamaged(fs, path);
  if (!reader.ok()) {
    if (reader.status().code() != StatusCode::kNotFound) return reader.status();
    return Status::Corrupt(path + " is missing, with LSN " + std::to_string(segment.first_lsn) +
                           " to " + std::to_string(segment.end_lsn));
  }
  auto size = (*reader)->FileBytes();
  if (!size.ok()) return size.status();
  if (segment.state == SegmentState::kSealed && *size != segment.bytes)
    return Status::Corrupt(path + " has " + std::to_string(*size) + " bytes instead of " +
                           std::to_string(segment.bytes) + ", from LSN " +
                           std::to_string(segment.first_lsn) + " on");
  return Status::Ok();
}

// Segments before the base serve restores to earlier points and followers that are behind: where
// one is missing or cut short, the chain begins behind it; what is left of it stays in the folder, in
// nobody's list. One of another length that has all of its blocks stays in the chain; so does one that
// cannot be read now, as it is: perhaps the next start can. All are told.
Status DropLost(FileSystem* fs, const std::string& dir, const KeyRing* keys, Recovered* recovered) {
  Manifest& m = recovered->manifest;
  if (m.base_name.empty()) return Status::Ok();
  const auto tell = [](const std::string& what, std::string* told) {
    *told += (told->empty() ? "" : "; ") + what;
  };
  for (size_t i = m.segments.size(); i-- > 0;) {
    const SegmentEntry segment = m.segments[i];
    if (!segment.ended() || segment.end_lsn > m.base_lsn) continue;
    const Status there = CheckSealed(fs, dir, segment);
    if (there.ok()) continue;
    if (there.code() != StatusCode::kCorrupt) return there;
    auto whole = HasAllBlocks(fs, dir, segment, m.NeededFrom(), keys);
    if (!whole.ok()) {
      tell(there.message() + "; it is not needed for the data, but the points that it leads to "
           "cannot be restored while it cannot be read: " + whole.status().message(),
           &recovered->report.lost);
      continue;
    }
    if (*whole) {
      m.segments[i].state = SegmentState::kClosed;
      tell(there.message() + "; all its blocks are there", &recovered->report.odd);
      continue;
    }
    m.segments.erase(m.segments.begin(), m.segments.begin() + static_cast<ptrdiff_t>(i) + 1);
    std::erase_if(m.snapshots, [&](const SnapshotEntry& s) { return s.lsn < segment.end_lsn; });
    m.DropUnusedTimelines();
    tell(there.message() + "; it is not needed for the data, but nothing before LSN " +
         std::to_string(segment.end_lsn) + " can be restored", &recovered->report.lost);
    break;
  }
  return Status::Ok();
}

bool IsEmpty(FileSystem* fs, const std::string& path) {
  auto file = fs->Open(path, FileSystem::Mode::kRead);
  if (!file.ok()) return false;
  auto size = (*file)->Size();
  return size.ok() && *size == 0;
}

// Snapshots of our own, and what a leader sent or could not send.
bool IsBaseName(const std::string& name) {
  if (name.ends_with(kBaseSuffix)) return !name.starts_with("temp-");
  return name.ends_with(kReceivedSuffix) && (isdigit(name[0]) || name.starts_with("empty-"));
}

// Of a log that had begun when it was made.
bool IsLaterBase(const std::string& name) {
  return IsBaseName(name) && name.ends_with(kBaseSuffix) && !name.ends_with(kFirstBaseEnd);
}

// What a crash left between a file and the manifest that was to list it, or to list it no more.
void ListUnknownFiles(FileSystem* fs, const std::string& dir, Recovered* recovered) {
  auto names = fs->List(dir);
  if (!names.ok()) return;
  for (const std::string& name : *names) {
    uint32_t timeline;
    uint64_t sequence;
    if (!ParseSegmentName(name, &timeline, &sequence)) {
      if (IsBaseName(name) && !recovered->manifest.Lists(name))
        recovered->report.unknown_files.push_back(name);
      continue;
    }
    recovered->next_sequence = std::max(recovered->next_sequence, sequence + 1);
    const auto& segments = recovered->manifest.segments;
    if (std::none_of(segments.begin(), segments.end(),
                     [&](const SegmentEntry& s) { return s.sequence == sequence; }))
      recovered->report.unknown_files.push_back(name);
  }
}

// No manifest: a new folder, unless segments say that one was lost.
Result<Recovered> RecoverFresh(FileSystem* fs, const std::string& dir) {
  Recovered recovered;
  recovered.report.fresh = true;
  ListUnknownFiles(fs, dir, &recovered);
  bool later_base = false;
  std::erase_if(recovered.report.unknown_files, [&](const std::string& name) {
    later_base |= IsLaterBase(name);
    return IsBaseName(name);
  });
  // A first start that ended before it had a manifest leaves an empty segment, which says nothing.
  std::erase_if(recovered.report.unknown_files, [&](const std::string& name) {
    SegmentEntry segment;
    if (!IsEmpty(fs, dir + "/" + name) ||
        !ParseSegmentName(name, &segment.timeline, &segment.sequence))
      return false;
    recovered.unused.push_back(segment);
    return true;
  });
  auto unbased = fs->Exists(dir + "/" + kAwaitsBaseName);
  if (!unbased.ok()) return unbased.status();
  if (!*unbased && !recovered.report.unknown_files.empty())
    return Status::Corrupt(dir + " holds journal segments but no manifest");
  // A snapshot of a later log is there, too, when only the manifest was lost behind a rewrite.
  if (!*unbased && !recovered.unused.empty() && later_base)
    return Status::Corrupt(dir + " holds a journal's snapshot but no manifest");
  return recovered;
}

Status CheckChain(const Manifest& m, Lsn tail) {
  const Lsn first = m.segments.empty() ? tail : m.segments.front().first_lsn;
  if (m.base_name.empty() ? first != 0 : first > m.base_lsn)
    return Status::Corrupt("the log begins at LSN " + std::to_string(first) +
                           " but the data set before it is missing");
  if (!m.base_name.empty() && tail < m.base_lsn)
    return Status::Corrupt("the log ends at LSN " + std::to_string(tail) +
                           " below its base snapshot at " + std::to_string(m.base_lsn));
  if (m.clean && tail != m.clean_lsn)
    return Status::Corrupt("the log ends at LSN " + std::to_string(tail) +
                           " but was shut down at " + std::to_string(m.clean_lsn));
  return Status::Ok();
}

}  // namespace

std::string RecoveryReport::Text() const {
  if (fresh) return "new journal";
  std::string text = clean ? "journal was shut down cleanly" : "journal was not shut down cleanly";
  if (bytes_cut > 0)
    text += "; cut " + std::to_string(bytes_cut) + " bytes behind LSN " + std::to_string(cut_lsn) +
            " in " + cut_file + ": " + cut_reason;
  for (const std::string& name : unknown_files) text += "; kept unknown file " + name;
  return text;
}

Status RemoveUnbased(FileSystem* fs, const std::string& dir) {
  const std::string mark = dir + "/" + kAwaitsBaseName;
  auto unbased = fs->Exists(mark);
  if (!unbased.ok()) return unbased.status();
  if (!*unbased) return Status::Ok();
  Manifest listed;
  auto manifest = LoadManifest(fs, dir);
  const bool none = manifest.status().code() == StatusCode::kNotFound;
  if (manifest.ok()) {
    listed = std::move(*manifest);
  } else if (!none) {
    return manifest.status();
  }
  auto names = fs->List(dir);
  if (!names.ok()) return names.status();
  for (const std::string& name : *names) {
    uint32_t timeline;
    uint64_t sequence;
    // A base that came too late for a manifest would, without one, look like what a lost one named.
    if ((ParseSegmentName(name, &timeline, &sequence) && !listed.Lists(name)) ||
        (none && IsLaterBase(name)))
      CAIRN_RETURN_IF_ERROR(fs->Remove(dir + "/" + name));
  }
  return fs->Remove(mark);
}

Status Recovered::RewindBase(Lsn lsn) {
  std::vector<SnapshotEntry> reachable = manifest.snapshots;
  while (!reachable.empty() && reachable.back().lsn > lsn) reachable.pop_back();
  if (reachable.empty())
    return Status::Invalid("no snapshot reaches back to LSN " + std::to_string(lsn));
  manifest.snapshots = std::move(reachable);
  manifest.base_name = manifest.snapshots.back().name;
  manifest.base_lsn = manifest.snapshots.back().lsn;
  return Status::Ok();
}

Status Recovered::CutAt(Lsn lsn) {
  const Lsn first = manifest.segments.empty() ? tail_lsn : manifest.segments.front().first_lsn;
  if (lsn > tail_lsn || lsn < first || lsn < manifest.base_lsn)
    return Status::Invalid("LSN " + std::to_string(lsn) + " is outside the log");
  std::vector<SegmentEntry> dropped;
  if (lsn < tail_lsn) report.clean = false;
  CutChain(&manifest, lsn, &dropped);
  tail_lsn = lsn;
  return Status::Ok();
}

Result<Recovered> RecoverJournal(FileSystem* fs, const std::string& dir, const KeyRing* keys,
                                 bool in_use) {
  auto manifest = LoadManifest(fs, dir);
  if (!manifest.ok()) {
    if (manifest.status().code() != StatusCode::kNotFound) return manifest.status();
    return RecoverFresh(fs, dir);
  }
  Recovered recovered;
  Manifest& m = recovered.manifest = std::move(*manifest);
  recovered.next_sequence = m.NextSequence();
  // What ends at the base, and may be lost, says where what follows begins.
  Lsn expected = m.base_lsn;
  for (const SegmentEntry& s : m.segments)
    if (s.ended()) expected = s.end_lsn;
  CAIRN_RETURN_IF_ERROR(DropLost(fs, dir, keys, &recovered));
  ListUnknownFiles(fs, dir, &recovered);
  auto first_open = std::find_if(m.segments.begin(), m.segments.end(),
                                 [](const SegmentEntry& s) { return !s.ended(); });
  for (auto s = m.segments.begin(); s != first_open; ++s)
    if (m.base_name.empty() || s->end_lsn > m.base_lsn)  // else DropLost has
      CAIRN_RETURN_IF_ERROR(CheckSealed(fs, dir, *s));
  if (first_open == m.segments.begin() && first_open != m.segments.end() &&
      first_open->state == SegmentState::kOpen)
    expected = first_open->first_lsn;
  const std::vector<SegmentEntry> open(first_open, m.segments.end());
  for (const SegmentEntry& s : open)
    if (IsEmpty(fs, SegmentPath(dir, s))) recovered.unused.push_back(s);
  TailScan scan(fs, dir, open, expected, keys, in_use);
  CAIRN_RETURN_IF_ERROR(scan.Run(&recovered.report));
  m.segments.erase(first_open, m.segments.end());
  m.segments.insert(m.segments.end(), scan.found().begin(), scan.found().end());
  recovered.unsynced = scan.found();
  recovered.tail_lsn = scan.last_unit();
  std::vector<SegmentEntry> dropped;
  CutChain(&m, recovered.tail_lsn, &dropped);
  CAIRN_RETURN_IF_ERROR(CheckChain(m, recovered.tail_lsn));
  recovered.report.clean = m.clean;
  return recovered;
}

}  // namespace cairn
