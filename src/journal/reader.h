// SPDX-License-Identifier: BSD-3-Clause
//
// JournalReader: the stream from any LSN on, decompressed and checked, across segments. Used for
// replay at start, for followers that are behind what is in memory, for restores and tools.
//
// Thread rule: one object, one thread. Files may be deleted by compaction meanwhile; one that is
// open stays readable, a later one answers kNotFound (the caller needs a snapshot instead).
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/file.h"
#include "journal/format.h"
#include "journal/manifest.h"
#include "journal/segment_reader.h"

namespace cairn {

// A piece of the stream, at most kBlockPlainBytesMax long.
struct StreamPiece {
  Lsn lsn = 0;             // of bytes[0]
  std::string_view bytes;  // valid until the next call
  uint64_t first_ms = 0;   // wall time in which these bytes were appended
  uint64_t last_ms = 0;
  uint32_t timeline = 0;
  std::string_view file;   // the segment's name; valid as long as bytes
  size_t first_record = 0;  // index of the first record start in bytes, npos if none is known
  uint32_t database = kNoDatabase;  // the stream is in this one there
};

// kCorrupt, too, if the file is not the segment that `entry` names.
Result<std::unique_ptr<SegmentReader>> OpenSegment(FileSystem* fs, const std::string& dir,
                                                   const SegmentEntry& entry, const KeyRing* keys);

class JournalReader {
 public:
  // From `from` up to `limit`, both positions in the chain that `manifest` lists. kNotFound if
  // the chain does not reach back to `from`. With the manifest of a running journal, `limit` is
  // its written() and the reader is opened anew for what comes later.
  static Result<std::unique_ptr<JournalReader>> Open(FileSystem* fs, std::string dir,
                                                     Manifest manifest, Lsn from, Lsn limit,
                                                     const KeyRing* keys = nullptr);

  // False at the limit or the end of the chain. kCorrupt with file and LSN on damaged blocks.
  Result<bool> Next(StreamPiece* piece);
  Lsn position() const { return position_; }

 private:
  JournalReader(FileSystem* fs, std::string dir, Manifest manifest, Lsn from, Lsn limit,
                const KeyRing* keys)
      : fs_(fs), dir_(std::move(dir)), manifest_(std::move(manifest)), keys_(keys),
        position_(from), limit_(limit) {}
  Result<bool> OpenNextSegment();
  bool Fill(const SegmentReader::Block& block, Lsn end, StreamPiece* piece);

  FileSystem* const fs_;
  const std::string dir_;
  const Manifest manifest_;
  const KeyRing* const keys_;
  Lsn position_;  // of the next byte to hand out
  const Lsn limit_;
  size_t next_segment_ = 0;  // in the manifest, behind the open one
  Lsn segment_end_ = kLsnMax;
  std::unique_ptr<SegmentReader> segment_;
  std::string segment_name_;
  std::string plain_;
};

// The greatest unit end whose bytes were appended at or before `time_ms`, by the block headers
// (resolution: one block, at most 100 ms). The chain's first LSN if all is younger.
Result<Lsn> FindLsnAtTime(FileSystem* fs, const std::string& dir, const Manifest& manifest,
                          uint64_t time_ms, const KeyRing* keys = nullptr);

}  // namespace cairn
