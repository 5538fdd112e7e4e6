// SPDX-License-Identifier: BSD-3-Clause
#include "base/random.h"

#include <errno.h>
#include <sys/random.h>

#include <bit>

#include "base/check.h"

namespace cairn {

Random::Random(uint64_t seed) {
  // splitmix64 spreads any seed, also 0, over the whole state.
  for (uint64_t& word : state_) {
    seed += 0x9e3779b97f4a7c15;
    uint64_t z = seed;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    word = z ^ (z >> 31);
  }
}

uint64_t Random::Next() {
  const uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
  const uint64_t t = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= t;
  state_[3] = std::rotl(state_[3], 45);
  return result;
}

void RandomBytes(void* buffer, size_t length) {
  char* p = static_cast<char*>(buffer);
  while (length > 0) {
    ssize_t n = getrandom(p, length, 0);
    if (n < 0) {
      CHECK(errno == EINTR);
      continue;
    }
    p += n;
    length -= static_cast<size_t>(n);
  }
}

}  // namespace cairn
