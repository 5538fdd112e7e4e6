// SPDX-License-Identifier: BSD-3-Clause
//
// What the process uses: figures of the allocator (jemalloc; sanitizer builds have their own and
// answer 0 where they cannot say) and of the system. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace cairn {

// Bytes of the heap block at `pointer`, as the allocator rounded them.
size_t AllocatedBytes(const void* pointer);

// What `all` things take, of which `sampled`, at least one, take `bytes`. Of hundreds of millions the
// product of bytes and number is more than a word holds.
constexpr size_t ExtrapolatedBytes(size_t bytes, size_t sampled, size_t all) {
  return sampled == all ? bytes : bytes / sampled * all + bytes % sampled * all / sampled;
}

// Bytes allocated by a thread since it began, and freed by it: two words that jemalloc keeps
// anyway. All threads that BeginThread (thread.h) are in the sum.
class MemoryMeter {
 public:
  // False in builds without jemalloc: then only Exact says anything.
#ifndef CAIRN_NO_JEMALLOC
  static constexpr bool kCounts = true;
#else
  static constexpr bool kCounts = false;
#endif
  // Adds the calling thread to the sum, in which what it did stays. Again does nothing.
  static void RegisterThread();
  // What the registered threads allocated less what they freed; below zero if they free what
  // others allocated. Under a mutex of its own, which is held for a few loads a thread: for once in
  // some hundred kilobytes, not for each request.
  static int64_t Balance();
  // The same of the calling thread alone; 0 if it is not registered. Two loads.
  static int64_t OwnBalance();
  // Asks the allocator itself (slower); INFO and the cron call it.
  static size_t Exact();
  // The most that was ever noted, this included.
  static size_t NotePeak(size_t allocated);
};

struct MemoryFigures {
  size_t allocated = 0;  // by the program
  size_t active = 0;     // in pages that hold allocations
  size_t resident = 0;   // physical pages of the allocator
  size_t retained = 0;
  size_t rss = 0;        // of the process
};
MemoryFigures ReadMemoryFigures();
std::string AllocatorName();            // "jemalloc-5.3.0"
std::string AllocatorStatistics();      // malloc_stats_print
void PurgeAllocator();                  // gives unused pages back
size_t SystemMemoryBytes();

}  // namespace cairn
