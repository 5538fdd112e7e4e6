// SPDX-License-Identifier: BSD-3-Clause
//
// LCS: the longest common subsequence of two byte strings, with the same choice among equally long
// ones as Redis. Where Redis fills a table of 32-bit lengths, we use the bit-parallel recurrence of
// Hyyroe, "Bit-parallel LCS-length computation revisited" (2004): 64 cells an operation, and one
// bit a cell is all that finding the way back needs. Pure; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace cairn {

// A run of equal bytes: a[a_start..a_end] == b[b_start..b_end], ends inclusive.
struct LcsMatch {
  uint32_t a_start, a_end;
  uint32_t b_start, b_end;
  uint32_t length() const { return a_end - a_start + 1; }
};

struct LcsResult {
  std::string text;               // the subsequence
  std::vector<LcsMatch> matches;  // from the end to the start of the strings, as IDX lists them
};

// O(a * b / 64) time, O(256 * min(a, b) / 8) memory.
uint64_t LcsLength(std::string_view a, std::string_view b);

// IDX keeps matches of at least min_match_length bytes (0 = all). O(a * b / 64) time, a * b / 8
// bytes of memory. kLimit status if Redis's table, 4 * (a + 1) * (b + 1) bytes, would be above
// bytes_max (proto-max-bulk-len), so that the same inputs are refused.
Result<LcsResult> Lcs(std::string_view a, std::string_view b, uint64_t min_match_length,
                      uint64_t bytes_max);

// The same test for LEN alone, which Redis refuses alike.
bool LcsFits(std::string_view a, std::string_view b, uint64_t bytes_max);

}  // namespace cairn
