// SPDX-License-Identifier: BSD-3-Clause
//
// One field of a large hash, for hash_big.* only: a block of bytes without alignment or slack.
//
//   varint (field length * 4 + has expiry * 2 + value is outside)
//   [i64 expiry in ms, u32 index in the expiry heap]     if it has an expiry
//   varint value length | pointer to {varint length, value}
//   field
//   [value]                                              unless it is outside
//
// Values stay inside while the whole block is small: one allocation and one cache miss a field.
#pragma once

#include <malloc.h>
#include <stdlib.h>

#include <cstring>
#include <string_view>

#include "base/bytes.h"
#include "base/check.h"
#include "types/varint.h"

namespace cairn {

class HashItem {
 public:
  static constexpr size_t kInlineBytesMax = 1024;

  static HashItem* New(std::string_view field, std::string_view value, int64_t expiry_ms) {
    const size_t fixed = VarintBytes(field.size() * 4) + (expiry_ms != 0 ? kExpiryBytes : 0);
    const size_t inside = fixed + VarintBytes(value.size()) + field.size() + value.size();
    const bool outside = inside > kInlineBytesMax;
    uint8_t* p = Allocate(outside ? fixed + sizeof(void*) + field.size() : inside);
    auto* item = reinterpret_cast<HashItem*>(p);
    p = PutVarint(p, field.size() * 4 + (expiry_ms != 0 ? 2 : 0) + (outside ? 1 : 0));
    if (expiry_ms != 0) {
      StoreLe(p, expiry_ms);
      p += kExpiryBytes;
    }
    if (outside) {
      StoreLe(p, NewValueBlock(value));
      p += sizeof(void*);
    } else {
      p = PutVarint(p, value.size());
    }
    Copy(p, field);
    if (!outside) Copy(p + field.size(), value);
    return item;
  }

  void Free() {
    const Parts parts = Read();
    if (parts.outside) free(LoadLe<void*>(parts.value_place));
    free(this);
  }

  std::string_view field() const { return Read().field; }
  std::string_view value() const {
    const Parts parts = Read();
    if (!parts.outside) return parts.value;
    uint64_t size;
    const uint8_t* bytes = GetVarint(LoadLe<const uint8_t*>(parts.value_place), &size);
    return {reinterpret_cast<const char*>(bytes), size};
  }
  // 0: none.
  int64_t expiry() const {
    const uint8_t* p = ExpiryPlace();
    return p == nullptr ? 0 : LoadLe<int64_t>(p);
  }
  // The next three only for items that have an expiry.
  void SetExpiry(int64_t expiry_ms) { StoreLe(const_cast<uint8_t*>(ExpiryPlace()), expiry_ms); }
  uint32_t heap_index() const { return LoadLe<uint32_t>(ExpiryPlace() + sizeof(int64_t)); }
  void SetHeapIndex(uint32_t index) {
    StoreLe(const_cast<uint8_t*>(ExpiryPlace()) + sizeof(int64_t), index);
  }

  // Puts a new value into the same block if that neither overflows nor wastes it.
  bool ReplaceValue(std::string_view value) {
    const Parts parts = Read();
    auto* place = const_cast<uint8_t*>(parts.value_place);
    if (parts.outside) {
      if (value.size() <= kInlineBytesMax) return false;
      void* old = LoadLe<void*>(place);
      StoreLe(place, NewValueBlock(value));
      free(old);
      return true;
    }
    const size_t head = static_cast<size_t>(place - bytes());
    if (VarintBytes(value.size()) != VarintBytes(parts.value.size())) return false;
    const size_t size = head + VarintBytes(value.size()) + parts.field.size() + value.size();
    if (size > kInlineBytesMax) return false;
    if (value.size() != parts.value.size()) {
      // Another length will do if it is of about the same size class.
      const size_t usable = malloc_usable_size(this);
      if (size > usable || (size + 16 <= usable && size <= usable - usable / 4)) return false;
    }
    Copy(PutVarint(place, value.size()) + parts.field.size(), value);
    return true;
  }

  size_t MemoryUsage() const {
    const Parts parts = Read();
    const size_t outside =
        parts.outside ? malloc_usable_size(LoadLe<void*>(parts.value_place)) : size_t{0};
    return malloc_usable_size(const_cast<HashItem*>(this)) + outside;
  }

 private:
  static constexpr size_t kExpiryBytes = sizeof(int64_t) + sizeof(uint32_t);

  struct Parts {
    bool outside;
    const uint8_t* value_place;  // of the value's length or pointer
    std::string_view field;
    std::string_view value;  // only if inside
  };

  uint8_t* bytes() { return reinterpret_cast<uint8_t*>(this); }
  const uint8_t* bytes() const { return reinterpret_cast<const uint8_t*>(this); }

  Parts Read() const {
    Parts parts;
    uint64_t head;
    const uint8_t* p = GetVarint(bytes(), &head);
    if (head & 2) p += kExpiryBytes;
    parts.outside = head & 1;
    parts.value_place = p;
    uint64_t value_size = 0;
    p = parts.outside ? p + sizeof(void*) : GetVarint(p, &value_size);
    const char* text = reinterpret_cast<const char*>(p);
    parts.field = {text, head >> 2};
    parts.value = {text + parts.field.size(), value_size};
    return parts;
  }
  const uint8_t* ExpiryPlace() const {
    uint64_t head;
    const uint8_t* p = GetVarint(bytes(), &head);
    return head & 2 ? p : nullptr;
  }
  static uint8_t* Allocate(size_t size) {
    void* block = malloc(size);
    CHECK(block != nullptr);
    return static_cast<uint8_t*>(block);
  }
  static void* NewValueBlock(std::string_view value) {
    uint8_t* block = Allocate(VarintBytes(value.size()) + value.size());
    Copy(PutVarint(block, value.size()), value);
    return block;
  }
  static void Copy(uint8_t* to, std::string_view text) {
    if (!text.empty()) memcpy(to, text.data(), text.size());
  }
};

}  // namespace cairn
