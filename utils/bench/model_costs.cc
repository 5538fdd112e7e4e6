// SPDX-License-Identifier: BSD-3-Clause
//
// What the threads of the server pay for what they share, as inputs of model.py: prints JSON, in
// nanoseconds. Needs two cores that have nothing else to do; each figure is the least of several
// rounds, as what else runs on a machine only ever adds.
//
//   line     a cache line that two cores write in turn: one way from one to the other
//   lock     Lock and Unlock of a shard that no other core touches
//   append   a record of 64 bytes into the journal's buffer, by one thread
//   append2  the same by two threads at once: between two records, of whichever
//   joined   as append, by a thread that takes room for its group
//   joined2  as append2, by two of one group
//   told2    as append2, with a turn's work around it, and at the turn's end each asks by its own
//            record whether to wake the writer
//   looked2  the same, by the tail
//   tail2    two threads that only take room: a compare-and-swap of one word, between two of
//   whichever
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>

#include "base/cpu_groups.h"
#include "journal/buffer.h"
#include "keyspace/shard_lock.h"

namespace cairn {
namespace {

// Rounds are short, so that some are not interrupted, and many.
constexpr int kRounds = 400, kRepeats = 2000;

uint64_t NowNs() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<uint64_t>(std::chrono::nanoseconds(now).count());
}

void Pin(int core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(core, &set);
  sched_setaffinity(0, sizeof set, &set);
}

template <typename Body>
double NsOfOne(const Body& body) {
  const uint64_t begin = NowNs();
  body();
  return static_cast<double>(NowNs() - begin) / kRepeats;
}

// body(0) and body(1) on two cores, begun together: from the first's begin to the last's end, by
// the repeats of both.
template <typename Body>
double NsOfTwo(const Body& body) {
  std::atomic<int> ready{0};
  uint64_t begin[2], end[2];
  const auto run = [&](int core) {
    Pin(core);
    ready.fetch_add(1);
    while (ready.load() < 2) {
    }
    begin[core] = NowNs();
    body(core);
    end[core] = NowNs();
  };
  std::thread other(run, 1);
  run(0);
  other.join();
  return static_cast<double>(std::max(end[0], end[1]) - std::min(begin[0], begin[1])) /
         (2 * kRepeats);
}

template <typename Measure>
double Least(const Measure& measure) {
  double least = measure();
  for (int i = 1; i < kRounds; ++i) least = std::min(least, measure());
  return least;
}

double Line() {
  alignas(64) std::atomic<int> turn{0};
  return NsOfTwo([&](int core) {
    for (int i = 0; i < kRepeats; ++i) {
      while (turn.load(std::memory_order_acquire) != core) {
      }
      turn.store(1 - core, std::memory_order_release);
    }
  });
}

double Lock() {
  ShardLock lock;
  return NsOfOne([&] {
    for (int i = 0; i < kRepeats; ++i) {
      lock.Lock();
      asm volatile("" ::: "memory");
      lock.Unlock();
    }
  });
}

// Half of what a turn does besides: something like a tenth of a microsecond.
void Work() {
  for (int i = 0; i < 300; ++i) asm volatile("");
}

// What is done behind each record, for the end by which the writer is woken.
constexpr auto kNoEnd = [](JournalBuffer*, unsigned) -> Lsn { return 0; };
constexpr auto kOwnEnd = [](JournalBuffer* buffer, unsigned slot) {
  Work();
  const Lsn end = buffer->TakeNews(slot);
  std::atomic_thread_fence(std::memory_order_seq_cst);
  Work();
  return end;
};
constexpr auto kTailsEnd = [](JournalBuffer* buffer, unsigned) {
  Work();
  std::atomic_thread_fence(std::memory_order_seq_cst);
  const Lsn end = buffer->tail().lsn;
  Work();
  return end;
};

template <typename End>
void AppendTo(JournalBuffer* buffer, unsigned slot, const End& end) {
  const std::string record(64, 'x');
  for (int i = 0; i < kRepeats; ++i) {
    buffer->Publish(buffer->Reserve(slot, 0, record.size()), record);
    if (end(buffer, slot) == kLsnMax) std::abort();
  }
}

double Append(JournalBuffer* buffer) {
  buffer->Release(buffer->Complete().lsn);
  return NsOfOne([&] { AppendTo(buffer, 0, kNoEnd); });
}

template <typename End>
double AppendOfTwo(JournalBuffer* buffer, const End& end) {
  buffer->Release(buffer->Complete().lsn);
  return NsOfTwo([&](int core) { AppendTo(buffer, static_cast<unsigned>(core), end); });
}

double TailOfTwo() {
  alignas(64) std::atomic<uint64_t> tail{0};
  return NsOfTwo([&](int) {
    for (int i = 0; i < kRepeats; ++i) {
      uint64_t old = tail.load(std::memory_order_relaxed);
      while (!tail.compare_exchange_weak(old, old + 64)) {
      }
    }
  });
}

}  // namespace
}  // namespace cairn

int main() {
  using namespace cairn;
  Pin(0);
  // For all rounds: their chunks are there after the first.
  JournalBuffer alone, together(CpuGroups::Single());
  const auto append = [](JournalBuffer* buffer) { return Least([=] { return Append(buffer); }); };
  const auto append_of_two = [](JournalBuffer* buffer, auto end) {
    return Least([=] { return AppendOfTwo(buffer, end); });
  };
  std::printf("{\"line\": %.1f, \"lock\": %.1f, ", Least(Line), Least(Lock));
  std::printf("\"append\": %.1f, \"append2\": %.1f, ", append(&alone),
              append_of_two(&alone, kNoEnd));
  std::printf("\"joined\": %.1f, \"joined2\": %.1f, ", append(&together),
              append_of_two(&together, kNoEnd));
  std::printf("\"told2\": %.1f, \"looked2\": %.1f, ", append_of_two(&alone, kOwnEnd),
              append_of_two(&alone, kTailsEnd));
  std::printf("\"tail2\": %.1f}\n", Least(TailOfTwo));
  return 0;
}
