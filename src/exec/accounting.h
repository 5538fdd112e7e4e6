// SPDX-License-Identifier: BSD-3-Clause
//
// What a finished command cost, and from where on somebody wants to know of it: the command logs,
// LATENCY, and, while they are on, the audit log and HOTKEYS, which want to know of all. All the
// bounds stand in one cache line, so that a command below them, which is the rule, pays three
// comparisons; what is above goes through Executor::NoteCost (accounting.cc).
//
// Thread rule: bounds are read by any thread, written when the configuration changes.
#pragma once

#include <atomic>
#include <cstdint>

namespace cairn {

struct Config;

struct CallCost {
  uint64_t ticks;  // of the processor
  uint64_t request_bytes, reply_bytes;
  int db;
};

class alignas(64) CostBounds {
 public:
  // Whether anybody might want to know.
  bool Reached(const CallCost& cost) const {
    constexpr auto kRelaxed = std::memory_order_relaxed;
    return cost.ticks >= ticks_.load(kRelaxed) ||
           cost.request_bytes >= request_bytes_.load(kRelaxed) ||
           cost.reply_bytes >= reply_bytes_.load(kRelaxed);
  }
  // `all`: somebody wants to know of every command.
  void Read(const Config& config, bool all);

 private:
  static constexpr uint64_t kNever = UINT64_MAX;
  std::atomic<uint64_t> ticks_{kNever}, request_bytes_{kNever}, reply_bytes_{kNever};
};

}  // namespace cairn
