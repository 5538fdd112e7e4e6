// SPDX-License-Identifier: BSD-3-Clause
//
// Arguments that are received where their value will lie.
#include <cstring>
#include <span>

#include "tests/unit/resp/text_feeder.h"
#include "tests/unit/support/stride.h"

namespace cairn {
namespace {

TEST_CASE("request parser: a big argument is read into a buffer of its final size") {
  Args args = {"SET", "k", std::string(3 << 20, 'v')};
  std::string text = AsResp(args);
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
  const std::string text = AsResp({"SET", "k", std::string(8 << 20, 'v')});
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

TEST_CASE("request parser: whoever takes a big argument over keeps it, and the parser goes on") {
  const Args big = {"SET", "k", std::string(1 << 20, 'v')}, ping = {"PING", "behind"};
  for (const Args& first : {big, Args{"SET", "k", big[2], "EX", "100"}}) {
    ReadingParser reader;
    const std::string text = AsResp(first) + AsResp(ping) + AsResp(ping);
    std::string_view left = text;
    reader.ReadToRequest(&left);
    const std::string_view argument = reader.batch[0].args[2];
    REQUIRE(reader.batch[0].raw == AsResp(first));
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
      INFO(size << " bytes, form " << form << ", " << stride.repeated_by());
      const Args& args = forms[form];
      ReadingParser reader;
      const std::string text = AsResp(args);
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
  const std::string text = AsResp(args);
  ReadingParser reader;
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
  const std::string text = AsResp({"SET", "k", std::string(3 << 20, 'v'), "PXAT", "1900000000000"});
  for (size_t piece : {size_t{1}, size_t{7}, size_t{64 * 1024}}) {
    ReadingParser reader;
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
  const std::string text = AsResp({"SET", "k", std::string(200'000, 'v')});
  ReadingParser reader;
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

}  // namespace
}  // namespace cairn
