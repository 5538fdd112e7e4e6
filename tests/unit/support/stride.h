// SPDX-License-Identifier: BSD-3-Clause
//
// A loop over many like steps of which a run takes each n-th, from a first one that is new each time;
// `make test-long` takes all (CAIRN_THOROUGH). Tests name the step that fails.
#pragma once

#include <stdlib.h>

#include <cstdint>
#include <random>

namespace cairn {

struct Stride {
  explicit Stride(uint64_t n)
      : step(getenv("CAIRN_THOROUGH") != nullptr ? 1 : n), first(std::random_device()() % step) {}

  bool Takes(uint64_t at) const { return at % step == first; }

  const uint64_t step, first;
};

}  // namespace cairn
