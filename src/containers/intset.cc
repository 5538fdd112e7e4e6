// SPDX-License-Identifier: BSD-3-Clause
#include "containers/intset.h"

#include <malloc.h>
#include <stdlib.h>

#include <cstring>

#include "base/check.h"

namespace cairn {
namespace {

uint32_t WidthOf(int64_t value) {
  if (value >= INT16_MIN && value <= INT16_MAX) return 2;
  if (value >= INT32_MIN && value <= INT32_MAX) return 4;
  return 8;
}

int64_t Load(const uint8_t* p, uint32_t width) {
  switch (width) {
    case 2:
      return LoadLe<int16_t>(p);
    case 4:
      return LoadLe<int32_t>(p);
    default:
      return LoadLe<int64_t>(p);
  }
}

// Index of the first of `count` integers T at `p` that is >= value.
template <typename T>
size_t Search(const uint8_t* p, size_t count, int64_t value) {
  size_t low = 0;
  while (count > 0) {
    const size_t half = count / 2;
    const bool right = LoadLe<T>(p + (low + half) * sizeof(T)) < value;
    low = right ? low + half + 1 : low;
    count = right ? count - half - 1 : half;
  }
  return low;
}

}  // namespace

bool IntsetView::Validate(std::string_view bytes) {
  if (bytes.size() < kHeaderBytes) return false;
  const uint32_t width = LoadLe<uint32_t>(bytes.data());
  const uint64_t count = LoadLe<uint32_t>(bytes.data() + 4);
  if (width != 2 && width != 4 && width != 8) return false;
  if (count == 0 || bytes.size() != kHeaderBytes + count * width) return false;
  const IntsetView view(bytes.data());
  for (size_t i = 1; i < count; ++i)
    if (view.At(i - 1) >= view.At(i)) return false;
  return true;
}

int64_t IntsetView::At(size_t index) const {
  DCHECK(index < Length());
  return Load(data_ + kHeaderBytes + index * width(), width());
}

size_t IntsetView::LowerBound(int64_t value) const {
  const uint8_t* p = data_ + kHeaderBytes;
  switch (width()) {
    case 2:
      return Search<int16_t>(p, Length(), value);
    case 4:
      return Search<int32_t>(p, Length(), value);
    default:
      return Search<int64_t>(p, Length(), value);
  }
}

Intset::Intset() : IntsetView(malloc(kHeaderBytes)) {
  CHECK(data_ != nullptr);
  StoreLe(bytes(), uint32_t{2});
  StoreLe(bytes() + 4, uint32_t{0});
}

Intset::Intset(IntsetView other) : IntsetView(malloc(other.Bytes())) {
  CHECK(data_ != nullptr);
  memcpy(bytes(), other.data(), other.Bytes());
}

Intset::~Intset() {
  free(bytes());
}

void Intset::Resize(size_t size) {
  // Within the block there is nothing to do; blocks grow by the allocator's size classes.
  const size_t usable = malloc_usable_size(bytes());
  if (size <= usable && size >= usable / 2) return;
  void* moved = realloc(bytes(), size);
  CHECK(moved != nullptr || size <= usable);
  if (moved != nullptr) data_ = static_cast<uint8_t*>(moved);
}

void Intset::Store(size_t index, int64_t value) {
  uint8_t* p = bytes() + kHeaderBytes + index * width();
  switch (width()) {
    case 2:
      return StoreLe(p, static_cast<int16_t>(value));
    case 4:
      return StoreLe(p, static_cast<int32_t>(value));
    default:
      return StoreLe(p, value);
  }
}

// From the end, as each integer moves to a place at or behind its old one.
void Intset::Widen(uint32_t wider) {
  const uint32_t old = width();
  const size_t count = Length();
  Resize(kHeaderBytes + count * wider);
  StoreLe(bytes(), wider);
  for (size_t i = count; i-- > 0;) Store(i, Load(data_ + kHeaderBytes + i * old, old));
}

bool Intset::Add(int64_t value) {
  if (WidthOf(value) > width()) Widen(WidthOf(value));
  const size_t count = Length();
  const size_t index = LowerBound(value);
  if (index < count && At(index) == value) return false;
  CHECK(count < UINT32_MAX);
  Resize(Bytes() + width());
  uint8_t* place = bytes() + kHeaderBytes + index * width();
  memmove(place + width(), place, (count - index) * width());
  Store(index, value);
  StoreLe(bytes() + 4, static_cast<uint32_t>(count + 1));
  return true;
}

bool Intset::Remove(int64_t value) {
  const size_t index = LowerBound(value);
  if (index >= Length() || At(index) != value) return false;
  RemoveAt(index);
  return true;
}

void Intset::RemoveAt(size_t index) {
  const size_t count = Length();
  DCHECK(index < count);
  uint8_t* place = bytes() + kHeaderBytes + index * width();
  memmove(place, place + width(), (count - index - 1) * width());
  StoreLe(bytes() + 4, static_cast<uint32_t>(count - 1));
  Resize(Bytes());
}

size_t Intset::MemoryUsage() const {
  return malloc_usable_size(const_cast<uint8_t*>(data_));
}

}  // namespace cairn
