// SPDX-License-Identifier: BSD-3-Clause
#include <atomic>
#include <thread>
#include <vector>

#include "keyspace/gate.h"

namespace cairn {
namespace {

TEST_CASE("nobody waits for a gate that is held, and those who waited are woken") {
  Gate gate;
  const int mine = gate.AddThread(), theirs = gate.AddThread(), closer = gate.AddThread();
  (void)mine;
  REQUIRE(gate.CloseUnlessHeld());
  std::atomic<int> gave_up{0};
  std::thread waiter([&] {
    if (!gate.EnterUnlessHeld(theirs)) ++gave_up;
  });
  std::thread other([&] {
    if (!gate.CloseUnlessHeld()) ++gave_up;
  });
  gate.Hold(true);
  waiter.join();
  other.join();
  REQUIRE(gave_up == 2);
  REQUIRE_FALSE(gate.inside(theirs));
  gate.Hold(false);
  gate.Open();
  REQUIRE(gate.EnterUnlessHeld(closer));
  gate.Leave(closer);
  REQUIRE(gate.CloseUnlessHeld());
  gate.Open();
}

TEST_CASE("closers exclude each other and whoever is inside") {
  Gate gate;
  constexpr int kThreads = 4, kRounds = 2000;
  int64_t counter = 0;  // guarded by All
  std::atomic<int64_t> inside{0}, wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, slot = gate.AddThread()] {
      for (int i = 0; i < kRounds; ++i) {
        gate.Enter(slot);
        ++inside;
        --inside;
        gate.Leave(slot);
        gate.Close();
        if (inside != 0) ++wrong;
        ++counter;
        if (i % 64 == 0) {
          gate.Hold(true);
          std::this_thread::yield();
          gate.Hold(false);
        }
        gate.Open();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  REQUIRE(wrong == 0);
  REQUIRE(counter == int64_t{kThreads} * kRounds);
}

}  // namespace
}  // namespace cairn
