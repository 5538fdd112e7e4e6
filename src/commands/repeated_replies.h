// SPDX-License-Identifier: BSD-3-Clause
//
// Replies whose length the client chooses freely: SRANDMEMBER, HRANDFIELD and ZRANDMEMBER with a
// negative count. They are bounded twice: a count whose reply could never be sent is refused before
// anything is written, and repeating stops once the client has more unsent output than it may.
#pragma once

#include <algorithm>
#include <cstdint>

#include "exec/context.h"

namespace cairn {

// The shortest element of a reply: an empty bulk string.
inline constexpr uint64_t kElementBytesMin = 6;

// True if so many elements can be sent at all; else the error was replied.
inline bool RepeatsFit(Context& ctx, uint64_t count) {
  if (count <= ctx.engine().output_bytes_max / kElementBytesMin) return true;
  ctx.Error(errors::kValueRange);
  return false;
}

// Calls round(n) until `count` elements were asked for in all, or the reply is too long; a round
// writes nothing more from then on (elements may be of any size).
template <typename Round>
void RepeatBounded(Context& ctx, uint64_t count, const Round& round) {
  constexpr uint64_t kRoundMax = 4096;
  while (count > 0 && !ctx.ReplyTooLong()) {
    const uint64_t n = std::min(count, kRoundMax);
    round(n);
    count -= n;
  }
}

}  // namespace cairn
