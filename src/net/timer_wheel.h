// SPDX-License-Identifier: BSD-3-Clause
//
// A hashed timer wheel (Varghese and Lauck, 1987): 1024 slots of 10 ms. A timer further away than
// one turn stays in its slot and is looked at once a turn (10.24 s). Schedule and Cancel are O(1),
// so every connection, blocked client and WAIT may have one without a heap operation a request.
//
// A timer never fires early and at most one tick plus the loop's delay late. Thread rule: the
// thread of the worker that owns the wheel.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>

namespace cairn {

// Embed it where the deadline belongs. Its destructor cancels it.
class Timer {
 public:
  Timer() = default;
  explicit Timer(std::function<void()> callback) : callback_(std::move(callback)) {}
  ~Timer() { Cancel(); }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  void set_callback(std::function<void()> callback) { callback_ = std::move(callback); }
  bool scheduled() const { return wheel_ != nullptr; }
  void Cancel();

 private:
  friend class TimerWheel;
  std::function<void()> callback_;
  uint64_t tick_ = 0;
  Timer* next_ = nullptr;
  Timer** link_ = nullptr;  // what points to this timer: a slot, or the next_ before it
  class TimerWheel* wheel_ = nullptr;
};

class TimerWheel {
 public:
  static constexpr int64_t kTickMs = 10;
  static constexpr size_t kSlots = 1024;

  explicit TimerWheel(int64_t now_ms);
  ~TimerWheel();  // cancels what is scheduled
  TimerWheel(const TimerWheel&) = delete;
  TimerWheel& operator=(const TimerWheel&) = delete;

  // Runs the timer's callback once when `deadline_ms` has come; one that has passed already runs
  // at the next Advance. A scheduled timer is moved.
  void Schedule(Timer* timer, int64_t deadline_ms);
  // Fires what is due. Callbacks may schedule and cancel any timer, their own too.
  void Advance(int64_t now_ms);
  size_t size() const { return count_; }
  // Milliseconds from `now_ms` until Advance has something to look at; -1: nothing scheduled.
  int64_t DelayMs(int64_t now_ms) const;

  void CheckInvariants() const;

 private:
  friend class Timer;
  void Link(Timer** list, Timer* timer);
  void Unlink(Timer* timer);
  void CollectDue(size_t slot, uint64_t target);

  uint64_t tick_;    // ticks before this one have been handled
  size_t count_ = 0;
  Timer* due_ = nullptr;  // taken out of their slots by Advance, not yet fired
  std::array<Timer*, kSlots> slots_{};
  std::array<uint64_t, kSlots / 64> used_{};  // a bit for each slot that may not be empty
};

}  // namespace cairn
