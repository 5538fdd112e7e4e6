// SPDX-License-Identifier: BSD-3-Clause
//
// Entry: a key and its value in one allocation; what the keyspace's tables point to.
//
//   string:   head u32 | key length varint | [expiry i64] | key | value
//             value:  kInt:      i64
//                     kEmbedded: length varint | bytes          (form embstr or raw)
//                     kBlock:    StringBlock*                   (from 16 KiB on)
//   object:   head u32 | key length u32 | rep u64 | [expiry i64] | key
//             rep: the 8-byte handle of types/ (List, Set, SortedSet, Hash, Stream)
//
//   head: bits 0-2 type, 3-4 string form, 5 epoch, 6 has expiry, 7 raw (OBJECT ENCODING "raw" for
//   a short string that was edited in place), 8-31 access clock (LRU seconds, or LFU 16 + 8 bits)
//
// An Entry's bytes change only under its shard's lock. Changing the size of the value or adding an
// expiry makes a new Entry: the functions that may do so return the address to store.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/bytes.h"
#include "base/check.h"
#include "base/string_block.h"
#include "types/type.h"

namespace cairn {

constexpr int64_t kNoExpiry = -1;
constexpr size_t kBlockBytesMin = 16 * 1024;   // from here on a string lives in a block
constexpr size_t kEmbstrBytesMax = 44;         // Redis's OBJ_ENCODING_EMBSTR_SIZE_LIMIT
constexpr size_t kEntryHeadBytes = 4;          // of the layout above: where a string's varint is,
constexpr size_t kObjectKeyOffset = 16;        // and an object's expiry or key

class Value;

class Entry {
 public:
  enum class Form : uint8_t { kEmbedded = 0, kInt = 1, kBlock = 2 };

  // Takes the value over. The access clock and epoch bit are the caller's to set.
  static Entry* New(std::string_view key, Value&& value, int64_t expiry_ms);
  // A string entry with the bytes (kept as an integer if they spell one), the usual case of SET.
  static Entry* NewString(std::string_view key, std::string_view bytes, int64_t expiry_ms);
  // The same of a block, whose reference is taken over.
  static Entry* NewBlock(std::string_view key, StringBlock* block, int64_t expiry_ms);
  // Frees the entry and its value.
  static void Free(Entry* entry);
  // Frees the entry's memory only; the value was taken.
  static void FreeShell(Entry* entry);
  // Moves the value out; the entry is then only good for FreeShell.
  Value TakeValue();
  // A deep copy of the value (COPY); strings in blocks share the block.
  Value CopyValue() const;

  Type type() const { return static_cast<Type>(head() & 7); }
  bool is_string() const { return type() == Type::kString; }
  Form form() const { return static_cast<Form>((head() >> 3) & 3); }
  bool epoch() const { return (head() >> 5) & 1; }
  void set_epoch(bool bit) { set_head((head() & ~(1u << 5)) | uint32_t{bit} << 5); }
  bool has_expiry() const { return (head() >> 6) & 1; }
  bool raw() const { return (head() >> 7) & 1; }
  void set_raw() { set_head(head() | 1u << 7); }
  uint32_t access() const { return head() >> 8; }
  void set_access(uint32_t clock) { set_head((head() & 0xff) | clock << 8); }

  std::string_view key() const {
    if (!is_string())
      return {bytes() + kObjectKeyOffset + (has_expiry() ? 8 : 0), LoadLe<uint32_t>(bytes() + 4)};
    size_t length;
    const char* p = StringKey(&length);
    return {p, length};
  }
  [[gnu::always_inline]] bool KeyIs(std::string_view other) const {
    if (!is_string()) [[unlikely]]
      return key() == other;
    size_t length;
    const char* p = StringKey(&length);
    return length == other.size() && EqualBytes(p, other.data(), length);
  }
  int64_t expiry_ms() const { return has_expiry() ? LoadLe<int64_t>(expiry_at()) : kNoExpiry; }
  void set_expiry_in_place(int64_t ms) {
    DCHECK(has_expiry());
    StoreLe(const_cast<char*>(expiry_at()), ms);
  }
  // A copy of this entry with (or, kNoExpiry, without) an expiry; the value moves over and this
  // entry is freed.
  Entry* WithExpiry(int64_t expiry_ms);

  // Objects: the 8-byte handle, in place.
  template <typename T>
  T& object() {
    static_assert(sizeof(T) == 8);
    return *reinterpret_cast<T*>(bytes() + 8);
  }
  uint64_t rep() const { return LoadLe<uint64_t>(bytes() + 8); }
  // The earliest expiry among the fields of a hash; 0 if no field has one, and for other types.
  int64_t NextFieldExpiry() const {
    return type() == Type::kHash ? NextFieldExpiryOfHash() : 0;
  }

  // Strings.
  int64_t integer() const { return LoadLe<int64_t>(string_value()); }
  void set_integer(int64_t value) { StoreLe(string_value(), value); }
  StringBlock* block() const { return reinterpret_cast<StringBlock*>(LoadLe<uint64_t>(string_value())); }
  void set_block(StringBlock* block) { StoreLe(string_value(), reinterpret_cast<uint64_t>(block)); }
  // The bytes of an embedded or block string.
  [[gnu::always_inline]] std::string_view text() const {
    if (form() == Form::kBlock) [[unlikely]] return block()->view();
    DCHECK(form() == Form::kEmbedded);
    size_t length;
    const char* p = GetLength(string_value(), &length);
    return {p, length};
  }
  // Embedded: the bytes, writable; their number cannot change.
  char* embedded_data();

  Encoding encoding() const;
  // Heap bytes of entry and value; `samples` as in MEMORY USAGE (0: all elements).
  size_t MemoryUsage(size_t samples) const;

 private:
  Entry() = delete;
  char* bytes() const { return reinterpret_cast<char*>(const_cast<Entry*>(this)); }
  uint32_t head() const { return LoadLe<uint32_t>(this); }
  void set_head(uint32_t head) { StoreLe(this, head); }
  const char* expiry_at() const;
  // Of a string: where its key is, and how long.
  [[gnu::always_inline]] const char* StringKey(size_t* length) const {
    DCHECK(is_string());
    return GetLength(bytes() + kEntryHeadBytes, length) + (has_expiry() ? 8 : 0);
  }
  [[gnu::always_inline]] char* string_value() const {
    size_t length;
    const char* p = StringKey(&length);
    return const_cast<char*>(p + length);
  }
  // Reads a varint and returns where it ends.
  static const char* GetLength(const char* p, size_t* n) {
    *n = static_cast<unsigned char>(*p);
    return *n < 128 ? p + 1 : GetLongLength(p, n);
  }
  static const char* GetLongLength(const char* p, size_t* n);
  int64_t NextFieldExpiryOfHash() const;
};

struct EntryTraits {
  using Item = Entry;
  // A small value is mostly in the second, or at the end of the first.
  static constexpr size_t kPrefetchedLines = 2;
  static uint64_t Hash(const Entry* entry);
};

}  // namespace cairn
