// SPDX-License-Identifier: BSD-3-Clause
#include <cmath>
#include <string>

#include "base/crc.h"
#include "base/numbers.h"
#include "base/random.h"
#include "rdb/reader.h"
#include "rdb/string_pieces.h"
#include "rdb/writer.h"

using namespace cairn;

namespace {

std::string Encoded(std::string_view text, bool compress = true) {
  std::string out;
  RdbWriter(&out, compress).String(text);
  return out;
}

// Hands out a memory area in pieces of random size.
RdbReader::Source Pieces(const std::string& bytes, Random* random) {
  return [&bytes, random, at = size_t{0}](char* into, size_t size) mutable {
    size_t part = std::min({size, bytes.size() - at, size_t{1} + random->Below(5000)});
    bytes.copy(into, part, at);
    at += part;
    return part;
  };
}

}  // namespace

TEST_CASE("RDB lengths take the shortest form and read back", "[rdb]") {
  const std::pair<uint64_t, size_t> kSizes[] = {
      {0, 1},          {63, 1},         {64, 2},          {16383, 2},          {16384, 5},
      {UINT32_MAX, 5}, {UINT32_MAX + uint64_t{1}, 9}, {UINT64_MAX, 9}};
  for (auto [length, size] : kSizes) {
    std::string out;
    RdbWriter(&out).Length(length);
    REQUIRE(out.size() == size);
    RdbReader reader(out);
    REQUIRE(reader.Length() == length);
    REQUIRE((reader.ok() && reader.AtEnd()));
    for (size_t cut = 0; cut < size; ++cut) {
      RdbReader short_reader(std::string_view(out).substr(0, cut));
      REQUIRE(short_reader.Length() == 0);
      REQUIRE_FALSE(short_reader.ok());
    }
  }
}

TEST_CASE("RDB strings: integers, compression and plain bytes", "[rdb]") {
  REQUIRE(Encoded("0") == std::string("\xc0\x00", 2));
  REQUIRE(Encoded("-129") == "\xc1\x7f\xff");
  REQUIRE(Encoded("2147483647") == "\xc2\xff\xff\xff\x7f");
  REQUIRE(Encoded("2147483648") == "\x0a" "2147483648");
  REQUIRE(Encoded("01") == "\x02" "01");
  REQUIRE(Encoded(std::string(1000, 'x')).size() < 40);
  REQUIRE(Encoded(std::string(1000, 'x'), false).size() == 1002);
  Random random(21);
  std::string all;
  std::vector<std::string> texts;
  for (int i = 0; i < 2000; ++i) {
    std::string text;
    switch (random.Below(4)) {
      case 0: text = ToString(static_cast<int64_t>(random.Next() >> random.Below(64))); break;
      case 1: text = std::string(random.Below(300), static_cast<char>(random.Next())); break;
      default: text.resize(random.Below(i % 100 == 0 ? 200000 : 100));
        for (char& c : text) c = static_cast<char>(random.Below(20));
    }
    texts.push_back(text);
    all += Encoded(text, random.Below(2));
  }
  RdbReader memory(all);
  RdbReader stream(Pieces(all, &random));
  stream.EnableChecksum();
  for (const std::string& text : texts) {
    REQUIRE(memory.Text() == text);
    REQUIRE(stream.Text() == text);
    REQUIRE(stream.position() == memory.position());
    REQUIRE(stream.Checksum() == Crc64(0, std::string_view(all).substr(0, stream.position())));
  }
  REQUIRE((memory.AtEnd() && stream.AtEnd() && memory.ok() && stream.ok()));
}

TEST_CASE("RDB strings in pieces read back as one, compressed where that is shorter", "[rdb]") {
  Random random(3);
  constexpr size_t kPiece = RdbStringPieces::kPieceBytes;
  for (const size_t size : {size_t{1}, kPiece - 1, kPiece, kPiece + 1, 3 * kPiece + 7}) {
    for (const int kind : {0, 1, 2}) {
      // All alike; half of it alike, so that pieces differ in kind; no two bytes alike for long.
      std::string text(size, 'a');
      for (size_t i = kind == 1 ? size / 2 : 0; kind != 0 && i < size; ++i)
        text[i] = static_cast<char>(random.Next());
      for (const bool compress : {false, true}) {
        RdbStringPieces pieces(text, compress);
        std::string bytes, piece;
        size_t largest = 0;
        for (bool more = true; more;) {
          piece.clear();
          more = pieces.Next(&piece);
          largest = std::max(largest, piece.size());
          bytes += piece;
        }
        REQUIRE(largest < kPiece + kPiece / 16);
        REQUIRE(pieces.compressed() == (compress && kind != 2 && size > 100));
        REQUIRE((bytes.size() < size) == pieces.compressed());
        RdbReader reader{std::string_view(bytes)};
        const bool same = reader.Text() == text;
        REQUIRE(same);
        REQUIRE(reader.ok());
        REQUIRE(reader.position() == bytes.size());
      }
    }
  }
}

TEST_CASE("RDB strings that claim more than is there are refused without the memory", "[rdb]") {
  for (std::string_view bytes :
       {std::string_view("\x81\x7f\xff\xff\xff\xff\xff\xff\xff", 9),        // a length of 2^63
        std::string_view("\xc3\x04\x80\x7f\xff\xff\xff\0\0\0\0", 11),       // LZF of 2 GiB
        std::string_view("\xc3\x00\x01", 3), std::string_view("\xc4\x00", 2),
        std::string_view("\x82\0\0\0\0\0\0\0\0", 9), std::string_view("", 0)}) {
    RdbReader reader(bytes);
    REQUIRE(reader.Text().empty());
    REQUIRE_FALSE(reader.ok());
    REQUIRE(reader.Byte() == 0);
    Random random(1);
    std::string copy(bytes);
    RdbReader stream(Pieces(copy, &random));
    REQUIRE(stream.Text().empty());
    REQUIRE_FALSE(stream.ok());
  }
}

TEST_CASE("RDB collections make room for no more than the bytes that are there", "[rdb]") {
  const std::string bytes(1000, '\0');
  RdbReader reader{std::string_view(bytes)};
  REQUIRE(reader.ReserveHint(7) == 7);
  REQUIRE(reader.ReserveHint(1000) == 100);
  REQUIRE(reader.ReserveHint(UINT64_MAX) == 100);
  for (int i = 0; i < 500; ++i) reader.Byte();
  REQUIRE(reader.ReserveHint(1000) == 50);
}

TEST_CASE("RDB file records", "[rdb]") {
  std::string out;
  RdbWriter writer(&out);
  writer.FileHeader(12);
  REQUIRE(out == "REDIS0012");
  writer.Aux("redis-ver", "7.4.0");
  writer.SelectDb(3);
  writer.ResizeDb(100, 1);
  writer.ExpireTimeMs(1700000000000);
  writer.Freq(255);
  writer.EofOpcode();
  writer.Checksum(Crc64(0, out));
  RdbReader reader(out);
  reader.EnableChecksum();
  REQUIRE(reader.FileHeader() == 12);
  REQUIRE(reader.Byte() == static_cast<uint8_t>(RdbOpcode::kAux));
  REQUIRE(reader.Text() == "redis-ver");
  REQUIRE(reader.Text() == "7.4.0");
  REQUIRE(reader.Byte() == static_cast<uint8_t>(RdbOpcode::kSelectDb));
  REQUIRE(reader.Length() == 3);
  REQUIRE(reader.Byte() == static_cast<uint8_t>(RdbOpcode::kResizeDb));
  REQUIRE(reader.Length() == 100);
  REQUIRE(reader.Length() == 1);
  REQUIRE(reader.Byte() == static_cast<uint8_t>(RdbOpcode::kExpireTimeMs));
  REQUIRE(reader.Int64() == 1700000000000);
  REQUIRE(reader.Byte() == static_cast<uint8_t>(RdbOpcode::kFreq));
  REQUIRE(reader.Byte() == 255);
  REQUIRE(reader.Byte() == static_cast<uint8_t>(RdbOpcode::kEof));
  uint64_t crc = reader.Checksum();
  REQUIRE(static_cast<uint64_t>(reader.Int64()) == crc);
  REQUIRE((reader.ok() && reader.AtEnd()));
  REQUIRE(RdbReader("REDIS00x1").FileHeader() == 0);
  REQUIRE(RdbReader("VALKEY080").FileHeader() == 80);
  REQUIRE(RdbReader("REDIS0080").FileHeader() == 0);
  REQUIRE(RdbReader("VALKEY011").FileHeader() == 0);
}

TEST_CASE("RDB scores as text and binary", "[rdb]") {
  RdbReader reader(std::string_view("\x03" "1.5\xfe\xff\xfd", 7));
  REQUIRE(reader.TextDouble() == 1.5);
  REQUIRE(reader.TextDouble() == INFINITY);
  REQUIRE(reader.TextDouble() == -INFINITY);
  REQUIRE(std::isnan(reader.TextDouble()));
  REQUIRE(reader.ok());
  RdbReader bad("\x03" "1.x");
  bad.TextDouble();
  REQUIRE_FALSE(bad.ok());
}

TEST_CASE("RDB writer drains what grows too large", "[rdb]") {
  std::string all, buffer;
  size_t largest = 0;
  RdbWriter writer(&buffer, false, 1000, [&](std::string* bytes) {
    largest = std::max(largest, bytes->size());
    all += *bytes;
    bytes->clear();
  });
  std::string expected;
  RdbWriter plain(&expected, false);
  for (int i = 0; i < 100; ++i) {
    std::string text(static_cast<size_t>(i) * 97, static_cast<char>('a' + i % 26));
    writer.String(text);
    plain.String(text);
  }
  REQUIRE(all + buffer == expected);
  REQUIRE(largest <= 1000);
}

TEST_CASE("RDB module data is skipped", "[rdb]") {
  // SINT 5, STRING "ab", DOUBLE, FLOAT, EOF, then one byte more.
  RdbReader reader(std::string_view("\x01\x05\x05\x02" "ab\x04" "12345678\x03" "1234\x00\x2a", 22));
  reader.SkipModuleData();
  REQUIRE(reader.ok());
  REQUIRE(reader.Byte() == 0x2a);
  RdbReader bad("\x09");
  bad.SkipModuleData();
  REQUIRE_FALSE(bad.ok());
}
