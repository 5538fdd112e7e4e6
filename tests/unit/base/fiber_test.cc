// SPDX-License-Identifier: BSD-3-Clause
#include "base/fiber.h"

#include <atomic>
#include <csetjmp>
#include <string>
#include <thread>
#include <vector>

namespace cairn {
namespace {

constexpr size_t kStackBytes = 256 * 1024;

struct Steps {
  Fiber fiber{kStackBytes};
  std::string trace;
  int depth = 0;
};

void Count(Steps* steps, int level) {
  // Deep inside nested calls with live locals.
  std::string local(static_cast<size_t>(level), 'x');
  if (level < 20) {
    Count(steps, level + 1);
  } else {
    steps->trace += 'a';
    steps->fiber.Suspend();
    steps->trace += 'c';
  }
  steps->depth += static_cast<int>(local.size());
}

TEST_CASE("a fiber goes on where it was suspended, and can be started again") {
  Steps steps;
  for (int round = 0; round < 3; ++round) {
    steps.trace.clear();
    steps.depth = 0;
    REQUIRE_FALSE(steps.fiber.Start([](void* arg) { Count(static_cast<Steps*>(arg), 0); }, &steps));
    REQUIRE(steps.fiber.suspended());
    steps.trace += 'b';
    REQUIRE(steps.fiber.Resume());
    REQUIRE(steps.trace == "abc");
    REQUIRE(steps.depth == 210);
  }
  REQUIRE(steps.fiber.Start([](void* arg) { static_cast<Steps*>(arg)->trace = "whole"; }, &steps));
  REQUIRE(steps.trace == "whole");
}

TEST_CASE("jumps within a fiber work, before and after it was suspended") {
  struct State {
    Fiber fiber{kStackBytes};
    std::jmp_buf here;
    int jumps = 0;
  } state;
  const auto body = [](void* arg) {
    auto* s = static_cast<State*>(arg);
    if (setjmp(s->here) == 0) longjmp(s->here, 1);
    ++s->jumps;
    if (setjmp(s->here) == 0) {
      s->fiber.Suspend();
      longjmp(s->here, 1);
    }
    ++s->jumps;
  };
  REQUIRE_FALSE(state.fiber.Start(body, &state));
  REQUIRE(state.jumps == 1);
  REQUIRE(state.fiber.Resume());
  REQUIRE(state.jumps == 2);
}

TEST_CASE("each thread may have fibers of its own") {
  std::vector<std::thread> threads;
  std::atomic<int> ended{0};
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 100; ++n) {
        Steps steps;
        bool done =
            steps.fiber.Start([](void* arg) { Count(static_cast<Steps*>(arg), 0); }, &steps);
        while (!done) done = steps.fiber.Resume();
        if (steps.trace == "ac") ++ended;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  REQUIRE(ended == 400);
}

}  // namespace
}  // namespace cairn
