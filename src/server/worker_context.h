// SPDX-License-Identifier: BSD-3-Clause
//
// What belongs to one worker thread above net/: its executor, the batch its reads are parsed into,
// its clients. Touched by that thread only.
#pragma once

#include <unordered_map>
#include <vector>

#include "exec/delivery.h"
#include "exec/executor.h"
#include "exec/table_trim.h"
#include "net/worker.h"
#include "resp/request_parser.h"

namespace cairn {

class Client;

struct WorkerContext final : LocalClients {
  WorkerContext(Engine* engine, Worker* worker_in);
  ~WorkerContext() override;

  bool Visit(uint64_t client_id, FunctionRef<void(Session&, OutputBuffer&)> body) override;
  void Resume(uint64_t client_id) override;
  Executor& OwnExecutor() override { return executor; }
  void WaitUnserved(const std::shared_ptr<Waiter>& waiter, bool failed) override;
  // Takes a wait that is over out of the queues, now or with the next ForgetWaits (cron).
  void ForgetWait(const std::shared_ptr<Waiter>& waiter);
  void ForgetWaits();
  // Answers WAIT and WAITAOF of the clients whose writes are where they are to be.
  void EndSyncWaits();
  // Judges the unread output of some of the clients, of each once in kOutputTurns calls (cron):
  // time alone may put it above the soft limit. Of thousands none is in the cache.
  void CheckOutputs();
  // If a script was put aside: goes on with it once a turn, until it ends.
  void DriveAside();

  Worker& worker;
  Executor executor;
  TableTrimmer trimmer{&executor};  // of the first worker, whose cron looks at all tables
  RequestBatch batch;
  std::unordered_map<uint64_t, Client*> clients;  // by id
  std::vector<uint64_t> parked;      // clients whose request waits for a mode or the log
  std::vector<uint64_t> sync_waits;  // clients in WAIT and WAITAOF
  std::vector<std::shared_ptr<Waiter>> unforgotten;  // over, but still in queues
  static constexpr size_t kOutputTurns = 10;
  size_t output_turn = 0;
  Timer cron;
  bool driving = false;      // DriveAside is at work
  Client* orphan = nullptr;  // closed, but its script is not over; owned
  Timer background;          // expiry and eviction, in slices
};

}  // namespace cairn
