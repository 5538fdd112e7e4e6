// SPDX-License-Identifier: BSD-3-Clause
#include "resp/request_parser.h"

#include <cstring>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "tests/unit/resp/text_feeder.h"

namespace cairn {
namespace {

TEST_CASE("request parser: multibulk requests and their raw bytes") {
  Args set = {"SET", "key:000000000001", std::string("va\r\nl\0ue", 8)};
  Args ping = {"PING"};
  Args empty = {"", ""};
  TextFeeder feeder;
  feeder.Feed(AsResp(set) + "*0\r\n" + AsResp(ping) + "*-1\r\n\r\n" + AsResp(empty));
  REQUIRE(feeder.requests_ == std::vector<Args>{set, ping, empty});
  REQUIRE(feeder.raw_ == std::vector<std::string>{AsResp(set), AsResp(ping), AsResp(empty)});
  REQUIRE(feeder.parser_.memory_bytes() == 0);
}

TEST_CASE("request parser: sloppy line ends pass, as in Redis, but give no raw bytes") {
  TextFeeder feeder;
  feeder.Feed("*1\rX$4\r\nPING\r\n*1\r\n$4\r\nPINGXX");
  REQUIRE(feeder.requests_ == std::vector<Args>{{"PING"}, {"PING"}});
  REQUIRE(feeder.raw_ == std::vector<std::string>{"", ""});
}

// Golden: the texts and limits were taken from redis-server 7.0.15 itself.
TEST_CASE("request parser: protocol errors are worded as Redis words them") {
  const std::string multibulk = "Protocol error: invalid multibulk length";
  const std::string bulk = "Protocol error: invalid bulk length";
  const std::pair<std::string, std::string> rows[] = {
      {"*2147483647\r\n", ""},
      {"*2147483648\r\n", multibulk},
      {"*a\r\n", multibulk},
      {"*\r\n", multibulk},
      {"*01\r\n", multibulk},
      {"*+1\r\n", multibulk},
      {"*1\r\nx4\r\n", "Protocol error: expected '$', got 'x'"},
      {"*1\r\n\r\n", "Protocol error: expected '$', got '\r'"},
      {"*1\r\n\x01x\r\n", "Protocol error: expected '$', got '\x01'"},
      {"*1\r\nx", ""},
      {"*1\r\nxy\r", ""},
      {"*1\r\n$-1\r\n", bulk},
      {"*1\r\n$x\r\n", bulk},
      {"*1\r\n$536870912\r\n", ""},
      {"*1\r\n$536870913\r\n", bulk},
      {"ECHO \"a\r\n", "Protocol error: unbalanced quotes in request"},
      {"ECHO \"a\"b\r\n", "Protocol error: unbalanced quotes in request"},
      {"ECHO 'a\r\n", "Protocol error: unbalanced quotes in request"},
      {std::string(65536, 'a'), ""},
      {std::string(65537, 'a'), "Protocol error: too big inline request"},
      {"*" + std::string(65535, '1'), ""},
      {"*" + std::string(65536, '1'), "Protocol error: too big mbulk count string"},
      {"*1\r\n$" + std::string(65530, '1'), ""},
      {"*1\r\n$" + std::string(65537, '1'), "Protocol error: too big bulk count string"},
  };
  for (const auto& [text, error] : rows) REQUIRE(ErrorIn(text) == error);

  ParseLimits before_auth;
  before_auth.authenticated = false;
  REQUIRE(ErrorIn("*10\r\n", before_auth) == "");
  REQUIRE(ErrorIn("*11\r\n", before_auth) == "Protocol error: unauthenticated multibulk length");
  REQUIRE(ErrorIn("*1\r\n$16384\r\n", before_auth) == "");
  REQUIRE(ErrorIn("*1\r\n$16385\r\n", before_auth) ==
          "Protocol error: unauthenticated bulk length");
}

TEST_CASE("request parser: an error comes after the requests before it, and stays") {
  TextFeeder feeder;
  feeder.Feed(AsResp({"PING"}) + "PING inline\r\n*x\r\n" + AsResp({"PING"}));
  REQUIRE(feeder.requests_ == std::vector<Args>{{"PING"}, {"PING", "inline"}});
  REQUIRE(feeder.error_ == "Protocol error: invalid multibulk length");
  feeder.Feed(AsResp({"PING"}));
  REQUIRE(feeder.requests_.size() == 2);
}

TEST_CASE("request parser: inline requests with Redis's quoting") {
  const std::pair<std::string, std::vector<Args>> rows[] = {
      {"PING\r\n", {{"PING"}}},
      {"PING\n", {{"PING"}}},
      {"\r\n\n  \r\n  PING  x \r\n", {{"PING", "x"}}},
      {"PING\tx\r\n", {{"PING", "x"}}},
      {"PING\rX\r\n", {{"PING", "X"}}},
      {"ECHO 'a\\'b\\n'\r\n", {{"ECHO", "a'b\\n"}}},
      {"ECHO \"\\x41\\n\\q\\\"\"\r\n", {{"ECHO", "A\nq\""}}},
      {"ECHO \"\\x4g\" \"\\x\"\r\n", {{"ECHO", "x4g", "x"}}},
      {"ECHO a\"b c\" ''\r\n", {{"ECHO", "ab c", ""}}},
      {"ECHO \"a\x0b" "b\"\x0b" "c\r\n", {{"ECHO", "a\x0b" "b", "c"}}},
      {"ECHO a\x0b" "b\r\n", {{"ECHO", "a\x0b" "b"}}},
  };
  for (const auto& [text, expected] : rows) {
    REQUIRE(Parsed(text) == std::pair(expected, std::string()));
    TextFeeder feeder;
    for (char c : text) feeder.Feed({&c, 1});
    REQUIRE(feeder.requests_ == expected);
  }
}

std::string RandomStream(Random* random, std::vector<Args>* requests) {
  std::string text;
  size_t count = 1 + random->Below(20);
  for (size_t i = 0; i < count; i++) {
    if (random->Below(10) == 0) {
      text += "get 'in line'\r\n";
      requests->push_back({"get", "in line"});
      continue;
    }
    if (random->Below(15) == 0) text += random->Below(2) ? "*0\r\n" : "\r\n";
    Args args(1 + random->Below(random->Below(20) == 0 ? 3000 : 5));
    for (auto& arg : args) {
      size_t n = random->Below(30);
      if (args.size() < 10 && random->Below(20) == 0) n = 20'000 + random->Below(60'000);
      for (size_t b = 0; b < n; b++) arg += "\r\n$*1a"[random->Below(6)];
    }
    text += AsResp(args);
    requests->push_back(std::move(args));
  }
  return text;
}

TEST_CASE("request parser: a split at every byte changes nothing") {
  std::vector<Args> expected = {{"SET", "key", "value\r\n"}, {"get", "in line"}, {"PING"}, {""}};
  std::string text = AsResp(expected[0]) + "*0\r\nget 'in line'\r\n" + AsResp(expected[2]) +
                     "\r\n" + AsResp(expected[3]);
  for (size_t i = 0; i <= text.size(); i++) {
    for (size_t k = i; k <= text.size(); k += 3) {
      TextFeeder feeder;
      feeder.Feed(std::string_view(text).substr(0, i));
      feeder.Feed(std::string_view(text).substr(i, k - i));
      feeder.Feed(std::string_view(text).substr(k));
      REQUIRE(feeder.requests_ == expected);
    }
  }
}

TEST_CASE("request parser: random streams in random pieces equal the whole") {
  Random random(7);
  for (int round = 0; round < 150; round++) {
    std::vector<Args> expected;
    std::string text = RandomStream(&random, &expected);
    TextFeeder feeder;
    for (size_t at = 0; at < text.size();) {
      size_t n = 1 + random.Below(random.Below(2) ? 50 : 30'000);
      n = std::min(n, text.size() - at);
      feeder.Feed(std::string_view(text).substr(at, n));
      at += n;
    }
    REQUIRE(feeder.error_.empty());
    REQUIRE((feeder.requests_ == expected));
    REQUIRE(feeder.parser_.buffered_bytes() == 0);
  }
}

TEST_CASE("request parser: what was not executed is parsed again after Rewind") {
  Random random(11);
  for (int round = 0; round < 100; round++) {
    std::vector<Args> expected, got;
    std::string text = RandomStream(&random, &expected);
    RequestParser parser;
    RequestBatch batch;
    std::vector<char> scratch(64 * 1024);
    size_t at = 0;
    while (at < text.size() || parser.in_request()) {
      if (at < text.size()) {
        std::span<char> target = parser.ReadTarget(scratch);
        size_t n = std::min({text.size() - at, target.size(), size_t{1 + random.Below(5000)}});
        memcpy(target.data(), text.data() + at, n);
        parser.Feed(target.data(), n);
        at += n;
      }
      batch.Clear();
      while (batch.size() < 4 && parser.Next({}, &batch) == ParseOutcome::kRequest) {}
      size_t executed = random.Below(batch.size() + 1);
      for (size_t i = 0; i < executed; i++) {
        got.emplace_back(batch[i].args.begin(), batch[i].args.end());
      }
      if (executed < batch.size()) parser.Rewind(batch[executed]);
      parser.EndRead();
      memset(scratch.data(), 'Z', scratch.size());
    }
    REQUIRE((got == expected));
  }
}
TEST_CASE("request parser: memory follows what has come, not what was announced") {
  ReadingParser reader;
  const std::string text =
      "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$500000000\r\n" + std::string(1 << 20, 'v');
  std::string_view left = text;
  while (!left.empty()) {
    left.remove_prefix(reader.Read(left, SIZE_MAX));
    reader.parser.EndRead();
    REQUIRE(reader.parser.memory_bytes() <=
            18 * (text.size() - left.size()) + RequestParser::kAheadBytesMin);
  }
}

TEST_CASE("request parser: requests that begin as the one before are told so, and read whole") {
  const std::string stream = AsResp({"GET", "a"}) + AsResp({"GET", "bb"}) + AsResp({"get", "c"}) +
                             AsResp({"GET", "d", "e"}) + AsResp({"GEX", "f"}) + AsResp({"GEX", ""}) +
                             "PING\r\n" + AsResp({"GEX", "g"}) + AsResp({"GEX", "h"}) +
                             AsResp({"APPENDCOMMAND", "k"}) + AsResp({"APPENDCOMMAND", "l"}) +
                             AsResp({"PING"}) + AsResp({"PING"});
  std::string text = stream + stream;
  RequestParser parser;
  RequestBatch batch;
  parser.Feed(text.data(), text.size());
  while (parser.Next({}, &batch) == ParseOutcome::kRequest) {
  }
  REQUIRE(batch.size() == 26);
  const std::vector<bool> same = {false, true,  false, false, false, true, false,
                                  false, true,  false, false, false, true};
  for (size_t i = 0; i < batch.size(); ++i) {
    INFO(i);
    // The very last one has too few bytes behind it to be compared.
    if (i + 1 < batch.size()) REQUIRE(batch[i].same_name == same[i % 13]);
    if (batch[i].same_name) REQUIRE(batch[i].args[0] == batch[i - 1].args[0]);
    REQUIRE(std::string(batch[i].raw) ==
            (batch[i].is_inline ? "" : AsResp({batch[i].args.begin(), batch[i].args.end()})));
  }
}

TEST_CASE("request parser: limits hold for requests that begin as the one before") {
  const Args many(11, "x");
  const std::string text = AsResp(many) + AsResp(many);
  RequestParser parser;
  RequestBatch batch;
  std::string bytes = text;
  parser.Feed(bytes.data(), bytes.size());
  ParseLimits limits;
  REQUIRE(parser.Next(limits, &batch) == ParseOutcome::kRequest);
  limits.authenticated = false;
  REQUIRE(parser.Next(limits, &batch) == ParseOutcome::kError);
  REQUIRE(parser.error() == "Protocol error: unauthenticated multibulk length");
}

TEST_CASE("request parser: very many arguments") {
  Args args(20'000, "x");
  TextFeeder feeder;
  std::string text = AsResp(args) + AsResp({"PING"});
  for (size_t at = 0; at < text.size(); at += 777) {
    feeder.Feed(std::string_view(text).substr(at, 777));
  }
  REQUIRE((feeder.requests_ == std::vector<Args>{args, {"PING"}}));
}

}  // namespace
}  // namespace cairn
