// SPDX-License-Identifier: BSD-3-Clause
//
// MemoryLimit: how far the process is above maxmemory, for everybody who may have to make room.
//
//   used = what registered threads allocated and did not free     (their own counters, at once)
//        + what all others hold                                   (as of the last Measure)
//        - the journal's buffer, values queued for the lazy-free thread, what a snapshot keeps of
//          entries that have changed since
//
// Evicting keys because of the last three would be for nothing: they come and go by themselves.
//
// Any thread; Over and NotCounted inside the gate, where no snapshot begins or ends.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace cairn {

struct Engine;

class MemoryLimit {
 public:
  explicit MemoryLimit(const Engine* engine) : engine_(*engine) {}

  // Bytes that the process has allocated, about.
  int64_t Used() const;
  // Bytes above maxmemory; zero or less: all is well. Two loads a thread.
  int64_t Over() const;
  // Bytes in use that maxmemory does not count.
  size_t NotCounted() const;
  // Asks the allocator what others than the registered threads hold. Some microseconds. Where these
  // allocate too fast for an answer the last one stands.
  void Measure();

 private:
  const Engine& engine_;
  std::atomic<int64_t> others_{0};
  std::atomic<bool> measured_{false};
};

}  // namespace cairn
