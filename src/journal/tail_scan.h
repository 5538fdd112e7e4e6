// SPDX-License-Identifier: BSD-3-Clause
//
// TailScan: where a log ends. Walks the segments whose end the manifest does not know, block by block,
// up to the first place where no whole block follows; recovery.h says when that is a torn tail and when
// it is corruption. Reads only. Recovery's own part.
//
// What cannot be read (EIO) is neither: it may be blocks that were durable, or what says that others
// were. There is no end to be found then, and the error says so.
//
// Thread rule: one object, one thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/encryption.h"
#include "base/file.h"
#include "journal/manifest.h"
#include "journal/segment_reader.h"

namespace cairn {

struct RecoveryReport;

class TailScan {
 public:
  // `segments`: all behind the last one that has ended, in order; what they begin with is `expected`.
  // They and `dir` outlive this. `in_use`: a server may be writing to them.
  TailScan(FileSystem* fs, const std::string& dir, const std::vector<SegmentEntry>& segments,
           Lsn expected, const KeyRing* keys, bool in_use)
      : fs_(fs),
        dir_(dir),
        segments_(segments),
        keys_(keys),
        may_be_in_use_(in_use),
        expected_(expected),
        last_unit_(expected) {}

  // What is cut, and why, in `report`. Once.
  Status Run(RecoveryReport* report);

  // Behind Run: the end of the last complete unit, where the log ends.
  Lsn last_unit() const { return last_unit_; }
  // What the segment headers and blocks told of each open segment: first LSN and times.
  const std::vector<SegmentEntry>& found() const { return found_; }

 private:
  Status ScanSegment(const SegmentEntry& segment);
  SegmentReader::End ReadBlocks();
  Status ReadToEnd(const SegmentEntry& segment, SegmentReader::End* end, Lsn* promised);
  // Whether the last ReadBlocks could read what it met.
  Status ReadError() const;
  Status Missing(const SegmentEntry& segment) const;
  void Stop(size_t segment, uint64_t offset, std::string reason);
  // The greatest durable LSN that blocks from `offset` on state.
  Result<Lsn> Promised(const SegmentEntry& segment, uint64_t offset) const;
  SegmentReader::End AwaitBlock(bool* came);
  Result<Lsn> GreatestPromiseBehind() const;
  Status CountCut(RecoveryReport* report) const;

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

}  // namespace cairn
