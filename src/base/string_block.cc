// SPDX-License-Identifier: BSD-3-Clause
#include "base/string_block.h"

#include <cstdlib>
#include <functional>
#include <new>

#include "base/check.h"
#include "base/large_block.h"

namespace cairn {

StringBlock* StringBlock::New(size_t size, size_t capacity) {
  CHECK(size <= capacity);
  auto* block = static_cast<StringBlock*>(AllocateLarge(sizeof(StringBlock) + capacity));
  new (&block->references) std::atomic<uint32_t>(1);
  block->offset = 0;
  block->size = size;
  block->capacity = capacity;
  return block;
}

void StringBlock::Release() {
  if (references.fetch_sub(1, std::memory_order_acq_rel) == 1) free(this);
}

bool StringBlock::Holds(std::string_view bytes) {
  const std::less_equal<const char*> at_most;
  return at_most(begin(), bytes.data()) &&
         at_most(bytes.data() + bytes.size(), begin() + capacity);
}

bool StringBlock::IsMostly(std::string_view bytes) {
  constexpr size_t kRestShare = 8;  // of the string, in bytes that stand around it
  return capacity >= bytes.size() && capacity - bytes.size() <= bytes.size() / kRestShare &&
         Holds(bytes);
}

StringBlock* StringBlock::Lend(std::string_view bytes) {
  if (!IsMostly(bytes)) return nullptr;
  const auto at = static_cast<size_t>(bytes.data() - begin());
  if (at > UINT32_MAX) return nullptr;
  if (!shared()) {
    offset = static_cast<uint32_t>(at);
    size = bytes.size();
  } else if (at != offset || bytes.size() != size) {
    return nullptr;
  }
  AddReference();
  return this;
}

}  // namespace cairn
