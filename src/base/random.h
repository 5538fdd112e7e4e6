// SPDX-License-Identifier: BSD-3-Clause
//
// A small fast generator for sampling and tests (xoshiro256**, Blackman and Vigna 2018); not for
// secrets: those come from RandomBytes, which asks the kernel. One object a thread.
#pragma once

#include <cstddef>
#include <cstdint>

namespace cairn {

class Random {
 public:
  explicit Random(uint64_t seed);
  uint64_t Next();
  // Uniform in [0, bound); bound > 0. Lemire's multiply-shift, bias below 2^-64 * bound.
  uint64_t Below(uint64_t bound) {
    return static_cast<uint64_t>((static_cast<unsigned __int128>(Next()) * bound) >> 64);
  }
  double Unit() { return static_cast<double>(Next() >> 11) * 0x1.0p-53; }  // [0, 1)

 private:
  uint64_t state_[4];
};

// Fills `buffer` from the kernel's generator.
void RandomBytes(void* buffer, size_t length);

}  // namespace cairn
