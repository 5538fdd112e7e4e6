// SPDX-License-Identifier: BSD-3-Clause
#include "utils/bench/load/options.h"

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "utils/bench/load/workloads.h"

namespace cairn::load {
namespace {

constexpr uint64_t kConnectionsMax = 50000, kPipelineMax = 10000, kThreadsMax = 64;
constexpr uint64_t kKeysMax = uint64_t{1} << 32, kValueBytesMax = 512 << 20;

constexpr const char* kUsage =
    "usage: cairn-load [OPTION VALUE ...]   sends requests, prints one line of JSON\n"
    "\n"
    "  --host ADDRESS --port N | --unix PATH    the server (127.0.0.1, 6379)\n"
    "  --connections N      1 to 50,000 (50), dealt to --threads N (1)\n"
    "  --pipeline N         requests sent together; the next follow the last of their replies (1)\n"
    "  --rate N             requests a second, by a schedule that does not wait for replies: a\n"
    "                       request's latency counts from when it was due. 0: as fast as replies\n"
    "                       come, latency from the sending (0)\n"
    "  --poisson            the schedule's intervals are random\n"
    "  --real-time          threads that get a core as soon as they want one, as on a machine of\n"
    "                       their own, where the system allows it (\"real_time\" says so)\n"
    "  --seconds S          how long is measured (1), after --warmup S (0.2)\n"
    "  --requests N         measured instead of seconds; no warm-up\n"
    "  --workload NAME      see --list (get)\n"
    "  --command TEXT       instead, as in --list\n"
    "  --keys N             (100,000); --distribution uniform, zipf or sequential; --exponent S "
    "(0.99)\n"
    "  --value BYTES        the length of a value (32)\n"
    "  --fill               first sends what the workload finds, once for each key; not measured\n"
    "  --subscribers N      connections that subscribe to \"news\" and forget what they get (0)\n"
    "  --seed N             of keys and intervals (1)\n"
    "  --cpu-of PID         also prints the CPU microseconds of that process a request\n"
    "  --list               the workloads\n";

[[noreturn]] void Fail(const std::string& message) {
  std::fprintf(stderr, "cairn-load: %s\n", message.c_str());
  std::exit(2);
}

double Number(std::string_view name, std::string_view text, double least, double most) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < least || value > most)
    Fail("wrong " + std::string(name) + ": " + std::string(text));
  return value;
}

uint64_t Count(std::string_view name, std::string_view text, uint64_t least, uint64_t most) {
  return static_cast<uint64_t>(
      Number(name, text, static_cast<double>(least), static_cast<double>(most)));
}

void PrintList() {
  for (const Workload& workload : Workloads()) {
    std::printf("%-12s %s\n", workload.name, workload.requests);
    if (*workload.setup != '\0') std::printf("%-12s   first: %s\n", "", workload.setup);
    if (*workload.fill != '\0') std::printf("%-12s   each key: %s\n", "", workload.fill);
  }
}

// A word that stands alone.
bool TakeFlag(std::string_view name, Options* options) {
  if (name == "--help" || name == "--list") {
    if (name == "--help") {
      std::fputs(kUsage, stdout);
    } else {
      PrintList();
    }
    std::exit(0);
  }
  if (name == "--poisson") return options->poisson = true;
  if (name == "--real-time") return options->real_time = true;
  if (name == "--fill") return options->fill = true;
  return false;
}

Distribution ParseDistribution(std::string_view text) {
  if (text == "uniform") return Distribution::kUniform;
  if (text == "zipf") return Distribution::kZipf;
  if (text == "sequential") return Distribution::kSequential;
  Fail("wrong --distribution: " + std::string(text));
}

bool TakeText(std::string_view name, std::string_view text, Options* options) {
  if (name == "--host") {
    options->host = text;
  } else if (name == "--unix") {
    options->unix_path = text;
  } else if (name == "--workload") {
    if (FindWorkload(text) == nullptr) Fail("no workload " + std::string(text) + ", see --list");
    options->workload = text;
  } else if (name == "--command") {
    options->command = text;
  } else if (name == "--distribution") {
    options->distribution = ParseDistribution(text);
  } else {
    return false;
  }
  return true;
}

bool TakeNumber(std::string_view name, std::string_view text, Options* options) {
  const auto count = [&](uint64_t least, uint64_t most) { return Count(name, text, least, most); };
  if (name == "--port") {
    options->port = static_cast<int>(count(1, 65535));
  } else if (name == "--connections") {
    options->connections = count(1, kConnectionsMax);
  } else if (name == "--subscribers") {
    options->subscribers = count(0, kConnectionsMax);
  } else if (name == "--pipeline") {
    options->pipeline = count(1, kPipelineMax);
  } else if (name == "--threads") {
    options->threads = count(1, kThreadsMax);
  } else if (name == "--rate") {
    options->rate = Number(name, text, 0, 1e9);
  } else if (name == "--seconds") {
    options->seconds = Number(name, text, 0.001, 1e6);
  } else if (name == "--warmup") {
    options->warmup_seconds = Number(name, text, 0, 1e6);
  } else if (name == "--requests") {
    options->requests = count(0, uint64_t{1} << 50);
  } else if (name == "--keys") {
    options->keys = count(1, kKeysMax);
  } else if (name == "--exponent") {
    options->exponent = Number(name, text, 0.01, 10);
  } else if (name == "--value") {
    options->value_bytes = count(0, kValueBytesMax);
  } else if (name == "--seed") {
    options->seed = count(0, uint64_t{1} << 50);
  } else if (name == "--cpu-of") {
    options->cpu_of = static_cast<int>(count(1, 1 << 30));
  } else {
    return false;
  }
  return true;
}

}  // namespace

Options ParseOptions(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    if (TakeFlag(name, &options)) continue;
    if (i + 1 == argc) Fail("no value, or no such option: " + std::string(name) + ", see --help");
    const std::string_view text = argv[++i];
    if (!TakeText(name, text, &options) && !TakeNumber(name, text, &options))
      Fail("no such option: " + std::string(name) + ", see --help");
  }
  if (options.threads > options.connections) Fail("more threads than connections");
  return options;
}

}  // namespace cairn::load
