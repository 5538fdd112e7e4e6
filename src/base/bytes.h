// SPDX-License-Identifier: BSD-3-Clause
//
// Unaligned loads and stores of fixed-width integers, little-endian (the order of all our files
// and of Redis's in-memory formats) and big-endian where a format asks for it.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace cairn {

static_assert(std::endian::native == std::endian::little, "Cairn runs on little-endian machines");

template <typename T>
inline T LoadLe(const void* p) {
  T v;
  memcpy(&v, p, sizeof v);
  return v;
}
template <typename T>
inline void StoreLe(void* p, T v) {
  memcpy(p, &v, sizeof v);
}
// memcmp() == 0 without a call where the bytes are few, as those of most keys are.
inline bool EqualBytes(const char* a, const char* b, size_t n) {
  if (n - 8 <= 8) {  // 8 to 16, in two words that may overlap
    return ((LoadLe<uint64_t>(a) ^ LoadLe<uint64_t>(b)) |
            (LoadLe<uint64_t>(a + n - 8) ^ LoadLe<uint64_t>(b + n - 8))) == 0;
  }
  if (n - 4 < 4) {
    return ((LoadLe<uint32_t>(a) ^ LoadLe<uint32_t>(b)) |
            (LoadLe<uint32_t>(a + n - 4) ^ LoadLe<uint32_t>(b + n - 4))) == 0;
  }
  return n == 0 || memcmp(a, b, n) == 0;
}
inline uint16_t LoadBe16(const void* p) { return __builtin_bswap16(LoadLe<uint16_t>(p)); }
inline uint32_t LoadBe32(const void* p) { return __builtin_bswap32(LoadLe<uint32_t>(p)); }
inline uint64_t LoadBe64(const void* p) { return __builtin_bswap64(LoadLe<uint64_t>(p)); }
inline void StoreBe16(void* p, uint16_t v) { StoreLe(p, __builtin_bswap16(v)); }
inline void StoreBe32(void* p, uint32_t v) { StoreLe(p, __builtin_bswap32(v)); }
inline void StoreBe64(void* p, uint64_t v) { StoreLe(p, __builtin_bswap64(v)); }

}  // namespace cairn
