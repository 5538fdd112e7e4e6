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
// Lock order: the gate before any shard lock; a thread that is inside must Leave before it Closes.
// Nobody waits for the gate while inside, so the wait of Close is bounded by the longest section.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>

namespace cairn {

class Gate {
 public:
  static constexpr int kSlots = 320;

  // A slot for the calling thread's use, for ever. CHECKs that there are enough.
  int AddThread();

  void Enter(int slot) {
    for (;;) {
      slots_[slot].inside.store(1, std::memory_order_seq_cst);
      if (closed_.load(std::memory_order_seq_cst) == 0) [[likely]] return;
      Leave(slot);
      closed_.wait(1, std::memory_order_relaxed);
    }
  }
  // As Enter, but false instead of waiting.
  bool TryEnter(int slot) {
    slots_[slot].inside.store(1, std::memory_order_seq_cst);
    if (closed_.load(std::memory_order_seq_cst) == 0) [[likely]] return true;
    Leave(slot);
    return false;
  }
  void Leave(int slot) {
    slots_[slot].inside.store(0, std::memory_order_seq_cst);
    if (closed_.load(std::memory_order_seq_cst) != 0) [[unlikely]] slots_[slot].inside.notify_all();
  }
  bool inside(int slot) const { return slots_[slot].inside.load(std::memory_order_relaxed) != 0; }
  // Somebody waits for scope All: a long section should end soon.
  bool wanted() const { return closed_.load(std::memory_order_relaxed) != 0; }

  void Close();
  void Open();

 private:
  struct alignas(64) Slot {
    std::atomic<uint32_t> inside{0};
  };
  std::mutex mutex_;  // one closer at a time, held from Close to Open
  alignas(64) std::atomic<uint32_t> closed_{0};
  std::atomic<int> used_{0};
  Slot slots_[kSlots];
};

}  // namespace cairn
