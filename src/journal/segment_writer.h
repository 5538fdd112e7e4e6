// SPDX-License-Identifier: BSD-3-Clause
//
// SegmentWriter: encodes blocks into memory and writes them to one segment file at known offsets.
// After an error the file is never written again: the journal closes it at its durable end and
// goes on in another.
//
// A sync of bytes that made the file longer has to make its new size and place durable, too: a
// commit of the file system's own journal, with a flush of the disk's cache more. So PrepareTail
// makes the file longer than what is in it, by zeros:
//
//   header block block block pad . . . . . . . .    the next blocks replace the pad's head, and
//                            |<-- the tail -->|     bring the head of a shorter one with them
//
// so that one sync in some dozens pays for them all, and no reader ever sees anything but frames.
// Zeros and not fallocate: what that gives is marked as never written, and to unmark it is such a
// change again. (ext4, a sync of 4,000 bytes: appended 2 flushes and 32 KiB of writes, in a tail 1
// and 12, the zeros' share included; in room by fallocate 2 and 20.)
//
// Thread rule: one thread at a time; another may Sync the file meanwhile.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "journal/buffer.h"
#include "journal/format.h"

namespace cairn {

class SegmentWriter {
 public:
  // With keys (null: none) everything but headers and index is encrypted.
  SegmentWriter(std::shared_ptr<File> file, uint64_t sequence, Timeline timeline,
                const KeyRing* keys)
      : file_(std::move(file)), sequence_(sequence), timeline_(std::move(timeline)), keys_(keys) {}

  // Header, and the preamble if the stream is in a database other than 0 at `point`.
  void Begin(StreamPoint point, uint64_t wall_ms);
  bool begun() const { return begun_; }
  // The next block; the caller fills first_lsn, first_record, database, last_unit_lsn, the times
  // and synced_lsn. An empty `plain` makes a mark.
  // `aligned`: a pad makes it end where a write past the page cache may (see File).
  void AddBlock(BlockHeader header, std::string_view plain, int acceleration, bool aligned = false);
  // Before a Flush: unless what was added fits into the tail, makes it `bytes` long behind that.
  // One that could not be made is no error, and not tried again in this file.
  Status PrepareTail(uint64_t bytes);
  // None is ever made.
  void RefuseTail() { tail_refused_ = true; }
  // Writes what was added so far.
  Status Flush();
  // Cuts the tail, adds the index and writes all: the file is complete.
  Status Finish(Lsn end);

  size_t buffered() const { return buffer_.size(); }
  uint64_t bytes() const { return offset_ + buffer_.size(); }
  uint64_t sequence() const { return sequence_; }
  Lsn first_lsn() const { return first_lsn_; }
  uint64_t first_ms() const { return first_ms_; }
  uint64_t last_ms() const { return last_ms_; }
  const std::shared_ptr<File>& file() const { return file_; }

 private:
  const std::shared_ptr<File> file_;
  const uint64_t sequence_;
  const Timeline timeline_;
  const KeyRing* const keys_;
  std::unique_ptr<BlockCipher> cipher_;
  uint64_t next_nonce_ = 1;
  bool begun_ = false;
  Lsn first_lsn_ = 0;
  uint64_t first_ms_ = 0;
  uint64_t last_ms_ = 0;
  uint64_t salt_ = 0;
  uint32_t previous_crc_ = 0;
  uint64_t offset_ = 0;      // of buffer_ in the file
  uint64_t file_bytes_ = 0;  // above offset_ if there is a tail
  bool tail_refused_ = false;
  DirectString buffer_;
  std::vector<IndexEntry> index_;
};

}  // namespace cairn
