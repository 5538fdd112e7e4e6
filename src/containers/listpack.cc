// SPDX-License-Identifier: BSD-3-Clause
#include "containers/listpack.h"

#include <malloc.h>
#include <stdlib.h>

#include <cstring>

namespace cairn {
namespace {

// Bytes of the backlen of an entry of `size` bytes. Redis goes over to the next size one early at
// 16383 and above; the bytes must agree.
size_t BacklenBytes(size_t size) {
  if (size <= 127) return 1;
  if (size < 16383) return 2;
  if (size < 2097151) return 3;
  if (size < 268435455) return 4;
  return 5;
}

size_t WriteBacklen(uint8_t* p, size_t size) {
  const size_t bytes = BacklenBytes(size);
  for (size_t i = bytes; i-- > 0; size >>= 7)
    p[i] = static_cast<uint8_t>((size & 127) | (i > 0 ? 128 : 0));
  return bytes;
}

// Reads the backlen whose last byte is at p[-1], looking at no more than `available` bytes.
// Returns false if it does not end within them or is longer than 5 bytes.
bool ReadBacklen(const uint8_t* p, size_t available, size_t* size) {
  size_t value = 0;
  for (size_t i = 0; i < 5 && i < available; ++i) {
    const uint8_t byte = *--p;
    value |= size_t{byte & 127u} << (7 * i);
    if (byte < 128) {
      *size = value;
      return true;
    }
  }
  return false;
}

// Bytes of encoding and payload of the entry at `p`, of which `available` bytes may be read.
// 0: not an entry, or cut short.
size_t EntrySize(const uint8_t* p, size_t available) {
  if (available == 0) return 0;
  const uint8_t first = p[0];
  if (first < 0x80) return 1;
  if (first < 0xc0) return 1 + (first & 0x3fu);
  if (first < 0xe0) return 2;
  if (first < 0xf0) return available < 2 ? 0 : 2 + ((first & 0xfu) << 8 | p[1]);
  switch (first) {
    case 0xf0:
      return available < 5 ? 0 : size_t{5} + LoadLe<uint32_t>(p + 1);
    case 0xf1:
      return 3;
    case 0xf2:
      return 4;
    case 0xf3:
      return 5;
    case 0xf4:
      return 9;
    default:
      return 0;
  }
}

constexpr size_t kPlenty = 16;  // enough to read any entry's head, when the bytes are trusted

ListpackValue Decode(const uint8_t* p) {
  const uint8_t first = p[0];
  const char* text = reinterpret_cast<const char*>(p);
  if (first < 0x80) return ListpackValue::OfInt(first);
  if (first < 0xc0) return ListpackValue::OfText(text + 1, first & 0x3f);
  if (first < 0xe0) {
    const int value = (first & 0x1f) << 8 | p[1];
    return ListpackValue::OfInt(value < 4096 ? value : value - 8192);
  }
  if (first < 0xf0) return ListpackValue::OfText(text + 2, (first & 0xfu) << 8 | p[1]);
  switch (first) {
    case 0xf0:
      return ListpackValue::OfText(text + 5, LoadLe<uint32_t>(p + 1));
    case 0xf1:
      return ListpackValue::OfInt(LoadLe<int16_t>(p + 1));
    case 0xf2:
      return ListpackValue::OfInt(
          static_cast<int32_t>(LoadLe<uint16_t>(p + 1) << 8 | uint32_t{p[3]} << 24) >> 8);
    case 0xf3:
      return ListpackValue::OfInt(LoadLe<int32_t>(p + 1));
    default:
      DCHECK(first == 0xf4);
      return ListpackValue::OfInt(LoadLe<int64_t>(p + 1));
  }
}

// The last 8 bytes of a text, or its last byte if it is shorter; no bytes are equal to no bytes.
uint64_t TailOf(const uint8_t* text, size_t size) {
  if (size >= 8) return LoadLe<uint64_t>(text + size - 8);
  return size > 0 ? text[size - 1] : 0;
}

bool LooksLikeInt(std::string_view text) {
  if (text.empty() || text.size() > kInt64CharsMax) return false;
  return static_cast<unsigned char>(text[0] - '0') <= 9 || text[0] == '-';
}

}  // namespace

size_t ListpackValue::TextSize() const {
  char buffer[kInt64CharsMax];
  return Text(buffer).size();
}

bool ListpackValue::operator==(std::string_view other) const {
  if (!is_int()) return text() == other;
  int64_t value;
  return LooksLikeInt(other) && ParseInt64(other, &value) && value == number_;
}

ListpackEntry::ListpackEntry(std::string_view element) {
  int64_t value;
  if (LooksLikeInt(element) && ParseInt64(element, &value))
    EncodeInt(value);
  else
    EncodeString(element);
}

ListpackEntry::ListpackEntry(int64_t element) {
  EncodeInt(element);
}

ListpackEntry ListpackEntry::RawString(std::string_view element) {
  ListpackEntry entry;
  entry.EncodeString(element);
  return entry;
}

size_t ListpackEntry::StoredBytes() const {
  return size() + BacklenBytes(size());
}

void ListpackEntry::Write(uint8_t* at) const {
  memcpy(at, head, head_size);
  if (!body.empty()) memcpy(at + head_size, body.data(), body.size());
  WriteBacklen(at + size(), size());
}

void ListpackEntry::EncodeInt(int64_t value) {
  if (value >= 0 && value <= 127) {
    head[0] = static_cast<uint8_t>(value);
    head_size = 1;
  } else if (value >= -4096 && value <= 4095) {
    head[0] = static_cast<uint8_t>(0xc0 | (value >> 8 & 0x1f));
    head[1] = static_cast<uint8_t>(value);
    head_size = 2;
  } else {
    StoreLe(head + 1, value);
    const bool two = value >= INT16_MIN && value <= INT16_MAX;
    const bool three = value >= -(1 << 23) && value < 1 << 23;
    const bool four = value >= INT32_MIN && value <= INT32_MAX;
    head[0] = two ? 0xf1 : three ? 0xf2 : four ? 0xf3 : 0xf4;
    head_size = two ? 3 : three ? 4 : four ? 5 : 9;
  }
}

void ListpackEntry::EncodeString(std::string_view element) {
  body = element;
  if (element.size() < 64) {
    head[0] = static_cast<uint8_t>(0x80 | element.size());
    head_size = 1;
  } else if (element.size() < 4096) {
    head[0] = static_cast<uint8_t>(0xe0 | element.size() >> 8);
    head[1] = static_cast<uint8_t>(element.size());
    head_size = 2;
  } else {
    CHECK(element.size() < ListpackView::kBytesMax);
    head[0] = 0xf0;
    StoreLe(head + 1, static_cast<uint32_t>(element.size()));
    head_size = 5;
  }
}

bool ListpackView::Validate(std::string_view bytes, bool deep) {
  if (bytes.size() < kEmptyBytes || bytes.size() > UINT32_MAX) return false;
  const uint8_t* data = reinterpret_cast<const uint8_t*>(bytes.data());
  if (LoadLe<uint32_t>(data) != bytes.size() || data[bytes.size() - 1] != kEnd) return false;
  if (!deep) return true;
  size_t count = 0;
  size_t pos = kHeaderBytes;
  const size_t end = bytes.size() - 1;
  while (pos < end) {
    const size_t size = EntrySize(data + pos, end - pos);
    if (size == 0 || size > end - pos) return false;
    const size_t backlen_bytes = BacklenBytes(size);
    if (backlen_bytes > end - pos - size) return false;
    size_t backlen;
    const uint8_t* behind = data + pos + size + backlen_bytes;
    // The backlen may not reach over its own bytes, or Prev() would land elsewhere.
    if (!ReadBacklen(behind, backlen_bytes, &backlen) || backlen != size) return false;
    if (behind[-static_cast<ptrdiff_t>(backlen_bytes)] >= 128) return false;
    pos += size + backlen_bytes;
    ++count;
  }
  const uint16_t claimed = LoadLe<uint16_t>(data + 4);
  return claimed == kUnknownLength || claimed == count;
}

ListpackView::Pos ListpackView::SkipLong(Pos pos) const {
  const size_t size = EntrySize(data_ + pos, kPlenty);
  DCHECK(size != 0);
  return pos + size + BacklenBytes(size);
}

ListpackView::Pos ListpackView::Before(Pos pos) const {
  if (pos == kHeaderBytes) return kNone;
  size_t size = 0;
  const bool read = ReadBacklen(data_ + pos, 5, &size);
  DCHECK(read);
  (void)read;
  return pos - size - BacklenBytes(size);
}

size_t ListpackView::CountEntries() const {
  size_t count = 0;
  for (Pos pos = kHeaderBytes; data_[pos] != kEnd; pos = Skip(pos)) ++count;
  return count;
}

ListpackView::Pos ListpackView::Seek(int64_t index) const {
  const uint16_t count = LoadLe<uint16_t>(data_ + 4);
  if (count != kUnknownLength) {
    if (index < -int64_t{count} || index >= count) return kNone;
    // Walk from the nearer end.
    if (index < 0) index += count;
    if (index > count / 2) index -= count;
  }
  if (index >= 0) {
    Pos pos = First();
    for (; index > 0 && pos != kNone; --index) pos = Next(pos);
    return pos;
  }
  Pos pos = Last();
  for (; index < -1 && pos != kNone; ++index) pos = Prev(pos);
  return pos;
}

ListpackValue ListpackView::Get(Pos pos) const {
  return Decode(data_ + pos);
}

ListpackView::Pos ListpackView::Find(Pos from, std::string_view element, size_t skip) const {
  if (from == kNone) return kNone;
  int64_t wanted = 0;
  const bool is_number = LooksLikeInt(element) && ParseInt64(element, &wanted);
  // Short strings, by far the commonest, are told apart by head byte and last bytes (names of
  // fields differ there rather than in front); only then the rest is compared.
  const size_t size = element.size();
  const uint8_t head = static_cast<uint8_t>(size < 64 ? 0x80 | size : 0);
  const uint64_t tail = TailOf(reinterpret_cast<const uint8_t*>(element.data()), size);
  const uint8_t* const base = data_;
  for (Pos pos = from;;) {
    const uint8_t first = base[pos];
    if (first >= 0x80 && first < 0xc0) {
      const uint8_t* text = base + pos + 1;
      if (first == head && TailOf(text, size) == tail &&
          (size == 0 || memcmp(text, element.data(), size) == 0))
        return pos;
      pos += 2 + (first & 0x3fu);
    } else {
      if (first == kEnd) return kNone;
      const ListpackValue value = Decode(base + pos);
      if (value.is_int() ? is_number && value.integer() == wanted : value.text() == element)
        return pos;
      pos = Skip(pos);
    }
    for (size_t i = 0; i < skip && base[pos] != kEnd; ++i) pos = Skip(pos);
  }
}

Listpack::Listpack(size_t capacity) : ListpackView(nullptr) {
  data_ = static_cast<uint8_t*>(malloc(capacity < kEmptyBytes ? kEmptyBytes : capacity));
  CHECK(data_ != nullptr);
  Clear();
}

Listpack::Listpack(ListpackView other) : ListpackView(nullptr) {
  const size_t size = other.Bytes();
  data_ = static_cast<uint8_t*>(malloc(size));
  CHECK(data_ != nullptr);
  memcpy(bytes(), other.data(), size);
}

Listpack::~Listpack() {
  free(bytes());
}

void Listpack::Clear() {
  SetHeader(kEmptyBytes, 0);
  bytes()[kHeaderBytes] = kEnd;
}

void Listpack::SetHeader(size_t total, size_t count) {
  StoreLe(bytes(), static_cast<uint32_t>(total));
  StoreLe(bytes() + 4,
          static_cast<uint16_t>(count < kUnknownLength ? count : size_t{kUnknownLength}));
}

// The allocator's size classes grow geometrically, so growing step by step stays amortised O(1).
uint8_t* Listpack::Resize(size_t size) {
  CHECK(size <= UINT32_MAX);
  if (size > malloc_usable_size(bytes())) {
    data_ = static_cast<uint8_t*>(realloc(bytes(), size));
    CHECK(data_ != nullptr);
  }
  return bytes();
}

ListpackView::Pos Listpack::Splice(Pos pos, size_t old_bytes, const ListpackEntry* entry) {
  const size_t total = Bytes();
  const size_t new_bytes = entry->StoredBytes();
  const size_t new_total = total - old_bytes + new_bytes;
  uint8_t* data = new_total > total ? Resize(new_total) : bytes();
  if (new_bytes != old_bytes)
    memmove(data + pos + new_bytes, data + pos + old_bytes, total - pos - old_bytes);
  entry->Write(data + pos);
  const uint16_t count = LoadLe<uint16_t>(data + 4);
  SetHeader(new_total, count == kUnknownLength || old_bytes != 0 ? count : count + 1u);
  if (new_total + new_total / 2 < total) ShrinkToFit();
  return pos;
}

ListpackView::Pos Listpack::Delete(Pos pos, size_t count) {
  const size_t total = Bytes();
  Pos behind = pos;
  size_t deleted = 0;
  for (; deleted < count && data_[behind] != kEnd; ++deleted) behind = Skip(behind);
  memmove(bytes() + pos, data_ + behind, total - behind);
  const uint16_t length = LoadLe<uint16_t>(data_ + 4);
  const size_t new_total = total - (behind - pos);
  SetHeader(new_total, length == kUnknownLength ? length : length - deleted);
  if (malloc_usable_size(bytes()) > 2 * new_total) ShrinkToFit();
  return data_[pos] == kEnd ? kNone : pos;
}

void Listpack::DeleteRange(int64_t index, size_t count) {
  const Pos pos = Seek(index);
  if (pos != kNone && count != 0) Delete(pos, count);
}

void Listpack::Append(std::span<const ListpackEntry> entries) {
  size_t pos = Bytes() - 1;
  const size_t count = Length() + entries.size();
  size_t added = 0;
  for (const ListpackEntry& entry : entries) added += entry.StoredBytes();
  uint8_t* data = Resize(pos + added + 1);
  for (const ListpackEntry& entry : entries) {
    entry.Write(data + pos);
    pos += entry.StoredBytes();
  }
  data[pos] = kEnd;
  SetHeader(pos + 1, count);
}

void Listpack::AppendAll(ListpackView other) {
  const size_t total = Bytes();
  const size_t body = other.Bytes() - kEmptyBytes;
  const size_t count = Length() + other.Length();
  uint8_t* data = Resize(total + body);
  memcpy(data + total - 1, other.data() + kHeaderBytes, body + 1);
  SetHeader(total + body, count);
}

Listpack Listpack::SplitAt(Pos pos) {
  if (pos == kNone) return Listpack();
  const size_t total = Bytes();
  const size_t body = total - 1 - pos;
  Listpack tail(kEmptyBytes + body);
  memcpy(tail.bytes() + kHeaderBytes, data_ + pos, body + 1);
  StoreLe(tail.bytes(), static_cast<uint32_t>(kEmptyBytes + body));
  const size_t moved = tail.CountEntries();
  const size_t length = Length();
  tail.SetHeader(kEmptyBytes + body, moved);
  bytes()[pos] = kEnd;
  SetHeader(pos + 1, length - moved);
  ShrinkToFit();
  return tail;
}

void Listpack::ShrinkToFit() {
  void* smaller = realloc(bytes(), Bytes());
  if (smaller != nullptr) data_ = static_cast<uint8_t*>(smaller);
}

size_t Listpack::MemoryUsage() const {
  return malloc_usable_size(const_cast<uint8_t*>(data_));
}

}  // namespace cairn
