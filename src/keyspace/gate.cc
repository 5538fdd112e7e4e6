// SPDX-License-Identifier: BSD-3-Clause
#include "keyspace/gate.h"

#include <algorithm>

#include "base/check.h"

namespace cairn {

int Gate::AddThread() {
  const int slot = used_.fetch_add(1);
  CHECK(slot < kSlots);
  return slot;
}

bool Gate::CloseUnlessHeld() {
  for (;;) {
    uint32_t seen = kOpen;
    if (closed_.compare_exchange_strong(seen, kClosed, std::memory_order_seq_cst)) break;
    if (seen == kHeld) return false;
    closed_.wait(seen, std::memory_order_relaxed);
  }
  const int used = used_.load();
  for (int i = 0; i < used; ++i)
    while (slots_[i].inside.load(std::memory_order_seq_cst) != 0)
      slots_[i].inside.wait(1, std::memory_order_seq_cst);
  return true;
}

void Gate::Open() {
  closed_.store(kOpen, std::memory_order_seq_cst);
  closed_.notify_all();
}

void Gate::Hold(bool held) {
  closed_.store(held ? kHeld : kClosed, std::memory_order_seq_cst);
  closed_.notify_all();
}

int64_t Gate::LatestNow() const {
  int64_t latest = closed_now_ms_;
  const int used = used_.load();
  for (int i = 0; i < used; ++i) latest = std::max(latest, slots_[i].now_ms);
  return latest;
}

}  // namespace cairn
