// SPDX-License-Identifier: BSD-3-Clause
#include "keyspace/lazy_free.h"

#include "base/memory.h"

namespace cairn {

LazyFree::LazyFree() : thread_([this] { Run(); }) {}

LazyFree::~LazyFree() {
  {
    std::lock_guard guard(mutex_);
    stop_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void LazyFree::Post(Value value) {
  pending_.fetch_add(1, std::memory_order_relaxed);
  {
    std::lock_guard guard(mutex_);
    values_.push_back(std::move(value));
  }
  wake_.notify_one();
}

void LazyFree::Post(Keyspace::Tables tables) {
  size_t entries = 0;
  for (const auto& table : tables) entries += table->size();
  pending_.fetch_add(entries, std::memory_order_relaxed);
  {
    std::lock_guard guard(mutex_);
    tables_.push_back(std::move(tables));
  }
  wake_.notify_one();
}

void LazyFree::Run() {
  MemoryMeter::RegisterThread();
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return stop_ || !values_.empty() || !tables_.empty(); });
    if (values_.empty() && tables_.empty()) return;
    std::deque<Value> values;
    std::deque<Keyspace::Tables> tables;
    values.swap(values_);
    tables.swap(tables_);
    lock.unlock();
    while (!values.empty()) {
      values.pop_front();
      pending_.fetch_sub(1, std::memory_order_relaxed);
      freed_.fetch_add(1, std::memory_order_relaxed);
    }
    while (!tables.empty()) {
      size_t entries = 0;
      for (const auto& table : tables.front()) entries += table->size();
      Keyspace::FreeTables(std::move(tables.front()));
      tables.pop_front();
      pending_.fetch_sub(entries, std::memory_order_relaxed);
      freed_.fetch_add(entries, std::memory_order_relaxed);
    }
    lock.lock();
  }
}

}  // namespace cairn
