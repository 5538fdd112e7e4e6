// SPDX-License-Identifier: BSD-3-Clause
//
// Statistics: one writer a thread, relaxed, summed when somebody asks. RESETSTAT stores a baseline
// instead of zeroing what others write.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/latency_histogram.h"

namespace cairn {

// Adds to a counter that only the calling thread writes: no locked instruction.
inline void Bump(std::atomic<uint64_t>& counter, uint64_t n = 1) {
  counter.store(counter.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
}

struct CommandCounters {
  std::atomic<uint64_t> calls{0}, ticks{0}, rejected{0}, failed{0};
  std::atomic<LatencyHistogram*> latencies{nullptr};  // of ticks; made by the first call, owned

  ~CommandCounters() { delete latencies.load(); }
};

enum class Stat : int {
  kCommands,
  kHits,
  kMisses,
  kExpired,
  kExpiredFields,
  kEvicted,
  kConnections,
  kRejectedConnections,
  kErrors,
  kExpireCycleMicros,
  kUnexpectedErrors,
  kOutputLimitDisconnects,
  kCount
};

// One thread's counters.
struct alignas(64) ThreadStatistics {
  std::atomic<uint64_t> values[static_cast<int>(Stat::kCount)] = {};
  std::unique_ptr<CommandCounters[]> commands;
  size_t command_count = 0;
  std::atomic<uint64_t> changes{0};  // to the dataset; no RESETSTAT concerns it

  void CountChanges(int64_t n) { Bump(changes, static_cast<uint64_t>(n)); }
  void Add(Stat stat, uint64_t n = 1) { Bump(values[static_cast<int>(stat)], n); }
  // A command was run. `track`: into its histogram, too.
  void CountCall(int command, uint64_t ticks, bool track) {
    CommandCounters& counters = commands[static_cast<size_t>(command)];
    Bump(counters.calls);
    Bump(counters.ticks, ticks);
    Add(Stat::kCommands);
    if (!track) [[unlikely]] return;
    LatencyHistogram* latencies = counters.latencies.load(std::memory_order_relaxed);
    if (latencies == nullptr) [[unlikely]]
      latencies = MakeHistogram(counters);
    latencies->Add(ticks);
  }
  static LatencyHistogram* MakeHistogram(CommandCounters& counters);
};

class Statistics {
 public:
  // For a thread's use, for ever.
  ThreadStatistics* AddThread(size_t command_count);

  uint64_t Sum(Stat stat) const;
  // Changes to the dataset since the start.
  int64_t Changes() const;
  struct CommandSum {
    uint64_t calls, ticks, rejected, failed;
  };
  CommandSum SumCommand(size_t command) const;
  // How many processor's ticks its calls took, of those that were tracked.
  LatencySum SumLatencies(size_t command) const;
  // An error reply was sent; `code` is its first word. Any thread, takes a mutex.
  void CountError(std::string_view code);
  std::map<std::string, uint64_t> Errors() const;
  void Reset();

 private:
  mutable std::mutex mutex_;
  std::vector<std::unique_ptr<ThreadStatistics>> threads_;
  uint64_t baseline_[static_cast<int>(Stat::kCount)] = {};
  std::vector<CommandSum> command_baseline_;
  std::vector<LatencySum> latency_baseline_;  // by command
  std::map<std::string, uint64_t> errors_;
};

// The processor's cycle counter and its rate, for timing every command at the cost of one read.
inline uint64_t ReadTicks() { return __builtin_ia32_rdtsc(); }
double TicksPerMicrosecond();  // measured once at first use

}  // namespace cairn
