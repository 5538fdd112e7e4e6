// SPDX-License-Identifier: BSD-3-Clause
//
// SyncBody: the bytes of a snapshot as a leader sends it behind its answer to PSYNC:
//
//   "$LENGTH"     so many bytes
//   "$EOF:MARK"   bytes up to that mark, which has 40; the leader did not know how many
//
// One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/byte_source.h"

namespace cairn {

class SyncBody final : public ByteSource {
 public:
  // Reads from the connection: at least one byte, or an error.
  using ReadSome = std::function<Result<size_t>(char* into, size_t size)>;

  explicit SyncBody(ReadSome read) : read_(std::move(read)), buffer_(kBufferBytes) {}
  // `line`, without its end, is one of the two.
  Status Begin(std::string_view line);
  Result<size_t> Read(char* into, size_t size) override;
  // kCorrupt if anything but the mark is left.
  Status End();

  uint64_t length() const { return length_; }  // 0: not told

 private:
  static constexpr size_t kBufferBytes = 256 << 10;
  static constexpr size_t kMarkBytes = 40;

  Result<size_t> ReadUpToMark(char* into, size_t size);

  const ReadSome read_;
  std::string mark_;
  uint64_t length_ = 0, left_ = 0;  // of a length that was told
  std::vector<char> buffer_;        // of what ends with a mark
  // In it: what was not given yet, and what of that is surely not the mark.
  size_t begin_ = 0, sure_ = 0, end_ = 0;
  bool ended_ = false;  // the mark was seen; it is not in the buffer any more
};

}  // namespace cairn
