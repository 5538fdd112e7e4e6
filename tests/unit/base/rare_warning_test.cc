// SPDX-License-Identifier: BSD-3-Clause
#include "base/rare_warning.h"

#include <catch2/catch.hpp>

using namespace cairn;

TEST_CASE("What fails again and again is told of at its begin and once a minute", "[base]") {
  RareWarning warning;
  int told = 0;
  for (int64_t us = 5; us < 2 * RareWarning::kAgainUs; us += 100'000) told += warning.Due(us);
  REQUIRE(told == 2);
  warning.Over();
  REQUIRE(warning.Due(2 * RareWarning::kAgainUs));
  REQUIRE_FALSE(warning.Due(2 * RareWarning::kAgainUs + 1));
}
