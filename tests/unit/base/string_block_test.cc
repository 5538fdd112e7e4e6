// SPDX-License-Identifier: BSD-3-Clause
#include "base/string_block.h"

#include <catch2/catch.hpp>
#include <cstring>
#include <string>

#include "base/memory.h"

namespace cairn {
namespace {

// A buffer that holds `text`.
StringBlockRef BufferOf(const std::string& text) {
  StringBlockRef buffer(StringBlock::New(0, text.size()));
  memcpy(buffer->begin(), text.data(), text.size());
  return buffer;
}

}  // namespace

TEST_CASE("A string takes over the buffer that it came in", "[base]") {
  const std::string value(100'000, 'v');
  StringBlockRef buffer = BufferOf("head" + value + "\r\n");
  const std::string_view argument(buffer->begin() + 4, value.size());
  StringBlockRef taken(buffer->Lend(argument));
  REQUIRE(taken.get() == buffer.get());
  REQUIRE(buffer->shared());
  REQUIRE(argument == value);
  buffer.reset();
  REQUIRE(!taken->shared());
  REQUIRE(taken->view().data() == argument.data());
  REQUIRE(taken->view() == value);
  REQUIRE(taken->room() == value.size() + 2);
}

TEST_CASE("A buffer is one string at most", "[base]") {
  StringBlockRef buffer = BufferOf(std::string(100'000, 'v'));
  const std::string_view all(buffer->begin(), 100'000);
  StringBlockRef first(buffer->Lend(all)), again(buffer->Lend(all));
  REQUIRE(again.get() == first.get());
  REQUIRE(buffer->Lend(all.substr(1)) == nullptr);
  REQUIRE(buffer->Lend(all.substr(0, 99'999)) == nullptr);
  REQUIRE(first->view() == all);
  // The string is no more: the buffer may become another one.
  first.reset();
  again.reset();
  StringBlockRef other(buffer->Lend(all.substr(1)));
  REQUIRE(other->view() == all.substr(1));
}

TEST_CASE("What would keep much else is not lent", "[base]") {
  StringBlockRef buffer = BufferOf(std::string(90'000, 'v'));
  const std::string_view all(buffer->begin(), 90'000);
  REQUIRE(buffer->IsMostly(all.substr(10'000)));
  REQUIRE(!buffer->IsMostly(all.substr(10'001)));
  REQUIRE(buffer->Lend(all.substr(10'001)) == nullptr);
  const std::string elsewhere(90'000, 'v');
  REQUIRE(buffer->Lend(elsewhere) == nullptr);
  REQUIRE(buffer->Lend({}) == nullptr);
  REQUIRE(!buffer->shared());
}

TEST_CASE("A buffer that nobody took is freed with its reader's reference", "[base]") {
  if (!MemoryMeter::kCounts) return;
  MemoryMeter::RegisterThread();
  const int64_t before = MemoryMeter::OwnBalance();
  StringBlockRef buffer = BufferOf(std::string(500'000, 'v'));
  { const StringBlockRef lent(buffer->Lend({buffer->begin(), 500'000})); }
  REQUIRE(MemoryMeter::OwnBalance() >= before + 500'000);
  buffer.reset();
  REQUIRE(MemoryMeter::OwnBalance() < before + 100'000);
}

}  // namespace cairn
