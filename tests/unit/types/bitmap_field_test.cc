// SPDX-License-Identifier: BSD-3-Clause
#include "types/bitmap_field.h"

#include <string>

#include "../redis_oracle.h"
#include "base/numbers.h"
#include "base/random.h"
#include "types/bitmap.h"

using namespace cairn;

TEST_CASE("BITFIELD types and offsets: the grammar") {
  BitfieldType type;
  for (std::string_view bad :
       {"", "i", "u", "i0", "i65", "u64", "u0", "x8", "i-1", "i08", "8", "I8"})
    REQUIRE_FALSE(ParseBitfieldType(bad, &type));
  REQUIRE(ParseBitfieldType("i64", &type));
  REQUIRE((type.is_signed && type.bits == 64));
  REQUIRE(ParseBitfieldType("u63", &type));
  REQUIRE((!type.is_signed && type.bits == 63));

  uint64_t offset;
  REQUIRE((ParseBitOffset("#3", &type, UINT64_MAX, &offset) && offset == 189));
  REQUIRE((ParseBitOffset("17", nullptr, 3, &offset) && offset == 17));
  REQUIRE_FALSE(ParseBitOffset("24", nullptr, 3, &offset));
  REQUIRE_FALSE(ParseBitOffset("#3", nullptr, UINT64_MAX, &offset));
  for (std::string_view bad : {"", "#", "-1", "#-1", "##1", "1#", "#9223372036854775807"})
    REQUIRE_FALSE(ParseBitOffset(bad, &type, UINT64_MAX, &offset));
}

TEST_CASE("BITFIELD stores and reads any width at any offset") {
  Random random(6);
  for (int round = 0; round < 20000; ++round) {
    std::string bytes(24, '\0');
    for (char& c : bytes) c = static_cast<char>(random.Next());
    std::string before = bytes;
    BitfieldType type{random.Below(2) == 1, 0};
    type.bits = 1 + static_cast<int>(random.Below(type.is_signed ? 64 : 63));
    uint64_t offset = random.Below(24 * 8 - type.bits + 1);
    auto value = static_cast<int64_t>(random.Next());
    int64_t stored;
    REQUIRE(BitfieldSetResult(type, BitfieldOverflow::kWrap, value, &stored));
    BitfieldStore(bytes.data(), type, offset, stored);
    REQUIRE(BitfieldGet(bytes, type, offset) == stored);
    for (uint64_t i = 0; i < 24 * 8; ++i) {
      if (i < offset || i >= offset + type.bits) REQUIRE(GetBit(bytes, i) == GetBit(before, i));
    }
    // The exact buffer is enough: nothing behind the field is touched.
    REQUIRE(BitfieldGet(std::string(bytes, 0, BitfieldBytes(type, offset)), type, offset) ==
            stored);
  }
  REQUIRE(BitfieldGet("\xff", {false, 16}, 4) == 0xf000);
}

TEST_CASE("BITFIELD overflows as redis-server does") {
  RedisOracle redis;
  if (!redis.ok()) return;
  Random random(7);
  const char* kModes[] = {"wrap", "sat", "fail"};
  std::string bytes(40, '\0');
  redis.Text({"set", "k", bytes});
  auto near_edge = [&] {
    uint64_t edge = uint64_t{1} << random.Below(64);
    return static_cast<int64_t>((random.Below(2) ? edge : 0 - edge) + random.Below(3) - 1);
  };
  for (int round = 0; round < 4000; ++round) {
    BitfieldType type{random.Below(2) == 1, 0};
    type.bits = 1 + static_cast<int>(random.Below(type.is_signed ? 64 : 63));
    uint64_t offset = random.Below(40 * 8 - type.bits + 1);
    auto mode = static_cast<BitfieldOverflow>(random.Below(3));
    bool set = random.Below(2);
    int64_t value = near_edge();
    int64_t old_value = BitfieldGet(bytes, type, offset), stored = 0;
    bool ok = set ? BitfieldSetResult(type, mode, value, &stored)
                  : BitfieldIncrResult(type, mode, old_value, value, &stored);
    if (ok) BitfieldStore(bytes.data(), type, offset, stored);
    std::string type_text = (type.is_signed ? "i" : "u") + std::to_string(type.bits);
    std::string reply =
        redis.Text({"bitfield", "k", "overflow", kModes[static_cast<int>(mode)],
                    set ? "set" : "incrby", type_text, std::to_string(offset), ToString(value)});
    INFO(type_text << " at " << offset << " overflow " << kModes[static_cast<int>(mode)]
                   << (set ? " set " : " incrby ") << value << ", was " << old_value);
    REQUIRE(reply == (ok ? "[" + ToString(set ? old_value : stored) + "]" : "[(nil)]"));
  }
  REQUIRE(redis.Text({"get", "k"}) == bytes);
}
