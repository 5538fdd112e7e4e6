// SPDX-License-Identifier: BSD-3-Clause
//
// Runner: one thread with a share of a run's connections, on epoll.
//
// A connection has one batch of --pipeline requests under way at a time. As fast as possible: the
// next one follows the last reply, and latency counts from its sending. With a rate: batch n of
// connection c is due at (n * connections + c) * pipeline / rate, whatever the server does; one
// that is due while the one before is under way goes out after it, and its latency counts from when
// it was due. So a server that stops is charged with all who would have asked meanwhile (no
// "coordinated omission"). What was due by the end but never sent is counted with the time that it
// had waited.
//
//   window:   warm-up     begin ----------------- end     drain: replies still under way
//   counted:              what was due in here
//
// Thread rule: Run() in a thread of its own; answered(), EndAt() and Stop() from any; the rest
// before and after it.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <queue>
#include <string>
#include <utility>
#include <vector>

#include "utils/bench/load/keys.h"
#include "utils/bench/load/latencies.h"
#include "utils/bench/load/options.h"
#include "utils/bench/load/replies.h"
#include "utils/bench/load/workloads.h"

namespace cairn::load {

uint64_t NowNs();  // CLOCK_MONOTONIC

// What the threads of a run share and do not change.
struct Plan {
  Options options;
  std::vector<Request> requests;  // not empty, each of as many replies as the others
  std::shared_ptr<const Draws> draws;
};

constexpr uint64_t kNever = UINT64_MAX;

// Told by the first of the threads, from its loop, when what is measured begins and ends.
class RunObserver {
 public:
  virtual ~RunObserver() = default;
  virtual void OnBegin() = 0;
  virtual void
  OnEnd() = 0;  // not where the requests are counted: then it ends with the last thread
};

class Runner {
 public:
  // Of the plan's threads this is number `index`.
  Runner(const Plan* plan, uint64_t index, RunObserver* observer);
  ~Runner();
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;

  // Failures are in error(), which is empty if all went well.
  void Connect();
  // Until the end that EndAt() says, or all of the options' requests are answered.
  void Run(uint64_t start_ns, uint64_t begin_ns);
  void EndAt(uint64_t end_ns) { end_ns_.store(end_ns, std::memory_order_relaxed); }
  void Stop() { stopped_.store(true, std::memory_order_relaxed); }  // at once, unlike EndAt()

  const std::string& error() const { return error_; }
  uint64_t answered() const { return answered_.load(std::memory_order_relaxed); }
  uint64_t unsent() const { return unsent_; }  // due, but not sent by the end
  uint64_t nils() const;
  uint64_t messages() const;  // that subscribers got
  bool real_time() const { return real_time_; }
  const Latencies& latencies() const { return latencies_; }

 private:
  struct Connection {
    int fd = -1;
    bool subscriber = false;
    bool wants_write = false;
    std::string out;
    size_t written = 0;  // of `out`
    ReplyReader reader;
    uint64_t sent = 0, answered = 0;  // requests
    uint64_t due_ns = 0;              // of the batch under way
    uint64_t next_due_ns = 0;         // of the one after it, with a rate
    size_t turn = 0;                  // which of the plan's requests is next
  };

  uint64_t end_ns() const { return end_ns_.load(std::memory_order_relaxed); }
  void Fail(const std::string& message);
  bool AddConnection(bool subscriber);
  void FirstDue();
  void Observe(uint64_t now);
  void SendDue(uint64_t now);
  void Wait(uint64_t now);
  bool Finished(uint64_t now);
  void SendBatch(Connection* connection, uint64_t due_ns);
  void Flush(Connection* connection);
  void Receive(Connection* connection);
  void Continue(Connection* connection, uint64_t now);
  uint64_t Interval();
  void CountUnsent();

  const Plan& plan_;
  const Options& options_;
  const uint64_t index_;
  const uint64_t replies_each_;
  RunObserver* const observer_;  // of the first thread
  bool begun_ = false, ended_ = false;
  Keys keys_;
  Random random_;
  uint64_t start_ns_ = 0, begin_ns_ = 0;
  bool real_time_ = false;
  std::string error_;
  int epoll_ = -1;
  std::deque<Connection> connections_;  // their addresses are epoll's
  std::vector<char> scratch_;
  // Connections without a batch under way, by when their next one is due.
  using Due = std::pair<uint64_t, Connection*>;
  std::priority_queue<Due, std::vector<Due>, std::greater<>> idle_;
  uint64_t interval_ns_ = 0;    // between two batches of a connection; 0: no rate
  uint64_t left_ = UINT64_MAX;  // requests that may still be sent
  uint64_t rising_ = 0;
  uint64_t under_way_ = 0;  // requests
  uint64_t last_reply_ns_ = 0;
  uint64_t unsent_ = 0;
  std::atomic<uint64_t> answered_{0};
  std::atomic<uint64_t> end_ns_{kNever};
  std::atomic<bool> stopped_{false};
  Latencies latencies_;
};

}  // namespace cairn::load
