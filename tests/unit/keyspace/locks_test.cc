// SPDX-License-Identifier: BSD-3-Clause
//
// Gate and shard locks under four threads (run it under the thread sanitizer too), and what empties
// or swaps whole databases.
#include <memory>
#include <thread>
#include <vector>

#include "keyspace/keyspace.h"
#include "keyspace/lazy_free.h"

namespace cairn {
namespace {

constexpr int kThreads = 4;
constexpr int kRounds = 2000;

template <typename Body>
void OnThreads(const Body& body) {
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) threads.emplace_back([&body, i] { body(i); });
  for (auto& thread : threads) thread.join();
}

void Put(Keyspace& keyspace, int db, const char* key) {
  const uint64_t hash = HashBytes(key);
  keyspace.Table(ShardOf(hash), db)
      .entries.InsertAndGrow(hash, Entry::NewString(key, "v", kNoExpiry), false);
}

std::shared_ptr<WatchState> Watch(Keyspace& keyspace, int db, const char* key) {
  Shard& shard = keyspace.shard(ShardOf(HashBytes(key)));
  if (shard.watches == nullptr) shard.watches = std::make_unique<WatchTable>();
  auto state = std::make_shared<WatchState>();
  shard.watches->Add(db, key, state);
  return state;
}

}  // namespace

TEST_CASE("A shard lock lets one thread in at a time", "[keyspace]") {
  ShardLock lock;
  int64_t plain = 0;
  OnThreads([&](int) {
    for (int round = 0; round < kRounds; ++round) {
      lock.Lock();
      ++plain;
      lock.Unlock();
      if (lock.TryLock()) {
        plain += 0;
        lock.Unlock();
      }
    }
  });
  REQUIRE(plain == int64_t{kThreads} * kRounds);
  REQUIRE_FALSE(lock.held());
}

TEST_CASE("Who gives a shard lock back is told whether somebody was woken for it", "[keyspace]") {
  ShardLock lock;
  lock.Lock();
  REQUIRE_FALSE(lock.Unlock());
  lock.LetIn();  // nobody comes: it ends
  lock.Lock();
  std::thread other([&] {
    lock.Lock();
    lock.Unlock();
  });
  while (!lock.waited()) std::this_thread::yield();
  const bool woken = lock.Unlock();
  lock.LetIn();
  other.join();
  REQUIRE(woken);
  REQUIRE_FALSE(lock.held());
}

TEST_CASE("The closed gate keeps every section out, and every section ends", "[keyspace]") {
  Gate gate;
  // Written without any other lock: by their thread inside, by whoever closed the gate.
  int64_t counters[kThreads] = {};
  OnThreads([&](int index) {
    const int slot = gate.AddThread();
    for (int round = 0; round < kRounds; ++round) {
      gate.Enter(slot);
      ++counters[index];
      gate.Leave(slot);
      if (round % 16 != 0) continue;
      gate.Close();
      for (int64_t& counter : counters) ++counter;
      gate.Open();
    }
  });
  const int64_t closings = int64_t{kThreads} * (kRounds / 16);
  for (int64_t counter : counters) REQUIRE(counter == kRounds + closings);
  REQUIRE_FALSE(gate.wanted());
}

TEST_CASE("Detach marks the watchers of keys that exist in that database alone", "[keyspace]") {
  Keyspace keyspace(2);
  Put(keyspace, 0, "a");
  Put(keyspace, 1, "b");
  auto there = Watch(keyspace, 0, "a"), missing = Watch(keyspace, 0, "none"),
       elsewhere = Watch(keyspace, 1, "b");
  Keyspace::FreeTables(keyspace.Detach(0));
  REQUIRE((there->dirty && !missing->dirty && !elsewhere->dirty));
  REQUIRE((keyspace.Size(0) == 0 && keyspace.Size(1) == 1));
}

TEST_CASE("Swap marks the watchers of keys that exist on either side", "[keyspace]") {
  Keyspace keyspace(3);
  Put(keyspace, 0, "a");
  Put(keyspace, 1, "b");
  Put(keyspace, 2, "c");
  auto from_here = Watch(keyspace, 0, "a"), from_there = Watch(keyspace, 0, "b"),
       missing = Watch(keyspace, 0, "none"), elsewhere = Watch(keyspace, 2, "c");
  keyspace.Swap(0, 1);
  REQUIRE((from_here->dirty && from_there->dirty && !missing->dirty && !elsewhere->dirty));
  const uint64_t hash = HashBytes("a");
  REQUIRE(keyspace.PeekTable(ShardOf(hash), 1)->size() == 1);
}

TEST_CASE("Lazy free frees everything before it ends, and counts it", "[keyspace]") {
  Keyspace keyspace(1);
  for (int i = 0; i < 1000; ++i) Put(keyspace, 0, std::to_string(i).c_str());
  LazyFree lazy_free;
  lazy_free.Post(keyspace.Detach(0));
  lazy_free.Post(Value::FromString(std::string(100'000, 'x')));
  for (int i = 0; i < 60'000 && lazy_free.pending() != 0; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  REQUIRE((lazy_free.pending() == 0 && lazy_free.freed() == 1001));
}

}  // namespace cairn
