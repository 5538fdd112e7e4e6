// SPDX-License-Identifier: BSD-3-Clause
//
// The name of a script: the SHA-1 of its text, in lower case hexadecimal. Any thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace cairn {

constexpr size_t kSha1HexBytes = 40;

std::string Sha1Hex(std::string_view text);

}  // namespace cairn
