// SPDX-License-Identifier: BSD-3-Clause
#include "base/numbers.h"

#include "base/crc.h"
#include "base/glob.h"
#include "base/random.h"

using namespace cairn;

TEST_CASE("ParseInt64 takes exactly what FormatInt64 writes") {
  int64_t v;
  for (std::string_view bad : {"", "-", "-0", "01", "+1", " 1", "1 ", "9223372036854775808",
                               "-9223372036854775809", "1a", "99999999999999999999"})
    REQUIRE_FALSE(ParseInt64(bad, &v));
  for (int64_t good : {int64_t{0}, int64_t{7}, int64_t{-1}, INT64_MAX, INT64_MIN}) {
    REQUIRE(ParseInt64(ToString(good), &v));
    REQUIRE(v == good);
  }
  Random random(1);
  for (int i = 0; i < 10000; ++i) {
    int64_t number = static_cast<int64_t>(random.Next() >> random.Below(64));
    REQUIRE(ParseInt64(ToString(number), &v));
    REQUIRE(v == number);
    REQUIRE(ToString(number) == std::to_string(number));
  }
}

TEST_CASE("FormatUint64 beside every power of two and of ten") {
  std::vector<uint64_t> numbers = {0, UINT64_MAX};
  for (int bit = 0; bit < 64; ++bit) numbers.push_back(uint64_t{1} << bit);
  for (uint64_t power = 1;; power *= 10) {
    numbers.push_back(power);
    if (power > UINT64_MAX / 10) break;
  }
  for (uint64_t middle : numbers) {
    for (uint64_t number : {middle - 1, middle, middle + 1}) {
      char text[kInt64CharsMax + 1];
      REQUIRE(std::string(text, FormatUint64(text, number)) == std::to_string(number));
    }
  }
}

TEST_CASE("FormatDouble uses Redis's notation") {
  REQUIRE(ToString(0.0) == "0");
  REQUIRE(ToString(-0.0) == "-0");
  REQUIRE(ToString(0.1) == "0.1");
  REQUIRE(ToString(3.0) == "3");
  REQUIRE(ToString(1e20) == "1e+20");
  REQUIRE(ToString(1e22) == "1e+22");
  REQUIRE(ToString(1.5e300) == "1.5e+300");
  REQUIRE(ToString(1e-7) == "1e-7");
  REQUIRE(ToString(0.000123) == "0.000123");
  REQUIRE(ToString(-1.0 / 0.0) == "-inf");
  REQUIRE(ToString(2251799813685249.5) == "2251799813685249.5");
  Random random(2);
  for (int i = 0; i < 10000; ++i) {
    double d = (random.Unit() - 0.5) * std::pow(10, static_cast<double>(random.Below(80)) - 40);
    double back;
    REQUIRE(ParseDouble(ToString(d), &back));
    REQUIRE(back == d);
  }
}

TEST_CASE("floats that Redis refuses are refused") {
  double d;
  for (std::string_view bad : {"", " 1", "1 ", "nan", "1e999", "abc", "1.0x"})
    REQUIRE_FALSE(ParseDouble(bad, &d));
  REQUIRE(ParseDouble("inf", &d));
  REQUIRE(ParseDouble("-Infinity", &d));
  REQUIRE(ParseDouble("1e3", &d));
  REQUIRE(d == 1000);
  char buffer[kLongDoubleCharsMax];
  REQUIRE(std::string(buffer, FormatLongDouble(buffer, 3.0L)) == "3");
  REQUIRE(std::string(buffer, FormatLongDouble(buffer, 10.5L)) == "10.5");
}

TEST_CASE("memory units") {
  uint64_t bytes;
  REQUIRE(ParseMemory("1gb", &bytes));
  REQUIRE(bytes == 1ull << 30);
  REQUIRE(ParseMemory("3K", &bytes));
  REQUIRE(bytes == 3000);
  REQUIRE_FALSE(ParseMemory("1tb", &bytes));
  REQUIRE_FALSE(ParseMemory("-1", &bytes));
  REQUIRE_FALSE(ParseMemory("mb", &bytes));
}

TEST_CASE("glob patterns") {
  REQUIRE(GlobMatch("*", ""));
  REQUIRE(GlobMatch("h?llo", "hello"));
  REQUIRE(GlobMatch("h[a-e]llo", "hello"));
  REQUIRE_FALSE(GlobMatch("h[^e]llo", "hello"));
  REQUIRE(GlobMatch("a\\*b", "a*b"));
  REQUIRE_FALSE(GlobMatch("a\\*b", "axb"));
  REQUIRE(GlobMatch("*a*b*c", "xxaxxbxxc"));
  REQUIRE(GlobMatch("HeLLo", "hEllO", true));
  REQUIRE_FALSE(GlobMatch("a*a*a*a*a*a*a*a*b", std::string(100, 'a')));
}

TEST_CASE("check values of the CRCs") {
  REQUIRE(Crc32c(0, "123456789") == 0xe3069283);
  REQUIRE(Crc64(0, "123456789") == 0xe9c6d914c4b8d9ca);
  REQUIRE(Crc16("123456789") == 0x31c3);
  REQUIRE(Crc64Combine(Crc64(0, "1234"), Crc64(0, "56789"), 5) == Crc64(0, "123456789"));
}

TEST_CASE("CRC-32C of long pieces is that of their bytes one by one") {
  std::string bytes;
  for (unsigned i = 0; i < 20'000; ++i) bytes.push_back(static_cast<char>(i * i * 31 + i / 7));
  for (size_t at = 0; at < 9; ++at) {
    uint32_t crc = static_cast<uint32_t>(at) * 0x9e3779b9;
    const uint32_t before = crc;
    for (size_t size = 0; at + size < bytes.size(); ++size) {
      if (size % 509 == 0) REQUIRE(Crc32c(before, std::string_view(bytes).substr(at, size)) == crc);
      crc = Crc32c(crc, {&bytes[at + size], 1});
    }
  }
}

TEST_CASE("CRC-64 of long pieces is that of their bytes one by one") {
  std::string bytes;
  for (unsigned i = 0; i < 1200; ++i) bytes.push_back(static_cast<char>(i * i * 31 + i / 7));
  for (size_t at = 0; at < 17; ++at) {
    for (size_t size = 0; at + size <= bytes.size(); size += size < 200 ? 1 : 37) {
      const std::string_view piece = std::string_view(bytes).substr(at, size);
      const uint64_t before = at * 0x9e3779b97f4a7c15;
      uint64_t crc = before;
      for (const char& c : piece) crc = Crc64(crc, {&c, 1});
      REQUIRE(Crc64(before, piece) == crc);
    }
  }
}
