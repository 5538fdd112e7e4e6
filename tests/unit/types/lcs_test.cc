// SPDX-License-Identifier: BSD-3-Clause
#include "types/lcs.h"

#include <string>

#include "../redis_oracle.h"
#include "base/random.h"

using namespace cairn;

namespace {

std::string RandomText(Random& random, size_t length_max, int letters) {
  std::string text(random.Below(length_max + 1), 'a');
  for (char& c : text) c = static_cast<char>('a' + random.Below(letters));
  return text;
}

// As redis-server prints LCS ... IDX WITHMATCHLEN.
std::string IdxText(const LcsResult& result, uint64_t length) {
  std::string text = "[matches,[";
  for (size_t i = 0; i < result.matches.size(); ++i) {
    const LcsMatch& m = result.matches[i];
    auto pair = [](uint32_t a, uint32_t b) {
      return "[" + std::to_string(a) + "," + std::to_string(b) + "]";
    };
    text += (i ? ",[" : "[") + pair(m.a_start, m.a_end) + "," + pair(m.b_start, m.b_end) + "," +
            std::to_string(m.length()) + "]";
  }
  return text + "],len," + std::to_string(length) + "]";
}

}  // namespace

TEST_CASE("LCS of the documentation's example") {
  Result<LcsResult> result = Lcs("ohmytext", "mynewtext", 4, UINT64_MAX);
  REQUIRE(result->text == "mytext");
  REQUIRE(LcsLength("ohmytext", "mynewtext") == 6);
  REQUIRE(result->matches.size() == 1);
  REQUIRE(result->matches[0].a_start == 4);
  REQUIRE(result->matches[0].b_end == 8);
  REQUIRE(Lcs("", "abc", 0, UINT64_MAX)->text.empty());
  REQUIRE(LcsLength("", "") == 0);
}

TEST_CASE("LCS refuses what Redis's table would not hold") {
  std::string a(999, 'a'), b(99, 'b');
  REQUIRE(Lcs(a, b, 0, 400'000).ok());
  REQUIRE(Lcs(a, b, 0, 399'999).status().code() == StatusCode::kLimit);
}

TEST_CASE("LCS chooses the same subsequence and matches as redis-server") {
  RedisOracle redis;
  if (!redis.ok()) return;
  Random random(8);
  for (int round = 0; round < 600; ++round) {
    int letters = 1 + static_cast<int>(random.Below(5));
    size_t length_max = round % 10 == 0 ? 300 : 40;
    std::string a = RandomText(random, length_max, letters);
    std::string b = RandomText(random, length_max, letters);
    redis.Text({"mset", "a", a, "b", b});
    uint64_t minimum = random.Below(4);
    Result<LcsResult> result = Lcs(a, b, minimum, UINT64_MAX);
    REQUIRE(result->text == redis.Text({"lcs", "a", "b"}));
    REQUIRE(LcsLength(a, b) == result->text.size());
    REQUIRE(IdxText(*result, result->text.size()) ==
            redis.Text({"lcs", "a", "b", "idx", "withmatchlen", "minmatchlen",
                        std::to_string(minimum)}));
  }
}
