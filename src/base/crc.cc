// SPDX-License-Identifier: BSD-3-Clause
#include "base/crc.h"

#include <nmmintrin.h>
#include <wmmintrin.h>

#include <array>
#include <cstddef>

#include "base/bytes.h"

namespace cairn {
namespace {

// 0xad93d23594c935a9 with its bits reversed.
constexpr uint64_t kCrc64Polynomial = 0x95ac9329ac4bc9b5;

// 0x1edc6f41 with its bits reversed.
constexpr uint32_t kCrc32cPolynomial = 0x82f63b78;
// The instruction takes three cycles, and one can begin in each: three runs of so many bytes go
// side by side, and their remainders are put together.
constexpr size_t kRunBytes = 1024;

using Crc32cTable = std::array<std::array<uint32_t, 256>, 4>;

// Byte k of a remainder, as kRunBytes further bytes change it.
constexpr Crc32cTable MakeCrc32cTable() {
  uint32_t bit[32] = {};  // the remainder that begins as one bit
  for (unsigned i = 0; i < 32; ++i) {
    bit[i] = uint32_t{1} << i;
    for (size_t step = 0; step < 8 * kRunBytes; ++step)
      bit[i] = (bit[i] >> 1) ^ ((bit[i] & 1) ? kCrc32cPolynomial : 0);
  }
  Crc32cTable table{};
  for (unsigned k = 0; k < 4; ++k)
    for (unsigned byte = 0; byte < 256; ++byte)
      for (unsigned i = 0; i < 8; ++i)
        if (byte >> i & 1) table[k][byte] ^= bit[8 * k + i];
  return table;
}
constexpr auto kCrc32cTable = MakeCrc32cTable();

uint64_t SkipRun(uint64_t state) {
  return kCrc32cTable[0][state & 0xff] ^ kCrc32cTable[1][state >> 8 & 0xff] ^
         kCrc32cTable[2][state >> 16 & 0xff] ^ kCrc32cTable[3][state >> 24];
}

using Crc64Table = std::array<std::array<uint64_t, 256>, 8>;

// Slicing by 8 (Kounavis and Berry, "A systematic approach to building high performance
// software-based CRC generators"): table k advances a byte that stands k bytes before the end.
constexpr Crc64Table MakeCrc64Table() {
  Crc64Table table{};
  for (unsigned i = 0; i < 256; ++i) {
    uint64_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) ? kCrc64Polynomial : 0);
    table[0][i] = crc;
  }
  for (unsigned i = 0; i < 256; ++i)
    for (unsigned k = 1; k < 8; ++k)
      table[k][i] = (table[k - 1][i] >> 8) ^ table[0][table[k - 1][i] & 0xff];
  return table;
}

const Crc64Table& Table64() {
  static const Crc64Table table = MakeCrc64Table();
  return table;
}

// a * b in GF(2)[x] modulo the polynomial, both reflected.
uint64_t MultiplyModulo(uint64_t a, uint64_t b) {
  uint64_t product = 0;
  for (uint64_t bit = uint64_t{1} << 63; bit != 0; bit >>= 1) {
    if (a & bit) product ^= b;
    b = (b >> 1) ^ ((b & 1) ? kCrc64Polynomial : 0);
  }
  return product;
}

uint64_t Crc64ByTable(uint64_t crc, const char* p, size_t left) {
  const Crc64Table& t = Table64();
  for (; left >= 8; p += 8, left -= 8) {
    crc ^= LoadLe<uint64_t>(p);
    crc = t[7][crc & 0xff] ^ t[6][(crc >> 8) & 0xff] ^ t[5][(crc >> 16) & 0xff] ^
          t[4][(crc >> 24) & 0xff] ^ t[3][(crc >> 32) & 0xff] ^ t[2][(crc >> 40) & 0xff] ^
          t[1][(crc >> 48) & 0xff] ^ t[0][crc >> 56];
  }
  for (; left > 0; ++p, --left) crc = (crc >> 8) ^ t[0][(crc ^ static_cast<uint8_t>(*p)) & 0xff];
  return crc;
}

// Folding (Gopal et al., "Fast CRC computation for generic polynomials using PCLMULQDQ"): 16 bytes
// that stand n bits before others have the remainder of first * x^(n+64) + second * x^n, a product
// of 64 by 64 bits each, and are added to them. The product of two reflected words comes out one
// bit low, so the constants are those of one power less.
struct FoldConstants {
  uint64_t first, second;
};

uint64_t PowerOfX(unsigned n) {
  uint64_t power = uint64_t{1} << 63;  // 1
  while (n-- > 0) power = (power >> 1) ^ ((power & 1) ? kCrc64Polynomial : 0);
  return power;
}

FoldConstants FoldBy(unsigned bits) {
  return {PowerOfX(bits + 63), PowerOfX(bits - 1)};
}

constexpr size_t kFoldBytesMin = 128;

__attribute__((target("pclmul"))) inline __m128i Fold(__m128i ahead, __m128i constants,
                                                      __m128i behind) {
  return _mm_xor_si128(_mm_xor_si128(_mm_clmulepi64_si128(ahead, constants, 0x00),
                                     _mm_clmulepi64_si128(ahead, constants, 0x11)),
                       behind);
}

// At least kFoldBytesMin bytes.
__attribute__((target("pclmul"))) uint64_t Crc64ByFolding(uint64_t crc, const char* p,
                                                          size_t left) {
  static const FoldConstants by64 = FoldBy(512), by16 = FoldBy(128);  // bits
  const __m128i far =
      _mm_set_epi64x(static_cast<int64_t>(by64.second), static_cast<int64_t>(by64.first));
  const __m128i near =
      _mm_set_epi64x(static_cast<int64_t>(by16.second), static_cast<int64_t>(by16.first));
  const auto load = [](const char* at) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
  };
  __m128i a = _mm_xor_si128(load(p), _mm_set_epi64x(0, static_cast<int64_t>(crc)));
  __m128i b = load(p + 16), c = load(p + 32), d = load(p + 48);
  for (p += 64, left -= 64; left >= 64; p += 64, left -= 64) {
    a = Fold(a, far, load(p));
    b = Fold(b, far, load(p + 16));
    c = Fold(c, far, load(p + 32));
    d = Fold(d, far, load(p + 48));
  }
  a = Fold(Fold(Fold(a, near, b), near, c), near, d);
  for (; left >= 16; p += 16, left -= 16) a = Fold(a, near, load(p));
  char rest[16];
  _mm_storeu_si128(reinterpret_cast<__m128i*>(rest), a);
  return Crc64ByTable(Crc64ByTable(0, rest, sizeof rest), p, left);
}

constexpr std::array<uint16_t, 256> MakeCrc16Table() {
  std::array<uint16_t, 256> table{};
  for (unsigned i = 0; i < 256; ++i) {
    uint16_t crc = static_cast<uint16_t>(i << 8);
    for (int bit = 0; bit < 8; ++bit)
      crc = static_cast<uint16_t>((crc << 1) ^ ((crc & 0x8000) ? 0x1021 : 0));
    table[i] = crc;
  }
  return table;
}
constexpr auto kCrc16Table = MakeCrc16Table();

}  // namespace

uint32_t Crc32c(uint32_t crc, std::string_view bytes) {
  const char* p = bytes.data();
  size_t left = bytes.size();
  uint64_t state = ~crc;
  for (; left >= 3 * kRunBytes; p += 3 * kRunBytes, left -= 3 * kRunBytes) {
    uint64_t second = 0, third = 0;
    for (const char* at = p; at < p + kRunBytes; at += 8) {
      state = _mm_crc32_u64(state, LoadLe<uint64_t>(at));
      second = _mm_crc32_u64(second, LoadLe<uint64_t>(at + kRunBytes));
      third = _mm_crc32_u64(third, LoadLe<uint64_t>(at + 2 * kRunBytes));
    }
    state = SkipRun(SkipRun(state) ^ second) ^ third;
  }
  for (; left >= 8; p += 8, left -= 8) state = _mm_crc32_u64(state, LoadLe<uint64_t>(p));
  uint32_t tail = static_cast<uint32_t>(state);
  for (; left > 0; ++p, --left) tail = _mm_crc32_u8(tail, static_cast<uint8_t>(*p));
  return ~tail;
}

uint64_t Crc64(uint64_t crc, std::string_view bytes) {
  static const bool folds = __builtin_cpu_supports("pclmul") != 0;
  if (folds && bytes.size() >= kFoldBytesMin)
    return Crc64ByFolding(crc, bytes.data(), bytes.size());
  return Crc64ByTable(crc, bytes.data(), bytes.size());
}

uint64_t Crc64Combine(uint64_t first, uint64_t second, uint64_t second_bytes) {
  // Appending n zero bytes multiplies the state by x^(8n); square and multiply.
  uint64_t power = uint64_t{1} << (63 - 8);  // x^8
  uint64_t factor = uint64_t{1} << 63;       // 1
  for (uint64_t n = second_bytes; n != 0; n >>= 1) {
    if (n & 1) factor = MultiplyModulo(factor, power);
    power = MultiplyModulo(power, power);
  }
  return MultiplyModulo(first, factor) ^ second;
}

uint16_t Crc16(std::string_view bytes) {
  uint16_t crc = 0;
  for (char c : bytes)
    crc = static_cast<uint16_t>((crc << 8) ^
                                kCrc16Table[((crc >> 8) ^ static_cast<uint8_t>(c)) & 0xff]);
  return crc;
}

}  // namespace cairn
