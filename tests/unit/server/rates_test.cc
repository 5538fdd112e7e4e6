// SPDX-License-Identifier: BSD-3-Clause
#include "server/rates.h"

namespace cairn {

TEST_CASE("A rate is that of the last samples", "[rates]") {
  Rate rate;
  REQUIRE(rate.PerSecond() == 0);
  rate.Sample(1000, 50);
  REQUIRE(rate.PerSecond() == 0);
  rate.Sample(1100, 60);
  REQUIRE(rate.PerSecond() == 100);
  for (int i = 2; i < 20; ++i) rate.Sample(1000 + 100 * i, 50 + 10 * static_cast<uint64_t>(i));
  REQUIRE(rate.PerSecond() == 100);
  // What lies further back than the ring is forgotten.
  for (int i = 20; i < 37; ++i) rate.Sample(1000 + 100 * i, 240);
  REQUIRE(rate.PerSecond() == 0);
  rate.Sample(4800, 100);  // CONFIG RESETSTAT
  REQUIRE(rate.PerSecond() == 0);
}

}  // namespace cairn
