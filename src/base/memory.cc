// SPDX-License-Identifier: BSD-3-Clause
#include "base/memory.h"

#include <malloc.h>
#include <stdio.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <vector>

#ifndef CAIRN_NO_JEMALLOC
#include <jemalloc/jemalloc.h>

// Read by the allocator when it starts; MALLOC_CONF in the environment comes after it. A slab has a
// head of 128 bytes elsewhere, which for the classes of one page a slab, where most keys and small
// values are, is up to 4 bytes a block: four pages a slab make it one.
__attribute__((used, visibility("default"))) const char* malloc_conf =
    "slab_sizes:32-32:4|64-64:4|128-128:4";
#endif

namespace cairn {
namespace {

thread_local const uint64_t* t_allocated = nullptr;
thread_local const uint64_t* t_freed = nullptr;

#ifndef CAIRN_NO_JEMALLOC
int64_t OwnBytes() { return static_cast<int64_t>(*t_allocated - *t_freed); }

// The counters of the threads there are. They lie in the threads' own memory, which goes with
// them: whoever reads or ends holds the mutex.
struct Threads {
  struct Counters {
    const uint64_t *allocated, *freed;
  };
  std::mutex mutex;
  std::vector<Counters> running;
  int64_t of_the_ended = 0;
};

// Never destroyed: threads may end after main does.
Threads& AllThreads() {
  static Threads* const threads = new Threads;
  return *threads;
}

struct CountersOfThread {
  ~CountersOfThread() {
    if (!counted) return;
    Threads& threads = AllThreads();
    std::lock_guard guard(threads.mutex);
    std::erase_if(threads.running, [](const auto& one) { return one.allocated == t_allocated; });
    threads.of_the_ended += OwnBytes();
    t_allocated = t_freed = nullptr;
  }
  bool counted = false;
};
thread_local CountersOfThread t_counters;
#endif

size_t ReadRss() {
  FILE* file = fopen("/proc/self/statm", "r");
  if (file == nullptr) return 0;
  unsigned long total = 0, resident = 0;
  const int fields = fscanf(file, "%lu %lu", &total, &resident);
  fclose(file);
  return fields == 2 ? resident * static_cast<size_t>(sysconf(_SC_PAGESIZE)) : 0;
}

#ifndef CAIRN_NO_JEMALLOC
size_t ReadSize(const char* name) {
  size_t value = 0, length = sizeof value;
  mallctl(name, &value, &length, nullptr, 0);
  return value;
}
#endif

}  // namespace

size_t AllocatedBytes(const void* pointer) {
  return pointer == nullptr ? 0 : malloc_usable_size(const_cast<void*>(pointer));
}

void MemoryMeter::RegisterThread() {
#ifndef CAIRN_NO_JEMALLOC
  if (t_allocated != nullptr) return;
  uint64_t *allocated = nullptr, *freed = nullptr;
  size_t length = sizeof allocated;
  if (mallctl("thread.allocatedp", &allocated, &length, nullptr, 0) != 0) return;
  length = sizeof freed;
  if (mallctl("thread.deallocatedp", &freed, &length, nullptr, 0) != 0) return;
  Threads& threads = AllThreads();
  std::lock_guard guard(threads.mutex);
  threads.running.push_back({allocated, freed});
  t_allocated = allocated;
  t_freed = freed;
  t_counters.counted = true;
#endif
}

int64_t MemoryMeter::Balance() {
#ifndef CAIRN_NO_JEMALLOC
  Threads& threads = AllThreads();
  std::lock_guard guard(threads.mutex);
  int64_t sum = threads.of_the_ended;
  for (const auto& one : threads.running)
    sum += static_cast<int64_t>(__atomic_load_n(one.allocated, __ATOMIC_RELAXED) -
                                __atomic_load_n(one.freed, __ATOMIC_RELAXED));
  return sum;
#else
  return 0;
#endif
}

int64_t MemoryMeter::OwnBalance() {
  return t_allocated == nullptr ? 0 : static_cast<int64_t>(*t_allocated - *t_freed);
}

size_t MemoryMeter::NotePeak(size_t allocated) {
  static std::atomic<size_t> peak{0};
  size_t old = peak.load(std::memory_order_relaxed);
  while (allocated > old && !peak.compare_exchange_weak(old, allocated)) {
  }
  return std::max(old, allocated);
}

size_t MemoryMeter::Exact() { return ReadMemoryFigures().allocated; }

MemoryFigures ReadMemoryFigures() {
  MemoryFigures figures;
  figures.rss = ReadRss();
#ifndef CAIRN_NO_JEMALLOC
  uint64_t epoch = 1;
  size_t length = sizeof epoch;
  mallctl("epoch", &epoch, &length, &epoch, sizeof epoch);
  figures.allocated = ReadSize("stats.allocated");
  figures.active = ReadSize("stats.active");
  figures.resident = ReadSize("stats.resident");
  figures.retained = ReadSize("stats.retained");
#else
  figures.allocated = figures.active = figures.resident = figures.rss;
#endif
  return figures;
}

std::string AllocatorName() {
#ifndef CAIRN_NO_JEMALLOC
  return "jemalloc-" + std::to_string(JEMALLOC_VERSION_MAJOR) + "." +
         std::to_string(JEMALLOC_VERSION_MINOR) + "." + std::to_string(JEMALLOC_VERSION_BUGFIX);
#else
  return "libc";
#endif
}

std::string AllocatorStatistics() {
#ifndef CAIRN_NO_JEMALLOC
  std::string text;
  malloc_stats_print(
      [](void* opaque, const char* piece) { static_cast<std::string*>(opaque)->append(piece); },
      &text, nullptr);
  return text;
#else
  return "Stats not supported for the current allocator";
#endif
}

void PurgeAllocator() {
#ifndef CAIRN_NO_JEMALLOC
  char name[64];
  snprintf(name, sizeof name, "arena.%d.purge", MALLCTL_ARENAS_ALL);
  mallctl(name, nullptr, nullptr, nullptr, 0);
#endif
}

size_t SystemMemoryBytes() {
  return static_cast<size_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace cairn
