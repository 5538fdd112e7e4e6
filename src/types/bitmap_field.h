// SPDX-License-Identifier: BSD-3-Clause
//
// BITFIELD: integers of 1 to 64 bits at any bit offset of a byte string, most significant bit
// first. Pure functions. GET and INCRBY of u63 and below fit an int64, so all values are int64.
#pragma once

#include <cstdint>
#include <string_view>

namespace cairn {

struct BitfieldType {
  bool is_signed = false;
  int bits = 0;  // 1..64 signed, 1..63 unsigned
};

enum class BitfieldOverflow : uint8_t { kWrap, kSat, kFail };

// "i1".."i64", "u1".."u63".
bool ParseBitfieldType(std::string_view text, BitfieldType* type);

// "123", or "#3" for the third field of `type` (as SETBIT's offset: pass no type, '#' is refused).
// Fails below 0 and from bytes_max * 8 on (proto-max-bulk-len); pass UINT64_MAX for no bound.
bool ParseBitOffset(std::string_view text, const BitfieldType* type, uint64_t bytes_max,
                    uint64_t* offset);

// Bytes a string must have so that the field at `offset` can be written.
inline uint64_t BitfieldBytes(BitfieldType type, uint64_t offset) {
  return (offset + static_cast<uint64_t>(type.bits) + 7) / 8;
}

// Bits behind the end read as zero.
int64_t BitfieldGet(std::string_view bytes, BitfieldType type, uint64_t offset);
// `bytes` must hold BitfieldBytes(). Stores the low bits of `value`.
void BitfieldStore(char* bytes, BitfieldType type, uint64_t offset, int64_t value);

// What SET or INCRBY must store: false means the overflow mode is FAIL and nothing is stored.
// SET of a negative number into an unsigned field counts as above its range, as in Redis.
bool BitfieldSetResult(BitfieldType type, BitfieldOverflow overflow, int64_t value,
                       int64_t* stored);
bool BitfieldIncrResult(BitfieldType type, BitfieldOverflow overflow, int64_t old_value,
                        int64_t increment, int64_t* stored);

}  // namespace cairn
