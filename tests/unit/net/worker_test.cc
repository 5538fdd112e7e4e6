// SPDX-License-Identifier: BSD-3-Clause
//
// A worker by itself: its mailbox, its timers, its turns. Meant to be run under the thread
// sanitizer too.
#include "net/worker.h"

#include <algorithm>
#include <chrono>
#include <future>
#include <memory>
#include <thread>
#include <vector>

namespace cairn {
namespace {

using namespace std::chrono_literals;

TEST_CASE("mailbox: tasks of one sender run in order, and late ones are dropped") {
  Worker worker(0, SystemClock());
  constexpr int kSenders = 4, kTasks = 5000;
  std::vector<std::vector<int>> seen(kSenders);
  REQUIRE(worker.Start().ok());
  std::vector<std::thread> senders;
  for (int s = 0; s < kSenders; s++) {
    senders.emplace_back([&, s] {
      for (int i = 0; i < kTasks; i++) worker.Post([&, s, i] { seen[s].push_back(i); });
    });
  }
  for (auto& sender : senders) sender.join();
  worker.Stop();
  worker.Join();
  auto token = std::make_shared<int>(1);
  worker.Post([token] { CHECK(false); });
  for (const auto& list : seen) {
    REQUIRE(list.size() == kTasks);
    REQUIRE(std::is_sorted(list.begin(), list.end()));
  }
  // One wake-up a batch: far fewer turns than tasks would be fine, more would not.
  REQUIRE(worker.totals().turns.load() <= kSenders * kTasks);
}

TEST_CASE("worker: timers, idle slices and turn-end hooks") {
  Worker worker(0, SystemClock());
  std::promise<void> done;
  int slices = 0, hooks = 0;
  Timer timer;
  int64_t start = 0;
  worker.OnTurnEnd([&] { hooks++; });
  worker.Post([&] {
    worker.AddIdle([&] { return ++slices < 5; });
    start = worker.monotonic_ms();
    timer.set_callback([&] { done.set_value(); });
    worker.ScheduleAfter(&timer, 60);
  });
  REQUIRE(worker.Start().ok());
  done.get_future().wait();
  int64_t took = 0;
  std::promise<void> read;
  worker.Post([&] {
    took = worker.monotonic_ms() - start;
    read.set_value();
  });
  read.get_future().wait();
  REQUIRE(took >= 60);
  worker.Stop();
  worker.Join();
  REQUIRE(slices == 5);
  REQUIRE(hooks >= 5);
  REQUIRE(worker.totals().turns.load() < 50);  // it slept in between
}

TEST_CASE("worker: what it posts to itself runs in the same turn, in order with what others post") {
  Worker worker(0, SystemClock());
  std::vector<int> seen;
  std::promise<void> done;
  uint64_t posted_in = 0, run_in = 0;
  worker.Post([&] {
    posted_in = worker.totals().turns.load();
    worker.Post([&] {
      run_in = worker.totals().turns.load();
      seen.push_back(1);
      worker.Post([&] { seen.push_back(3); });  // of the next turn, which has to come by itself
      worker.Post([&] { done.set_value(); });
    });
    worker.Post([&] { seen.push_back(2); });
  });
  REQUIRE(worker.Start().ok());
  REQUIRE(done.get_future().wait_for(60s) == std::future_status::ready);
  worker.Stop();
  worker.Join();
  REQUIRE(seen == std::vector<int>{1, 2, 3});
  REQUIRE(run_in == posted_in);
}

}  // namespace
}  // namespace cairn
