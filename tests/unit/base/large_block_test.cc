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

TEST_CASE("A large block is told how long it is where there is room for the least only", "[base]") {
  if (!MemoryMeter::kCounts) return;
  MemoryMeter::RegisterThread();
  const size_t size = 1 << 20;
  const int64_t before = MemoryMeter::OwnBalance();
  // Those that lie side by side have a hole behind them, once every other one is freed.
  std::vector<void*> blocks;
  for (int i = 0; i < 64; ++i) blocks.push_back(AllocateLarge(size));
  for (size_t i = 1; i < blocks.size(); i += 2) free(blocks[i]);
  for (size_t i = 0; i < blocks.size(); i += 2) {
    const size_t length = AllocatedBytes(blocks[i]);
    const size_t grown = GrowLarge(blocks[i], size + size / 2, 64 * size);
    REQUIRE(AllocatedBytes(blocks[i]) == (grown != 0 ? grown : length));
  }
  for (size_t i = 0; i < blocks.size(); i += 2) free(blocks[i]);
  const int64_t after = MemoryMeter::OwnBalance();
  REQUIRE(after < before + 100'000);
  REQUIRE(after > before - 100'000);
}

TEST_CASE("A large block gets longer where it lies, or stays as it is", "[base]") {
  if (!MemoryMeter::kCounts) return;
  MemoryMeter::RegisterThread();
  const size_t size = 5 << 20;
  const int64_t before = MemoryMeter::OwnBalance();
  char* block = static_cast<char*>(AllocateLarge(size + 1));
  memset(block, 'v', size);
  // What the allocator has rounded its size up to is there in any case.
  size_t length = GrowLarge(block, size + 2, size + 100'000);
  REQUIRE(length >= size + 100'000);
  for (size_t more = size; more < 8 * size; more *= 2) {
    const size_t grown = GrowLarge(block, size + more, size + more + more / 2);
    if (grown != 0) {
      REQUIRE(grown >= size + more);
      memset(block + length, 'w', grown - length);
      length = grown;
    }
    REQUIRE(AllocatedBytes(block) == length);
    REQUIRE(MemoryMeter::OwnBalance() >= before + static_cast<int64_t>(length));
    for (size_t i = 0; i < size; i += 4096) REQUIRE(block[i] == 'v');
  }
  free(block);
  REQUIRE(MemoryMeter::OwnBalance() < before + 100'000);
}

// Such a one would go on growing in an arena of one thread's.
TEST_CASE("A block that is not shared grows to none of the size of those that are", "[base]") {
  if (!MemoryMeter::kCounts) return;
  for (size_t size = 60'000; size < kSharedBlockBytes; size += 1000) {
    void* block = AllocateLarge(size);
    const size_t before = AllocatedBytes(block), after = GrowLarge(block, before + 1, 1 << 20);
    if (before < kSharedBlockBytes) REQUIRE(after < kSharedBlockBytes);
    free(block);
  }
}

}  // namespace cairn
