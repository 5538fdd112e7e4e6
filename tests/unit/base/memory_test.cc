// SPDX-License-Identifier: BSD-3-Clause
#include "base/memory.h"

#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "base/thread.h"

#ifndef CAIRN_NO_JEMALLOC
#include <jemalloc/jemalloc.h>

namespace cairn {
namespace {

template <typename T>
T Read(const std::string& name) {
  T value{};
  size_t length = sizeof value;
  REQUIRE(mallctl(name.c_str(), &value, &length, nullptr, 0) == 0);
  return value;
}

}  // namespace

TEST_CASE("the allocator has taken the sizes of slabs that the program asks for") {
  size_t found = 0;
  for (unsigned bin = 0; bin < Read<unsigned>("arenas.nbins"); ++bin) {
    const std::string name = "arenas.bin." + std::to_string(bin);
    const auto block = Read<size_t>(name + ".size");
    if (block != 32 && block != 64 && block != 128) continue;
    REQUIRE(Read<size_t>(name + ".slab_size") == 4 * Read<size_t>("arenas.page"));
    ++found;
  }
  REQUIRE(found == 3);
}

TEST_CASE("what threads took and gave back is in the balance, also when they have ended") {
  constexpr size_t kThreads = 600, kBytes = 100'000, kSlack = 4'000'000;
  MemoryMeter::RegisterThread();
  std::vector<void*> blocks(kThreads);
  const int64_t before = MemoryMeter::Balance();
  for (void*& block : blocks)
    std::thread([&block] {
      BeginThread("taker");
      block = malloc(kBytes);
    }).join();
  const int64_t taken = MemoryMeter::Balance() - before;
  REQUIRE(taken > static_cast<int64_t>(kThreads * kBytes - kSlack));
  REQUIRE(taken < static_cast<int64_t>(kThreads * kBytes + kSlack + kThreads * kBytes / 4));
  std::thread([&blocks] {
    BeginThread("giver");
    for (void* block : blocks) free(block);
  }).join();
  REQUIRE(std::abs(MemoryMeter::Balance() - before) < static_cast<int64_t>(kSlack));
}

TEST_CASE("what many take is known from some, however many and however large") {
  REQUIRE(ExtrapolatedBytes(10, 3, 3) == 10);
  REQUIRE(ExtrapolatedBytes(10, 3, 6) == 20);
  REQUIRE(ExtrapolatedBytes(11, 3, 7) == 25);  // 25.67
  // All of 500 million of 100 bytes: the product is more than 64 bits.
  constexpr size_t kMany = 500'000'000;
  REQUIRE(ExtrapolatedBytes(100 * kMany, kMany, kMany) == 100 * kMany);
  REQUIRE(ExtrapolatedBytes(100 * kMany, kMany, 2 * kMany) == 200 * kMany);
}

TEST_CASE("the balance can be read while threads begin and end") {
  MemoryMeter::RegisterThread();
  const int64_t before = MemoryMeter::Balance();
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([] {
      for (int round = 0; round < 200; ++round)
        std::thread([] {
          BeginThread("short");
          free(malloc(1000));
        }).join();
    });
  for (int round = 0; round < 10'000; ++round)
    REQUIRE(std::abs(MemoryMeter::Balance() - before) < 10'000'000);
  for (std::thread& thread : threads) thread.join();
}

}  // namespace cairn
#endif
