// SPDX-License-Identifier: BSD-3-Clause
//
// Room under maxmemory: what goes, in which order, what is refused when nothing is left to go.
#include "base/memory.h"
#include "exec/eviction_pool.h"
#include "tests/unit/exec/engine_harness.h"

namespace cairn {
namespace {

constexpr int64_t kSlackBytes = 64 << 10;
const std::string kOom = "-OOM command not allowed when used memory > 'maxmemory'.\r\n";

// A client whose engine has `room` bytes left under maxmemory.
struct Limited {
  explicit Limited(const std::string& policy) : client(engine) {
    MemoryMeter::RegisterThread();
    client.Send("CONFIG SET maxmemory-policy " + policy + " maxmemory-samples 10\r\n");
  }

  void SetRoom(int64_t room) {
    // Above the measure, so that the next command looks at the sum again.
    engine.engine->memory.Measure();
    const int64_t used = engine.engine->memory.Over() + engine.engine->config.maxmemory();
    client.Send("CONFIG SET maxmemory " + std::to_string(used + room) + "\r\n");
  }
  std::string Set(const std::string& key, size_t bytes, const std::string& more = "") {
    return client.Send("SET " + key + " " + std::string(bytes, 'v') + more + "\r\n");
  }
  int Count(const std::string& prefix, int keys) {
    int count = 0;
    for (int i = 0; i < keys; ++i)
      count += client.Send("EXISTS " + prefix + std::to_string(i) + "\r\n") == ":1\r\n";
    return count;
  }
  uint64_t evicted() const { return engine.engine->statistics.Sum(Stat::kEvicted); }

  TestEngine engine;
  TestClient client;
};

}  // namespace

TEST_CASE("The pool keeps the best candidates", "[exec][eviction]") {
  EvictionPool pool;
  for (int i = 0; i < 100; ++i) pool.Offer(i * 37 % 100, 0, static_cast<uint64_t>(i), "k");
  REQUIRE(pool.size() == EvictionPool::kSize);
  pool.Offer(1000, 1, 7, "twice");
  pool.Offer(5, 1, 7, "twice");  // a worse score takes it out again: others are better by now
  for (int expected = 99; !pool.empty(); --expected) {
    const EvictionCandidate best = pool.TakeBest();
    if (best.key == "twice") {
      REQUIRE(best.score == 5);
      break;
    }
    REQUIRE(best.score == expected);
  }
}

TEST_CASE("Memory stays at the limit while keys come", "[exec][eviction]") {
  if (!MemoryMeter::kCounts) return;
  for (const char* policy : {"allkeys-lru", "allkeys-lfu", "allkeys-random", "allkeys-lrm"}) {
    Limited test(policy);
    test.SetRoom(2 << 20);
    for (int i = 0; i < 20'000; ++i) {
      REQUIRE(test.Set("key:" + std::to_string(i), 500) == "+OK\r\n");
      REQUIRE(test.engine.engine->memory.Over() < kSlackBytes);
    }
    REQUIRE(test.evicted() > 10'000);
    REQUIRE(test.engine.keyspace.Size(0) == 20'000 - test.evicted());
    REQUIRE(test.engine.keyspace.Size(0) > 1'000);
  }
}

TEST_CASE("What was not used for longest goes first", "[exec][eviction]") {
  if (!MemoryMeter::kCounts) return;
  Limited test("allkeys-lru");
  for (int i = 0; i < 2000; ++i) test.Set("cold" + std::to_string(i), 500);
  for (int i = 0; i < 2000; ++i) test.Set("warm" + std::to_string(i), 500);
  test.client.clock_ms += 100'000;
  for (int i = 0; i < 2000; ++i) test.client.Send("GET warm" + std::to_string(i) + "\r\n");
  test.SetRoom(0);
  for (int i = 0; i < 1000; ++i) test.Set("new" + std::to_string(i), 500);
  REQUIRE(test.evicted() > 900);
  REQUIRE(test.engine.keyspace.Size(0) == 5000 - test.evicted());
  REQUIRE(test.Count("cold", 2000) < 1200);
  REQUIRE(test.Count("warm", 2000) > 1950);
}

TEST_CASE("Reads do not keep a key under LRM", "[exec][eviction]") {
  Limited test("allkeys-lrm");
  test.Set("k", 10);
  test.client.clock_ms += 100'000;
  test.client.Send("GET k\r\n");
  REQUIRE(test.client.Send("OBJECT IDLETIME k\r\n") == ":100\r\n");
  test.client.Send("APPEND k v\r\n");
  REQUIRE(test.client.Send("OBJECT IDLETIME k\r\n") == ":0\r\n");
}

TEST_CASE("Keys that are used often stay under LFU", "[exec][eviction]") {
  if (!MemoryMeter::kCounts) return;
  Limited test("allkeys-lfu");
  test.client.Send("CONFIG SET lfu-log-factor 0\r\n");
  for (int i = 0; i < 1000; ++i) test.Set("often" + std::to_string(i), 500);
  for (int round = 0; round < 20; ++round)
    for (int i = 0; i < 1000; ++i) test.client.Send("GET often" + std::to_string(i) + "\r\n");
  for (int i = 0; i < 1000; ++i) test.Set("once" + std::to_string(i), 500);
  test.SetRoom(0);
  // A scan of twice the size that is read once does not push them out.
  for (int i = 0; i < 2000; ++i) test.Set("scan" + std::to_string(i), 500);
  REQUIRE(test.evicted() > 1900);
  REQUIRE(test.Count("often", 1000) > 970);
}

TEST_CASE("Volatile policies take only keys with an expiry, be they ever so few",
          "[exec][eviction]") {
  if (!MemoryMeter::kCounts) return;
  for (const char* policy : {"volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl",
                             "volatile-lrm"}) {
    Limited test(policy);
    for (int i = 0; i < 20'000; ++i) test.Set("stays" + std::to_string(i), 20);
    for (int i = 0; i < 3; ++i) test.Set("goes" + std::to_string(i), 100'000, " EX 1000");
    test.SetRoom(-150'000);
    // Refused at last, but not before all that can go has gone.
    int attempts = 0;
    while (test.Set("more" + std::to_string(attempts), 4000) == "+OK\r\n")
      REQUIRE(++attempts < 100);
    REQUIRE(attempts > 10);
    REQUIRE(test.evicted() == 3);
    REQUIRE(test.Count("goes", 3) == 0);
    REQUIRE(test.Count("stays", 20'000) == 20'000);
  }
}

TEST_CASE("volatile-ttl takes what would go soonest", "[exec][eviction]") {
  if (!MemoryMeter::kCounts) return;
  Limited test("volatile-ttl");
  for (int i = 0; i < 1000; ++i) test.Set("late" + std::to_string(i), 500, " EX 100000");
  for (int i = 0; i < 1000; ++i) test.Set("soon" + std::to_string(i), 500, " EX 1000");
  test.SetRoom(0);
  for (int i = 0; i < 500; ++i) test.Set("new" + std::to_string(i), 500);
  REQUIRE(test.evicted() > 450);
  REQUIRE(test.Count("late", 1000) > 980);
}

TEST_CASE("Without anything to evict commands that need memory are refused",
          "[exec][eviction]") {
  Limited test("noeviction");
  test.Set("k", 10);
  test.client.Send("CONFIG SET maxmemory 1\r\n");
  REQUIRE(test.Set("k", 10) == kOom);
  REQUIRE(test.client.Send("GET k\r\n") == "$10\r\nvvvvvvvvvv\r\n");
  REQUIRE(test.client.Send("DEL k\r\n") == ":1\r\n");
  // A transaction: what is queued takes memory too, so all of it is refused.
  REQUIRE(test.client.Send("MULTI\r\nGET k\r\nDISCARD\r\n") == "+OK\r\n" + kOom + "+OK\r\n");
  test.client.Send("CONFIG SET maxmemory 0\r\nMULTI\r\nSET k v\r\nCONFIG SET maxmemory 1\r\n");
  REQUIRE(test.client.Send("EXEC\r\n") == "*2\r\n+OK\r\n+OK\r\n");
  REQUIRE(test.client.Send("MULTI\r\n") == "+OK\r\n");
  REQUIRE(test.client.Send("EXEC\r\n") == "*0\r\n");
  REQUIRE(test.client.Send("CONFIG SET maxmemory 0\r\n") == "+OK\r\n");
  REQUIRE(test.Set("k", 10) == "+OK\r\n");
}

TEST_CASE("A transaction that needs memory is refused as a whole", "[exec][eviction]") {
  Limited test("noeviction");
  TestClient other(test.engine);
  test.client.Send("MULTI\r\nSET a 1\r\nSET b 1\r\n");
  other.Send("CONFIG SET maxmemory 1\r\n");
  REQUIRE(test.client.Send("EXEC\r\n") ==
          "-EXECABORT Transaction discarded because of: OOM command not allowed when used memory > "
          "'maxmemory'.\r\n");
  REQUIRE(test.client.Send("EXISTS a b\r\n") == ":0\r\n");
}

TEST_CASE("A lower limit holds for the next command, though a slice saw it first",
          "[exec][eviction]") {
  Limited test("noeviction");
  TestClient other(test.engine);
  // What the commands allocate at first would make the next one look again.
  for (const char* limit : {"100gb", "200gb", "300gb"}) {
    other.Send("CONFIG SET maxmemory " + std::string(limit) + "\r\n");
    REQUIRE(test.Set("k", 10) == "+OK\r\n");
  }
  other.Send("CONFIG SET maxmemory 1\r\n");
  REQUIRE_FALSE(test.client.executor.EvictSlice(test.client.clock_ms, 1'000'000));
  REQUIRE(test.Set("k", 10) == kOom);
}

TEST_CASE("Nothing is evicted while the server deletes nothing by itself", "[exec][eviction]") {
  Limited test("allkeys-lru");
  for (int i = 0; i < 100; ++i) test.Set("k" + std::to_string(i), 10);
  test.engine.engine->modes.Set(kModeFollower, true);
  test.client.Send("CONFIG SET maxmemory 1\r\nGET k1\r\n");
  REQUIRE_FALSE(test.client.executor.EvictSlice(test.client.clock_ms, 1'000'000));
  REQUIRE(test.engine.keyspace.Size(0) == 100);
  test.engine.engine->modes.Set(kModeFollower, false);
  REQUIRE_FALSE(test.client.executor.EvictSlice(test.client.clock_ms, 1'000'000));
  REQUIRE(test.engine.keyspace.Size(0) == 0);
  REQUIRE(test.evicted() == 100);
}

TEST_CASE("A busy script that comes in between evictions is not waited for", "[exec][eviction]") {
  if (!MemoryMeter::kCounts) return;
  Limited test("allkeys-random");
  for (int i = 0; i < 100; ++i) REQUIRE(test.Set("k" + std::to_string(i), 100) == "+OK\r\n");
  // One key a command, and never enough.
  REQUIRE(test.client.Send("CONFIG SET maxmemory-eviction-tenacity 0\r\n") == "+OK\r\n");
  REQUIRE(test.client.Send("CONFIG SET maxmemory 1\r\n") == "+OK\r\n");
  Gate& gate = test.engine.keyspace.gate();
  HoldPoint& point = TheHoldPoint();
  point.entered = point.release = false;
  std::atomic<bool> answered{false};
  std::thread script([&] {
    while (!point.entered) std::this_thread::yield();
    gate.Close();
    test.engine.engine->busy.Begin({}, false, false);
    test.engine.engine->modes.Set(kModeBusyScript, true);
    gate.Hold(true);
    for (int i = 0; i < 6000 && !answered; ++i) usleep(10'000);
    gate.Hold(false);
    test.engine.engine->modes.Set(kModeBusyScript, false);
    test.engine.engine->busy.End();
    gate.Open();
  });
  std::thread other([&] {
    while (!gate.wanted()) std::this_thread::yield();
    // Whoever locks a shard has to take everything first.
    for (int i = 0; i < kShards; ++i) {
      Shard& shard = test.engine.keyspace.shard(i);
      WaitCounters& counters = test.engine.keyspace.wait_counters();
      if (shard.waiters == nullptr) shard.waiters = std::make_unique<WaitTable>(&counters);
      shard.unserved = true;
      ++counters.unserved_shards;
    }
    point.release = true;
  });
  const std::string reply = test.client.Send("T.HOLD k\r\nT.GET k\r\n");
  answered = true;
  script.join();
  other.join();
  REQUIRE(reply.starts_with("+OK\r\n-BUSY "));
}

}  // namespace cairn
