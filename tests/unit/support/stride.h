// SPDX-License-Identifier: BSD-3-Clause
//
// A loop over many like steps of which a run takes each n-th, from a first one that is new each
// time; `make test-long` takes all (CAIRN_THOROUGH). Tests name the failing step and its repeat.
#pragma once

#include <stdlib.h>

#include <cstdint>
#include <random>
#include <string>

namespace cairn {

struct Stride {
  explicit Stride(uint64_t n)
      : step(getenv("CAIRN_THOROUGH") != nullptr ? 1 : n), first(First() % step) {}

  bool Takes(uint64_t at) const { return at % step == first; }
  std::string repeated_by() const { return "again with CAIRN_STRIDE=" + std::to_string(first); }

  const uint64_t step, first;

 private:
  static uint64_t First() {
    const char* given = getenv("CAIRN_STRIDE");
    return given == nullptr ? std::random_device()() : strtoull(given, nullptr, 10);
  }
};

}  // namespace cairn
