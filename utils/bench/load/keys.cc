// SPDX-License-Identifier: BSD-3-Clause
#include "utils/bench/load/keys.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

namespace cairn::load {
namespace {

// Rejection-inversion (Hörmann and Derflinger, "Rejection-inversion to generate variates from
// monotone discrete distributions", 1996): O(1) a draw whatever the number of keys, no table.
class Zipf {
 public:
  Zipf(uint64_t keys, double exponent) : keys_(static_cast<double>(keys)), exponent_(exponent) {
    first_ = Integral(1.5) - 1;
    last_ = Integral(keys_ + 0.5);
    close_ = 2 - Inverse(Integral(2.5) - Density(2));
  }

  // A rank, 1 to keys.
  uint64_t Draw(Random* random) const {
    for (;;) {
      const double u = last_ + random->Unit() * (first_ - last_);
      const double x = Inverse(u);
      const double rank = std::clamp(std::floor(x + 0.5), 1.0, keys_);
      if (rank - x <= close_ || u >= Integral(rank + 0.5) - Density(rank))
        return static_cast<uint64_t>(rank);
    }
  }

 private:
  double Density(double x) const { return std::exp(-exponent_ * std::log(x)); }
  // The integral of the density and its inverse, written so that an exponent of 1 is no special
  // case.
  double Integral(double x) const {
    const double log = std::log(x), t = (1 - exponent_) * log;
    return (std::abs(t) > 1e-8 ? std::expm1(t) / t : 1 + t / 2) * log;
  }
  double Inverse(double x) const {
    const double t = std::max(x * (1 - exponent_), -1.0);
    return std::exp((std::abs(t) > 1e-8 ? std::log1p(t) / t : 1 - t / 2) * x);
  }

  const double keys_, exponent_;
  double first_, last_, close_;
};

}  // namespace

std::shared_ptr<const Draws> DrawZipf(uint64_t keys, double exponent, uint64_t seed) {
  uint64_t factor =
      2654435761;  // 2^32 over the golden ratio; a bijection where it shares no factor
  while (std::gcd(factor, keys) != 1) ++factor;
  const Zipf zipf(keys, exponent);
  Random random(seed);
  auto draws = std::make_shared<Draws>(kDraws);
  for (uint32_t& draw : *draws)
    draw = static_cast<uint32_t>((zipf.Draw(&random) - 1) * factor % keys);
  return draws;
}

Keys::Keys(Distribution distribution, uint64_t keys, uint64_t seed,
           std::shared_ptr<const Draws> draws)
    : distribution_(distribution), keys_(keys), random_(seed), draws_(std::move(draws)) {
  if (distribution == Distribution::kZipf) at_ = random_.Below(kDraws);
}

}  // namespace cairn::load
