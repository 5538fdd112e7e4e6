// SPDX-License-Identifier: BSD-3-Clause
#include "rdb/lzf.h"

#include <cstddef>

namespace cairn {
namespace {

constexpr size_t kLiteralsMax = 32;
constexpr size_t kLongMatch = 9;  // from here on the length has a byte of its own

}  // namespace

std::optional<uint64_t> LzfPlainBytes(std::string_view lzf) {
  uint64_t plain = 0;
  for (size_t at = 0; at < lzf.size();) {
    const size_t head = static_cast<unsigned char>(lzf[at]);
    if (head < kLiteralsMax) {
      plain += head + 1;
      at += head + 2;
      if (at > lzf.size()) return std::nullopt;
      continue;
    }
    const bool is_long = head >> 5 == kLongMatch - 2;
    const size_t bytes = is_long ? 3 : 2;
    if (lzf.size() - at < bytes) return std::nullopt;
    const size_t distance =
        ((head & 31) << 8 | static_cast<unsigned char>(lzf[at + bytes - 1])) + 1;
    if (distance > plain) return std::nullopt;
    plain += is_long ? static_cast<unsigned char>(lzf[at + 1]) + kLongMatch : (head >> 5) + 2;
    at += bytes;
  }
  if (plain == 0) return std::nullopt;
  return plain;
}

}  // namespace cairn
