// SPDX-License-Identifier: BSD-3-Clause
//
// Intset: a sorted array of distinct integers in one block of bytes, as RDB files store it.
//
//   u32 width (2, 4 or 8) | u32 count | count signed integers of that width, ascending
//
// All numbers are little-endian. The width grows when a number asks for it and never shrinks.
// Look-up is a binary search, adding and removing move the tail: it is for a few hundred elements.
// IntsetView trusts its bytes: whatever came from outside goes through Validate() first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

#include "base/bytes.h"

namespace cairn {

class IntsetView {
 public:
  static constexpr size_t kHeaderBytes = 8;

  explicit IntsetView(const void* bytes) : data_(static_cast<const uint8_t*>(bytes)) {}

  // Whether `bytes` is a non-empty intset, strictly ascending. O(n).
  static bool Validate(std::string_view bytes);

  size_t Length() const { return LoadLe<uint32_t>(data_ + 4); }
  size_t Bytes() const { return kHeaderBytes + Length() * width(); }
  std::string_view AsBytes() const { return {reinterpret_cast<const char*>(data_), Bytes()}; }
  const uint8_t* data() const { return data_; }
  // The index-th smallest; index < Length().
  int64_t At(size_t index) const;
  bool Contains(int64_t value) const {
    const size_t index = LowerBound(value);
    return index < Length() && At(index) == value;
  }
  // Index of the first element >= value; Length() if there is none.
  size_t LowerBound(int64_t value) const;

 protected:
  uint32_t width() const { return LoadLe<uint32_t>(data_); }
  const uint8_t* data_;
};

// Owns its bytes (malloc). Never null except after a move or Release().
class Intset : public IntsetView {
 public:
  Intset();
  // A copy of bytes that Validate() accepted, or of another intset.
  explicit Intset(IntsetView other);
  static Intset FromBytes(std::string_view valid_bytes) {
    return Intset(IntsetView(valid_bytes.data()));
  }
  Intset(Intset&& other) noexcept : IntsetView(std::exchange(other.data_, nullptr)) {}
  Intset& operator=(Intset&& other) noexcept {
    std::swap(data_, other.data_);
    return *this;
  }
  ~Intset();

  // For owners that keep the pointer in a word of their own: free() is its destructor.
  static Intset Adopt(void* data) { return Intset(data, Adopted()); }
  void* Release() { return const_cast<uint8_t*>(std::exchange(data_, nullptr)); }

  bool Add(int64_t value);     // false: was there
  bool Remove(int64_t value);  // false: was not there
  void RemoveAt(size_t index);
  size_t MemoryUsage() const;

 private:
  struct Adopted {};
  Intset(void* data, Adopted) : IntsetView(data) {}
  uint8_t* bytes() { return const_cast<uint8_t*>(data_); }
  void Resize(size_t size);
  void Widen(uint32_t width);
  void Store(size_t index, int64_t value);
};

static_assert(sizeof(Intset) == 8);

}  // namespace cairn
