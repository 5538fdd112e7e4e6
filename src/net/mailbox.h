// SPDX-License-Identifier: BSD-3-Clause
//
// A worker's mailbox: how other threads hand it work. A lock-free stack that the owner takes whole
// and turns round, so tasks of one producer run in the order they were put in.
//
// Put never blocks, waits or fails, and makes no system call. It answers true when the mailbox was
// empty: then somebody must call the wake-up, once (Worker::Wake). A producer that holds a shard
// lock puts first and wakes after unlocking; whoever finds the mailbox not empty owes nothing,
// because the one who found it empty still has to wake. That makes one wake-up a batch.
//
// The mailbox has no bound of its own (a sender must never wait): senders bound what they send, as
// a publisher does by the output caps of its subscribers.
//
// Thread rule: Put from any thread, TakeAll from the owner only.
#pragma once

#include <atomic>
#include <type_traits>
#include <utility>

namespace cairn {

// A piece of work. The owner calls run(this) exactly once, or drop(this) if it stops before; both
// free the task. Embed it in a bigger object to post without another allocation.
struct MailTask {
  using Function = void (*)(MailTask*);
  MailTask(Function run_function, Function drop_function)
      : run(run_function), drop(drop_function) {}

  MailTask* next = nullptr;
  Function run;
  Function drop;
};

namespace mailbox_internal {
template <typename F>
struct ClosureTask : MailTask {
  explicit ClosureTask(F f) : MailTask(&Run, &Drop), function(std::move(f)) {}
  static void Run(MailTask* task) {
    auto* self = static_cast<ClosureTask*>(task);
    self->function();
    delete self;
  }
  static void Drop(MailTask* task) { delete static_cast<ClosureTask*>(task); }
  F function;
};
}  // namespace mailbox_internal

// A task on the heap from a callable; move-only captures are welcome.
template <typename F>
MailTask* MakeTask(F&& function) {
  return new mailbox_internal::ClosureTask<std::decay_t<F>>(std::forward<F>(function));
}

class Mailbox {
 public:
  Mailbox() = default;
  ~Mailbox();  // drops what was never taken
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  // True: the caller must wake the owner.
  [[nodiscard]] bool Put(MailTask* task) {
    MailTask* head = head_.load(std::memory_order_relaxed);
    do {
      task->next = head;
    } while (!head_.compare_exchange_weak(head, task, std::memory_order_release,
                                          std::memory_order_relaxed));
    return head == nullptr;
  }
  // Everything in the mailbox, first in first, linked by `next`.
  MailTask* TakeAll();
  bool empty() const { return head_.load(std::memory_order_relaxed) == nullptr; }

 private:
  alignas(64) std::atomic<MailTask*> head_{nullptr};
};

}  // namespace cairn
