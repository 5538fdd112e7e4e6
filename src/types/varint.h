// SPDX-License-Identifier: BSD-3-Clause
//
// Lengths inside small memory blocks: 7 bits a byte, least significant first, the top bit set on
// all but the last. Memory only, never stored on disk.
#pragma once

#include <cstddef>
#include <cstdint>

namespace cairn {

inline size_t VarintBytes(uint64_t value) {
  size_t bytes = 1;
  for (; value >= 128; value >>= 7) ++bytes;
  return bytes;
}

inline uint8_t* PutVarint(uint8_t* p, uint64_t value) {
  for (; value >= 128; value >>= 7) *p++ = static_cast<uint8_t>(value | 128);
  *p++ = static_cast<uint8_t>(value);
  return p;
}

inline const uint8_t* GetVarint(const uint8_t* p, uint64_t* value) {
  uint64_t v = *p++;
  if (v >= 128) [[unlikely]] {
    v &= 127;
    for (int shift = 7;; shift += 7) {
      const uint64_t byte = *p++;
      v |= (byte & 127) << shift;
      if (byte < 128) break;
    }
  }
  *value = v;
  return p;
}

}  // namespace cairn
