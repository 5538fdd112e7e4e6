// SPDX-License-Identifier: BSD-3-Clause
#include "net/worker.h"

#include <pthread.h>

#include <algorithm>
#include <string>
#include <system_error>
#include <utility>

#include "base/check.h"
#include "net/loop.h"

namespace cairn {

Worker::Worker(int index, Clock* clock)
    : index_(index),
      clock_(clock),
      loop_(std::make_unique<Loop>()),
      scratch_(std::make_unique_for_overwrite<char[]>(kScratchBytes)) {
  RefreshClock();
  timers_ = std::make_unique<TimerWheel>(monotonic_ms());
  loop_->error = uv_loop_init(&loop_->loop);
  if (loop_->error != 0) return;
  uv_loop_t* loop = &loop_->loop;
  loop->data = this;
  loop_->error = uv_async_init(loop, &loop_->wake, [](uv_async_t* handle) {
    auto* self = static_cast<Worker*>(handle->loop->data);
    self->BeginTurn();
    self->DrainMailbox();
  });
  uv_timer_init(loop, &loop_->timer);
  uv_idle_init(loop, &loop_->spin);
  uv_prepare_init(loop, &loop_->before_wait);
  uv_check_init(loop, &loop_->after_wait);
  uv_prepare_start(&loop_->before_wait, [](uv_prepare_t* handle) {
    auto* self = static_cast<Worker*>(handle->loop->data);
    self->EndTurn();
    self->ArmTimer();
  });
  uv_check_start(&loop_->after_wait, [](uv_check_t* handle) {
    static_cast<Worker*>(handle->loop->data)->EndTurn();
  });
}

Worker::~Worker() {
  Join();
  CHECK(connections_.empty() && residents_.empty());
  uv_loop_t* loop = &loop_->loop;
  if (loop->data == nullptr) return;  // never initialised
  uv_walk(loop, [](uv_handle_t* handle, void*) { uv_close(handle, nullptr); }, nullptr);
  uv_run(loop, UV_RUN_DEFAULT);
  CHECK(uv_loop_close(loop) == 0);
}

Status Worker::Start() {
  if (loop_->error != 0) return Status::FromErrno("event loop", -loop_->error);
  try {
    thread_ = std::thread([this] { Run(); });
  } catch (const std::system_error& error) {
    return Status::FromErrno("worker thread", error.code().value());
  }
  pthread_setname_np(thread_.native_handle(), ("worker-" + std::to_string(index_)).c_str());
  return Status::Ok();
}

void Worker::Run() {
  thread_id_.store(std::this_thread::get_id(), std::memory_order_relaxed);
  BeginTurn();
  DrainMailbox();
  uv_run(&loop_->loop, UV_RUN_DEFAULT);
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
  } else if (loop_->error == 0) {
    uv_async_send(&loop_->wake);
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
  UpdateSpin();
}

// One pass: what callbacks add to the list meanwhile goes out in the next turn, which comes at
// once (UpdateSpin).
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

void Worker::UpdateSpin() {
  bool wanted = !idle_.empty() || !flush_list_.empty() || !later_list_.empty() || owes_drain_;
  if (wanted == spinning_) return;
  spinning_ = wanted;
  if (!wanted) {
    uv_idle_stop(&loop_->spin);
    return;
  }
  uv_idle_start(&loop_->spin, [](uv_idle_t* handle) {
    auto* self = static_cast<Worker*>(handle->loop->data);
    self->BeginTurn();
    self->RunIdle();
    self->FlushSomeLater();
  });
}

void Worker::DrainMailbox() {
  MailTask* task = mailbox_.TakeAll();
  while (task != nullptr) {
    MailTask* next = task->next;
    task->run(task);
    task = next;
  }
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

// Sets the one uv_timer to the wheel's next tick that has timers. An idle worker sleeps on.
void Worker::ArmTimer() {
  if (timers_->size() == 0 && timer_armed_ms_ < 0) return;
  int64_t delay = timers_->DelayMs(monotonic_ms());
  int64_t deadline = delay < 0 ? -1 : monotonic_ms() + delay;
  if (deadline == timer_armed_ms_) return;
  timer_armed_ms_ = deadline;
  if (deadline < 0) {
    uv_timer_stop(&loop_->timer);
    return;
  }
  uint64_t from_now = static_cast<uint64_t>(std::max<int64_t>(deadline - clock_->MonotonicMs(), 0));
  uv_update_time(&loop_->loop);
  auto fire = [](uv_timer_t* handle) {
    auto* self = static_cast<Worker*>(handle->loop->data);
    self->timer_armed_ms_ = -1;
    self->BeginTurn();
    self->timers_->Advance(self->monotonic_ms());
  };
  uv_timer_start(&loop_->timer, fire, from_now, 0);
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
  connection->Start();
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
  if (connections_.empty() && residents_.empty()) uv_stop(&loop_->loop);
}

}  // namespace cairn
