// SPDX-License-Identifier: BSD-3-Clause
//
// Published: a pointer that one thread at a time sets and any thread reads. What it points to must
// outlive every reader.
#pragma once

#include <atomic>

namespace cairn {

template <typename T>
class Published {
 public:
  Published() = default;
  Published(const Published&) = delete;
  T* operator=(T* pointer) {
    pointer_.store(pointer, std::memory_order_release);
    return pointer;
  }
  operator T*() const { return pointer_.load(std::memory_order_acquire); }
  T* operator->() const { return *this; }

 private:
  std::atomic<T*> pointer_{nullptr};
};

}  // namespace cairn
