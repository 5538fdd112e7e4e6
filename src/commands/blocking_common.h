// SPDX-License-Identifier: BSD-3-Clause
//
// What the blocking commands share.
#pragma once

#include <cstdint>
#include <string_view>

#include "exec/blocking.h"
#include "exec/context.h"

namespace cairn {

// What LMPOP, ZMPOP and their blocking forms read: numkeys key [key ...] FIRST|SECOND [COUNT count].
struct MultiPopArguments {
  size_t first_key = 0, keys = 0;
  bool is_second = false;  // which of the two words it was
  uint64_t count = 1;

  // From the numkeys on. False: the error was replied.
  bool ReadArguments(Context& ctx, size_t numkeys_at, std::string_view first,
                     std::string_view second);
};

// A timeout in seconds, with fractions, or in milliseconds. False: the error was replied.
bool ReadTimeoutSeconds(Context& ctx, std::string_view text, int64_t* timeout_ms);
bool ReadTimeoutMs(Context& ctx, std::string_view text, int64_t* timeout_ms);

// Nothing was found in the keys at arguments first_key...: the client waits for values of this
// type, or is answered with a null array where it may not block.
void WaitForKeys(Context& ctx, Type type, size_t first_key, size_t keys, int64_t timeout_ms);

}  // namespace cairn
