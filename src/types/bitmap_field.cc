// SPDX-License-Identifier: BSD-3-Clause
#include "types/bitmap_field.h"

#include <algorithm>
#include <cstring>

#include "base/bytes.h"
#include "base/check.h"
#include "base/numbers.h"

namespace cairn {
namespace {

using Wide = __int128;  // any sum of two 64-bit numbers

constexpr size_t kWindowBytes = 9;  // 64 bits at an odd offset touch nine bytes

uint64_t LowBits(int bits) { return bits == 64 ? ~uint64_t{0} : (uint64_t{1} << bits) - 1; }

int64_t FromRaw(BitfieldType type, uint64_t raw) {
  if (!type.is_signed) return static_cast<int64_t>(raw);
  int spare = 64 - type.bits;
  return static_cast<int64_t>(raw << spare) >> spare;
}

// Applies the overflow mode to the exact result.
bool Settle(BitfieldType type, BitfieldOverflow overflow, Wide exact, int64_t* stored) {
  int magnitude_bits = type.is_signed ? type.bits - 1 : type.bits;
  Wide max = static_cast<Wide>(LowBits(magnitude_bits));
  Wide min = type.is_signed ? -max - 1 : 0;
  if (exact >= min && exact <= max) {
    *stored = static_cast<int64_t>(exact);
    return true;
  }
  switch (overflow) {
    case BitfieldOverflow::kFail: return false;
    case BitfieldOverflow::kSat: *stored = static_cast<int64_t>(exact > max ? max : min); break;
    case BitfieldOverflow::kWrap:
      *stored = FromRaw(type, static_cast<uint64_t>(exact) & LowBits(type.bits));
      break;
  }
  return true;
}

}  // namespace

bool ParseBitfieldType(std::string_view text, BitfieldType* type) {
  if (text.empty() || (text[0] != 'i' && text[0] != 'u')) return false;
  bool is_signed = text[0] == 'i';
  int64_t bits;
  if (!ParseInt64(text.substr(1), &bits)) return false;
  if (bits < 1 || bits > (is_signed ? 64 : 63)) return false;
  *type = {is_signed, static_cast<int>(bits)};
  return true;
}

bool ParseBitOffset(std::string_view text, const BitfieldType* type, uint64_t bytes_max,
                    uint64_t* offset) {
  uint64_t scale = 1;
  if (type != nullptr && !text.empty() && text[0] == '#') {
    scale = static_cast<uint64_t>(type->bits);
    text.remove_prefix(1);
  }
  int64_t number;
  if (!ParseInt64(text, &number) || number < 0) return false;
  uint64_t scaled;
  if (__builtin_mul_overflow(static_cast<uint64_t>(number), scale, &scaled)) return false;
  if (scaled > INT64_MAX || (scaled >> 3) >= bytes_max) return false;
  *offset = scaled;
  return true;
}

int64_t BitfieldGet(std::string_view bytes, BitfieldType type, uint64_t offset) {
  uint64_t first = offset >> 3;
  if (first >= bytes.size()) return 0;
  char window[kWindowBytes] = {};
  memcpy(window, bytes.data() + first, std::min<size_t>(kWindowBytes, bytes.size() - first));
  int shift = static_cast<int>(offset & 7);
  uint64_t top = LoadBe64(window) << shift;
  top |= static_cast<uint64_t>(static_cast<uint8_t>(window[8])) >> (8 - shift);
  return FromRaw(type, top >> (64 - type.bits));
}

void BitfieldStore(char* bytes, BitfieldType type, uint64_t offset, int64_t value) {
  char* first = bytes + (offset >> 3);
  int shift = static_cast<int>(offset & 7);
  size_t count = static_cast<size_t>(shift + type.bits + 7) / 8;
  char window[kWindowBytes] = {};
  memcpy(window, first, count);
  uint64_t mask = LowBits(type.bits) << (64 - type.bits);
  uint64_t field = static_cast<uint64_t>(value) << (64 - type.bits);
  StoreBe64(window, (LoadBe64(window) & ~(mask >> shift)) | (field >> shift));
  if (shift != 0) {
    auto low_mask = static_cast<uint8_t>(mask << (8 - shift));
    auto low = static_cast<uint8_t>(field << (8 - shift));
    window[8] = static_cast<char>((static_cast<uint8_t>(window[8]) & ~low_mask) | low);
  }
  memcpy(first, window, count);
}

bool BitfieldSetResult(BitfieldType type, BitfieldOverflow overflow, int64_t value,
                       int64_t* stored) {
  Wide exact = type.is_signed ? static_cast<Wide>(value) : static_cast<uint64_t>(value);
  // Redis's "room up to the maximum" wraps around for numbers near INT64_MIN, so that SAT stores
  // the maximum there. BITFIELD is replicated as it was sent, so both sides must agree.
  if (type.is_signed && type.bits < 64 && overflow == BitfieldOverflow::kSat &&
      exact < INT64_MIN + (Wide{1} << (type.bits - 1))) {
    exact = INT64_MAX;
  }
  return Settle(type, overflow, exact, stored);
}

bool BitfieldIncrResult(BitfieldType type, BitfieldOverflow overflow, int64_t old_value,
                        int64_t increment, int64_t* stored) {
  return Settle(type, overflow, static_cast<Wide>(old_value) + increment, stored);
}

}  // namespace cairn
