// SPDX-License-Identifier: BSD-3-Clause
//
// Scripts through the pipeline, without sockets: two workers with a Lua state each.
#include <thread>

#include "../exec/engine_harness.h"

namespace cairn {
namespace {

TEST_CASE("a script's commands run inside its unit and at its time") {
  TestEngine test;
  TestClient client(test);
  REQUIRE(
      client.Send("EVAL \"redis.call('t.set','a','1') return redis.call('t.get','a')\" 0\r\n") ==
      "$1\r\n1\r\n");
  REQUIRE(client.Send("EVAL \"return redis.call('t.now','k')\" 0\r\n") == ":1000000\r\n");
  REQUIRE_FALSE(client.executor.unit().active());
}

TEST_CASE("workers compile what another worker loaded, and forget together") {
  TestEngine test;
  TestClient first(test), second(test);
  REQUIRE(first.Send("SCRIPT LOAD 'return KEYS[1]'\r\n") ==
          "$40\r\n4a2267357833227dd98abdedb8cf24b15a986445\r\n");
  const std::string call = "EVALSHA 4a2267357833227dd98abdedb8cf24b15a986445 1 key\r\n";
  REQUIRE(second.Send(call) == "$3\r\nkey\r\n");
  REQUIRE(first.Send("SCRIPT FLUSH\r\n") == "+OK\r\n");
  REQUIRE(second.Send(call) == "-NOSCRIPT No matching script. Please use EVAL.\r\n");
}

TEST_CASE("scripts of many workers exclude each other") {
  TestEngine test;
  constexpr int kThreads = 4, kRounds = 200;
  std::atomic<int> torn{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      TestClient client(test);
      for (int n = 0; n < kRounds; ++n) {
        const std::string reply = client.Send(
            "EVAL \"redis.call('t.append','x','a') redis.call('t.append','y','a') "
            "return #redis.call('t.get','x') - #redis.call('t.get','y')\" 0\r\n");
        if (reply != ":0\r\n") ++torn;
        client.Send("T.APPEND z a\r\n");
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  REQUIRE(torn == 0);
  TestClient client(test);
  REQUIRE(client.Send("EVAL \"return #redis.call('t.get','x')\" 0\r\n") ==
          ":" + std::to_string(kThreads * kRounds) + "\r\n");
}

}  // namespace
}  // namespace cairn
