// SPDX-License-Identifier: BSD-3-Clause
#include "exec/effect_text.h"

#include <catch2/catch.hpp>
#include <cstring>
#include <string>

namespace cairn {
namespace {

constexpr size_t kBig = StringBlock::kLentBytesMin;

std::string Whole(EffectText& text) {
  std::string whole;
  text.Cut();
  for (std::string_view piece : text.pieces()) whole += piece;
  REQUIRE(whole.size() == text.bytes());
  if (text.whole()) REQUIRE(whole == text.text());
  return whole;
}

void Append(EffectText* text, std::initializer_list<std::string_view> parts,
            StringBlock* lender = nullptr) {
  text->Append({parts.begin(), parts.size()}, lender);
}

}  // namespace

TEST_CASE("Effects are text with what is lent to them in between", "[exec]") {
  StringBlockRef block(StringBlock::New(0, 3 * kBig));
  memset(block->begin(), 'b', 3 * kBig);
  const std::string_view all(block->begin(), 3 * kBig), big = all.substr(5, kBig);
  const std::string b(big), size = "$" + std::to_string(kBig) + "\r\n";
  EffectText text;
  REQUIRE(text.empty());
  Append(&text, {"SET", "k", "small"}, block.get());
  REQUIRE(text.whole());
  std::string expected = "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nsmall\r\n";
  REQUIRE(Whole(text) == expected);

  Append(&text, {"SET", "k", big, "PX"}, block.get());
  REQUIRE(!text.whole());
  REQUIRE(block->shared());
  expected += "*4\r\n$3\r\nSET\r\n$1\r\nk\r\n" + size + b + "\r\n$2\r\nPX\r\n";
  REQUIRE(Whole(text) == expected);
  const EffectText::Mark mark = text.mark();
  const std::string at_mark = expected;

  // Two in a row, one that begins a request and ends it; copied: what is short or lies elsewhere.
  Append(&text, {big, all.substr(kBig, kBig)}, block.get());
  text.AppendRaw(all.substr(0, kBig), block.get());
  Append(&text, {all.substr(0, kBig - 1), b}, block.get());
  Append(&text, {big});
  expected += "*2\r\n" + size + b + "\r\n" + size + b + "\r\n" + b + "*2\r\n$" +
              std::to_string(kBig - 1) + "\r\n" + b.substr(1) + "\r\n" + size + b +
              "\r\n*1\r\n" + size + b + "\r\n";
  REQUIRE(Whole(text) == expected);

  text.Wrap("before", "after");
  REQUIRE(Whole(text) == "before" + expected + "after");
  text.Clear();
  REQUIRE(text.empty());
  REQUIRE(text.whole());
  REQUIRE(Whole(text).empty());
  REQUIRE(!block->shared());

  Append(&text, {"SET", "k", "small"});
  Append(&text, {"SET", "k", big, "PX"}, block.get());
  Append(&text, {"SET", "k", big, "PX"}, block.get());
  text.CutTo(mark);
  REQUIRE(Whole(text) == at_mark);
  text.CutTo({});
  REQUIRE(text.empty());
  REQUIRE(!block->shared());
}

TEST_CASE("What is lent stays when its owner lets go of it", "[exec]") {
  StringBlockRef block(StringBlock::New(0, kBig));
  memset(block->begin(), 'b', kBig);
  EffectText text;
  Append(&text, {std::string_view(block->begin(), kBig)}, block.get());
  block.reset();
  REQUIRE(Whole(text).substr(12) == std::string(kBig, 'b') + "\r\n");
}

}  // namespace cairn
