// SPDX-License-Identifier: BSD-3-Clause
//
// The workers of a server. Thread rule: Start, Stop by the thread that owns the pool, which is
// not a worker; the rest from any thread once started.
#pragma once

#include <memory>
#include <vector>

#include "net/worker.h"

namespace cairn {

class WorkerPool {
 public:
  WorkerPool(int threads, Clock* clock);
  ~WorkerPool();

  Status Start();
  // Stops all workers and joins their threads. Close the listeners before.
  void Stop();

  size_t size() const { return workers_.size(); }
  Worker& operator[](size_t i) { return *workers_[i]; }
  // The one with the fewest connections, the lowest index among equals.
  Worker& LeastLoaded();

 private:
  std::vector<std::unique_ptr<Worker>> workers_;
  bool started_ = false;
};

}  // namespace cairn
