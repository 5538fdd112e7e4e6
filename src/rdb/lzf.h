// SPDX-License-Identifier: BSD-3-Clause
//
// A look at LZF that tells what it will come to, before memory is set aside for that. Any thread.
//
// The format, which has neither header nor end mark, and refers only to what came before:
//
//   000lllll <l + 1 bytes>            literals, 1 to 32
//   lllooooo oooooooo                 l + 2 bytes (l is 1 to 6) from o + 1 bytes before
//   111ooooo llllllll oooooooo        l + 9 bytes from there
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace cairn {

// Bytes that this LZF yields; nothing if it yields none, ends within an item, or refers to what is
// not there. O(items), writing nothing.
std::optional<uint64_t> LzfPlainBytes(std::string_view lzf);

}  // namespace cairn
