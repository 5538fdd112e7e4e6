// SPDX-License-Identifier: BSD-3-Clause
//
// LoadingProgress: how far a load at start (or DEBUG LOADAOF) has come, for INFO and the log. One
// loading thread writes, any thread reads; valid while kModeLoading is set.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

namespace cairn {

class LoadingProgress {
 public:
  void Begin(uint64_t total_bytes, int64_t wall_ms) {
    start_ms_.store(wall_ms, std::memory_order_relaxed);
    loaded_.store(0, std::memory_order_relaxed);
    memory_.store(0, std::memory_order_relaxed);
    total_.store(total_bytes, std::memory_order_relaxed);
  }
  // What a snapshot says its data took where it was made.
  void NoteMemory(uint64_t bytes) { memory_.store(bytes, std::memory_order_relaxed); }
  void Add(uint64_t bytes) { loaded_.fetch_add(bytes, std::memory_order_relaxed); }

  int64_t start_ms() const { return start_ms_.load(std::memory_order_relaxed); }
  uint64_t total_bytes() const { return total_.load(std::memory_order_relaxed); }
  uint64_t loaded_bytes() const { return loaded_.load(std::memory_order_relaxed); }
  uint64_t memory_bytes() const { return memory_.load(std::memory_order_relaxed); }
  double Percent() const {
    const uint64_t total = total_bytes();
    return total == 0 ? 0
                      : 100.0 * static_cast<double>(loaded_bytes()) / static_cast<double>(total);
  }
  // By the rate so far; 1 while there is none, as Redis says.
  int64_t EtaSeconds(int64_t wall_ms) const {
    const uint64_t loaded = loaded_bytes();
    const int64_t elapsed_ms = wall_ms - start_ms();
    if (elapsed_ms < 1000 || loaded == 0) return 1;
    const uint64_t left = total_bytes() - std::min(total_bytes(), loaded);
    return static_cast<int64_t>(static_cast<double>(left) / static_cast<double>(loaded) *
                                static_cast<double>(elapsed_ms) / 1000);
  }

 private:
  std::atomic<int64_t> start_ms_{0};
  std::atomic<uint64_t> total_{0}, loaded_{0}, memory_{0};
};

}  // namespace cairn
