// SPDX-License-Identifier: BSD-3-Clause
#include "types/hyperloglog.h"

#include <cmath>
#include <string>
#include <vector>

#include "../redis_oracle.h"
#include "base/random.h"

using namespace cairn;

namespace {

constexpr int64_t kSparseMax = 3000;

std::string Element(Random& random, uint64_t universe) {
  return "element:" + std::to_string(random.Below(universe)) +
         std::string(random.Below(universe < 100 ? 1 : 9), 'x');
}

// PFCOUNT of one key, which stores what it computed.
std::string Count(std::string* hll) {
  if (HllCacheValid(*hll)) return std::to_string(HllCachedCount(*hll));
  Result<uint64_t> count = HllCount(*hll);
  REQUIRE(count.ok());
  HllStoreCount(hll->data(), *count);
  return std::to_string(*count);
}

std::string RawSparse(std::string_view opcodes) {
  std::string hll = HllEmpty().substr(0, kHllHeaderBytes);
  return hll.append(opcodes);
}

}  // namespace

TEST_CASE("HyperLogLog self test") {
  Status status = HllSelfTest();
  INFO(status.message());
  REQUIRE(status.ok());
}

TEST_CASE("What looks like a HyperLogLog") {
  REQUIRE(HllLooksValid(HllEmpty()));
  REQUIRE(HllEmpty() == std::string("HYLL\x01\0\0\0\0\0\0\0\0\0\0\0\x7f\xff", 18));
  REQUIRE_FALSE(HllLooksValid(""));
  REQUIRE_FALSE(HllLooksValid("HYLL"));
  REQUIRE_FALSE(HllLooksValid(std::string("HYLL\0", 5) + std::string(20, '\0')));
  REQUIRE_FALSE(HllLooksValid(std::string("HYLL\x02", 5) + std::string(20, '\0')));
  REQUIRE_FALSE(HllLooksValid(std::string("HYLX\x01", 5) + std::string(20, '\0')));
  REQUIRE(HllLooksValid(std::string("HYLL\0", 5) + std::string(kHllDenseBytes - 5, '\0')));
}

TEST_CASE("Corrupt sparse opcodes are found, never followed") {
  // Too short, too long, an XZERO cut in half, nothing at all.
  for (std::string_view opcodes : {std::string_view("\x7f\xfe"), std::string_view("\x7f\xff\x01"),
                                   std::string_view("\x7f"), std::string_view("")}) {
    std::string hll = RawSparse(opcodes);
    REQUIRE_FALSE(HllCount(hll).ok());
    REQUIRE_FALSE(HllToDense(&hll).ok());
  }
  Random random(9);
  for (int round = 0; round < 3000; ++round) {
    std::string opcodes(random.Below(60), '\0');
    for (char& c : opcodes) c = static_cast<char>(random.Next());
    std::string hll = RawSparse(opcodes);
    for (int i = 0; i < 5; ++i) (void)HllAdd(&hll, Element(random, 1 << 20), kSparseMax);
    (void)HllCount(hll);
    (void)HllToDense(&hll);
  }
}

TEST_CASE("PFADD and PFCOUNT leave the same bytes as redis-server") {
  RedisOracle redis;
  if (!redis.ok()) return;
  for (uint64_t universe : {20u, 3000u, 1000000u}) {
    for (int64_t sparse_max : {kSparseMax, int64_t{100}, int64_t{16000}}) {
      redis.Text({"config", "set", "hll-sparse-max-bytes", std::to_string(sparse_max)});
      Random random(universe + sparse_max);
      std::string hll = HllEmpty();
      HllInvalidateCache(hll.data());
      redis.Text({"del", "h"});
      redis.Text({"pfadd", "h"});
      for (int i = 0; i < 2500; ++i) {
        std::string element = Element(random, universe);
        HllAdded added = HllAdd(&hll, element, sparse_max);
        REQUIRE(redis.Text({"pfadd", "h", element}) ==
                (added == HllAdded::kChanged ? "1" : "0"));
        if (i % 16 == 0) REQUIRE(redis.Text({"pfcount", "h"}) == Count(&hll));
        if (i % 8 == 0) REQUIRE(redis.Text({"get", "h"}) == hll);
      }
    }
  }
}

TEST_CASE("PFMERGE and PFCOUNT of several keys agree with redis-server") {
  RedisOracle redis;
  if (!redis.ok()) return;
  Random random(11);
  for (int round = 0; round < 60; ++round) {
    redis.Text({"flushall"});
    std::vector<std::string> hlls;
    bool dense = false;
    HllRegisters registers;
    for (int k = 0; k < 3; ++k) {
      std::string hll = HllEmpty(), key = "h" + std::to_string(k);
      redis.Send({"pfadd", key});
      uint64_t count = random.Below(round % 5 == 0 ? 6000 : 600);
      for (uint64_t i = 0; i < count; ++i) {
        std::string element = Element(random, 1 << 20);
        (void)HllAdd(&hll, element, kSparseMax);
        redis.Send({"pfadd", key, element});
      }
      for (uint64_t i = 0; i <= count; ++i) redis.Next();
      HllInvalidateCache(hll.data());
      REQUIRE(redis.Text({"get", key}) == hll);
      dense |= HllIsDense(hll);
      REQUIRE(HllMergeInto(hll, &registers).ok());
      hlls.push_back(hll);
    }
    REQUIRE(redis.Text({"pfcount", "h0", "h1", "h2"}) == std::to_string(HllCount(registers)));
    REQUIRE(HllStoreMerged(registers, dense, kSparseMax, &hlls[0]).ok());
    redis.Text({"pfmerge", "h0", "h1", "h2"});
    REQUIRE(redis.Text({"get", "h0"}) == hlls[0]);
    if (!HllIsDense(hlls[1])) {
      std::string text;
      REQUIRE(HllDecodeSparse(hlls[1], &text).ok());
      REQUIRE(redis.Text({"pfdebug", "decode", "h1"}) == text);
    }
  }
}
