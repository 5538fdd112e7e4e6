// SPDX-License-Identifier: BSD-3-Clause
#include "keyspace/gate.h"

#include "base/check.h"

namespace cairn {

int Gate::AddThread() {
  const int slot = used_.fetch_add(1);
  CHECK(slot < kSlots);
  return slot;
}

void Gate::Close() {
  mutex_.lock();
  closed_.store(1, std::memory_order_seq_cst);
  const int used = used_.load();
  for (int i = 0; i < used; ++i)
    while (slots_[i].inside.load(std::memory_order_seq_cst) != 0)
      slots_[i].inside.wait(1, std::memory_order_seq_cst);
}

void Gate::Open() {
  closed_.store(0, std::memory_order_seq_cst);
  closed_.notify_all();
  mutex_.unlock();
}

}  // namespace cairn
