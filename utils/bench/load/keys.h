// SPDX-License-Identifier: BSD-3-Clause
//
// Which keys a run asks for: numbers in [0, keys).
//
//   kUniform     every key as often as any other
//   kZipf        the key of rank r with a weight of r^-exponent; ranks are dealt to numbers by a
//                multiplication, so that neighbours in fame are no neighbours in number
//   kSequential  0, 1, 2 ... and from the start again
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/random.h"

namespace cairn::load {

enum class Distribution { kUniform, kZipf, kSequential };

// Draws of Zipf's law, made before the run: a draw takes logarithms and powers, which would cost
// more than sending the request. Threads share the row and begin at different places.
using Draws = std::vector<uint32_t>;
constexpr size_t kDraws = 1 << 22;
std::shared_ptr<const Draws> DrawZipf(uint64_t keys, double exponent, uint64_t seed);

// Not safe for threads: one object each.
class Keys {
 public:
  // `draws` is needed for kZipf.
  Keys(Distribution distribution, uint64_t keys, uint64_t seed, std::shared_ptr<const Draws> draws);

  uint64_t Next() {
    if (distribution_ == Distribution::kUniform) return random_.Below(keys_);
    if (distribution_ == Distribution::kZipf) return (*draws_)[at_++ & (kDraws - 1)];
    return at_++ % keys_;
  }
  uint64_t Uniform() { return random_.Below(keys_); }
  uint64_t Bits() { return random_.Next(); }

 private:
  const Distribution distribution_;
  const uint64_t keys_;
  Random random_;
  const std::shared_ptr<const Draws> draws_;
  uint64_t at_ = 0;
};

}  // namespace cairn::load
