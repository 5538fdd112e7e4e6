// SPDX-License-Identifier: BSD-3-Clause
//
// What a run is told on its command line; kUsage in options.cc is its manual.
#pragma once

#include <cstdint>
#include <string>

#include "utils/bench/load/keys.h"

namespace cairn::load {

struct Options {
  std::string host = "127.0.0.1";
  int port = 6379;
  std::string unix_path;  // "": TCP
  uint64_t connections = 50;
  uint64_t subscribers = 0;
  uint64_t pipeline = 1;
  uint64_t threads = 1;
  double rate = 0;  // requests a second of all connections; 0: as fast as replies come
  bool poisson = false;
  bool real_time = false;  // threads that have a core at once where the system allows it
  double seconds = 1, warmup_seconds = 0.2;
  uint64_t requests = 0;  // 0: until the seconds are over
  std::string workload = "get";
  std::string command;  // instead of a workload
  uint64_t keys = 100000;
  Distribution distribution = Distribution::kUniform;
  double exponent = 0.99;
  uint64_t value_bytes = 32;
  bool fill = false;
  uint64_t seed = 1;
  int cpu_of = 0;  // a process whose CPU time is measured with the run; 0: none
};

// Ends the process with a message where a word is wrong, and after --help.
Options ParseOptions(int argc, char** argv);

}  // namespace cairn::load
