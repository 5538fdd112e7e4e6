// SPDX-License-Identifier: BSD-3-Clause
//
// The id of a stream entry: milliseconds and a sequence number, ordered; "ms-seq" as text.
// The special texts "-", "+", "$", ">", "*" and the "(" of open ranges are left to the callers.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

namespace cairn {

struct StreamId {
  uint64_t ms = 0;
  uint64_t seq = 0;

  auto operator<=>(const StreamId&) const = default;
  bool IsZero() const { return ms == 0 && seq == 0; }
  static constexpr StreamId Max() { return {UINT64_MAX, UINT64_MAX}; }
  // The next or previous id; false, and no change, where there is none.
  bool Increment();
  bool Decrement();
};

constexpr size_t kStreamIdCharsMax = 41;

// "ms-seq" or "ms" alone, which takes `missing_seq` (0 where a range starts, UINT64_MAX where it
// ends). False: not an id.
bool ParseStreamId(std::string_view text, uint64_t missing_seq, StreamId* id);
// "ms-seq" only.
bool ParseStreamIdStrict(std::string_view text, StreamId* id);
// "ms-seq", or "ms-*" (*any_seq: true, seq 0), or "ms" (seq 0), as XADD takes it.
bool ParseStreamIdForAdd(std::string_view text, StreamId* id, bool* any_seq);

size_t FormatStreamId(char* buffer, StreamId id);  // kStreamIdCharsMax
std::string ToString(StreamId id);

}  // namespace cairn
