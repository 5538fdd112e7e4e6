// SPDX-License-Identifier: BSD-3-Clause
#include "server/worker_context.h"

#include <utility>

#include "exec/blocking.h"
#include "exec/engine.h"
#include "exec/tracking.h"
#include "server/client.h"

namespace cairn {

WorkerContext::WorkerContext(Engine* engine, Worker* worker_in)
    : worker(*worker_in), executor(engine) {
  executor.WakeJournalAtTurnEnd();
  worker.OnTurnEnd([this] { executor.EndTurn(); });
  worker.OnDrained([this, engine] { engine->tracking.FlushInbox(worker.index(), *this); });
}

WorkerContext::~WorkerContext() {
  delete orphan;
}

void WorkerContext::DriveAside() {
  if (driving || !executor.aside()) return;
  driving = true;
  worker.AddIdle([this] {
    if (executor.ContinueAside(*this)) return true;
    driving = false;
    delete std::exchange(orphan, nullptr);
    // Its client may have begun another one.
    DriveAside();
    return false;
  });
}

bool WorkerContext::Visit(uint64_t client_id, FunctionRef<void(Session&, OutputBuffer&)> body) {
  auto found = clients.find(client_id);
  return found != clients.end() && found->second->Deliver(body);
}

void WorkerContext::Resume(uint64_t client_id) {
  auto found = clients.find(client_id);
  if (found != clients.end()) found->second->Resume();
}

void WorkerContext::WaitUnserved(const std::shared_ptr<Waiter>& waiter, bool failed) {
  executor.CountWaited(*waiter, 0, 0, failed);
  ForgetWait(waiter);
}

void WorkerContext::ForgetWait(const std::shared_ptr<Waiter>& waiter) {
  if (!executor.TryForget(*waiter)) unforgotten.push_back(waiter);
}

void WorkerContext::ForgetWaits() {
  std::erase_if(unforgotten, [this](const auto& waiter) { return executor.TryForget(*waiter); });
}

void WorkerContext::EndSyncWaits() {
  std::vector<uint64_t> waiting;
  waiting.swap(sync_waits);
  for (uint64_t id : waiting) {
    auto found = clients.find(id);
    if (found == clients.end() || found->second->EndSyncWait()) continue;
    sync_waits.push_back(id);
  }
}

void WorkerContext::CheckOutputs() {
  const size_t buckets = clients.bucket_count();
  const size_t end = buckets * (output_turn + 1) / kOutputTurns;
  for (size_t bucket = buckets * output_turn / kOutputTurns; bucket < end; ++bucket)
    for (auto at = clients.begin(bucket); at != clients.end(bucket); ++at)
      at->second->MayKeepOutput();
  output_turn = (output_turn + 1) % kOutputTurns;
}

}  // namespace cairn
