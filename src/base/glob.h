// SPDX-License-Identifier: BSD-3-Clause
//
// Redis's glob patterns (KEYS, SCAN MATCH, PSUBSCRIBE, ACL, CONFIG GET): * ? [abc] [^a-z] and \x.
// Bytes, not characters. Runs in O(pattern * text) at worst, never exponential.
#pragma once

#include <string_view>

namespace cairn {

bool GlobMatch(std::string_view pattern, std::string_view text, bool ignore_case = false);
// True when `pattern` holds no special character, so that it can only match itself.
bool GlobIsLiteral(std::string_view pattern);

}  // namespace cairn
