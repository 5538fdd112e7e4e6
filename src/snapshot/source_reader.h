// SPDX-License-Identifier: BSD-3-Clause
//
// SourceReader: the bytes of a snapshot as its loaders want them: how many were read, the first of
// them without consuming them, all that were asked for or an error. The source's first error
// latches. One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/byte_source.h"
#include "base/status.h"

namespace cairn {

class SourceReader {
 public:
  // `progress`, if any, is told of bytes read.
  SourceReader(ByteSource* source, const std::function<void(uint64_t)>* progress)
      : source_(*source), progress_(*progress) {}

  // The next bytes, which stay; fewer than asked for at the end or after an error.
  std::string_view Peek(size_t size);
  // As ByteSource::Read, but 0 after an error as well.
  size_t Read(char* into, size_t size);
  // Appends exactly so many bytes. kCorrupt if the source ends before.
  Status Append(size_t size, std::string* into);

  uint64_t offset() const { return offset_; }
  const Status& status() const { return status_; }

 private:
  ByteSource& source_;
  const std::function<void(uint64_t)>& progress_;
  std::string peeked_;
  uint64_t offset_ = 0;
  Status status_;
};

}  // namespace cairn
