// SPDX-License-Identifier: BSD-3-Clause
//
// Gate: scope All in O(threads). Every thread that touches the keyspace has a slot of its own; it
// is inside a section from Enter to Leave (a run of commands, not one) and takes shard locks only
// there. Close waits until nobody else is inside, and keeps newcomers out until Open: its caller
// may then touch every shard without a lock.
//
//   worker: inside = 1 (seq_cst); closed? -> step back and wait     closer: closed = 1 (seq_cst);
//                                                                    wait until each inside == 0
//
// A closer that will take long says so (Hold): EnterUnlessHeld and CloseUnlessHeld then give up
// instead of waiting, and their callers answer that the server is busy.
//
// Time: whoever was inside leaves in its slot the latest `now` that it used (NoteNow), so that who
// closes the gate learns in O(threads) what no unit before it has passed.
//
// Lock order: the gate before any shard lock; a thread that is inside must Leave before it Closes.
// Nobody waits for the gate while inside, so the wait of Close is bounded by the longest section.
#pragma once

#include <atomic>
#include <cstdint>

namespace cairn {

class Gate {
 public:
  static constexpr int kSlots = 320;

  // A slot for the calling thread's use, for ever. CHECKs that there are enough.
  int AddThread();

  void Enter(int slot) {
    while (!EnterUnlessHeld(slot)) closed_.wait(kHeld, std::memory_order_relaxed);
  }
  // As Enter, but false, at once, while the gate is held (Hold).
  [[nodiscard]] bool EnterUnlessHeld(int slot) {
    for (;;) {
      slots_[slot].inside.store(1, std::memory_order_seq_cst);
      const uint32_t closed = closed_.load(std::memory_order_seq_cst);
      if (closed == kOpen) [[likely]]
        return true;
      Leave(slot);
      if (closed == kHeld) return false;
      closed_.wait(kClosed, std::memory_order_relaxed);
    }
  }
  // As Enter, but false instead of waiting.
  bool TryEnter(int slot) {
    slots_[slot].inside.store(1, std::memory_order_seq_cst);
    if (closed_.load(std::memory_order_seq_cst) == kOpen) [[likely]]
      return true;
    Leave(slot);
    return false;
  }
  void Leave(int slot) {
    slots_[slot].inside.store(0, std::memory_order_seq_cst);
    if (closed_.load(std::memory_order_seq_cst) != kOpen) [[unlikely]]
      slots_[slot].inside.notify_all();
  }
  bool inside(int slot) const { return slots_[slot].inside.load(std::memory_order_relaxed) != 0; }
  // Somebody waits for scope All: a long section should end soon.
  bool wanted() const { return closed_.load(std::memory_order_relaxed) != kOpen; }

  void Close() {
    while (!CloseUnlessHeld()) closed_.wait(kHeld, std::memory_order_relaxed);
  }
  // As Close, but false, at once, while somebody else holds the gate.
  [[nodiscard]] bool CloseUnlessHeld();
  void Open();
  // By who closed it: it will take long (a busy script), so others are not to wait; or no more so.
  void Hold(bool held);
  bool held() const { return closed_.load(std::memory_order_relaxed) == kHeld; }

  // Inside: the latest `now` of the units of this slot.
  void NoteNow(int slot, int64_t now_ms) {
    if (slots_[slot].now_ms < now_ms) slots_[slot].now_ms = now_ms;
  }
  // By who closed it: the latest of all slots and of those who closed it before.
  int64_t LatestNow() const;
  // By who closed it, before Open.
  void NoteClosedNow(int64_t now_ms) { closed_now_ms_ = now_ms; }
  // Inside: the latest `now` of those who closed the gate.
  int64_t closed_now_ms() const { return closed_now_ms_; }

 private:
  // Two lines: processors fetch lines in pairs, and each thread writes its slot with every read.
  struct alignas(128) Slot {
    std::atomic<uint32_t> inside{0};
    int64_t now_ms = 0;  // written by its thread inside, read by who closed the gate
  };
  static constexpr uint32_t kOpen = 0, kClosed = 1, kHeld = 2;
  alignas(64) std::atomic<uint32_t> closed_{kOpen};  // also keeps closers apart
  int64_t closed_now_ms_ = 0;                        // written under the closed gate, read inside
  std::atomic<int> used_{0};
  Slot slots_[kSlots];
};

}  // namespace cairn
