// SPDX-License-Identifier: BSD-3-Clause
#include "repl/sync_body.h"

#include <algorithm>
#include <cstring>

#include "base/numbers.h"

namespace cairn {

Status SyncBody::Begin(std::string_view line) {
  constexpr std::string_view kEof = "$EOF:";
  if (line.starts_with(kEof) && line.size() == kEof.size() + kMarkBytes) {
    mark_ = line.substr(kEof.size());
    return Status::Ok();
  }
  int64_t length;
  if (!line.starts_with("$") || !ParseInt64(line.substr(1), &length) || length < 0)
    return Status::Io("the leader sent no snapshot: " + std::string(line));
  length_ = left_ = static_cast<uint64_t>(length);
  return Status::Ok();
}

Result<size_t> SyncBody::Read(char* into, size_t size) {
  if (!mark_.empty()) return ReadUpToMark(into, size);
  if (left_ == 0) return size_t{0};
  auto n = read_(into, static_cast<size_t>(std::min<uint64_t>(size, left_)));
  if (n.ok()) left_ -= *n;
  return n;
}

Result<size_t> SyncBody::ReadUpToMark(char* into, size_t size) {
  while (begin_ == sure_ && !ended_) {
    // The last bytes, perhaps a part of the mark, go to the front.
    memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = sure_ = 0;
    const auto n = read_(buffer_.data() + end_, buffer_.size() - end_);
    if (!n.ok()) return n.status();
    end_ += *n;
    // The leader sends nothing behind the mark before we have answered, so it is the last we read.
    ended_ = std::string_view(buffer_.data(), end_).ends_with(mark_);
    if (end_ > kMarkBytes) sure_ = end_ - kMarkBytes;
  }
  const size_t n = std::min(size, sure_ - begin_);
  memcpy(into, buffer_.data() + begin_, n);
  begin_ += n;
  return n;
}

Status SyncBody::End() {
  char byte;
  const auto n = Read(&byte, 1);
  if (!n.ok()) return n.status();
  return *n == 0 ? Status::Ok() : Status::Corrupt("the leader's snapshot goes on behind its end");
}

}  // namespace cairn
