// SPDX-License-Identifier: BSD-3-Clause
#include "net/timer_wheel.h"

#include <algorithm>
#include <bit>

#include "base/check.h"

namespace cairn {

void Timer::Cancel() {
  if (wheel_ != nullptr) wheel_->Unlink(this);
}

TimerWheel::TimerWheel(int64_t now_ms) : tick_(static_cast<uint64_t>(now_ms / kTickMs)) {}

TimerWheel::~TimerWheel() {
  for (Timer*& slot : slots_) {
    while (slot != nullptr) Unlink(slot);
  }
}

void TimerWheel::Link(Timer** list, Timer* timer) {
  timer->next_ = *list;
  if (*list != nullptr) (*list)->link_ = &timer->next_;
  timer->link_ = list;
  *list = timer;
  timer->wheel_ = this;
  count_++;
}

// The slot's bit stays set; whoever visits the slot next clears it.
void TimerWheel::Unlink(Timer* timer) {
  *timer->link_ = timer->next_;
  if (timer->next_ != nullptr) timer->next_->link_ = timer->link_;
  timer->next_ = nullptr;
  timer->link_ = nullptr;
  timer->wheel_ = nullptr;
  count_--;
}

void TimerWheel::Schedule(Timer* timer, int64_t deadline_ms) {
  timer->Cancel();
  uint64_t tick = static_cast<uint64_t>(std::max<int64_t>(deadline_ms, 0) + kTickMs - 1) / kTickMs;
  timer->tick_ = std::max(tick, tick_);
  size_t slot = timer->tick_ % kSlots;
  Link(&slots_[slot], timer);
  used_[slot / 64] |= uint64_t{1} << slot % 64;
}

void TimerWheel::CollectDue(size_t slot, uint64_t target) {
  for (Timer* timer = slots_[slot]; timer != nullptr;) {
    Timer* next = timer->next_;
    if (timer->tick_ <= target) {
      Unlink(timer);
      Link(&due_, timer);
    }
    timer = next;
  }
  if (slots_[slot] == nullptr) used_[slot / 64] &= ~(uint64_t{1} << slot % 64);
}

void TimerWheel::Advance(int64_t now_ms) {
  uint64_t target = static_cast<uint64_t>(now_ms / kTickMs);
  if (target < tick_) return;
  uint64_t visits = std::min<uint64_t>(target - tick_ + 1, kSlots);
  uint64_t first = target + 1 - visits;
  tick_ = target + 1;
  for (uint64_t tick = first; tick <= target; tick++) {
    size_t slot = tick % kSlots;
    if ((used_[slot / 64] >> slot % 64 & 1) == 0) continue;
    CollectDue(slot, target);
    // Fired slot by slot, so that timers of different ticks keep their order.
    while (due_ != nullptr) {
      Timer* timer = due_;
      Unlink(timer);
      timer->callback_();  // may destroy the timer
    }
  }
}

int64_t TimerWheel::DelayMs(int64_t now_ms) const {
  if (count_ == 0) return -1;
  size_t start = tick_ % kSlots;
  for (size_t i = 0; i <= used_.size(); i++) {
    size_t word = (start / 64 + i) % used_.size();
    uint64_t bits = used_[word];
    if (i == 0) bits &= ~uint64_t{0} << start % 64;
    if (bits == 0) continue;
    size_t slot = word * 64 + static_cast<size_t>(std::countr_zero(bits));
    uint64_t tick = tick_ + (slot + kSlots - start) % kSlots;
    return std::max<int64_t>(static_cast<int64_t>(tick) * kTickMs - now_ms, 0);
  }
  return -1;
}

void TimerWheel::CheckInvariants() const {
  size_t count = 0;
  for (size_t slot = 0; slot < kSlots; slot++) {
    Timer* const* link = &slots_[slot];
    for (const Timer* timer = slots_[slot]; timer != nullptr; timer = timer->next_) {
      CHECK(timer->link_ == link && timer->wheel_ == this);
      CHECK(timer->tick_ % kSlots == slot && timer->tick_ >= tick_);
      CHECK(used_[slot / 64] >> slot % 64 & 1);
      link = &timer->next_;
      count++;
    }
  }
  CHECK(count == count_);
}

}  // namespace cairn
