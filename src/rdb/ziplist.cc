// SPDX-License-Identifier: BSD-3-Clause
#include "rdb/ziplist.h"

#include "base/bytes.h"

namespace cairn {
namespace {

constexpr size_t kZiplistHeaderBytes = 10;
constexpr uint8_t kBigLength = 0xfe;
constexpr uint8_t kEndMark = 0xff;
constexpr uint16_t kUnknownCount = 65535;

// Reads forward within bounds; `good` latches false.
struct Cursor {
  const char* at;
  const char* end;
  bool good = true;

  bool Has(size_t size) {
    good = good && static_cast<size_t>(end - at) >= size;
    return good;
  }
  uint8_t Peek() { return Has(1) ? static_cast<uint8_t>(*at) : 0; }
  uint8_t Byte() {
    uint8_t byte = Peek();
    if (good) ++at;
    return byte;
  }
  template <typename T>
  T Le() {
    if (!Has(sizeof(T))) return 0;
    T value = LoadLe<T>(at);
    at += sizeof(T);
    return value;
  }
  std::string_view Take(size_t size) {
    if (!Has(size)) return {};
    std::string_view view(at, size);
    at += size;
    return view;
  }
};

int64_t Int24(Cursor* cursor) {
  std::string_view bytes = cursor->Take(3);
  if (!cursor->good) return 0;
  uint32_t value = static_cast<uint8_t>(bytes[0]) | static_cast<uint8_t>(bytes[1]) << 8 |
                   static_cast<uint32_t>(static_cast<uint8_t>(bytes[2])) << 16;
  return static_cast<int32_t>(value << 8) >> 8;
}

// One ziplist entry behind its back length.
void ReadEntry(Cursor* cursor, Listpack* out) {
  uint8_t first = cursor->Byte();
  size_t size;
  switch (first >> 6) {
    case 0: size = first & 63; break;
    case 1: size = static_cast<size_t>(first & 63) << 8 | cursor->Byte(); break;
    case 2: size = __builtin_bswap32(cursor->Le<uint32_t>()); break;
    default: {
      int64_t value = 0;
      if (first == 0xc0) {
        value = cursor->Le<int16_t>();
      } else if (first == 0xd0) {
        value = cursor->Le<int32_t>();
      } else if (first == 0xe0) {
        value = cursor->Le<int64_t>();
      } else if (first == 0xf0) {
        value = Int24(cursor);
      } else if (first == 0xfe) {
        value = cursor->Le<int8_t>();
      } else if (first >= 0xf1 && first <= 0xfd) {
        value = first - 0xf1;
      } else {
        cursor->good = false;
      }
      if (cursor->good) out->Append(value);
      return;
    }
  }
  std::string_view text = cursor->Take(size);
  if (cursor->good) out->Append(text);
}

size_t ZipmapLength(Cursor* cursor) {
  uint8_t first = cursor->Byte();
  if (first < kBigLength) return first;
  if (first == kBigLength) return cursor->Le<uint32_t>();
  cursor->good = false;
  return 0;
}

}  // namespace

std::optional<Listpack> ZiplistToListpack(std::string_view bytes) {
  if (bytes.size() <= kZiplistHeaderBytes || bytes.size() >= ListpackView::kBytesMax / 2 ||
      LoadLe<uint32_t>(bytes.data()) != bytes.size()) {
    return std::nullopt;
  }
  const uint32_t tail = LoadLe<uint32_t>(bytes.data() + 4);
  const uint16_t announced = LoadLe<uint16_t>(bytes.data() + 8);
  Cursor cursor{bytes.data() + kZiplistHeaderBytes, bytes.data() + bytes.size()};
  Listpack out(bytes.size());
  size_t count = 0, entry_bytes = 0;
  size_t last = kZiplistHeaderBytes;
  while (cursor.good && cursor.Peek() != kEndMark) {
    const char* start = cursor.at;
    size_t before = cursor.Byte();
    if (before == kBigLength) before = cursor.Le<uint32_t>();
    ReadEntry(&cursor, &out);
    if (before != entry_bytes) return std::nullopt;
    last = static_cast<size_t>(start - bytes.data());
    entry_bytes = static_cast<size_t>(cursor.at - start);
    ++count;
  }
  if (!cursor.good || cursor.at + 1 != cursor.end || tail != last) return std::nullopt;
  if (announced != kUnknownCount && announced != count) return std::nullopt;
  return out;
}

std::optional<Listpack> ZipmapToListpack(std::string_view bytes) {
  if (bytes.size() < 2 || bytes.size() >= ListpackView::kBytesMax / 2) return std::nullopt;
  const auto announced = static_cast<uint8_t>(bytes[0]);
  Cursor cursor{bytes.data() + 1, bytes.data() + bytes.size()};
  Listpack out(bytes.size());
  size_t count = 0;
  while (cursor.good && cursor.Peek() != kEndMark) {
    std::string_view field = cursor.Take(ZipmapLength(&cursor));
    size_t value_size = ZipmapLength(&cursor);
    uint8_t free_bytes = cursor.Byte();
    std::string_view value = cursor.Take(value_size);
    cursor.Take(free_bytes);
    if (!cursor.good) break;
    out.Append(field);
    out.Append(value);
    ++count;
  }
  if (!cursor.good || cursor.at + 1 != cursor.end) return std::nullopt;
  if (announced < kBigLength && announced != count) return std::nullopt;
  return out;
}

}  // namespace cairn
