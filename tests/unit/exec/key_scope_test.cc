// SPDX-License-Identifier: BSD-3-Clause
//
// Rule 7: what a handler looks up is what the pipeline locked. Random calls of every command with
// keys, sensible and not, at top level and inside MULTI: Unit::Lookup CHECKs that it holds the
// shard, so a key extraction that disagrees with its handler ends this test.
#include "base/random.h"
#include "tests/unit/exec/engine_harness.h"

namespace cairn {
namespace {

constexpr const char* kWords[] = {
    "s1", "s2", "l1", "l2", "h1", "h2", "set1", "set2", "z1", "z2", "x1", "x2", "new1", "new2",
    "0", "1", "2", "3", "-1", "10", "abc", "9223372036854775807", "-9223372036854775808", "1.5",
    "-", "+", "*", "$", ">", "(1", "[a", "s*", "h*->f1", "#", "nosort", "a", "f1", "1-1",
    "STORE", "STOREDIST", "BY", "GET", "LIMIT", "WEIGHTS", "AGGREGATE", "SUM", "DB", "REPLACE",
    "STREAMS", "GROUP", "COUNT", "LEFT", "RIGHT", "MIN", "MAX", "WITHSCORES", "EX", "PX", "NX",
    "XX", "FROMMEMBER", "FROMLONLAT", "BYRADIUS", "BYBOX", "km", "MKSTREAM", "CREATE", "AND",
    "NOT", "ASC", "DESC", "ALPHA", "IDLE", "MAXLEN", "REV", "BYLEX", "BYSCORE", "ABSTTL",
    "FIELDS", "SAMPLES", "ENCODING", "USAGE", "STREAM", "FULL", "SET", "u8", "PERSIST", "KEEPTTL"};

constexpr const char* kFill[] = {
    "SET s1 10", "SET s2 text", "RPUSH l1 1 2 3", "RPUSH l2 a b", "HSET h1 f1 1 f2 2",
    "HSET h2 f1 x", "SADD set1 1 2 3", "SADD set2 a b 1", "ZADD z1 1 a 2 b", "ZADD z2 3 c",
    "XADD x1 1-1 f v", "XGROUP CREATE x2 a 0 MKSTREAM"};

std::string Resp(const std::vector<std::string>& words) {
  std::string text;
  std::vector<std::string_view> views(words.begin(), words.end());
  AppendResp(&text, views);
  return text;
}

// The commands that lock keys by name.
std::vector<const Command*> KeyCommandsOf(const Registry& registry) {
  std::vector<const Command*> found;
  for (const auto& command : registry.all()) {
    const CommandSpec& spec = command->spec;
    if (spec.handler == nullptr || command->Is(kAdmin)) continue;
    if (command->full_name.starts_with("t.")) continue;
    if (spec.keys.count > 0 || spec.keys_of != nullptr) found.push_back(command.get());
  }
  return found;
}

}  // namespace

TEST_CASE("Rule 7: no command looks up a key that it did not lock", "[exec]") {
  TestEngine engine;
  TestClient client(engine);
  const auto commands = KeyCommandsOf(engine.registry);
  REQUIRE(commands.size() > 120);
  Random random(20);
  constexpr int kRounds = 40'000;
  for (int round = 0; round < kRounds; ++round) {
    if (round % 200 == 0) {
      client.Send("FLUSHALL\r\n");
      for (const char* line : kFill) client.Send(std::string(line) + "\r\n");
    }
    const Command& command = *commands[random.Below(commands.size())];
    std::vector<std::string> words;
    if (command.parent != nullptr) words.push_back(command.parent->full_name);
    words.emplace_back(command.spec.name);
    const size_t least = static_cast<size_t>(std::abs(command.spec.arity)) - words.size();
    const size_t count = command.spec.arity > 0 ? least : least + random.Below(6);
    for (size_t i = 0; i < count; ++i) words.emplace_back(kWords[random.Below(std::size(kWords))]);
    const std::string request = Resp(words);
    INFO(request);
    // Inside MULTI nothing waits; outside, the session would for ever.
    const bool queued = command.Is(kBlocking) || random.Below(4) == 0;
    const std::string reply =
        client.Send(queued ? "MULTI\r\n" + request + request + "EXEC\r\n" : request);
    REQUIRE_FALSE(reply.empty());
    client.session.suspended = client.session.retry = client.session.close_after_reply = false;
  }
}

TEST_CASE("Rule 7: keys that cannot be told are no error until the handler words it", "[exec]") {
  TestEngine engine;
  TestClient client(engine);
  REQUIRE(client.Send("MULTI\r\nZUNIONSTORE d abc k\r\nEXEC\r\n") ==
          "+OK\r\n+QUEUED\r\n*1\r\n-ERR value is not an integer or out of range\r\n");
  REQUIRE(client.Send("SINTERCARD 5 a\r\n") ==
          "-ERR Number of keys can't be greater than number of args\r\n");
}

TEST_CASE("Rule 7: a group and a consumer may be called STREAMS", "[exec]") {
  TestEngine engine;
  TestClient client(engine);
  constexpr int kKeys = 20;  // in more than one shard
  for (int i = 0; i < kKeys; ++i) {
    const std::string key = "x" + std::to_string(i);
    client.Send("XADD " + key + " 1-1 f v\r\nXGROUP CREATE " + key + " streams 0\r\n");
    for (const std::string& options : {std::string("COUNT 1 GROUP streams streams"),
                                       std::string("NOACK GROUP streams STREAMS"),
                                       std::string("GROUP streams streams COUNT 1")}) {
      client.Send("XGROUP SETID " + key + " streams 0\r\n");
      const std::string reply =
          client.Send("XREADGROUP " + options + " STREAMS " + key + " >\r\n");
      INFO(options << ": " << reply);
      REQUIRE(reply.find("1-1") != std::string::npos);
    }
  }
  REQUIRE(client.Send("XREADGROUP GROUP GROUP STREAMS STREAMS x1 >\r\n").starts_with("-NOGROUP"));
}

TEST_CASE("Rule 7: SORT's patterns and SELECT inside MULTI reach any key", "[exec]") {
  TestEngine engine;
  TestClient client(engine);
  client.Send("RPUSH list 1 2 3\r\nMSET w1 3 w2 2 w3 1 v1 a v2 b v3 c\r\n");
  REQUIRE(client.Send("SORT list BY w* GET v*\r\n") ==
          "*3\r\n$1\r\nc\r\n$1\r\nb\r\n$1\r\na\r\n");
  REQUIRE(client.Send("SORT list BY nosort GET v* STORE one STORE two\r\nLLEN one\r\nLLEN two\r\n") ==
          ":3\r\n:0\r\n:3\r\n");
  REQUIRE(client.Send("MULTI\r\nSELECT 3\r\nSET x 1\r\nEXEC\r\nGET x\r\nSELECT 0\r\nGET x\r\n")
              .ends_with("$1\r\n1\r\n+OK\r\n$-1\r\n"));
}

}  // namespace cairn
