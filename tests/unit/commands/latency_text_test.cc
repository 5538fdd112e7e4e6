// SPDX-License-Identifier: BSD-3-Clause
#include "commands/latency_text.h"

#include <catch2/catch.hpp>

using namespace cairn;

TEST_CASE("A latency graph has bars, and their age below", "[commands]") {
  const LatencyEvent event{"command", 50, {{1000, 20}, {1060, 5}, {4600, 10}, {4605, 20}}};
  REQUIRE(LatencyGraph(event, 4610) ==
          "command - high 20 ms, low 5 ms (all time high 50 ms)\n" + std::string(80, '-') + "\n" +
              "#  #\n"
              "|  |\n"
              "| o|\n"
              "|_||\n"
              "    \n"
              "1515\n"
              "h90s\n"
              " ms \n");
}

TEST_CASE("A latency report counts spikes and says what may help", "[commands]") {
  const DoctorFacts facts{10, 10000, 4610};
  REQUIRE(LatencyReport({}, {0, 10000, 0}).find("disabled") != std::string::npos);
  REQUIRE(LatencyReport({}, facts).find("10 ms") != std::string::npos);
  const LatencyEvent event{"aof-write", 50, {{4600, 20}, {4608, 10}}};
  const std::string report = LatencyReport({event}, facts);
  REQUIRE(report.find("1. aof-write: 2 latency spikes (average 15ms, mean deviation 5ms, period "
                      "5.00 sec). Worst all time event 50ms.\n") != std::string::npos);
  REQUIRE(report.find("- Writing the journal was slow") != std::string::npos);
  REQUIRE(report.find("SLOWLOG") == std::string::npos);
  REQUIRE(LatencyReport({event}, {10, 20000, 4610}).find("slowlog-log-slower-than 10000") !=
          std::string::npos);
}
