// SPDX-License-Identifier: BSD-3-Clause
#include "snapshot/source_reader.h"

#include <algorithm>
#include <cstring>

namespace cairn {

std::string_view SourceReader::Peek(size_t size) {
  while (peeked_.size() < size && status_.ok()) {
    const size_t before = peeked_.size();
    peeked_.resize(size);
    auto read = source_.Read(peeked_.data() + before, size - before);
    peeked_.resize(before + (read.ok() ? *read : 0));
    status_ = read.status();
    if (read.ok() && *read == 0) break;
  }
  return peeked_;
}

size_t SourceReader::Read(char* into, size_t size) {
  size_t got = std::min(size, peeked_.size());
  if (got > 0) {
    memcpy(into, peeked_.data(), got);
    peeked_.erase(0, got);
  } else {
    if (!status_.ok()) return 0;
    auto read = source_.Read(into, size);
    if (!read.ok()) {
      status_ = read.status();
      return 0;
    }
    got = *read;
  }
  offset_ += got;
  if (progress_ != nullptr) progress_(got);
  return got;
}

Status SourceReader::Append(size_t size, std::string* into) {
  size_t at = into->size();
  into->resize(at + size);
  for (const size_t end = into->size(); at < end;) {
    const size_t got = Read(into->data() + at, end - at);
    if (got == 0) return status_.ok() ? Status::Corrupt("the file is cut short") : status_;
    at += got;
  }
  return Status::Ok();
}

}  // namespace cairn
