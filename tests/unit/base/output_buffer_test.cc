// SPDX-License-Identifier: BSD-3-Clause
#include "base/output_buffer.h"

#include <string>
#include <vector>

#include "base/random.h"

namespace cairn {
namespace {

std::string Contents(OutputBuffer* out, size_t limit = SIZE_MAX) {
  std::string all;
  std::vector<struct iovec> vectors(4096);
  int count = out->Gather(vectors.data(), static_cast<int>(vectors.size()), limit);
  for (int i = 0; i < count; i++) {
    all.append(static_cast<char*>(vectors[i].iov_base), vectors[i].iov_len);
  }
  return all;
}

void CountRelease(void* owner) { ++*static_cast<int*>(owner); }

TEST_CASE("output buffer: appended bytes come out in order") {
  ChunkPool pool;
  OutputBuffer out(&pool);
  REQUIRE(out.memory_bytes() == 0);
  out.Append("");
  REQUIRE(out.empty());
  std::string expected;
  for (size_t n : {1u, 100u, 16'000u, 20'000u, 1u, 70'000u, 5u}) {
    std::string piece(n, static_cast<char>('a' + n % 26));
    out.Append(piece);
    expected += piece;
    out.CheckInvariants();
  }
  REQUIRE(out.size() == expected.size());
  REQUIRE(Contents(&out) == expected);
  REQUIRE(Contents(&out, 10) == expected.substr(0, 10));
  out.Consume(16'050);
  REQUIRE(Contents(&out) == expected.substr(16'050));
  out.Consume(out.size());
  REQUIRE(out.memory_bytes() == 0);
  REQUIRE(out.end_position() == expected.size());
}

TEST_CASE("output buffer: a small beginning grows like any other") {
  ChunkPool pool;
  OutputBuffer out(&pool);
  out.StartSmall();
  REQUIRE(out.empty());
  REQUIRE(out.memory_bytes() == 1024);
  out.Append("small");
  out.CheckInvariants();
  REQUIRE(out.memory_bytes() == 1024);
  const std::string piece(5000, 'p');
  out.Append(piece);
  out.CheckInvariants();
  REQUIRE(Contents(&out) == "small" + piece);
  out.Consume(out.size());
  REQUIRE(out.memory_bytes() == 0);
}

TEST_CASE("output buffer: borrowed blocks are released once, after their last byte") {
  int released = 0;
  std::string block(20'000, 'b');
  {
    OutputBuffer out;
    out.Append("x");
    out.AppendBorrowed(block, CountRelease, &released);
    out.Append("y");
    REQUIRE(Contents(&out) == "x" + block + "y");
    out.Consume(20'000);
    REQUIRE(released == 0);
    out.Consume(1);
    REQUIRE(released == 1);
    REQUIRE(Contents(&out) == "y");
    out.AppendBorrowed(block, CountRelease, &released);
    out.TruncateTo(out.begin_position() + 1);
    REQUIRE(released == 2);
    out.AppendBorrowed({}, CountRelease, &released);
    REQUIRE(released == 3);
    out.AppendBorrowed(block, CountRelease, &released);
  }
  REQUIRE(released == 4);
}

TEST_CASE("output buffer: nothing passes a held byte") {
  OutputBuffer out;
  out.Append("free");
  uint64_t first = out.end_position();
  out.Append("held7");
  out.MarkHold(first, 7);
  out.Append("behind");
  REQUIRE(out.Sendable(6) == 4);
  uint64_t second = out.end_position();
  out.Append("held9");
  out.MarkHold(second, 9);
  uint64_t third = out.end_position();
  out.Append("held8");
  out.MarkHold(third, 8);  // waits for 9 anyway
  out.CheckInvariants();
  REQUIRE(out.max_hold() == 9);
  REQUIRE(out.Sendable(6) == 4);
  out.Consume(4);
  REQUIRE(out.Sendable(6) == 0);
  REQUIRE(out.Sendable(8) == 11);
  out.Consume(3);
  REQUIRE(out.Sendable(8) == 8);
  REQUIRE(out.Sendable(9) == out.size());
  REQUIRE_FALSE(out.has_holds());
  out.MarkHold(out.end_position(), 50);  // holds nothing
  REQUIRE(out.Sendable(0) == out.size());
}

TEST_CASE("output buffer: what is spliced stays held") {
  for (size_t filler : {1u, 40'000u}) {  // copied, relinked
    OutputBuffer out, other;
    out.Append("free");
    other.Append("gone");
    other.Consume(4);
    const uint64_t start = other.end_position();
    other.Append(std::string(filler, 'f'));
    other.MarkHold(other.end_position() - 1, 7);
    other.Append("held9");
    other.MarkHold(other.end_position() - 5, 9);
    REQUIRE(other.begin_position() == start);
    out.Splice(&other);
    REQUIRE_FALSE(other.has_holds());
    out.CheckInvariants();
    REQUIRE(out.Sendable(6) == 4 + filler - 1);
    REQUIRE(out.Sendable(8) == 4 + filler);
    REQUIRE(out.Sendable(9) == 4 + filler + 5);
  }
}

TEST_CASE("output buffer: deferred headers nest and may span chunks") {
  for (size_t filler : {0u, 10u, 16'200u, 16'280u, 40'000u}) {
    OutputBuffer out;
    std::string pad(filler, 'p');
    out.Append(pad);
    auto outer = out.StartDeferred();
    out.Append("A");
    auto inner = out.StartDeferred();
    out.Append(pad);
    out.Append("B");
    out.FinishDeferred(inner, "*2\r\n");
    out.CheckInvariants();
    out.Append("C");
    out.FinishDeferred(outer, "*123456\r\n");
    out.CheckInvariants();
    out.Append("D");
    REQUIRE(Contents(&out) == pad + "*123456\r\nA*2\r\n" + pad + "BCD");
  }
}

// Every operation against a std::string and a list of (from, lsn) marks.
TEST_CASE("output buffer: random operations equal the model") {
  Random random(20240611);
  for (int round = 0; round < 30; round++) {
    ChunkPool pool;
    OutputBuffer out(&pool);
    std::string model;
    std::vector<uint64_t> holds;  // of each byte, 0: none
    std::string source(40'000, 0);
    for (char& c : source) c = static_cast<char>(random.Next());
    int released = 0, borrowed = 0;
    uint64_t durable = 0;  // only ever rises
    for (int step = 0; step < 400; step++) {
      size_t n = random.Below(4) == 0 ? random.Below(source.size()) : random.Below(100);
      std::string_view piece(source.data() + random.Below(source.size() - n + 1), n);
      uint64_t before = out.end_position();
      switch (random.Below(8)) {
        case 0: case 1: case 2:
          out.Append(piece);
          model += piece;
          break;
        case 3: {
          out.AppendBorrowed(piece, CountRelease, &released);
          borrowed++;
          model += piece;
          break;
        }
        case 4: {
          OutputBuffer other(random.Below(2) ? &pool : nullptr);
          other.Append(piece);
          other.Append("tail");
          other.Consume(1);
          if (random.Below(2) == 0) {
            const size_t free_bytes = random.Below(other.size());
            const uint64_t lsn = durable + random.Below(50);
            other.MarkHold(other.begin_position() + free_bytes, lsn);
            holds.resize(model.size() + free_bytes, 0);
            holds.resize(model.size() + other.size(), lsn);
          }
          out.Splice(&other);
          REQUIRE(other.empty());
          other.CheckInvariants();
          model += (std::string(piece) + "tail").substr(1);
          break;
        }
        case 5: {
          uint64_t at = out.begin_position() + random.Below(out.size() + 1);
          out.TruncateTo(at);
          model.resize(at - out.begin_position());
          before = std::min(before, at);
          break;
        }
        default: {
          durable += random.Below(20);
          size_t sendable = out.Sendable(durable);
          size_t expected = 0;
          while (expected < model.size() && holds[expected] <= durable) expected++;
          REQUIRE(sendable == expected);
          size_t take = random.Below(sendable + 1);
          REQUIRE(Contents(&out, take) == model.substr(0, take));
          out.Consume(take);
          model.erase(0, take);
          holds.erase(holds.begin(), holds.begin() + static_cast<ptrdiff_t>(take));
        }
      }
      holds.resize(model.size(), 0);
      if (random.Below(3) == 0) {
        uint64_t lsn = durable + random.Below(50);
        uint64_t from = random.Below(3) == 0 ? out.begin_position() + random.Below(out.size() + 1)
                                             : std::max(before, out.begin_position());
        out.MarkHold(from, lsn);
        for (size_t i = from - out.begin_position(); i < holds.size(); i++) {
          holds[i] = std::max(holds[i], lsn);
        }
      }
      out.CheckInvariants();
      REQUIRE(out.size() == model.size());
    }
    REQUIRE(Contents(&out) == model);
    out.Clear();
    REQUIRE(released == borrowed);
    REQUIRE(out.memory_bytes() == 0);
  }
}

}  // namespace
}  // namespace cairn
