// SPDX-License-Identifier: BSD-3-Clause
#include "exec/hot_keys.h"

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "tests/unit/exec/engine_harness.h"

namespace cairn {
namespace {

constexpr int kThreads = 4;

HotKeys::Noted Note(HotKeys* hot_keys, int slot, int64_t now_ms, const CallCost& cost,
                    std::vector<std::string_view> keys) {
  Random random(1);
  return hot_keys->Note(slot, now_ms, cost, keys, random);
}

}  // namespace

TEST_CASE("HotKeys: the life of a session", "[hot_keys]") {
  HotKeys hot_keys(kThreads);
  REQUIRE(!hot_keys.on());
  REQUIRE(!hot_keys.Report(1));
  REQUIRE(!hot_keys.Stop(1));
  REQUIRE(hot_keys.Reset());
  REQUIRE(hot_keys.Start({.cpu = true}, 1000));
  REQUIRE(hot_keys.on());
  REQUIRE(!hot_keys.Start({.cpu = true}, 1001));
  REQUIRE(!hot_keys.Reset());
  (void)Note(&hot_keys, 0, 1001, {50, 10, 5, 0}, {"k"});
  auto report = hot_keys.Report(1400);
  REQUIRE(report->active);
  REQUIRE(report->start_ms == 1000);
  REQUIRE(report->duration_ms == 400);
  REQUIRE(hot_keys.Stop(1500));
  REQUIRE(!hot_keys.on());
  REQUIRE(!hot_keys.Stop(1600));
  (void)Note(&hot_keys, 0, 1601, {50, 10, 5, 0}, {"late"});
  report = hot_keys.Report(9000);
  REQUIRE(!report->active);
  REQUIRE(report->duration_ms == 500);
  REQUIRE(report->by_ticks.size() == 1);
  REQUIRE(report->by_bytes.empty());
  REQUIRE(hot_keys.Start({.net = true}, 2000));  // forgets
  REQUIRE(hot_keys.Report(2000)->by_ticks.empty());
  REQUIRE(hot_keys.Report(2000)->ticks == 0);
  REQUIRE(hot_keys.Stop(2001));
  REQUIRE(hot_keys.Reset());
  REQUIRE(!hot_keys.Report(1));
}

TEST_CASE("HotKeys: keys of a command bear equal parts, threads are added up", "[hot_keys]") {
  HotKeys hot_keys(kThreads);
  REQUIRE(hot_keys.Start({.cpu = true, .net = true}, 0));
  (void)Note(&hot_keys, 0, 1, {30, 10, 20, 0}, {"a", "b", "c"});
  (void)Note(&hot_keys, 1, 1, {100, 1, 0, 0}, {"b"});
  (void)Note(&hot_keys, 2, 1, {1000, 1, 0, 0}, {});  // PING
  const auto report = hot_keys.Report(2);
  REQUIRE(report->ticks == 130);
  REQUIRE(report->bytes == 31);
  REQUIRE(report->sampled_bytes == 31);
  REQUIRE(report->by_ticks.size() == 3);
  REQUIRE(report->by_ticks[0].name == "b");
  REQUIRE(report->by_ticks[0].weight == 110);
  REQUIRE(report->by_bytes[0].weight == 11);
}

TEST_CASE("HotKeys: a session ends by itself", "[hot_keys]") {
  HotKeys hot_keys(kThreads);
  REQUIRE(hot_keys.Start({.cpu = true, .duration_ms = 1000}, 5000));
  REQUIRE(!Note(&hot_keys, 0, 5999, {1, 1, 1, 0}, {"in"}).over);
  hot_keys.Expire(5999);
  REQUIRE(hot_keys.on());
  REQUIRE(Note(&hot_keys, 0, 6000, {1, 1, 1, 0}, {"out"}).over);
  hot_keys.Expire(7000);
  REQUIRE(!hot_keys.on());
  const auto report = hot_keys.Report(8000);
  REQUIRE(!report->active);
  REQUIRE(report->duration_ms == 1000);
  REQUIRE(report->by_ticks.size() == 1);
  REQUIRE(report->by_ticks[0].name == "in");
}

TEST_CASE("HotKeys: SAMPLE thins out the keys, not the totals", "[hot_keys]") {
  HotKeys hot_keys(kThreads);
  REQUIRE(hot_keys.Start({.net = true, .size = true, .sample = 10}, 0));
  Random random(3);
  int sizes = 0;
  const std::string_view key[] = {"k"};
  for (int i = 0; i < 10'000; ++i)
    sizes += hot_keys.Note(0, 1, {1, 1, 0, 0}, key, random).sizes ? 1 : 0;
  const auto report = hot_keys.Report(2);
  REQUIRE(report->bytes == 10'000);
  REQUIRE(report->sampled_bytes == static_cast<uint64_t>(sizes));
  REQUIRE(sizes > 800);
  REQUIRE(sizes < 1200);
}

TEST_CASE("HotKeys: commands of all kinds tell of their keys", "[hot_keys]") {
  TestEngine engine;
  HotKeys& hot_keys = *engine.engine->hot_keys;
  TestClient one(engine), two(engine), blocked(engine);
  one.Send("SET before v\r\n");
  const auto start = [&](const HotKeyOptions& options) {
    if (hot_keys.on()) REQUIRE(hot_keys.Stop(0));
    REQUIRE(hot_keys.Start(options, 0));
    engine.engine->ReadCostBounds();
  };
  const auto names = [&] {
    const auto report = hot_keys.Report(0);
    std::vector<std::string> all;
    for (const auto& item : report->by_bytes) all.push_back(item.name);
    std::sort(all.begin(), all.end());
    return all;
  };
  start({.net = true, .count = 64});
  one.Send("SET a v\r\nPING\r\nMSET b 1 c 2\r\n");
  two.Send("MULTI\r\nSET d v\r\nEXEC\r\n");
  blocked.Send("BLPOP e 0\r\n");
  one.Send("RPUSH e 1\r\n");
  one.Send("GET\r\nNOSUCH x\r\nSPUBLISH channel m\r\n");
  REQUIRE(names() == std::vector<std::string>{"a", "b", "c", "d", "e"});
  REQUIRE(hot_keys.Report(0)->bytes == hot_keys.Report(0)->sampled_bytes);
  // Nobody brings it its reply here, and its wait holds its record.
  blocked.session.record->waiter.reset();

  start({.size = true});
  one.Send("SET big " + std::string(5000, 'x') + "\r\nSET small 1\r\nSET gone 1\r\nDEL gone\r\n");
  two.Send("MULTI\r\nSET middle " + std::string(500, 'x') + "\r\nEXEC\r\n");
  auto sizes = hot_keys.Report(0)->by_size;
  REQUIRE(sizes.size() == 3);
  REQUIRE(sizes[0].name == "big");
  REQUIRE(sizes[0].value > 5000);
  REQUIRE(sizes[0].value < 10'000);
  REQUIRE(sizes[1].name == "middle");
  REQUIRE(sizes[2].name == "small");
  two.Send("SET big 1\r\n");  // another thread knows better
  REQUIRE(hot_keys.Report(0)->by_size[0].name == "middle");
}

TEST_CASE("HotKeys: the time of a session is over for those who count, too", "[hot_keys]") {
  TestEngine engine;
  HotKeys& hot_keys = *engine.engine->hot_keys;
  TestClient client(engine);
  REQUIRE(hot_keys.Start({.net = true, .duration_ms = 10}, client.clock_ms));
  engine.engine->ReadCostBounds();
  REQUIRE(engine.engine->cost_bounds.Reached({0, 0, 0, 0}));
  client.Send("SET k v\r\n");
  REQUIRE(hot_keys.on());
  client.clock_ms += 11;
  client.Send("SET late v\r\n");
  REQUIRE(!hot_keys.on());
  REQUIRE(!engine.engine->cost_bounds.Reached({0, 0, 0, 0}));
  REQUIRE(hot_keys.Report(client.clock_ms)->by_bytes.size() == 1);
}

TEST_CASE("HotKeys: threads count while others start, stop and look", "[hot_keys]") {
  HotKeys hot_keys(kThreads);
  std::atomic<bool> done{false};
  std::vector<std::thread> threads;
  for (int slot = 0; slot < kThreads; ++slot) {
    threads.emplace_back([&, slot] {
      Random random(static_cast<uint64_t>(slot));
      const std::string_view key[] = {"k"};
      while (!done) {
        if (!hot_keys.on()) continue;
        if (hot_keys.Note(slot, 0, {1, 1, 0, 0}, key, random).sizes)
          hot_keys.NoteSize(slot, "k", 1, 1);
      }
    });
  }
  for (int i = 0; i < 200; ++i) {
    REQUIRE(hot_keys.Start({.cpu = true, .net = true, .size = true}, 0));
    const auto report = hot_keys.Report(0);
    REQUIRE(report->by_bytes.size() <= 1);
    REQUIRE(hot_keys.Stop(0));
    const auto after = hot_keys.Report(0);
    REQUIRE(after->bytes >= report->bytes);
    REQUIRE(after->bytes == after->sampled_bytes);
    REQUIRE(hot_keys.Reset());
  }
  done = true;
  for (std::thread& thread : threads) thread.join();
}

}  // namespace cairn
