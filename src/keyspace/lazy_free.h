// SPDX-License-Identifier: BSD-3-Clause
//
// LazyFree: a thread that frees big values and flushed tables, so that nobody waits for it. Post
// may be called from any thread, also under a shard lock (a leaf mutex, held for a push).
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

#include "keyspace/keyspace.h"
#include "keyspace/value.h"

namespace cairn {

class LazyFree {
 public:
  // Values with fewer elements are freed on the spot.
  static constexpr size_t kEffortMin = 64;

  LazyFree();
  ~LazyFree();  // frees what is queued, then ends

  void Post(Value value);
  void Post(Keyspace::Tables tables);
  size_t pending() const { return pending_.load(std::memory_order_relaxed); }
  // About how many bytes those hold: memory that is as good as free.
  size_t pending_bytes() const { return pending_bytes_.load(std::memory_order_relaxed); }
  size_t freed() const { return freed_.load(std::memory_order_relaxed); }
  void ResetFreed() { freed_.store(0, std::memory_order_relaxed); }

 private:
  void Run();
  void FreeTables(Keyspace::Tables tables);
  void Freed(size_t count, size_t bytes);

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::pair<Value, size_t>> values_;  // with about how many bytes they hold
  std::deque<Keyspace::Tables> tables_;
  bool stop_ = false;
  std::atomic<size_t> pending_{0};
  std::atomic<size_t> pending_bytes_{0};
  std::atomic<size_t> freed_{0};
  std::thread thread_;
};

}  // namespace cairn
