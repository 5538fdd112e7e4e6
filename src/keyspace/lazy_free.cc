// SPDX-License-Identifier: BSD-3-Clause
#include "keyspace/lazy_free.h"

#include "base/memory.h"
#include "base/scheduling.h"
#include "base/thread.h"

namespace cairn {
namespace {

constexpr size_t kSamples = 5;  // elements looked at for an estimate

}  // namespace

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
  const size_t bytes = value.MemoryUsage(kSamples);
  pending_.fetch_add(1, std::memory_order_relaxed);
  pending_bytes_.fetch_add(bytes, std::memory_order_relaxed);
  {
    std::lock_guard guard(mutex_);
    values_.emplace_back(std::move(value), bytes);
  }
  wake_.notify_one();
}

void LazyFree::Post(Keyspace::Tables tables) {
  size_t entries = 0, bytes = 0;
  for (const auto& table : tables) {
    entries += table->size();
    bytes += table->ApproximateBytes();
  }
  pending_.fetch_add(entries, std::memory_order_relaxed);
  pending_bytes_.fetch_add(bytes, std::memory_order_relaxed);
  {
    std::lock_guard guard(mutex_);
    tables_.push_back(std::move(tables));
  }
  wake_.notify_one();
}

void LazyFree::Freed(size_t count, size_t bytes) {
  pending_.fetch_sub(count, std::memory_order_relaxed);
  pending_bytes_.fetch_sub(bytes, std::memory_order_relaxed);
  freed_.fetch_add(count, std::memory_order_relaxed);
}

// Table by table, so that what is pending is never far from the truth.
void LazyFree::FreeTables(Keyspace::Tables tables) {
  for (auto& table : tables) {
    const size_t count = table->size(), bytes = table->ApproximateBytes();
    Keyspace::Tables one;
    one.push_back(std::move(table));
    Keyspace::FreeTables(std::move(one));
    Freed(count, bytes);
  }
}

void LazyFree::Run() {
  BeginThread("lazy-free");
  LetOthersGoFirst();
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return stop_ || !values_.empty() || !tables_.empty(); });
    if (values_.empty() && tables_.empty()) return;
    std::deque<std::pair<Value, size_t>> values;
    std::deque<Keyspace::Tables> tables;
    values.swap(values_);
    tables.swap(tables_);
    lock.unlock();
    for (; !values.empty(); values.pop_front()) {
      const size_t bytes = values.front().second;
      values.front().first = Value();
      Freed(1, bytes);
    }
    for (; !tables.empty(); tables.pop_front()) FreeTables(std::move(tables.front()));
    lock.lock();
  }
}

}  // namespace cairn
