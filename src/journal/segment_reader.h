// SPDX-License-Identifier: BSD-3-Clause
//
// SegmentReader: the blocks of one segment file, in order, each checked (checksum, timeline,
// chain of checksums, LSN without a gap). Recovery, the stream reader and cairn-check share it.
//
// A file that cannot be read (EIO) is neither damaged nor at its end: status() says so then, and it is
// no kCorrupt. That counts for what is asked for alone, not for what is read ahead of it.
//
// Thread rule: one object, one thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/file.h"
#include "journal/format.h"

namespace cairn {

class SegmentReader {
 public:
  struct Block {
    BlockHeader header;
    uint64_t offset = 0;     // of the block header in the file
    std::string_view stored;  // header and frame, valid until the next call
  };
  enum class End {
    kNone,   // a block was read
    kClean,  // the file ends behind a whole block, with its index, or with pads
    kBad     // status() says what stands at offset()
  };

  // Opens and checks the segment header. kCorrupt if it is missing or damaged; kInvalid, for the
  // operator, if it is encrypted and `keys` (null: none) do not open it.
  static Result<std::unique_ptr<SegmentReader>> Open(FileSystem* fs, const std::string& path,
                                                     const KeyRing* keys = nullptr);
  // For damaged files: reads on without a valid segment header, for ScanForBlock.
  static Result<std::unique_ptr<SegmentReader>> OpenDamaged(FileSystem* fs,
                                                            const std::string& path);

  const SegmentHeader& header() const { return header_; }
  // The next block, marks and the preamble included. Behind kClean a later call looks again: the
  // file may have grown, or its pads become blocks.
  End Next(Block* block);
  // Behind kBad, too, the next call of Next reads what is there by then.
  void LookAgain() {
    status_ = Status::Ok();
    buffer_.clear();
  }
  // From any place: the next block with a valid checksum and, if the segment header could be read,
  // its salt, whatever stands between. False at the end of the file, or, with status(), where that
  // cannot be read: nobody knows what stands behind it.
  bool ScanForBlock(Block* block);
  // ScanForBlock goes on there.
  void SkipTo(uint64_t offset) { offset_ = offset; }
  // Continues at the last block that begins at or below `lsn`, whatever stands before it: what is
  // damaged there keeps nobody from what follows. Its index shortens the way.
  void Seek(Lsn lsn);
  Status Decode(const Block& block, std::string* plain) {
    const Status status = DecodeBlock(block.stored, block.header, cipher_.get(), plain);
    if (status.ok()) return status;
    return Status(status.code(), path_ + ": " + status.message() + " at offset " +
                                     std::to_string(block.offset) + ", LSN " +
                                     std::to_string(block.header.first_lsn));
  }

  uint64_t offset() const { return offset_; }  // where the next block is expected
  Lsn next_lsn() const { return next_lsn_; }
  bool has_index() const { return at_index_; }  // kClean was reached at an index frame
  bool at_pads() const { return at_pads_; }     // kClean was reached at pads
  const Status& status() const { return status_; }
  Result<uint64_t> FileBytes() { return file_->Size(); }

 private:
  SegmentReader(std::unique_ptr<File> file, std::string path);
  // [offset_, offset_ + length) of the file, shorter at its end; valid until the next call.
  std::string_view Peek(size_t length);
  End ReadBlock(Block* block);
  End Bad(const Status& status);
  bool AcceptIndex();
  bool AcceptPads();
  void ContinueAt(Lsn lsn, uint64_t offset);
  void SeekByIndex(Lsn lsn);

  std::unique_ptr<File> file_;
  const std::string path_;
  SegmentHeader header_;
  Status header_status_;  // of decoding it
  std::unique_ptr<BlockCipher> cipher_;
  uint64_t offset_ = 0;
  Lsn next_lsn_ = 0;
  bool chained_ = true;  // previous_crc_ is that of the header before offset_
  uint32_t previous_crc_ = 0;
  bool at_index_ = false, at_pads_ = false;
  Status status_;
  size_t read_bytes_;   // at a time, at least
  std::string buffer_;  // file bytes from buffer_offset_ on
  uint64_t buffer_offset_ = 0;
};

}  // namespace cairn
