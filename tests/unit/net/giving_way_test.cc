// SPDX-License-Identifier: BSD-3-Clause
#include "net/giving_way.h"

namespace cairn {
namespace {

// How many of `waits` waits gave way first, each with this outcome.
int Count(GivingWay* way, int waits, bool found, int64_t took_us) {
  int count = 0;
  for (int i = 0; i < waits; ++i) {
    if (!way->Due()) continue;
    ++count;
    way->Note(found, took_us);
  }
  return count;
}

TEST_CASE("giving way: always while it brings something, hardly ever where it does not") {
  GivingWay way;
  REQUIRE(Count(&way, 1000, true, 100) == 1000);
  // 1, 3, 7 ... 63 waits go without, then always 63.
  REQUIRE(Count(&way, 64'000, false, 1) <= 1000 + 7);
  REQUIRE(Count(&way, 64'000, false, 1) == 1000);
  // A few that bring something, and it is as before.
  REQUIRE(Count(&way, 1000, true, 100) >= 800);
  REQUIRE(Count(&way, 1000, true, 100) == 1000);
}

TEST_CASE("giving way: to somebody who keeps the core for long, once in 65,536 waits") {
  GivingWay way;
  const int64_t long_us = GivingWay::kLongUs + 1;
  REQUIRE(Count(&way, 65'536 * 2, true, long_us) <= 12);
  REQUIRE(Count(&way, 65'536 * 4, true, long_us) == 4);
  // Short ones in between do not make it forget that at once.
  REQUIRE(Count(&way, 65'536, false, 1) <= 1);
}

}  // namespace
}  // namespace cairn
