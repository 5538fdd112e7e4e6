// SPDX-License-Identifier: BSD-3-Clause
//
// What other servers' streams (a leader's, an AOF) may hold and we cannot: Redis takes arguments of
// any length where its proto-max-bulk-len was raised. Any thread.
#pragma once

#include <algorithm>
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
  const auto too_long = [](std::string_view text) { return text.size() > kArgumentBytesMax; };
  if (std::none_of(arguments.begin(), arguments.end(), too_long)) return true;
  KeySink sink;
  if ((command.spec.acl & kAclString) == 0 || !ExtractKeys(command, arguments, sink)) return false;
  return std::none_of(sink.keys().begin(), sink.keys().end(), [&](const KeyReference& key) {
    return too_long(arguments[static_cast<size_t>(key.position)]);
  });
}

}  // namespace cairn
