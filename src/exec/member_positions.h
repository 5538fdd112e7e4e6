// SPDX-License-Identifier: BSD-3-Clause
//
// Which argument of a command names a field or member of the collection at its key: of consecutive
// commands on one collection the executor fetches those of all under the first one's lock.
// A hint: where the guess is wrong nothing but a prefetch is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "spec/registry.h"

namespace cairn {

class MemberPositions {
 public:
  explicit MemberPositions(const Registry& registry);

  bool Names(const Command& command) const {
    return positions_[static_cast<size_t>(command.id)] != 0;
  }
  // nullptr if the command has no such argument, or this call.
  const std::string_view* Find(const Command& command, Arguments arguments) const {
    const int8_t position = positions_[static_cast<size_t>(command.id)];
    if (position == 0) return nullptr;
    const size_t at = position > 0 ? static_cast<size_t>(position) : arguments.size() - 1;
    return at < arguments.size() ? &arguments[at] : nullptr;
  }

 private:
  static constexpr int8_t kLast = -1;
  std::vector<int8_t> positions_;  // by Command::id; 0: none
};

}  // namespace cairn
