// SPDX-License-Identifier: BSD-3-Clause
#include "exec/statistics.h"

#include <time.h>

#include "exec/tick_rate.h"

namespace cairn {

ThreadStatistics* Statistics::AddThread(size_t command_count) {
  auto thread = std::make_unique<ThreadStatistics>();
  thread->commands.reset(new CommandCounters[command_count]);
  thread->command_count = command_count;
  std::lock_guard guard(mutex_);
  threads_.push_back(std::move(thread));
  return threads_.back().get();
}

uint64_t Statistics::Sum(Stat stat) const {
  std::lock_guard guard(mutex_);
  uint64_t sum = 0;
  for (const auto& thread : threads_)
    sum += thread->values[static_cast<int>(stat)].load(std::memory_order_relaxed);
  return sum - baseline_[static_cast<int>(stat)];
}

int64_t Statistics::Changes() const {
  std::lock_guard guard(mutex_);
  uint64_t sum = 0;
  for (const auto& thread : threads_) sum += thread->changes.load(std::memory_order_relaxed);
  return static_cast<int64_t>(sum);
}

Statistics::CommandSum Statistics::SumCommand(size_t command) const {
  std::lock_guard guard(mutex_);
  CommandSum sum = {};
  for (const auto& thread : threads_) {
    if (command >= thread->command_count) continue;
    const CommandCounters& counters = thread->commands[command];
    sum.calls += counters.calls.load(std::memory_order_relaxed);
    sum.ticks += counters.ticks.load(std::memory_order_relaxed);
    sum.rejected += counters.rejected.load(std::memory_order_relaxed);
    sum.failed += counters.failed.load(std::memory_order_relaxed);
  }
  if (command < command_baseline_.size()) {
    const CommandSum& base = command_baseline_[command];
    sum = {sum.calls - base.calls, sum.ticks - base.ticks, sum.rejected - base.rejected,
           sum.failed - base.failed};
  }
  return sum;
}

LatencyHistogram* ThreadStatistics::MakeHistogram(CommandCounters& counters) {
  auto* made = new LatencyHistogram;
  counters.latencies.store(made, std::memory_order_release);
  return made;
}

LatencySum Statistics::SumLatencies(size_t command) const {
  std::lock_guard guard(mutex_);
  LatencySum sum;
  for (const auto& thread : threads_) {
    if (command >= thread->command_count) continue;
    const auto& latencies = thread->commands[command].latencies;
    if (const auto* histogram = latencies.load(std::memory_order_acquire)) sum.Add(*histogram);
  }
  if (command < latency_baseline_.size()) sum.Subtract(latency_baseline_[command]);
  return sum;
}

void Statistics::CountError(std::string_view code) {
  constexpr size_t kErrorKindsMax = 128;  // a script may invent codes without end
  std::lock_guard guard(mutex_);
  auto found = errors_.find(std::string(code));
  if (found != errors_.end()) {
    ++found->second;
  } else if (errors_.size() < kErrorKindsMax) {
    errors_[std::string(code)] = 1;
  }
}

std::map<std::string, uint64_t> Statistics::Errors() const {
  std::lock_guard guard(mutex_);
  return errors_;
}

void Statistics::Reset() {
  size_t commands = 0;
  {
    std::lock_guard guard(mutex_);
    for (const auto& thread : threads_) commands = std::max(commands, thread->command_count);
    command_baseline_.clear();
    latency_baseline_.clear();
    for (uint64_t& value : baseline_) value = 0;
    errors_.clear();
  }
  std::vector<CommandSum> baseline;
  std::vector<LatencySum> latencies;
  for (size_t i = 0; i < commands; ++i) {
    baseline.push_back(SumCommand(i));
    latencies.push_back(SumLatencies(i));
  }
  uint64_t sums[static_cast<int>(Stat::kCount)];
  for (int i = 0; i < static_cast<int>(Stat::kCount); ++i) sums[i] = Sum(static_cast<Stat>(i));
  std::lock_guard guard(mutex_);
  command_baseline_ = std::move(baseline);
  latency_baseline_ = std::move(latencies);
  for (int i = 0; i < static_cast<int>(Stat::kCount); ++i) baseline_[i] = sums[i];
}

double TicksPerMicrosecond() {
  static const double rate = MeasureTickRate(ReadTicks, [] {
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
  });
  return rate;
}

}  // namespace cairn
