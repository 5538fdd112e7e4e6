// SPDX-License-Identifier: BSD-3-Clause
#include "types/bitmap.h"

#include <algorithm>
#include <string>
#include <vector>

#include "../redis_oracle.h"
#include "base/numbers.h"
#include "base/random.h"

using namespace cairn;

namespace {

std::string RandomString(Random& random, size_t length) {
  // Long runs of equal bits, so that searches have something to skip.
  std::string bytes(length, random.Below(2) ? '\xff' : '\0');
  for (uint64_t n = random.Below(4); n > 0 && length > 0; --n) {
    bytes[random.Below(length)] = static_cast<char>(random.Next());
  }
  if (random.Below(3) == 0) {
    for (char& c : bytes) c = static_cast<char>(random.Next());
  }
  return bytes;
}

}  // namespace

TEST_CASE("Bits are set and read, most significant first") {
  std::string bytes(3, '\0');
  REQUIRE_FALSE(SetBit(bytes.data(), 7, true));
  REQUIRE(bytes == std::string("\x01\0\0", 3));
  REQUIRE(SetBit(bytes.data(), 7, false));
  Random random(2);
  std::vector<bool> model(24);
  for (int i = 0; i < 500; ++i) {
    uint64_t at = random.Below(24);
    bool bit = random.Below(2);
    REQUIRE(SetBit(bytes.data(), at, bit) == model[at]);
    model[at] = bit;
    for (uint64_t j = 0; j < 24; ++j) REQUIRE(GetBit(bytes, j) == model[j]);
  }
  REQUIRE_FALSE(GetBit(bytes, 24));
  REQUIRE_FALSE(GetBit(bytes, UINT64_MAX));
}

TEST_CASE("BITCOUNT and BITPOS against a bit by bit model") {
  Random random(3);
  for (int round = 0; round < 3000; ++round) {
    std::string bytes = RandomString(random, random.Below(70));
    int64_t bits = static_cast<int64_t>(bytes.size()) * 8;
    int64_t first = static_cast<int64_t>(random.Below(bits + 9));
    int64_t last = static_cast<int64_t>(random.Below(bits + 9));
    BitRange range{first, last, true, true};
    uint64_t count = 0;
    int64_t position[2] = {-1, -1};
    for (int64_t i = first; i <= std::min(last, bits - 1); ++i) {
      bool bit = GetBit(bytes, static_cast<uint64_t>(i));
      count += bit;
      if (position[bit] < 0) position[bit] = i;
    }
    REQUIRE(BitCount(bytes, range) == count);
    REQUIRE(BitPos(bytes, true, range) == position[1]);
    REQUIRE(BitPos(bytes, false, range) == position[0]);
  }
  REQUIRE(BitPos(std::string(5, '\xff'), false) == 40);
  REQUIRE(BitPos(std::string(5, '\xff'), false, {.end_given = true}) == -1);
}

TEST_CASE("BITOP against a bit by bit model") {
  Random random(4);
  for (int round = 0; round < 400; ++round) {
    std::vector<std::string> strings(1 + random.Below(5));
    for (std::string& s : strings) {
      s = RandomString(random, random.Below(20) == 0 ? 4000 + random.Below(5000)
                                                     : random.Below(40));
    }
    std::vector<std::string_view> inputs(strings.begin(), strings.end());
    for (int o = 0; o <= static_cast<int>(BitOperation::kOne); ++o) {
      auto operation = static_cast<BitOperation>(o);
      if (operation == BitOperation::kNot && inputs.size() > 1) continue;
      bool needs_two = operation == BitOperation::kDiff || operation == BitOperation::kDiff1 ||
                       operation == BitOperation::kAndOr;
      if (needs_two && inputs.size() < 2) continue;
      std::string out(BitOpLength(inputs), '?');
      BitOp(operation, inputs, out.data());
      bool all_right = true;
      for (uint64_t i = 0; i < out.size() * 8; ++i) {
        size_t set = 0;
        for (std::string_view input : inputs) set += GetBit(input, i);
        bool first = GetBit(inputs[0], i);
        bool others = set > (first ? 1 : 0);
        bool expected = false;
        switch (operation) {
          case BitOperation::kAnd: expected = set == inputs.size(); break;
          case BitOperation::kOr: expected = set > 0; break;
          case BitOperation::kXor: expected = set % 2; break;
          case BitOperation::kNot: expected = !first; break;
          case BitOperation::kDiff: expected = first && !others; break;
          case BitOperation::kDiff1: expected = others && !first; break;
          case BitOperation::kAndOr: expected = first && others; break;
          case BitOperation::kOne: expected = set == 1; break;
        }
        all_right &= GetBit(out, i) == expected;
      }
      REQUIRE(all_right);
    }
  }
}

TEST_CASE("BITCOUNT and BITPOS resolve ranges as redis-server does") {
  RedisOracle redis;
  if (!redis.ok()) return;
  Random random(5);
  for (int round = 0; round < 1500; ++round) {
    std::string bytes = RandomString(random, 1 + random.Below(12));
    redis.Text({"set", "k", bytes});
    auto bound = static_cast<int64_t>(random.Below(2) ? 14 : 110);
    auto pick = [&] { return static_cast<int64_t>(random.Below(2 * bound)) - bound; };
    BitRange range{pick(), pick(), random.Below(2) == 1, true};
    std::string start = ToString(range.start), end = ToString(range.end);
    const char* unit = range.in_bits ? "bit" : "byte";
    REQUIRE(std::to_string(BitCount(bytes, range)) ==
            redis.Text({"bitcount", "k", start, end, unit}));
    for (const char* bit : {"0", "1"}) {
      bool one = *bit == '1';
      REQUIRE(std::to_string(BitPos(bytes, one, range)) ==
              redis.Text({"bitpos", "k", bit, start, end, unit}));
      REQUIRE(std::to_string(BitPos(bytes, one, {.start = range.start})) ==
              redis.Text({"bitpos", "k", bit, start}));
      REQUIRE(std::to_string(BitPos(bytes, one)) == redis.Text({"bitpos", "k", bit}));
    }
  }
}
