// SPDX-License-Identifier: BSD-3-Clause
#include "rdb/lzf.h"

#include <liblzf/lzf.h>

#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "rdb/reader.h"
#include "rdb/string_pieces.h"
#include "rdb/writer.h"
#include "tests/unit/allocation.h"

using namespace cairn;

namespace {

// Bytes of a few kinds: runs, repeats near and far, few symbols, noise.
std::string Text(size_t size, Random* random) {
  std::string text;
  while (text.size() < size) {
    const size_t n = 1 + random->Below(400);
    switch (random->Below(4)) {
      case 0: text.append(n, static_cast<char>(random->Next())); break;
      case 1:
        if (!text.empty()) text += text.substr(text.size() - 1 - random->Below(text.size()), n);
        break;
      case 2:
        for (size_t i = 0; i < n; ++i) text.push_back(static_cast<char>('a' + random->Below(4)));
        break;
      default:
        for (size_t i = 0; i < n; ++i) text.push_back(static_cast<char>(random->Next()));
    }
  }
  text.resize(size);
  return text;
}

std::optional<std::string> Decoded(std::string_view lzf, size_t size_max) {
  std::string plain(size_max, '\0');
  const unsigned size = lzf_decompress(lzf.data(), static_cast<unsigned>(lzf.size()), plain.data(),
                                       static_cast<unsigned>(size_max));
  if (size == 0) return std::nullopt;
  plain.resize(size);
  return plain;
}

}  // namespace

TEST_CASE("What an LZF will come to is known before it is decoded", "[rdb]") {
  Random random(9);
  for (int round = 0; round < 20'000; ++round) {
    const std::string text = Text(10 + random.Below(300), &random);
    std::string lzf(2 * text.size(), '\0');
    lzf.resize(lzf_compress(text.data(), static_cast<unsigned>(text.size()), lzf.data(),
                            static_cast<unsigned>(lzf.size())));
    for (uint64_t i = random.Below(3); i > 0; --i)
      lzf[random.Below(lzf.size())] = static_cast<char>(random.Next());
    lzf.resize(lzf.size() - random.Below(2) * random.Below(lzf.size()));
    const auto told = LzfPlainBytes(lzf);
    const auto plain = Decoded(lzf, 300 * 264);
    REQUIRE(told.has_value() == plain.has_value());
    if (told) REQUIRE(*told == plain->size());
  }
  REQUIRE(!LzfPlainBytes("").has_value());
}

// Its table lies on the stack, and nobody clears it.
TEST_CASE("A string in pieces has the length that it told, whatever ran between them", "[rdb]") {
  Random random(10);
  for (int round = 0; round < 8; ++round) {
    const std::string text = Text(3 << 20, &random), other = Text(1 << 20, &random);
    std::string room(other.size(), '\0');
    const auto others = [&] {
      const auto size = static_cast<unsigned>(other.size());
      lzf_compress(other.data(), size, room.data(), size);
    };
    others();
    RdbStringPieces pieces(text, true);
    REQUIRE(pieces.compressed());
    std::string bytes;
    for (bool more = true; more;) {
      if (round % 2 == 0) others();
      more = pieces.Next(&bytes);
    }
    RdbReader reader{std::string_view(bytes)};
    const bool same = reader.Text() == text;
    REQUIRE(same);
    REQUIRE(reader.position() == bytes.size());
  }
}

TEST_CASE("A string that nobody wants any more is not compressed to its end", "[rdb]") {
  const std::string text(20 * RdbStringPieces::kPieceBytes, 'a');
  int asked = 0;
  RdbStringPieces pieces(text, true, [&] { return ++asked == 3; });
  REQUIRE(asked == 3);
  REQUIRE(!pieces.compressed());
}

TEST_CASE("LZF that yields less than it says takes no memory for what it says", "[rdb]") {
  constexpr size_t kBytes = 1 << 20;
  // Literals, which yield 32 for 33; said to yield the most that LZF can.
  std::string lzf;
  while (lzf.size() < kBytes) lzf += "\x1f" + std::string(32, 'x');
  std::string bytes;
  RdbWriter writer(&bytes, false);
  writer.Byte(0xc3);
  writer.Length(lzf.size());
  writer.Length(88 * lzf.size());
  bytes += lzf;
  const uint64_t before = AllocatedByThisThread();
  RdbReader reader{std::string_view(bytes)};
  REQUIRE(reader.Text().empty());
  REQUIRE(!reader.ok());
  REQUIRE(AllocatedByThisThread() - before < 2 * kBytes);
}
