// SPDX-License-Identifier: BSD-3-Clause
//
// Bits of a byte string: SETBIT, GETBIT, BITCOUNT, BITPOS, BITOP. Bit 0 is the most significant
// bit of byte 0, as in Redis. Pure functions; any thread that may touch the bytes may call them.
// Bits behind the end of a string read as zero; the caller enlarges (zero-padded) before writing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace cairn {

inline bool GetBit(std::string_view bytes, uint64_t offset) {
  uint64_t byte = offset >> 3;
  return byte < bytes.size() && ((static_cast<uint8_t>(bytes[byte]) >> (7 - (offset & 7))) & 1);
}

// `bytes` must hold offset / 8 + 1 bytes. Returns the bit that was there.
inline bool SetBit(char* bytes, uint64_t offset, bool bit) {
  uint8_t byte = static_cast<uint8_t>(bytes[offset >> 3]);
  uint8_t mask = static_cast<uint8_t>(0x80u >> (offset & 7));
  bytes[offset >> 3] = static_cast<char>(bit ? byte | mask : byte & ~mask);
  return byte & mask;
}

// [start [end [BYTE | BIT]]] as the user gave it: inclusive, negative counts from the end.
struct BitRange {
  int64_t start = 0;
  int64_t end = -1;
  bool in_bits = false;    // BIT: start and end count bits, else bytes
  bool end_given = false;  // BITPOS 0 finds the zeros behind the string only without an end
};

// Set bits in the range. O(n).
uint64_t BitCount(std::string_view bytes, const BitRange& range = {});

// The first position of `bit` in the range, counted from the start of the string, or -1. Looking
// for 0 without an end in a string of ones gives the first bit behind it. A key that does not
// exist is not an empty string here: for it Redis answers 0 or -1 without looking at the range.
int64_t BitPos(std::string_view bytes, bool bit, const BitRange& range = {});

enum class BitOperation : uint8_t {
  kAnd,
  kOr,
  kXor,
  kNot,    // one input
  kDiff,   // in the first, in none of the others
  kDiff1,  // in one or more of the others, not in the first
  kAndOr,  // in the first and in one or more of the others
  kOne     // in exactly one input
};

// Length of BITOP's result: that of the longest input.
size_t BitOpLength(std::span<const std::string_view> inputs);

// Writes BitOpLength(inputs) bytes to `out`, which may not overlap an input. Needs one input or
// more (kDiff, kDiff1, kAndOr: two or more). O(inputs * length).
void BitOp(BitOperation operation, std::span<const std::string_view> inputs, char* out);

}  // namespace cairn
