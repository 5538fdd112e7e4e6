// SPDX-License-Identifier: BSD-3-Clause
#include "exec/tick_rate.h"

#include "exec/statistics.h"

namespace cairn {
namespace {

// A thread whose every look takes 20 ns, and which is interrupted for 50 ms before each n-th one.
struct Interrupted {
  double Measure() {
    return MeasureTickRate(
        [this] {
          Pass();
          return static_cast<uint64_t>(now_ns) * kTicksPerNs;
        },
        [this] {
          Pass();
          return now_ns;
        });
  }
  void Pass() { now_ns += ++looks % every == 0 ? 50'000'000 : 20; }

  static constexpr uint64_t kTicksPerNs = 3;
  const int every;
  int looks = 0;
  int64_t now_ns = 1'000'000'000;
};

}  // namespace

TEST_CASE("The rate of the counter does not depend on when its thread is interrupted", "[exec]") {
  for (int every = 4; every < 400; ++every) {
    INFO("before each " << every);
    const double rate = Interrupted{every}.Measure();
    REQUIRE(rate > 2999);
    REQUIRE(rate < 3001);
  }
}

TEST_CASE("The processor's counter runs", "[exec]") {
  REQUIRE(TicksPerMicrosecond() > 100);
  REQUIRE(TicksPerMicrosecond() == TicksPerMicrosecond());
}

}  // namespace cairn
