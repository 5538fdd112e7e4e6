// SPDX-License-Identifier: BSD-3-Clause
//
// ShardLock: one word, spin then park (Drepper, "Futexes are tricky", mutex 3). Exclusive: reads
// too write access clocks and expire keys. Holders never block, make system calls or wait for
// another thread, so a short spin nearly always wins.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/futex.h"

namespace cairn {

class ShardLock {
 public:
  void Lock() {
    uint32_t expected = kFree;
    if (!word_.compare_exchange_strong(expected, kHeld, std::memory_order_acquire)) [[unlikely]]
      LockSlow();
  }
  bool TryLock() {
    uint32_t expected = kFree;
    return word_.compare_exchange_strong(expected, kHeld, std::memory_order_acquire);
  }
  // True if somebody was woken for it: who wants it again soon calls LetIn before.
  bool Unlock() {
    if (word_.exchange(kFree, std::memory_order_release) != kHeldAndWaited) [[likely]]
      return false;
    FutexWakeOne(&word_);
    return true;
  }
  // Waits until somebody holds it, for as long as a thread on an idle core needs to wake up, some
  // tens of microseconds. Without it, who takes the lock over and over has it again each time
  // before the thread that he woke for it runs.
  void LetIn() const {
    for (int spin = 0; spin < kLetInSpins && !held(); ++spin) __builtin_ia32_pause();
  }
  bool held() const { return word_.load(std::memory_order_relaxed) != kFree; }
  // Somebody parked to wait for it (or has left since without the lock having been given back).
  bool waited() const { return word_.load(std::memory_order_relaxed) == kHeldAndWaited; }

 private:
  static constexpr uint32_t kFree = 0, kHeld = 1, kHeldAndWaited = 2;
  static constexpr int kSpins = 200;
  static constexpr int kLetInSpins = 1000;

  [[gnu::noinline]] void LockSlow() {
    for (int spin = 0; spin < kSpins; ++spin) {
      if (word_.load(std::memory_order_relaxed) == kFree && TryLock()) return;
      __builtin_ia32_pause();
    }
    while (word_.exchange(kHeldAndWaited, std::memory_order_acquire) != kFree)
      FutexWait(&word_, kHeldAndWaited);
  }

  std::atomic<uint32_t> word_{kFree};
};

}  // namespace cairn
