// SPDX-License-Identifier: BSD-3-Clause
//
// Scripts through the pipeline, without sockets: two workers with a Lua state each.
#include <cstdint>
#include <string>
#include <thread>

#include "../exec/engine_harness.h"
#include "script/functions.h"
#include "script/host.h"

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

// Longer than the hook's first look, which is not before 100,000 instructions.
const std::string kSlowLibrary =
    "\"#!lua name=slow\\nfor i = 1, 300000 do end "
    "redis.register_function('f', function() return 7 end)\"";

TEST_CASE("a library's code has a time limit for a client, and none where it is loaded again") {
  TestEngine test;
  TestClient client(test), other(test), replay(test);
  const std::string load = "FUNCTION LOAD REPLACE " + kSlowLibrary + "\r\n";
  const std::string timeout = "-ERR Error registering functions: ERR FUNCTION LOAD timeout\r\n";
  for (TestClient* each : {&client, &other, &replay})
    ScriptHost::Of(each->executor).set_load_ms_max(-1);  // over as soon as one looks
  REQUIRE(client.Send(load) == timeout);
  replay.session.internal = true;
  REQUIRE(replay.Send(load) == "$4\r\nslow\r\n");
  // A worker that runs the code for the first time.
  REQUIRE(other.Send("FCALL f 0\r\n") == ":7\r\n");
  ScriptHost::Of(client.executor).set_load_ms_max(INT64_MAX);
  REQUIRE(client.Send(load) == "$4\r\nslow\r\n");
}

TEST_CASE("a dump of libraries is restored without a time limit where it was once") {
  TestEngine test;
  TestClient client(test), replay(test);
  REQUIRE(client.Send("FUNCTION LOAD " + kSlowLibrary + "\r\n") == "$4\r\nslow\r\n");
  const std::string dump = DumpLibraries(*test.engine->scripts->functions().Current());
  const std::string restore = "*4\r\n$8\r\nFUNCTION\r\n$7\r\nRESTORE\r\n$" +
                              std::to_string(dump.size()) + "\r\n" + dump + "\r\n$5\r\nFLUSH\r\n";
  for (TestClient* each : {&client, &replay}) ScriptHost::Of(each->executor).set_load_ms_max(-1);
  REQUIRE(client.Send(restore) ==
          "-ERR Error registering functions: ERR FUNCTION LOAD timeout\r\n");
  replay.session.internal = true;
  REQUIRE(replay.Send(restore) == "+OK\r\n");
}

TEST_CASE("a server that shuts down does not wait for a library's code") {
  TestEngine test;
  std::string error;
  TestClient client(test);
  test.engine->modes.Set(kModeShutdown, true);
  const std::string code =
      "#!lua name=l\nwhile true do end redis.register_function('f', function() end)";
  REQUIRE(ScriptHost::Of(client.executor).LoadLibrary(code, ScriptHost::LoadFor::kRecord, &error) ==
          nullptr);
  REQUIRE(error == "ERR Error registering functions: ERR the server shuts down");
}

}  // namespace
}  // namespace cairn
