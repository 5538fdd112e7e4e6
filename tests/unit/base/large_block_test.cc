// SPDX-License-Identifier: BSD-3-Clause
#include "base/large_block.h"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

#include "base/memory.h"

namespace cairn {

TEST_CASE("Large blocks are made by one thread and freed by another", "[base]") {
  constexpr size_t kSizes[] = {1, 4096, kSharedBlockBytes - 1, kSharedBlockBytes, 5'000'000};
  std::vector<void*> blocks;
  for (const size_t size : kSizes) {
    blocks.push_back(AllocateLarge(size));
    memset(blocks.back(), 'x', size);
    REQUIRE(AllocatedBytes(blocks.back()) >= size);
  }
  std::thread([&blocks] {
    for (void* block : blocks) free(block);
  }).join();
  DecayLarge();
}

TEST_CASE("Large blocks are counted as all memory is", "[base]") {
  if (!MemoryMeter::kCounts) return;
  MemoryMeter::RegisterThread();
  const int64_t before = MemoryMeter::OwnBalance();
  void* block = AllocateLarge(3'000'000);
  REQUIRE(MemoryMeter::OwnBalance() >= before + 3'000'000);
  free(block);
  REQUIRE(MemoryMeter::OwnBalance() < before + 100'000);
}

}  // namespace cairn
