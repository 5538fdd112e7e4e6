// SPDX-License-Identifier: BSD-3-Clause
#include "repl/stream_tail.h"

#include <algorithm>
#include <memory>

#include "base/check.h"
#include "base/crc.h"
#include "base/file.h"
#include "base/numbers.h"
#include "journal/journal.h"
#include "journal/reader.h"

namespace cairn {
namespace {

// From disk what is there, else from memory: the writer may be a little behind.
bool ReadRange(const Journal& journal, Lsn from, Lsn to, std::string* bytes) {
  while (from < to) {
    char buffer[4096];
    const size_t n = journal.ReadMemory(from, buffer, std::min<uint64_t>(sizeof buffer, to - from));
    bytes->append(buffer, n);
    from += n;
    if (n != 0) continue;
    const Lsn limit = std::min(to, journal.written());
    if (limit <= from) return false;
    auto reader = JournalReader::Open(RealFileSystem(), journal.dir(), journal.manifest(), from,
                                      limit, journal.keys());
    if (!reader.ok()) return false;
    StreamPiece piece;
    const auto more = (*reader)->Next(&piece);
    if (!more.ok() || !*more || piece.lsn != from || piece.bytes.empty()) return false;
    const std::string_view part = piece.bytes.substr(0, to - from);
    bytes->append(part);
    from += part.size();
  }
  return true;
}

}  // namespace

std::string StreamTail::Text() const {
  return std::to_string(bytes) + ":" + std::to_string(crc);
}

std::optional<StreamTail> StreamTail::Parse(std::string_view text) {
  const size_t colon = text.find(':');
  int64_t bytes, crc;
  if (colon == std::string_view::npos || !ParseInt64(text.substr(0, colon), &bytes) ||
      !ParseInt64(text.substr(colon + 1), &crc) || bytes < 0 ||
      bytes > static_cast<int64_t>(kStreamTailBytesMax) || crc < 0 || crc > UINT32_MAX)
    return std::nullopt;
  return StreamTail{static_cast<uint64_t>(bytes), static_cast<uint32_t>(crc)};
}

std::optional<StreamTail> StreamTailBefore(const Journal& journal, Lsn end, uint64_t bytes) {
  CHECK(bytes <= kStreamTailBytesMax && bytes <= end);
  std::string tail;
  if (!ReadRange(journal, end - bytes, end, &tail)) return std::nullopt;
  return StreamTail{bytes, Crc32c(0, tail)};
}

}  // namespace cairn
