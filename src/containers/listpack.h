// SPDX-License-Identifier: BSD-3-Clause
//
// Listpack: a row of strings and integers in one block of bytes, walked both ways. The bytes are
// those of RDB files and DUMP payloads (Redis 7), so small collections move as they are.
//
//   u32 total bytes | u16 elements | entry ... | 0xff          all fixed numbers little-endian
//   entry = encoding byte(s), payload, backlen
//   0xxxxxxx                       integer 0..127
//   10llllll          + l bytes    string up to 63 bytes
//   110xxxxx xxxxxxxx              signed 13-bit integer, high bits first
//   1110llll llllllll + l bytes    string up to 4095 bytes, high bits first
//   11110000 u32      + l bytes    longer string
//   11110001 .. 11110100           integer of 2, 3, 4, 8 bytes
//   backlen = length of encoding and payload, 7 bits a byte, most significant byte first; every
//             byte but the first has its top bit set, so that it is read from right to left
//
// The element count is 65535 when there are that many or more; it then has to be counted, and
// stays 65535 though elements are removed. Text that is exactly a decimal int64 is kept as an
// integer. A position is the byte offset of an entry; 0 (inside the header) means "none".
// Any change moves the bytes: it invalidates views, values and positions behind it.
//
// ListpackView trusts its bytes: whatever came from outside goes through Validate() first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

#include "base/bytes.h"
#include "base/check.h"
#include "base/numbers.h"

namespace cairn {

// One element: a string inside the listpack, or an integer.
class ListpackValue {
 public:
  static ListpackValue OfInt(int64_t value) { return {nullptr, value}; }
  static ListpackValue OfText(const char* data, size_t size) {
    return {data, static_cast<int64_t>(size)};
  }
  bool is_int() const { return data_ == nullptr; }
  int64_t integer() const { return number_; }
  std::string_view text() const { return {data_, static_cast<size_t>(number_)}; }
  // The element as text; `buffer` (kInt64CharsMax bytes) holds the digits of an integer.
  std::string_view Text(char* buffer) const {
    if (!is_int()) return text();
    return {buffer, FormatInt64(buffer, number_)};
  }
  // Length of Text().
  size_t TextSize() const;
  // True and the number if the element is an integer or text that reads as one.
  bool ToInt(int64_t* value) const {
    if (!is_int()) return ParseInt64(text(), value);
    *value = number_;
    return true;
  }
  bool operator==(std::string_view other) const;

 private:
  ListpackValue(const char* data, int64_t number) : data_(data), number_(number) {}
  const char* data_;  // null: an integer
  int64_t number_;    // the integer, or the length of the string
};

// How an element is written: made once, compared with or copied into many places.
struct ListpackEntry {
  explicit ListpackEntry(std::string_view element);
  explicit ListpackEntry(int64_t element);
  // Keeps `element` a string even where it reads as a number.
  static ListpackEntry RawString(std::string_view element);
  size_t size() const { return size_t{head_size} + body.size(); }  // without backlen
  size_t StoredBytes() const;                                      // with it
  void Write(uint8_t* at) const;                                   // StoredBytes()

  uint8_t head[9];
  uint8_t head_size;
  std::string_view body;

 private:
  ListpackEntry() = default;
  void EncodeInt(int64_t value);
  void EncodeString(std::string_view element);
};

class ListpackView {
 public:
  using Pos = size_t;
  static constexpr Pos kNone = 0;
  static constexpr size_t kHeaderBytes = 6;
  static constexpr size_t kEmptyBytes = 7;
  static constexpr uint16_t kUnknownLength = 65535;
  // Redis keeps listpacks below 1 GiB; so do we.
  static constexpr size_t kBytesMax = size_t{1} << 30;

  explicit ListpackView(const void* bytes) : data_(static_cast<const uint8_t*>(bytes)) {}

  // Whether `bytes` is a listpack: header and end mark only, or (deep) each entry and the count.
  static bool Validate(std::string_view bytes, bool deep = true);

  size_t Bytes() const { return LoadLe<uint32_t>(data_); }
  std::string_view AsBytes() const { return {reinterpret_cast<const char*>(data_), Bytes()}; }
  const uint8_t* data() const { return data_; }
  bool empty() const { return data_[kHeaderBytes] == kEnd; }
  // O(1); O(n) from 65535 elements on.
  size_t Length() const {
    const uint16_t count = LoadLe<uint16_t>(data_ + 4);
    return count != kUnknownLength ? count : CountEntries();
  }

  Pos First() const { return empty() ? kNone : kHeaderBytes; }
  Pos Last() const { return Before(Bytes() - 1); }
  Pos Next(Pos pos) const {
    pos = Skip(pos);
    return data_[pos] == kEnd ? kNone : pos;
  }
  Pos Prev(Pos pos) const { return Before(pos); }
  // The index-th element, from the end if negative (-1 is the last); kNone if out of range.
  Pos Seek(int64_t index) const;
  ListpackValue Get(Pos pos) const;
  // First element equal to `element` at or behind `from` (kNone: nothing), looking at one, then
  // leaving out `skip`, and so on: fields of a hash are found with from = First() and skip = 1.
  Pos Find(Pos from, std::string_view element, size_t skip = 0) const;
  // Calls visit(k, value of element index[k] * stride, its position) in one walk; the indexes are
  // ascending (equal ones allowed) and in range.
  template <typename Visit>
  void Pick(std::span<const uint32_t> index, size_t stride, Visit&& visit) const {
    Pos pos = First();
    size_t at = 0;
    for (size_t k = 0; k < index.size(); ++k) {
      for (; at < index[k] * stride; ++at) pos = Skip(pos);
      visit(k, Get(pos), pos);
    }
  }
  // visit(value); stops early when it returns false.
  template <typename Visit>
  bool ForEach(Visit&& visit) const {
    for (Pos pos = kHeaderBytes; data_[pos] != kEnd; pos = Skip(pos))
      if (!visit(Get(pos))) return false;
    return true;
  }

  static constexpr uint8_t kEnd = 0xff;

 protected:
  // Offset behind the entry at `pos`; that of the end mark behind the last.
  Pos Skip(Pos pos) const {
    const uint8_t first = data_[pos];
    if (first < 0x80) return pos + 2;
    if (first < 0xc0) return pos + 2 + (first & 0x3f);
    return SkipLong(pos);
  }
  Pos SkipLong(Pos pos) const;
  Pos Before(Pos pos) const;
  size_t CountEntries() const;

  const uint8_t* data_;
};

// Owns its bytes (malloc). Never null except after a move or Release().
class Listpack : public ListpackView {
 public:
  Listpack() : Listpack(size_t{0}) {}
  // Empty, with room for `capacity` bytes in all.
  explicit Listpack(size_t capacity);
  // A copy of bytes that Validate() accepted, or of another listpack.
  explicit Listpack(ListpackView other);
  static Listpack FromBytes(std::string_view valid_bytes) {
    return Listpack(ListpackView(valid_bytes.data()));
  }
  Listpack(Listpack&& other) noexcept : ListpackView(std::exchange(other.data_, nullptr)) {}
  Listpack& operator=(Listpack&& other) noexcept {
    std::swap(data_, other.data_);
    return *this;
  }
  ~Listpack();

  // For owners that keep the pointer in a word of their own: free() is its destructor.
  static Listpack Adopt(void* data) { return Listpack(data, Adopted()); }
  void* Release() { return const_cast<uint8_t*>(std::exchange(data_, nullptr)); }

  // Each returns the position of the new element.
  Pos Append(std::string_view element) { return Append(ListpackEntry(element)); }
  Pos Append(int64_t element) { return Append(ListpackEntry(element)); }
  Pos Append(const ListpackEntry& entry) { return Splice(Bytes() - 1, 0, &entry); }
  // All of them behind the last, with one resize.
  void Append(std::span<const ListpackEntry> entries);
  Pos Prepend(std::string_view element) { return Prepend(ListpackEntry(element)); }
  Pos Prepend(int64_t element) { return Prepend(ListpackEntry(element)); }
  Pos Prepend(const ListpackEntry& entry) { return Splice(kHeaderBytes, 0, &entry); }
  Pos InsertBefore(Pos pos, std::string_view element) {
    return InsertBefore(pos, ListpackEntry(element));
  }
  Pos InsertBefore(Pos pos, const ListpackEntry& entry) { return Splice(pos, 0, &entry); }
  Pos InsertAfter(Pos pos, std::string_view element) {
    return InsertAfter(pos, ListpackEntry(element));
  }
  Pos InsertAfter(Pos pos, const ListpackEntry& entry) { return Splice(Skip(pos), 0, &entry); }
  Pos Replace(Pos pos, std::string_view element) { return Replace(pos, ListpackEntry(element)); }
  Pos Replace(Pos pos, int64_t element) { return Replace(pos, ListpackEntry(element)); }
  Pos Replace(Pos pos, const ListpackEntry& entry) { return Splice(pos, Skip(pos) - pos, &entry); }
  // Removes up to `count` elements from `pos` on; returns the position of the one behind, or kNone.
  Pos Delete(Pos pos, size_t count = 1);
  // The same by index as in Seek().
  void DeleteRange(int64_t index, size_t count);
  void Clear();
  // Appends a copy of all elements of `other`; O(bytes of `other`).
  void AppendAll(ListpackView other);
  // Moves the elements at and behind `pos` (which is none: nothing) to a new listpack.
  Listpack SplitAt(Pos pos);

  // Whether `bytes` more keep it below kBytesMax.
  bool SafeToAdd(size_t bytes) const { return Bytes() + bytes < kBytesMax; }
  // Returns slack to the allocator.
  void ShrinkToFit();
  // What the allocator has set aside for it.
  size_t MemoryUsage() const;

 private:
  struct Adopted {};
  Listpack(void* data, Adopted) : ListpackView(data) {}
  // Replaces `old_bytes` at `pos` (one whole entry, or nothing) by `entry`.
  Pos Splice(Pos pos, size_t old_bytes, const ListpackEntry* entry);
  uint8_t* Resize(size_t bytes);
  void SetHeader(size_t bytes, size_t count);
  uint8_t* bytes() { return const_cast<uint8_t*>(data_); }
};

static_assert(sizeof(Listpack) == 8);

}  // namespace cairn
