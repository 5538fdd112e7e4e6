// SPDX-License-Identifier: BSD-3-Clause
#include "net/timer_wheel.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "base/random.h"

namespace cairn {
namespace {

TEST_CASE("timer wheel: fires in time, once, and not when cancelled") {
  TimerWheel wheel(1000);
  int fired = 0;
  Timer timer([&] { fired++; });
  REQUIRE(wheel.DelayMs(1000) == -1);
  wheel.Schedule(&timer, 1025);
  REQUIRE(wheel.DelayMs(1000) == 30);
  wheel.Advance(1029);
  REQUIRE(fired == 0);
  wheel.Advance(1030);
  REQUIRE(fired == 1);
  REQUIRE_FALSE(timer.scheduled());
  wheel.Schedule(&timer, 5);  // long past: the next Advance
  wheel.Schedule(&timer, 1100'000);
  timer.Cancel();
  wheel.Advance(2000'000);
  REQUIRE(fired == 1);
  { Timer gone([&] { fired++; }); wheel.Schedule(&gone, 2000'020); }
  wheel.Advance(2001'000);
  REQUIRE(fired == 1);
  wheel.CheckInvariants();
}

TEST_CASE("timer wheel: a callback may reschedule itself, cancel others and destroy itself") {
  TimerWheel wheel(0);
  int ticks = 0;
  int victims = 0;
  Timer victim([&] { victims++; });
  Timer periodic;
  periodic.set_callback([&] {
    ticks++;
    victim.Cancel();
    wheel.Schedule(&periodic, ticks * 100);
  });
  wheel.Schedule(&victim, 30);
  wheel.Schedule(&periodic, 10);
  auto suicidal = std::make_unique<Timer>();
  suicidal->set_callback([&] { suicidal.reset(); });
  wheel.Schedule(suicidal.get(), 500);

  for (int64_t now = 0; now <= 1000; now += 10) wheel.Advance(now);
  REQUIRE(ticks == 11);
  REQUIRE(victims == 0);
  REQUIRE(suicidal == nullptr);
}

TEST_CASE("timer wheel: random timers fire within one tick of their deadline") {
  Random random(3);
  TimerWheel wheel(0);
  struct Item {
    std::unique_ptr<Timer> timer;
    int64_t deadline = 0;
    bool live = false;
  };
  std::vector<Item> items(300);
  int64_t now = 0, last = 0;
  for (Item& item : items) {
    item.timer = std::make_unique<Timer>([&] {
      REQUIRE(item.live);
      REQUIRE(item.deadline <= now);
      item.live = false;
    });
  }
  for (int step = 0; step < 20'000; step++) {
    Item& item = items[random.Below(items.size())];
    if (random.Below(10) < 7) {
      item.deadline = now + static_cast<int64_t>(random.Below(random.Below(5) ? 500 : 40'000));
      item.live = true;
      wheel.Schedule(item.timer.get(), item.deadline);
    } else {
      item.live = false;
      item.timer->Cancel();
    }
    if (random.Below(3) == 0) {
      last = now;
      now += static_cast<int64_t>(random.Below(random.Below(50) ? 40 : 15'000));
      int64_t delay = wheel.DelayMs(last);
      wheel.Advance(now);
      if (step % 16 == 0) wheel.CheckInvariants();
      for (Item& each : items) {
        REQUIRE((!each.live || each.deadline > now - TimerWheel::kTickMs));
        if (each.live) REQUIRE((delay >= 0 && each.timer->scheduled()));
      }
    }
  }
}

}  // namespace
}  // namespace cairn
