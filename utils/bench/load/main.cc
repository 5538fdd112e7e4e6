// SPDX-License-Identifier: BSD-3-Clause
//
// cairn-load: a load generator. Connects, fills if told so, runs the threads, prints one line of
// JSON. The exit status is 0 only if every request got a reply that is no error.
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "utils/bench/load/options.h"
#include "utils/bench/load/process_cpu.h"
#include "utils/bench/load/runner.h"
#include "utils/bench/load/sockets.h"
#include "utils/bench/load/workloads.h"

namespace cairn::load {
namespace {

constexpr uint64_t kFillConnections = 8, kFillPipeline = 64;
constexpr uint64_t kFillBatchBytes = 1 << 20;
constexpr uint64_t kStartNs = 1'000'000;  // from here to the first request: threads begin together

[[noreturn]] void Fail(const std::string& message) {
  std::fprintf(stderr, "cairn-load: %s\n", message.c_str());
  std::exit(1);
}

volatile std::sig_atomic_t interrupted = 0;

// A run that is interrupted ends as if its seconds were over.
void EndOnSignals() {
  struct sigaction action = {};
  action.sa_handler = [](int) { interrupted = 1; };
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGINT, &action, nullptr);
}

struct Sample {
  uint64_t at_ns = 0;
  uint64_t answered = 0;
  double cpu_seconds = 0;
};

class Run final : public RunObserver {
 public:
  explicit Run(const Plan* plan) : plan_(*plan) {
    for (uint64_t i = 0; i < plan->options.threads; ++i)
      runners_.push_back(std::make_unique<Runner>(plan, i, this));
    for (auto& runner : runners_) runner->Connect();
    Check();
  }

  void Go() {
    const Options& options = plan_.options;
    const uint64_t start_ns = NowNs() + kStartNs;
    uint64_t begin_ns = start_ns, end_ns = kNever;
    if (options.requests == 0) {
      begin_ns += static_cast<uint64_t>(options.warmup_seconds * 1e9);
      end_ns = begin_ns + static_cast<uint64_t>(options.seconds * 1e9);
    }
    first_ = Take();
    std::vector<std::jthread> threads;
    for (auto& runner : runners_) {
      runner->EndAt(end_ns);
      threads.emplace_back([this, &runner, start_ns, begin_ns] {
        runner->Run(start_ns, begin_ns);
        Finish(*runner);
      });
    }
    WaitForThreads();
    threads.clear();
    if (end_ns == kNever) last_ = Take();
    Check();
  }

  void Print() const;

 private:
  void Finish(const Runner& runner) {
    const std::lock_guard lock(mutex_);
    if (!runner.error().empty())  // one that has failed takes the others with it
      for (auto& other : runners_) other->Stop();
    if (++finished_ == runners_.size()) all_finished_.notify_one();
  }

  // Without a schedule the seconds count from here: where the machine is crowded that may be late.
  void OnBegin() override {
    const Options& options = plan_.options;
    if (options.requests > 0) return;
    first_ = Take();
    if (options.rate == 0) EndAt(first_.at_ns + static_cast<uint64_t>(options.seconds * 1e9));
  }
  void OnEnd() override { last_ = Take(); }

  void EndAt(uint64_t end_ns) {
    for (auto& runner : runners_) runner->EndAt(end_ns);
  }

  // Signals are looked for now and then.
  void WaitForThreads() {
    constexpr auto kLook = std::chrono::milliseconds(50);
    std::unique_lock lock(mutex_);
    while (!all_finished_.wait_for(lock, kLook, [this] { return finished_ == runners_.size(); }))
      if (interrupted != 0) {
        EndAt(NowNs());
        interrupted = 0;
      }
  }

  Sample Take() const {
    Sample sample;
    if (plan_.options.cpu_of > 0) sample.cpu_seconds = ProcessCpuSeconds(plan_.options.cpu_of);
    for (const auto& runner : runners_) sample.answered += runner->answered();
    sample.at_ns = NowNs();
    return sample;
  }

  void Check() const {
    for (const auto& runner : runners_)
      if (!runner->error().empty()) Fail(runner->error());
  }

  const Plan& plan_;
  std::vector<std::unique_ptr<Runner>> runners_;
  std::mutex mutex_;
  std::condition_variable all_finished_;
  size_t finished_ = 0;  // threads; under mutex_
  Sample first_, last_;
};

void Run::Print() const {
  const Options& options = plan_.options;
  Latencies all;
  uint64_t unsent = 0, nils = 0, messages = 0;
  bool real_time = true;
  for (const auto& runner : runners_) {
    all.Merge(runner->latencies());
    unsent += runner->unsent();
    nils += runner->nils();
    messages += runner->messages();
    real_time = real_time && runner->real_time();
  }
  const double seconds = static_cast<double>(last_.at_ns - first_.at_ns) / 1e9;
  const uint64_t requests = last_.answered - first_.answered;
  const auto us = [](uint64_t ns) { return static_cast<double>(ns) / 1e3; };
  std::printf(
      "{\"workload\": \"%s\", \"connections\": %llu, \"pipeline\": %llu, \"value_bytes\": %llu, "
      "\"keys\": %llu, \"rate\": %.0f, \"seconds\": %.3f, \"requests\": %llu, \"per_second\": "
      "%.1f, "
      "\"counted\": %llu, \"p50_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f, \"max_us\": %.1f, "
      "\"unsent\": %llu, "
      "\"nils\": %llu, \"messages\": %llu",
      options.command.empty() ? options.workload.c_str() : "command",
      static_cast<unsigned long long>(options.connections),
      static_cast<unsigned long long>(options.pipeline),
      static_cast<unsigned long long>(options.value_bytes),
      static_cast<unsigned long long>(options.keys), options.rate, seconds,
      static_cast<unsigned long long>(requests), static_cast<double>(requests) / seconds,
      static_cast<unsigned long long>(all.count()), us(all.Percentile(50)), us(all.Percentile(99)),
      us(all.Percentile(99.9)), us(all.max_ns()), static_cast<unsigned long long>(unsent),
      static_cast<unsigned long long>(nils), static_cast<unsigned long long>(messages));
  if (options.cpu_of > 0 && requests > 0)
    std::printf(", \"cpu_us\": %.4f",
                (last_.cpu_seconds - first_.cpu_seconds) * 1e6 / static_cast<double>(requests));
  if (options.real_time) std::printf(", \"real_time\": %s", real_time ? "true" : "false");
  std::printf("}\n");
}

void RaiseFileLimit() {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

// The keys that the workload finds, one after the other.
void Fill(const Options& options, const Workload& workload, const std::string& value) {
  Plan plan{options, ParseRequests(workload.fill, value), nullptr};
  if (plan.requests.empty()) return;
  plan.options.distribution = Distribution::kSequential;
  plan.options.connections = std::min(kFillConnections, options.keys);
  plan.options.pipeline =
      std::clamp<uint64_t>(kFillBatchBytes / (value.size() + 1), 1, kFillPipeline);
  plan.options.threads = 1;
  plan.options.subscribers = 0;
  plan.options.rate = 0;
  plan.options.requests = options.keys;
  Run run(&plan);
  run.Go();
}

void SetUp(const Options& options, const Workload& workload) {
  const Request request(workload.setup, "");
  if (request.replies() == 0) return;
  const int fd = ConnectTo(options);
  if (fd < 0) Fail("no connection to the server");
  Keys keys(Distribution::kSequential, 1, 1, nullptr);
  const std::string error = Exchange(fd, request, &keys);
  close(fd);
  if (!error.empty()) Fail(std::string(workload.setup) + ": " + error);
}

int Main(int argc, char** argv) {
  Options options = ParseOptions(argc, argv);
  RaiseFileLimit();
  EndOnSignals();
  Workload workload = *FindWorkload(options.workload);
  if (!options.command.empty()) workload = {"command", "", "", 0, options.command.c_str()};
  if (workload.keys_max > 0) options.keys = std::min(options.keys, workload.keys_max);
  std::string value(options.value_bytes, '\0');
  Random random(options.seed);
  for (char& c : value) c = static_cast<char>('!' + random.Below('~' - '!' + 1));

  Plan plan{options, ParseRequests(workload.requests, value), nullptr};
  if (plan.requests.empty()) Fail("nothing to send");
  for (const Request& request : plan.requests)
    if (request.replies() != plan.requests[0].replies())
      Fail("requests that are sent in turn must have as many commands each");
  if (options.distribution == Distribution::kZipf)
    plan.draws = DrawZipf(options.keys, options.exponent, options.seed);
  SetUp(options, workload);
  if (options.fill) Fill(options, workload, value);
  Run run(&plan);
  run.Go();
  run.Print();
  return 0;
}

}  // namespace
}  // namespace cairn::load

int main(int argc, char** argv) {
  return cairn::load::Main(argc, argv);
}
