// SPDX-License-Identifier: BSD-3-Clause
//
// Rows of commands on one collection, whose members are fetched ahead: they say what they say one
// by one.
#include "exec/member_positions.h"

#include "base/random.h"
#include "tests/unit/exec/engine_harness.h"

namespace cairn {
namespace {

std::string Resp(const std::vector<std::string>& words) {
  std::string text = "*" + std::to_string(words.size()) + "\r\n";
  for (const auto& word : words)
    text += "$" + std::to_string(word.size()) + "\r\n" + word + "\r\n";
  return text;
}

}  // namespace

TEST_CASE("The argument that names a member", "[exec][members]") {
  TestEngine engine;
  const MemberPositions positions(engine.registry);
  const auto find = [&](std::vector<std::string_view> words) {
    const std::string_view* found = positions.Find(*engine.registry.Find(words[0]), words);
    return found == nullptr ? "none" : std::string(*found);
  };
  REQUIRE(find({"hset", "key", "field", "value"}) == "field");
  REQUIRE(find({"sadd", "key", "member"}) == "member");
  REQUIRE(find({"zadd", "key", "nx", "1", "member"}) == "member");
  REQUIRE(find({"zrank", "key", "member", "withscore"}) == "member");
  REQUIRE(find({"hget", "key"}) == "none");
  REQUIRE(find({"get", "key"}) == "none");
}

TEST_CASE("Rows of commands on one collection answer as single ones do", "[exec][members]") {
  TestEngine engine;
  TestClient rows(engine), singles(engine);
  Random random(7);
  const std::vector<std::vector<std::string>> kinds = {
      {"HSET", "h", "?", "?"}, {"HGET", "h", "?"},       {"HDEL", "h", "?"},
      {"SADD", "s", "?"},      {"SISMEMBER", "s", "?"},  {"SREM", "s", "?"},
      {"ZADD", "z", "1", "?"}, {"ZINCRBY", "z", "2", "?"}, {"ZSCORE", "z", "?"},
      {"ZRANK", "z", "?"},     {"DEL", "h"},             {"GET", "string"},
      {"SADD", "h", "?"},      {"HGET", "h"}};
  for (int round = 0; round < 600; ++round) {
    // Deletions only late: the collections are to be large before.
    const size_t kind = random.Below(round < 400 ? 10 : kinds.size());
    std::string row, expected;
    for (int i = 0; i < 16; ++i) {
      const auto& words = kinds[random.Below(4) == 0 ? random.Below(10) : kind];
      std::vector<std::string> one, other;
      for (size_t w = 0; w < words.size(); ++w) {
        const std::string word = words[w] == "?" ? "m" + std::to_string(random.Below(3000)) : words[w];
        one.push_back(w == 1 ? word + "1" : word);
        other.push_back(w == 1 ? word + "2" : word);
      }
      row += Resp(one);
      expected += singles.Send(Resp(other));
    }
    REQUIRE(rows.Send(row) == expected);
  }
  REQUIRE(engine.keyspace.Size(0) >= 4);
}

}  // namespace cairn
