// SPDX-License-Identifier: BSD-3-Clause
#include "exec/memory_limit.h"

#include <cstdlib>

#include "base/memory.h"
#include "exec/engine.h"
#include "journal/journal.h"

namespace cairn {

int64_t MemoryLimit::Used() const {
  return others_.load(std::memory_order_relaxed) + MemoryMeter::Balance();
}

int64_t MemoryLimit::Over() const {
  return Used() - static_cast<int64_t>(NotCounted()) - engine_.config.maxmemory();
}

size_t MemoryLimit::NotCounted() const {
  const size_t journal = engine_.journal == nullptr ? 0 : engine_.journal->buffer_memory();
  const MutationObserver* snapshot = engine_.keyspace.observer();
  return journal + engine_.lazy_free.pending_bytes() +
         (snapshot == nullptr ? 0 : snapshot->PendingBytes());
}

void MemoryLimit::Measure() {
  // What registered threads do between the readings would be taken for memory of others, and keys
  // evicted for it: under load a thread may stand still here for long.
  constexpr int64_t kDriftBytesMax = 128 << 10;
  constexpr int kAttemptsMax = 8;
  for (int attempt = 0; attempt < kAttemptsMax; ++attempt) {
    const int64_t before = MemoryMeter::Balance();
    const auto exact = static_cast<int64_t>(MemoryMeter::Exact());
    const int64_t after = MemoryMeter::Balance();
    if (std::abs(after - before) > kDriftBytesMax && measured_.load(std::memory_order_relaxed))
      continue;
    others_.store(exact - (before + after) / 2, std::memory_order_relaxed);
    measured_.store(true, std::memory_order_relaxed);
    return;
  }
}

}  // namespace cairn
