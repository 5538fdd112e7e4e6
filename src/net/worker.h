// SPDX-License-Identifier: BSD-3-Clause
//
// A worker: one thread with one event loop, its connections, mailbox, timers and cached clock.
//
//   one loop turn:  timers -> [flush] -> wait for events -> mailbox tasks, reads, as they come
//                   -> turn-end hooks -> flush of every connection that asked for it -> closings
//
// A turn reads at most Poller::kEventsMax connections. So replies of all connections that were
// ready in one turn leave together at its end, after the hooks (which wake the journal, deliver
// what was collected). The loop never waits for events while a flush is owed. Tasks that the worker
// posted to itself run at the turn's end too, before the hooks, without a wake-up by the kernel.
// Those that asked for FlushLater are flushed between turns, in order, kLaterFlushesMax at a time.
//
// While replies wait for the log the worker gives its core away before it sleeps: giving_way.h.
//
// Thread rule: Post, Put, Wake, Stop, connection_count and totals from any thread; the
// rest on the worker's own thread (or before Start). Nothing here blocks but Join.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/output_buffer.h"
#include "base/status.h"
#include "net/connection.h"
#include "net/giving_way.h"
#include "net/mailbox.h"
#include "net/poller.h"
#include "net/timer_wheel.h"

namespace cairn {

// One writer (the worker), relaxed; summed up by INFO.
struct alignas(64) WorkerTotals {
  std::atomic<uint64_t> bytes_in{0};
  std::atomic<uint64_t> bytes_out{0};
  std::atomic<uint64_t> reads{0};
  std::atomic<uint64_t> writes{0};
  std::atomic<uint64_t> turns{0};
};

// What else lives on a worker's loop (listening sockets) and must go before the loop can end.
class LoopResident {
 public:
  virtual ~LoopResident() = default;
  // The worker stops: give up now, and call RemoveResident when the loop has let go of it.
  virtual void OnWorkerStopping() = 0;
};

class Worker {
 public:
  static constexpr size_t kScratchBytes = 64 * 1024;
  // Writes to a socket take some 5 us: this many keep a request waiting for a fraction of a ms.
  static constexpr size_t kLaterFlushesMax = 32;

  Worker(int index, Clock* clock);
  ~Worker();  // joins; Post and Wake are safe until then
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // Starts the thread. Tasks posted before are run first.
  Status Start();
  // Closes all connections, runs the tasks already posted, ends the loop. Returns at once.
  void Stop();
  void Join();

  int index() const { return index_; }
  // On the worker's thread; before Start every thread counts as that.
  bool InThread() const {
    std::thread::id id = thread_id_.load(std::memory_order_relaxed);
    return id == std::this_thread::get_id() || id == std::thread::id();
  }

  // -- from any thread --

  // Runs `function()` on the worker, in the order of this sender's posts. After the worker has
  // ended the function is destroyed unrun.
  template <typename F>
  void Post(F&& function) {
    PostTask(MakeTask(std::forward<F>(function)));
  }
  void PostTask(MailTask* task) {
    if (mailbox_.Put(task)) Wake();
  }
  // The two halves of PostTask, for senders that hold a lock: Put under it; if it said true,
  // Wake after unlocking.
  [[nodiscard]] bool Put(MailTask* task) { return mailbox_.Put(task); }
  void Wake();

  // Connections, and those accepted for this worker that it has not seen yet.
  size_t connection_count() const { return connection_count_.load(std::memory_order_relaxed); }
  const WorkerTotals& totals() const { return totals_; }

  // -- on the worker's thread --

  // Takes over a connected, non-blocking socket. Never fails: a socket that the loop refuses gives
  // a connection that is closed already and whose OnClosed follows.
  Connection* Adopt(int fd, ConnectionHandler* handler);

  // Called at each turn's end, before the flushes, in the order added.
  void OnTurnEnd(std::function<void()> hook) { turn_end_hooks_.push_back(std::move(hook)); }
  // Called when tasks of the mailbox have run, before anything more is read, in the order added.
  void OnDrained(std::function<void()> hook) { drained_hooks_.push_back(std::move(hook)); }
  // While `slice` returns true the loop does not sleep and calls it once a turn: background work
  // in small steps. One that returned false is forgotten.
  void AddIdle(std::function<bool()> slice);

  // Cached, refreshed at the start of each loop turn and by RefreshClock.
  int64_t wall_us() const { return wall_us_; }
  int64_t wall_ms() const { return wall_us_ / 1000; }
  int64_t monotonic_us() const { return monotonic_us_; }
  int64_t monotonic_ms() const { return monotonic_us_ / 1000; }
  void RefreshClock();

  // Schedule with deadlines of monotonic_ms().
  TimerWheel& timers() { return *timers_; }
  void ScheduleAfter(Timer* timer, int64_t delay_ms);
  ChunkPool* chunk_pool() { return &chunk_pool_; }

  // The log is durable up to `lsn`: output that waited for it leaves. Starts at "everything",
  // so that without a log nothing waits.
  void SetDurable(uint64_t lsn);
  uint64_t durable() const { return durable_; }

  // All connections of this worker; do not close or adopt while iterating.
  std::span<Connection* const> connections() const { return connections_; }

 private:
  friend class Connection;
  friend class Listener;

  void Run();
  void Turn();
  bool Wait();
  bool GivesWay(bool* woken);
  int WaitMs() const;
  void BeginTurn() {
    if (!turn_open_) OpenTurn();
  }
  void OpenTurn();
  void EndTurn();
  void DrainMailbox();
  void RunIdle();
  void FlushList();
  void FlushSomeLater();
  // There is something to do that no event will tell of.
  bool Spins() const {
    return !idle_.empty() || !flush_list_.empty() || !later_list_.empty() || owes_drain_;
  }
  // The loop is to let go of it: OnReleased comes at the turn's end. Its descriptor is not watched
  // any more.
  void Release(PollWatcher* watcher) { released_.push_back(watcher); }
  void EndReleased();
  // Adopt for a listener, which counted the connection when it chose this worker.
  Connection* AdoptCounted(int fd, ConnectionHandler* handler);
  void BeginStop();
  void MaybeEndLoop();
  void Remove(Connection* connection);
  void AddResident(LoopResident* resident) { residents_.push_back(resident); }
  void RemoveResident(LoopResident* resident) { std::erase(residents_, resident); }

  const int index_;
  Clock* const clock_;
  Poller poller_;
  std::thread thread_;
  std::atomic<std::thread::id> thread_id_;
  std::unique_ptr<char[]> scratch_;
  ChunkPool chunk_pool_;
  Mailbox mailbox_;  // behind the pool: tasks dropped at the end may hold buffers that use it
  std::unique_ptr<TimerWheel> timers_;
  int64_t wall_us_ = 0;
  int64_t monotonic_us_ = 0;
  uint64_t durable_ = UINT64_MAX;
  GivingWay giving_way_;
  bool turn_open_ = false;
  bool stopping_ = false;
  bool ended_ = false;
  bool owes_drain_ = false;  // the worker has posted to itself
  std::vector<std::function<void()>> turn_end_hooks_, drained_hooks_;
  std::vector<std::function<bool()>> idle_;
  std::vector<LoopResident*> residents_;
  std::vector<PollWatcher*> released_;
  std::vector<Connection*> connections_;
  std::vector<Connection*> flush_list_;
  std::deque<Connection*> later_list_;
  std::vector<Connection*> hold_list_;
  std::atomic<size_t> connection_count_{0};  // adopted ones and those on their way
  WorkerTotals totals_;
};

}  // namespace cairn
