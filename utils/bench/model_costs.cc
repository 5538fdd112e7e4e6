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
//   tail2    two threads that only take room: a compare-and-swap of one word, between two of
//   whichever
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>
#include <thread>

#include "journal/buffer.h"
#include "keyspace/shard_lock.h"

namespace cairn {
namespace {

constexpr int kRounds = 9, kRepeats = 200'000;
constexpr int kReleaseEvery = 1024;

void Pin(int core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(core, &set);
  sched_setaffinity(0, sizeof set, &set);
}

template <typename Body>
double NsEach(const Body& body, int repeats) {
  const auto begin = std::chrono::steady_clock::now();
  body();
  const std::chrono::duration<double, std::nano> elapsed = std::chrono::steady_clock::now() - begin;
  return elapsed.count() / repeats;
}

// body(0) and body(1) on two cores, begun together; nanoseconds by the repeats of both.
template <typename Body>
double NsOfTwo(const Body& body) {
  std::atomic<int> ready{0};
  const auto start = [&](int core) {
    Pin(core);
    ready.fetch_add(1);
    while (ready.load() < 2) {
    }
    body(core);
  };
  return NsEach(
      [&] {
        std::jthread other(start, 1);
        std::jthread one(start, 0);
      },
      2 * kRepeats);
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
  return NsEach(
      [&] {
        for (int i = 0; i < kRepeats; ++i) {
          lock.Lock();
          asm volatile("" ::: "memory");
          lock.Unlock();
        }
      },
      kRepeats);
}

void AppendTo(JournalBuffer* buffer, unsigned slot) {
  const std::string record(64, 'x');
  for (int i = 0; i < kRepeats; ++i) {
    buffer->Publish(buffer->Reserve(slot, 0, record.size()), record);
    if (slot == 0 && i % kReleaseEvery == 0) buffer->Release(buffer->Complete().lsn);
  }
}

double Append() {
  JournalBuffer buffer;
  buffer.Reset({});
  return NsEach([&] { AppendTo(&buffer, 0); }, kRepeats);
}

double AppendOfTwo() {
  JournalBuffer buffer;
  buffer.Reset({});
  return NsOfTwo([&](int core) { AppendTo(&buffer, static_cast<unsigned>(core)); });
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
  std::printf("{\"line\": %.1f, \"lock\": %.1f, ", Least(Line), Least(Lock));
  std::printf("\"append\": %.1f, \"append2\": %.1f, \"tail2\": %.1f}\n", Least(Append),
              Least(AppendOfTwo), Least(TailOfTwo));
  return 0;
}
