// SPDX-License-Identifier: BSD-3-Clause
#include "exec/loading_report.h"

#include "tests/unit/exec/engine_harness.h"

namespace cairn {

TEST_CASE("loading report: percent, rate and what is left", "[exec]") {
  constexpr uint64_t kMiB = 1 << 20;
  REQUIRE(LoadingText("journal", 50 * kMiB, 200 * kMiB, 500) ==
          "Loading the journal: 25.0% of 200.0 MiB, 100.0 MiB/s, 2 s left");
  REQUIRE(LoadingText("snapshot", 200 * kMiB, 200 * kMiB, 4000) ==
          "Loading the snapshot: 100.0% of 200.0 MiB, 50.0 MiB/s, 0 s left");
  // A file that grew, nothing yet, and a length that nobody said.
  REQUIRE(LoadingText("snapshot", 3 * kMiB, 2 * kMiB, 1000) ==
          "Loading the snapshot: 100.0% of 2.0 MiB, 3.0 MiB/s, 0 s left");
  REQUIRE(LoadingText("snapshot", 0, 2 * kMiB, 0) ==
          "Loading the snapshot: 0.0% of 2.0 MiB");
  // Too early for a rate: what is left would be told as hours.
  REQUIRE(LoadingText("snapshot", kMiB / 64, 200 * kMiB, 400) ==
          "Loading the snapshot: 0.0% of 200.0 MiB");
  REQUIRE(LoadingText("snapshot", kMiB, 0, 400) == "Loading the snapshot: 1.0 MiB");
  REQUIRE(LoadingText("snapshot", 3 * kMiB, 0, 1000) ==
          "Loading the snapshot: 3.0 MiB, 3.0 MiB/s");
}

TEST_CASE("loading report: what it is told of is what INFO shows", "[exec]") {
  TestEngine test;
  test.engine->loading.Begin(1000, 0);
  {
    LoadingReport report(test.engine.get(), "journal");
    report.Add(300);
    report.Add(200);
  }
  REQUIRE(test.engine->loading.Percent() == 50);
}

}  // namespace cairn
