// SPDX-License-Identifier: BSD-3-Clause
//
// What is recorded of a STORE command that Redis 7.0 does not know: the sorted set it made.
#pragma once

#include <string_view>

namespace cairn {

class Context;

// To be called when the result stands at `key`, or the key is gone because there is none.
void SendStoredSortedSet(Context& ctx, std::string_view key);

}  // namespace cairn
