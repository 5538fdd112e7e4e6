// SPDX-License-Identifier: BSD-3-Clause
#include "resp/request_parser.h"

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "tests/unit/support/stride.h"

namespace cairn {
namespace {

using Args = std::vector<std::string>;

// Feeds text in pieces, each from memory that is overwritten afterwards, as a scratch buffer is.
class Feeder {
 public:
  explicit Feeder(ParseLimits limits = {}) : limits_(limits), scratch_(64 * 1024) {}

  void Feed(std::string_view bytes) {
    while (!bytes.empty()) {
      std::span<char> target = parser_.ReadTarget(scratch_);
      size_t n = std::min(bytes.size(), target.size());
      memcpy(target.data(), bytes.data(), n);
      parser_.Feed(target.data(), n);
      Drain();
      parser_.EndRead();
      REQUIRE(parser_.in_request() == (parser_.buffered_bytes() > 0));
      memset(scratch_.data(), 'Z', scratch_.size());
      bytes.remove_prefix(n);
    }
  }

  void Drain() {
    RequestBatch batch;
    ParseOutcome outcome;
    while ((outcome = parser_.Next(limits_, &batch)) == ParseOutcome::kRequest) {}
    for (size_t i = 0; i < batch.size(); i++) {
      requests_.emplace_back(batch[i].args.begin(), batch[i].args.end());
      raw_.emplace_back(batch[i].raw);
    }
    if (outcome == ParseOutcome::kError) error_ = parser_.error();
  }

  ParseLimits limits_;
  RequestParser parser_;
  std::vector<char> scratch_;
  std::vector<Args> requests_;
  std::vector<std::string> raw_;
  std::string error_;
};

std::string Encode(const Args& args) {
  std::string text = "*" + std::to_string(args.size()) + "\r\n";
  for (const auto& arg : args) text += "$" + std::to_string(arg.size()) + "\r\n" + arg + "\r\n";
  return text;
}

std::pair<std::vector<Args>, std::string> Parse(std::string_view text, ParseLimits limits = {}) {
  Feeder feeder(limits);
  feeder.Feed(text);
  return {feeder.requests_, feeder.error_};
}

std::string ErrorOf(std::string_view text, ParseLimits limits = {}) {
  auto [requests, error] = Parse(text, limits);
  // The same byte by byte, but for long ones.
  if (text.size() < 100) {
    Feeder feeder(limits);
    for (char c : text) feeder.Feed({&c, 1});
    REQUIRE(feeder.requests_ == requests);
    REQUIRE(feeder.error_ == error);
  }
  return error;
}

TEST_CASE("request parser: multibulk requests and their raw bytes") {
  Args set = {"SET", "key:000000000001", std::string("va\r\nl\0ue", 8)};
  Args ping = {"PING"};
  Args empty = {"", ""};
  Feeder feeder;
  feeder.Feed(Encode(set) + "*0\r\n" + Encode(ping) + "*-1\r\n\r\n" + Encode(empty));
  REQUIRE(feeder.requests_ == std::vector<Args>{set, ping, empty});
  REQUIRE(feeder.raw_ == std::vector<std::string>{Encode(set), Encode(ping), Encode(empty)});
  REQUIRE(feeder.parser_.memory_bytes() == 0);
}

TEST_CASE("request parser: sloppy line ends pass, as in Redis, but give no raw bytes") {
  Feeder feeder;
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
  for (const auto& [text, error] : rows) REQUIRE(ErrorOf(text) == error);

  ParseLimits before_auth;
  before_auth.authenticated = false;
  REQUIRE(ErrorOf("*10\r\n", before_auth) == "");
  REQUIRE(ErrorOf("*11\r\n", before_auth) == "Protocol error: unauthenticated multibulk length");
  REQUIRE(ErrorOf("*1\r\n$16384\r\n", before_auth) == "");
  REQUIRE(ErrorOf("*1\r\n$16385\r\n", before_auth) ==
          "Protocol error: unauthenticated bulk length");
}

TEST_CASE("request parser: an error comes after the requests before it, and stays") {
  Feeder feeder;
  feeder.Feed(Encode({"PING"}) + "PING inline\r\n*x\r\n" + Encode({"PING"}));
  REQUIRE(feeder.requests_ == std::vector<Args>{{"PING"}, {"PING", "inline"}});
  REQUIRE(feeder.error_ == "Protocol error: invalid multibulk length");
  feeder.Feed(Encode({"PING"}));
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
    REQUIRE(Parse(text) == std::pair(expected, std::string()));
    Feeder feeder;
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
    text += Encode(args);
    requests->push_back(std::move(args));
  }
  return text;
}

TEST_CASE("request parser: a split at every byte changes nothing") {
  std::vector<Args> expected = {{"SET", "key", "value\r\n"}, {"get", "in line"}, {"PING"}, {""}};
  std::string text = Encode(expected[0]) + "*0\r\nget 'in line'\r\n" + Encode(expected[2]) +
                     "\r\n" + Encode(expected[3]);
  for (size_t i = 0; i <= text.size(); i++) {
    for (size_t k = i; k <= text.size(); k += 3) {
      Feeder feeder;
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
    Feeder feeder;
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

TEST_CASE("request parser: a big argument is read into a buffer of its final size") {
  Args args = {"SET", "k", std::string(3 << 20, 'v')};
  std::string text = Encode(args);
  RequestParser parser;
  RequestBatch batch;
  std::vector<char> scratch(64 * 1024);
  size_t at = 0, own_reads = 0;
  while (at < text.size()) {
    std::span<char> target = parser.ReadTarget(scratch);
    own_reads += target.data() != scratch.data();
    size_t n = std::min({text.size() - at, target.size(), size_t{50'000}});
    memcpy(target.data(), text.data() + at, n);
    parser.Feed(target.data(), n);
    at += n;
    bool done = parser.Next({}, &batch) == ParseOutcome::kRequest;
    REQUIRE(done == (at == text.size()));
    REQUIRE(parser.memory_bytes() <= text.size() + 1000);
    if (!done) parser.EndRead();
  }
  REQUIRE(own_reads == 62);
  REQUIRE(batch[0].args[2] == args[2]);
  REQUIRE(batch[0].raw == text);
  parser.EndRead();
  REQUIRE(parser.memory_bytes() == 0);
}

TEST_CASE("request parser: a big argument that comes in small reads is moved a few times") {
  const std::string text = Encode({"SET", "k", std::string(8 << 20, 'v')});
  RequestParser parser;
  RequestBatch batch;
  std::vector<char> scratch(64 * 1024);
  size_t at = 0, moves = 0;
  const char* end = nullptr;
  while (at < text.size()) {
    const std::span<char> target = parser.ReadTarget(scratch);
    moves += target.data() != end && target.data() != scratch.data();
    const size_t n = std::min({text.size() - at, target.size(), size_t{1000}});
    memcpy(target.data(), text.data() + at, n);
    parser.Feed(target.data(), n);
    at += n;
    end = target.data() + n;
    if (parser.Next({}, &batch) != ParseOutcome::kRequest) parser.EndRead();
  }
  REQUIRE(batch[0].raw == text);
  REQUIRE(moves <= 10);
}

// A connection whose reads take as much as there is and fits.
struct Reader {
  // One read of at most `bytes`. Returns what was read.
  size_t Read(std::string_view text, size_t bytes) {
    const std::span<char> target = parser.ReadTarget(scratch);
    const size_t n = std::min({text.size(), target.size(), bytes});
    memcpy(target.data(), text.data(), n);
    parser.Feed(target.data(), n);
    batch.Clear();
    while (parser.Next({}, &batch) == ParseOutcome::kRequest) {}
    return n;
  }
  // Whole reads until there is a request; at most `text`. EndRead is owed.
  void ReadToRequest(std::string_view* text) {
    while (batch.empty()) {
      REQUIRE(!text->empty());
      parser.EndRead();
      text->remove_prefix(Read(*text, SIZE_MAX));
    }
  }

  RequestParser parser;
  RequestBatch batch;
  std::vector<char> scratch = std::vector<char>(64 * 1024);
};

TEST_CASE("request parser: whoever takes a big argument over keeps it, and the parser goes on") {
  const Args big = {"SET", "k", std::string(1 << 20, 'v')}, ping = {"PING", "behind"};
  for (const Args& first : {big, Args{"SET", "k", big[2], "EX", "100"}}) {
    Reader reader;
    const std::string text = Encode(first) + Encode(ping) + Encode(ping);
    std::string_view left = text;
    reader.ReadToRequest(&left);
    const std::string_view argument = reader.batch[0].args[2];
    REQUIRE(reader.batch[0].raw == Encode(first));
    const StringBlockRef taken(reader.parser.own()->Lend(argument));
    REQUIRE(taken != nullptr);
    std::vector<Args> behind;
    for (size_t i = 1; i < reader.batch.size(); ++i)
      behind.emplace_back(reader.batch[i].args.begin(), reader.batch[i].args.end());
    reader.parser.EndRead();
    REQUIRE(!taken->shared());
    REQUIRE(reader.parser.memory_bytes() < 1000);
    while (!left.empty()) {
      left.remove_prefix(reader.Read(left, SIZE_MAX));
      for (size_t i = 0; i < reader.batch.size(); ++i)
        behind.emplace_back(reader.batch[i].args.begin(), reader.batch[i].args.end());
      reader.parser.EndRead();
    }
    REQUIRE((behind == std::vector<Args>{ping, ping}));
    REQUIRE(taken->view() == big[2]);
    REQUIRE(taken->view().data() == argument.data());
  }
}

TEST_CASE("request parser: a big argument of any size has a buffer of its own size") {
  // One form a size, another at the next.
  const Stride stride(3);
  uint64_t step = 0;
  for (size_t size = RequestParser::kBigArgumentBytes; size <= 64 << 20; size += size / 6) {
    // All of the request comes in one read while it is shorter.
    if (size < 64 * 1024) continue;
    const std::string value(size, 'v');
    const Args forms[] = {{"SET", "k", value},
                          {"SET", "k", value, "EX", "100", "NX"},
                          {"SETEX", "k", "100", value}};
    ++step;
    for (size_t form = 0; form < 3; ++form) {
      if (!stride.Takes(step + form)) continue;
      INFO(size << " bytes, form " << form);
      const Args& args = forms[form];
      Reader reader;
      const std::string text = Encode(args);
      std::string_view left = text;
      size_t moved = 0;
      const StringBlock* block = nullptr;
      const auto count = [&](size_t bytes) {
        if (reader.parser.own().get() != block) moved += bytes;
        block = reader.parser.own().get();
      };
      while (reader.batch.empty()) {
        const size_t before = reader.parser.buffered_bytes();
        reader.parser.EndRead();
        count(before);
        left.remove_prefix(reader.Read(left, SIZE_MAX));
        count(before);
      }
      REQUIRE(moved <= size / 12 + 256 * 1024);
      const std::string_view argument = reader.batch[0].args[args[2].size() == size ? 2 : 3];
      const StringBlockRef taken(reader.parser.own()->Lend(argument));
      REQUIRE(taken != nullptr);
      REQUIRE(taken->capacity <= text.size() + RequestParser::kBehindBytes);
      REQUIRE(taken->data() == argument.data());
    }
  }
}

TEST_CASE("request parser: arguments behind many others still move each byte a few times only") {
  Args args = {"RPUSH", "k"};
  for (int i = 0; i < 300; ++i) args.emplace_back(40'000 + 1000 * (i % 7), 'v');
  const std::string text = Encode(args);
  Reader reader;
  std::string_view left = text;
  size_t moved = 0;
  const StringBlock* block = nullptr;
  while (reader.batch.empty()) {
    reader.parser.EndRead();
    if (reader.parser.own().get() != block) moved += reader.parser.buffered_bytes();
    block = reader.parser.own().get();
    left.remove_prefix(reader.Read(left, SIZE_MAX));
    if (reader.parser.own().get() != block) moved += reader.parser.buffered_bytes();
    block = reader.parser.own().get();
  }
  REQUIRE(reader.batch[0].raw == text);
  REQUIRE(moved < 14 * text.size());
}

TEST_CASE("request parser: what stands behind a big argument does not move it") {
  const std::string text = Encode({"SET", "k", std::string(3 << 20, 'v'), "PXAT", "1900000000000"});
  for (size_t piece : {size_t{1}, size_t{7}, size_t{64 * 1024}}) {
    Reader reader;
    std::string_view left = text;
    // The tail of the request in pieces of its own.
    while (left.size() > 50) {
      left.remove_prefix(reader.Read(left, left.size() - 50));
      reader.parser.EndRead();
    }
    const StringBlock* block = reader.parser.own().get();
    while (reader.batch.empty()) {
      reader.parser.EndRead();
      left.remove_prefix(reader.Read(left, piece));
      REQUIRE(reader.parser.own().get() == block);
    }
    REQUIRE(reader.batch[0].raw == text);
    REQUIRE(reader.parser.own()->IsMostly(reader.batch[0].args[2]));
  }
}

TEST_CASE("request parser: a big request that waited is lent as well") {
  const std::string text = Encode({"SET", "k", std::string(200'000, 'v')});
  Reader reader;
  std::string_view left = text;
  reader.ReadToRequest(&left);
  for (int round = 0; round < 3; ++round) {
    reader.parser.Rewind(reader.batch[0]);
    reader.parser.EndRead();
    reader.batch.Clear();
    REQUIRE(reader.parser.Next({}, &reader.batch) == ParseOutcome::kRequest);
  }
  const StringBlockRef taken(reader.parser.own()->Lend(reader.batch[0].args[2]));
  REQUIRE(taken != nullptr);
  reader.parser.EndRead();
  REQUIRE(reader.parser.own() == nullptr);
  REQUIRE(taken->view() == std::string(200'000, 'v'));
}

TEST_CASE("request parser: memory follows what has come, not what was announced") {
  Reader reader;
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
  const std::string stream = Encode({"GET", "a"}) + Encode({"GET", "bb"}) + Encode({"get", "c"}) +
                             Encode({"GET", "d", "e"}) + Encode({"GEX", "f"}) + Encode({"GEX", ""}) +
                             "PING\r\n" + Encode({"GEX", "g"}) + Encode({"GEX", "h"}) +
                             Encode({"APPENDCOMMAND", "k"}) + Encode({"APPENDCOMMAND", "l"}) +
                             Encode({"PING"}) + Encode({"PING"});
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
            (batch[i].is_inline ? "" : Encode({batch[i].args.begin(), batch[i].args.end()})));
  }
}

TEST_CASE("request parser: limits hold for requests that begin as the one before") {
  const Args many(11, "x");
  const std::string text = Encode(many) + Encode(many);
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
  Feeder feeder;
  std::string text = Encode(args) + Encode({"PING"});
  for (size_t at = 0; at < text.size(); at += 777) {
    feeder.Feed(std::string_view(text).substr(at, 777));
  }
  REQUIRE((feeder.requests_ == std::vector<Args>{args, {"PING"}}));
}

}  // namespace
}  // namespace cairn
