// SPDX-License-Identifier: BSD-3-Clause
//
// Who wakes the log's writer: it gathers for an hour here, or until as much is complete as it gathers
// at most. So a wake-up that is lost leaves the log unwritten.
#include <atomic>
#include <barrier>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "base/random.h"
#include "tests/unit/journal/journal_harness.h"

namespace cairn {
namespace {

constexpr uint64_t kGathered = 4096;  // a quarter of the buffer

// Tells how often it was looked at, which the writer does each time it wakes.
class CountingClock final : public Clock {
 public:
  int64_t WallUs() override { return SystemClock()->WallUs(); }
  int64_t MonotonicUs() override {
    ++looks;
    return SystemClock()->MonotonicUs();
  }
  std::atomic<uint64_t> looks{0};
};

struct GatheringJournal : JournalHarness {
  explicit GatheringJournal(CpuGroups groups) : JournalHarness(1) {
    options.policy = FsyncPolicy::kNo;
    options.clock = &clock;
    options.write_delay_us = 3'600'000'000;
    options.buffer_bytes_max = 4 * kGathered;
    options.cpu_groups = std::move(groups);
    REQUIRE(Open().ok());
  }
  ~GatheringJournal() override { journal.reset(); }
  Reservation Take(unsigned slot, size_t bytes) { return journal->Reserve(slot, 0, bytes); }
  void Fill(const Reservation& r) {
    journal->Publish(r, std::string_view(std::string(r.end - r.start - r.prefix_bytes, 'x')));
    journal->WakeIfNeeded(r.slot);
  }
  // The same, and the writer has looked at what is there since. It sleeps again soon after.
  void FillAndBeLookedAt(const Reservation& r) {
    const uint64_t before = clock.looks;
    Fill(r);
    REQUIRE(Eventually([&] { return clock.looks > before; }));
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  // Until the writer has not looked for so long that it sleeps, and how often it has by then.
  uint64_t AwaitSleep() {
    uint64_t looks = 0;
    REQUIRE(Eventually([&] {
      looks = clock.looks;
      std::this_thread::sleep_for(std::chrono::milliseconds(200));
      return clock.looks == looks;
    }));
    return looks;
  }
  bool AllWritten() const { return journal->written() == journal->tail(); }
  bool LittleWaits() const { return journal->tail() - journal->written() < kGathered; }

  CountingClock clock;
};

TEST_CASE("journal: who fills the hole below enough for the writer wakes it") {
  for (bool together : {false, true}) {
    GatheringJournal h(together ? CpuGroups::Single() : CpuGroups());
    h.FillAndBeLookedAt(h.Take(0, 100));
    REQUIRE(h.journal->written() == 0);
    const Reservation hole = h.Take(1, 100), enough = h.Take(2, kGathered);
    h.FillAndBeLookedAt(enough);
    REQUIRE(h.journal->written() == 0);
    h.Fill(hole);  // which ends below what the writer waits for
    REQUIRE(h.Eventually([&] { return h.AllWritten(); }));
  }
}

TEST_CASE("journal: the last of several holes wakes the writer") {
  GatheringJournal h{CpuGroups()};
  h.FillAndBeLookedAt(h.Take(0, 100));
  const Reservation first = h.Take(1, 100), second = h.Take(2, 100), enough = h.Take(3, kGathered);
  h.FillAndBeLookedAt(enough);
  h.FillAndBeLookedAt(second);
  REQUIRE(h.journal->written() == 0);
  h.Fill(first);
  REQUIRE(h.Eventually([&] { return h.AllWritten(); }));
}

// Who has nothing new to tell does not look; who has is not forgotten for what it told before.
TEST_CASE("journal: the writer is woken once by a record") {
  GatheringJournal h{CpuGroups()};
  const Reservation hole = h.Take(1, 100), behind = h.Take(2, 100);
  h.FillAndBeLookedAt(behind);
  h.FillAndBeLookedAt(h.Take(2, 100));
  h.FillAndBeLookedAt(hole);
  const uint64_t looks = h.AwaitSleep();
  for (unsigned slot = 0; slot < 3; ++slot) h.journal->WakeIfNeeded(slot);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  REQUIRE(h.clock.looks == looks);
  h.Fill(h.Take(2, kGathered));
  REQUIRE(h.Eventually([&] { return h.AllWritten(); }));
}

// In each round threads take some room, now and then let another go first, and fill it. When all
// have ended, as much as the writer gathers must not be left.
void Rounds(CpuGroups groups, int rounds) {
  constexpr unsigned kThreads = 3;
  GatheringJournal h(std::move(groups));
  std::atomic<bool> over{false};
  std::barrier begin(kThreads + 1), end(kThreads + 1);
  std::vector<std::thread> threads;
  for (unsigned slot = 0; slot < kThreads; ++slot)
    threads.emplace_back([&, slot] {
      for (Random random(slot);;) {
        begin.arrive_and_wait();
        if (over) return;
        const Reservation r = h.Take(slot, random.Below(2) == 0 ? 100 : kGathered / 2);
        if (random.Below(2) == 0) std::this_thread::yield();
        h.Fill(r);
        end.arrive_and_wait();
      }
    });
  bool lost = false;
  for (int round = 0; round < rounds && !lost; ++round) {
    begin.arrive_and_wait();
    end.arrive_and_wait();
    lost = !h.Eventually([&] { return h.LittleWaits(); });
  }
  over = true;
  begin.arrive_and_wait();
  for (std::thread& thread : threads) thread.join();
  REQUIRE_FALSE(lost);
}

TEST_CASE("journal: no wake-up of the writer is lost, whoever ends last") {
  Rounds({}, 5000);
  Rounds(CpuGroups::Single(), 5000);
}

}  // namespace
}  // namespace cairn
