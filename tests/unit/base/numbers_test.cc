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
    CHECK_FALSE(ParseInt64(bad, &v));
  for (int64_t good : {int64_t{0}, int64_t{7}, int64_t{-1}, INT64_MAX, INT64_MIN}) {
    REQUIRE(ParseInt64(ToString(good), &v));
    CHECK(v == good);
  }
  Random random(1);
  for (int i = 0; i < 10000; ++i) {
    int64_t number = static_cast<int64_t>(random.Next() >> random.Below(64));
    REQUIRE(ParseInt64(ToString(number), &v));
    REQUIRE(v == number);
    REQUIRE(ToString(number) == std::to_string(number));
  }
}

TEST_CASE("FormatDouble uses Redis's notation") {
  CHECK(ToString(0.0) == "0");
  CHECK(ToString(-0.0) == "-0");
  CHECK(ToString(0.1) == "0.1");
  CHECK(ToString(3.0) == "3");
  CHECK(ToString(1e20) == "1e+20");
  CHECK(ToString(1e22) == "1e+22");
  CHECK(ToString(1.5e300) == "1.5e+300");
  CHECK(ToString(1e-7) == "1e-7");
  CHECK(ToString(0.000123) == "0.000123");
  CHECK(ToString(-1.0 / 0.0) == "-inf");
  CHECK(ToString(2251799813685249.5) == "2251799813685249.5");
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
    CHECK_FALSE(ParseDouble(bad, &d));
  REQUIRE(ParseDouble("inf", &d));
  REQUIRE(ParseDouble("-Infinity", &d));
  REQUIRE(ParseDouble("1e3", &d));
  CHECK(d == 1000);
  char buffer[kLongDoubleCharsMax];
  CHECK(std::string(buffer, FormatLongDouble(buffer, 3.0L)) == "3");
  CHECK(std::string(buffer, FormatLongDouble(buffer, 10.5L)) == "10.5");
}

TEST_CASE("memory units") {
  uint64_t bytes;
  REQUIRE(ParseMemory("1gb", &bytes));
  CHECK(bytes == 1ull << 30);
  REQUIRE(ParseMemory("3K", &bytes));
  CHECK(bytes == 3000);
  CHECK_FALSE(ParseMemory("1tb", &bytes));
  CHECK_FALSE(ParseMemory("-1", &bytes));
  CHECK_FALSE(ParseMemory("mb", &bytes));
}

TEST_CASE("glob patterns") {
  CHECK(GlobMatch("*", ""));
  CHECK(GlobMatch("h?llo", "hello"));
  CHECK(GlobMatch("h[a-e]llo", "hello"));
  CHECK_FALSE(GlobMatch("h[^e]llo", "hello"));
  CHECK(GlobMatch("a\\*b", "a*b"));
  CHECK_FALSE(GlobMatch("a\\*b", "axb"));
  CHECK(GlobMatch("*a*b*c", "xxaxxbxxc"));
  CHECK(GlobMatch("HeLLo", "hEllO", true));
  CHECK_FALSE(GlobMatch("a*a*a*a*a*a*a*a*b", std::string(100, 'a')));
}

TEST_CASE("check values of the CRCs") {
  CHECK(Crc32c(0, "123456789") == 0xe3069283);
  CHECK(Crc64(0, "123456789") == 0xe9c6d914c4b8d9ca);
  CHECK(Crc16("123456789") == 0x31c3);
  CHECK(Crc64Combine(Crc64(0, "1234"), Crc64(0, "56789"), 5) == Crc64(0, "123456789"));
}
