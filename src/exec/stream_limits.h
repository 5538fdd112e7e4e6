// SPDX-License-Identifier: BSD-3-Clause
//
// What other servers' streams (a leader's, an AOF) may hold and we cannot: Redis takes arguments of
// any length where its proto-max-bulk-len was raised. Any thread.
#pragma once

#include <cstdint>

#include "exec/executor.h"
#include "resp/request_parser.h"

namespace cairn {

// Lengths of keys, elements, fields and members are counted in 32 bits, and their blocks are a little
// longer.
constexpr uint64_t kArgumentBytesMax = (uint64_t{1} << 32) - (1 << 20);

// Short of a look at the arguments.
inline bool MayNotFit(const Request& request) {
  return request.raw.empty() || request.raw.size() > kArgumentBytesMax;
}

// Whether all arguments are of lengths that we can keep. The value of a string may have any.
inline bool ArgumentsFit(const Command& command, Arguments arguments) {
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i].size() <= kArgumentBytesMax) [[likely]]
      continue;
    const bool is_value = (command.spec.acl & kAclString) != 0 && command.single_key != 0 &&
                          i > static_cast<size_t>(command.single_key);
    if (!is_value) return false;
  }
  return true;
}

}  // namespace cairn
