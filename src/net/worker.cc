// SPDX-License-Identifier: BSD-3-Clause
#include "net/worker.h"

#include <algorithm>
#include <string>
#include <system_error>
#include <utility>

#include "base/check.h"
#include "base/thread.h"
#include "net/bump.h"

namespace cairn {

Worker::Worker(int index, Clock* clock)
    : index_(index),
      clock_(clock),
      scratch_(std::make_unique_for_overwrite<char[]>(kScratchBytes)) {
  RefreshClock();
  timers_ = std::make_unique<TimerWheel>(monotonic_ms());
}

Worker::~Worker() {
  Join();
  CHECK(connections_.empty() && residents_.empty() && released_.empty());
}

Status Worker::Start() {
  if (!poller_.status().ok()) return poller_.status();
  try {
    thread_ = std::thread([this] { Run(); });
  } catch (const std::system_error& error) {
    return Status::FromErrno("worker thread", error.code().value());
  }
  return Status::Ok();
}

void Worker::Run() {
  BeginThread(("worker-" + std::to_string(index_)).c_str());
  thread_id_.store(std::this_thread::get_id(), std::memory_order_relaxed);
  BeginTurn();
  DrainMailbox();
  while (!ended_) Turn();
}

void Worker::Stop() {
  Post([this] { BeginStop(); });
}

void Worker::Join() {
  if (thread_.joinable()) thread_.join();
}

void Worker::Wake() {
  if (thread_id_.load(std::memory_order_relaxed) == std::this_thread::get_id()) {
    owes_drain_ = true;
  } else {
    poller_.Wake();
  }
}

void Worker::RefreshClock() {
  wall_us_ = clock_->WallUs();
  monotonic_us_ = clock_->MonotonicUs();
}

// --- a turn -----------------------------------------------------------------------------------

void Worker::OpenTurn() {
  turn_open_ = true;
  Bump(&totals_.turns, 1);
  RefreshClock();
}

void Worker::Turn() {
  if (timers_->DelayMs(monotonic_ms()) == 0) {
    BeginTurn();
    timers_->Advance(monotonic_ms());
  }
  if (Spins()) {
    BeginTurn();
    RunIdle();
    FlushSomeLater();
  }
  EndTurn();
  if (ended_) return;
  const bool woken = Wait();
  BeginTurn();
  // Whoever put a task behind another's may have replied before that other one wakes us.
  if (woken || !mailbox_.empty()) DrainMailbox();
  poller_.Tell();
  EndTurn();
  EndReleased();
}

// True if somebody has woken it.
bool Worker::Wait() {
  bool woken = false;
  if (!hold_list_.empty() && WaitMs() != 0 && giving_way_.Due() && GivesWay(&woken)) return woken;
  return poller_.Wait(WaitMs());
}

// True if there is something to do behind that.
bool Worker::GivesWay(bool* woken) {
  const int64_t start_us = clock_->MonotonicUs();
  std::this_thread::yield();
  const int64_t took_us = clock_->MonotonicUs() - start_us;
  *woken = poller_.Wait(0);
  const bool found = *woken || poller_.tells();
  giving_way_.Note(found, took_us);
  return found;
}

// An idle worker sleeps until a timer is due, or until it is told something.
int Worker::WaitMs() const {
  if (Spins() || !released_.empty()) return 0;
  // By the real time: the turn that is over may have taken long.
  return static_cast<int>(timers_->DelayMs(clock_->MonotonicMs()));
}

void Worker::EndReleased() {
  if (released_.empty()) return;
  BeginTurn();
  for (PollWatcher* watcher : std::exchange(released_, {})) watcher->OnReleased();
}

// Runs before the loop waits (for what timers, idle slices and closings did) and after it.
void Worker::EndTurn() {
  // One pass: what these tasks post comes in the next turn.
  if (std::exchange(owes_drain_, false)) {
    BeginTurn();
    DrainMailbox();
  }
  if (turn_open_) {
    for (size_t i = 0; i < turn_end_hooks_.size(); i++) turn_end_hooks_[i]();
    turn_open_ = false;
  }
  if (!flush_list_.empty()) FlushList();
  if (stopping_) MaybeEndLoop();
}

// One pass: what callbacks add to the list meanwhile goes out in the next turn, which comes at
// once (Spins).
void Worker::FlushList() {
  size_t count = flush_list_.size();
  for (size_t i = 0; i < count; i++) {
    Connection* connection = std::exchange(flush_list_[i], nullptr);
    if (connection == nullptr) continue;
    connection->in_flush_list_ = false;
    connection->Flush();
  }
  flush_list_.erase(flush_list_.begin(), flush_list_.begin() + static_cast<ptrdiff_t>(count));
}

void Worker::FlushSomeLater() {
  for (size_t i = 0; i < kLaterFlushesMax && !later_list_.empty(); ++i) {
    Connection* connection = later_list_.front();
    later_list_.pop_front();
    if (connection == nullptr) continue;
    connection->in_later_list_ = false;
    connection->Flush();
  }
}

void Worker::DrainMailbox() {
  MailTask* task = mailbox_.TakeAll();
  if (task == nullptr) return;
  while (task != nullptr) {
    MailTask* next = task->next;
    task->run(task);
    task = next;
  }
  for (size_t i = 0; i < drained_hooks_.size(); i++) drained_hooks_[i]();
}

void Worker::AddIdle(std::function<bool()> slice) {
  DCHECK(InThread());
  idle_.push_back(std::move(slice));
}

void Worker::RunIdle() {
  // A slice may add others: the vector is not to be touched while one runs.
  std::vector<std::function<bool()>> slices = std::exchange(idle_, {});
  std::erase_if(slices, [](auto& slice) { return !slice(); });
  idle_.insert(idle_.begin(), std::make_move_iterator(slices.begin()),
               std::make_move_iterator(slices.end()));
}

// --- time -------------------------------------------------------------------------------------

void Worker::ScheduleAfter(Timer* timer, int64_t delay_ms) {
  DCHECK(InThread());
  // From the real time, not from the turn's start: never early.
  timers_->Schedule(timer, clock_->MonotonicMs() + delay_ms + 1);
}

// --- connections ------------------------------------------------------------------------------

Connection* Worker::Adopt(int fd, ConnectionHandler* handler) {
  connection_count_.fetch_add(1, std::memory_order_relaxed);
  return AdoptCounted(fd, handler);
}

Connection* Worker::AdoptCounted(int fd, ConnectionHandler* handler) {
  DCHECK(InThread());
  auto* connection = new Connection(this, fd, handler);
  connection->worker_index_ = connections_.size();
  connections_.push_back(connection);
  connection->UpdateInterest();
  if (stopping_) connection->Close();
  return connection;
}

void Worker::Remove(Connection* connection) {
  if (connection->in_flush_list_) {
    std::replace(flush_list_.begin(), flush_list_.end(), connection, (Connection*){nullptr});
  }
  if (connection->in_hold_list_) std::erase(hold_list_, connection);
  Connection* last = connections_.back();
  connections_[connection->worker_index_] = last;
  last->worker_index_ = connection->worker_index_;
  connections_.pop_back();
  connection_count_.fetch_sub(1, std::memory_order_relaxed);
}

void Worker::SetDurable(uint64_t lsn) {
  DCHECK(InThread());
  durable_ = lsn;
  for (Connection* connection : std::exchange(hold_list_, {})) {
    connection->in_hold_list_ = false;
    connection->FlushSoon();
  }
}

// --- the end ----------------------------------------------------------------------------------

void Worker::BeginStop() {
  if (std::exchange(stopping_, true)) return;
  for (LoopResident* resident : std::vector<LoopResident*>(residents_)) {
    resident->OnWorkerStopping();
  }
  for (Connection* connection : std::vector<Connection*>(connections_)) {
    connection->Flush();
    connection->Close();
  }
}

// Idle slices may depend on what is being taken down: they are not run to their end.
void Worker::MaybeEndLoop() {
  idle_.clear();
  if (!connections_.empty() || !residents_.empty()) return;
  DrainMailbox();
  if (connections_.empty() && residents_.empty()) ended_ = true;
}

}  // namespace cairn
