// SPDX-License-Identifier: BSD-3-Clause
//
// The two kinds of cell that the configuration is made of. Any thread may read a cell at any
// time without a lock; only the option table (options.cc) writes one, and only one thread at a
// time does so (ConfigStore's mutex).
//
// A number, switch or enum is a relaxed atomic: CONFIG SET's OK means that every worker's next
// read sees the new value; nothing else is ordered by it.
//
// A text or list is an immutable value behind an atomic pointer. A value once published is kept
// until the process ends, so a reader may hold the reference as long as it likes and pays no
// reference count. Setting the same value again reuses the kept one, so what is kept is bounded
// by the number of distinct values ever set.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace cairn {

class NumberCell {
 public:
  int64_t Load() const { return value_.load(std::memory_order_relaxed); }
  void Store(int64_t value) { value_.store(value, std::memory_order_relaxed); }

 private:
  std::atomic<int64_t> value_{0};
};

// T: bool, an integer or an enum class.
template <typename T>
class Setting : public NumberCell {
 public:
  T operator()() const { return static_cast<T>(Load()); }
};

template <typename T>
class Shared {
 public:
  Shared() { Store(T()); }
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;

  const T& operator()() const { return *current_.load(std::memory_order_acquire); }
  void Store(T value) {
    for (const auto& kept : kept_)
      if (*kept == value) return current_.store(kept.get(), std::memory_order_release);
    kept_.push_back(std::make_unique<const T>(std::move(value)));
    current_.store(kept_.back().get(), std::memory_order_release);
  }

 private:
  std::atomic<const T*> current_{nullptr};
  std::vector<std::unique_ptr<const T>> kept_;  // the writer's
};

}  // namespace cairn
