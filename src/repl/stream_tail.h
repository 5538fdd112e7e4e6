// SPDX-License-Identifier: BSD-3-Clause
//
// StreamTail: what a follower tells of its log before it asks to go on, so that a leader whose log
// has other bytes there, under the same id, finds out: the length of the last
// bytes before its position, and their checksum. Logs that once differed differ to the end, so the
// last bytes are enough.
//
//   REPLCONF cairn-tail LENGTH:CRC32C, both decimal; redis-server refuses that, which is no harm
//
// Thread rule: any thread without locks; reads files.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "journal/lsn.h"

namespace cairn {

class Journal;

struct StreamTail {
  uint64_t bytes = 0;  // 0: nothing is told
  uint32_t crc = 0;

  std::string Text() const;
  static std::optional<StreamTail> Parse(std::string_view text);
};

constexpr uint64_t kStreamTailBytesMax = 64 << 10;

// Of the `bytes` bytes before `end`, which are at most kStreamTailBytesMax and `end`; nothing if
// the log does not reach back so far.
std::optional<StreamTail> StreamTailBefore(const Journal& journal, Lsn end, uint64_t bytes);

}  // namespace cairn
