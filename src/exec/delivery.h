// SPDX-License-Identifier: BSD-3-Clause
//
// How a thread hands output to clients it does not own: served waiters, published messages,
// invalidations, monitored lines.
//
//   unit.Post(worker, task)      put into the worker's mailbox while the locks are held (so the
//                                order of the tasks is the order of their causes), woken after
//                                they are released
//   task->Run(clients)           later, on that worker, between requests of its clients:
//     clients.Visit(id, body)      body(session, out) writes in the session's RESP version
//     clients.Resume(id)           a suspended client goes on with its next request
//     clients.WaitUnserved(waiter) a blocked client's wait ended without anybody serving it
//
// A task names clients by id, never by pointer: the client may be gone when it runs, and ids are
// not reused. A worker's tasks run in the order of their posting, its own included, so
// nothing overtakes. Output whose cause may not be durable yet is marked with
// the LSN of its cause (OutputBuffer::MarkHold).
//
// Thread rule: Unit::Post on the unit's thread; Run, Visit and Resume on the client's worker.
// Nobody waits: a task for a worker that has ended is destroyed unrun.
#pragma once

#include <cstdint>
#include <memory>

#include "base/function_ref.h"

namespace cairn {

class Executor;
class OutputBuffer;
struct Session;
struct Waiter;

// The clients of the worker that a task runs on. Implemented in server/.
class LocalClients {
 public:
  virtual ~LocalClients() = default;
  // Calls the body if the client is still here, and sends what it wrote at the end of the loop
  // turn. False if the client is gone or closing.
  virtual bool Visit(uint64_t client_id, FunctionRef<void(Session&, OutputBuffer&)> body) = 0;
  // Runs the requests that a suspended client has left. No effect on any other.
  virtual void Resume(uint64_t client_id) = 0;
  // Runs units on the worker's thread: for tasks that change data of their own (exec/executor.h).
  virtual Executor& OwnExecutor() = 0;
  // Counts the call that waited and takes its registrations out of the queues, as soon as the locks
  // let that be done without waiting.
  virtual void WaitUnserved(const std::shared_ptr<Waiter>& waiter, bool failed) = 0;
};

class WorkerTask {
 public:
  virtual ~WorkerTask() = default;
  virtual void Run(LocalClients& clients) = 0;
};

}  // namespace cairn
