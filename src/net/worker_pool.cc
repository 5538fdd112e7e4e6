// SPDX-License-Identifier: BSD-3-Clause
#include "net/worker_pool.h"

#include "base/check.h"

namespace cairn {

WorkerPool::WorkerPool(int threads, Clock* clock) {
  CHECK(threads > 0);
  for (int i = 0; i < threads; i++) workers_.push_back(std::make_unique<Worker>(i, clock));
}

WorkerPool::~WorkerPool() { Stop(); }

Status WorkerPool::Start() {
  for (auto& worker : workers_) {
    CAIRN_RETURN_IF_ERROR(worker->Start());
    started_ = true;
  }
  return Status::Ok();
}

void WorkerPool::Stop() {
  if (!started_) return;
  for (auto& worker : workers_) worker->Stop();
  for (auto& worker : workers_) worker->Join();
  started_ = false;
}

Worker& WorkerPool::LeastLoaded() {
  Worker* best = workers_[0].get();
  size_t fewest = best->connection_count();
  for (auto& worker : workers_) {
    size_t count = worker->connection_count();
    if (count < fewest) {
      fewest = count;
      best = worker.get();
    }
  }
  return *best;
}

}  // namespace cairn
