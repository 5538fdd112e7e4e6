// SPDX-License-Identifier: BSD-3-Clause
#include "containers/hash_bucket.h"

#include <algorithm>
#include <cstring>

namespace cairn {

#if !defined(__SANITIZE_ADDRESS__)
static_assert(sizeof(HashBucket) == 64);
#endif

namespace {
constexpr int kLast = HashBucket::kSlots - 1;
}  // namespace

size_t HashBucket::size() const {
  if (has_row()) return kLast + row().size();
  return kSlots - static_cast<size_t>(std::popcount(Match(0)));
}

void* HashBucket::ItemAt(size_t index) const {
  if (has_row()) return At(static_cast<int>(index)).item();
  unsigned used = ~Match(0) & 0xff;
  for (; index > 0; --index) used &= used - 1;
  return item(std::countr_zero(used));
}

ptrdiff_t HashBucket::ResizeRow(size_t items) {
  const Row old = has_row() ? row() : Row{nullptr, 0};
  const uint8_t step = RowStep(items);
  const Row fresh = {static_cast<RowCell*>(malloc(RowCapacity(step) * sizeof(RowCell))),
                     RowCapacity(step)};
  CHECK(fresh.cells != nullptr);
  const size_t copied = std::min(old.capacity, fresh.capacity);
  if (copied != 0) memcpy(fresh.cells, old.cells, copied * sizeof(RowCell));
  memset(fresh.cells + copied, 0, (fresh.capacity - copied) * sizeof(RowCell));
  free(old.cells);
  SetSlot(kLast, {reinterpret_cast<uint64_t>(fresh.cells), kRowTag, step});
  return (static_cast<ptrdiff_t>(fresh.capacity) - static_cast<ptrdiff_t>(old.capacity)) *
         static_cast<ptrdiff_t>(sizeof(RowCell));
}

ptrdiff_t HashBucket::AddToRow(const HashCell& cell) {
  ptrdiff_t grown = 0;
  size_t items = 1;
  if (has_row()) {
    items = row().size();
    if (items == row().capacity) grown = ResizeRow(items + 1);
  } else {
    // The last slot gives way to the row, and its item moves there.
    const HashCell last = Slot(kLast);
    grown = ResizeRow(2);
    row().cells[0].Set(last);
  }
  row().cells[items].Set(cell);
  return grown;
}

ptrdiff_t HashBucket::Remove(int place) {
  if (!has_row()) {
    SetTag(place, 0);
    return 0;
  }
  const Row r = row();
  const size_t left = r.size() - 1;
  const HashCell last = r.cells[left].Get();
  memset(&r.cells[left], 0, sizeof(RowCell));
  if (const size_t at = static_cast<size_t>(place - kLast); place < kLast || at != left)
    Set(place, last);
  if (left == 1) {
    const HashCell only = r.cells[0].Get();
    const size_t bytes = FreeRow();
    SetSlot(kLast, only);
    return -static_cast<ptrdiff_t>(bytes);
  }
  return RowCapacity(RowStep(left)) < r.capacity ? ResizeRow(left) : 0;
}

size_t HashBucket::FreeRow() {
  if (!has_row()) return 0;
  const Row r = row();
  free(r.cells);
  return r.capacity * sizeof(RowCell);
}

size_t HashBucket::CheckInvariants() const {
  if (!has_row()) return 0;
  CHECK(Match(0) == 0);
  const Row r = row();
  const size_t items = r.size();
  CHECK(items >= 2);
  CHECK(r.capacity == RowCapacity(RowStep(items)));
  for (size_t i = items; i < r.capacity; ++i) CHECK(r.cells[i].empty());
  return r.capacity * sizeof(RowCell);
}

}  // namespace cairn
