// SPDX-License-Identifier: BSD-3-Clause
//
// Scripts under the locks of the keys that they declared: that they take no others, and that one
// which needs more goes back and runs again as if it had never begun. A variable of a library
// counts the runs, so that the second one can say what it found.
#include <initializer_list>
#include <string>
#include <thread>

#include "../exec/engine_harness.h"

namespace cairn {
namespace {

// Keys of this prefix in shards that none of `others` is in.
std::string KeyApart(const std::string& prefix, std::initializer_list<std::string> others) {
  for (int i = 0;; ++i) {
    std::string key = prefix + std::to_string(i);
    bool apart = true;
    for (const std::string& other : others)
      apart = apart && ShardOf(HashBytes(key)) != ShardOf(HashBytes(other));
    if (apart) return key;
  }
}

std::string Quoted(const std::string& text) {
  return "\"" + text + "\"";
}

// Loads a library whose function `f(keys, args)` has `body`; `runs` is how often it was called.
void LoadFunction(TestClient& client, const std::string& body) {
  const std::string code =
      "#!lua name=l\\nlocal runs = 0\\n"
      "redis.register_function('f', function(keys, args) runs = runs + 1 " +
      body + " end)";
  REQUIRE(client.Send("FUNCTION LOAD REPLACE " + Quoted(code) + "\r\n") == "$1\r\nl\r\n");
}

// Holds a key's lock, inside the gate, until Release.
class Holder {
 public:
  Holder(TestEngine& test, const std::string& key) {
    TheHoldPoint().entered = TheHoldPoint().release = false;
    thread_ = std::thread([&test, key] {
      TestClient client(test);
      client.Send("T.HOLD " + key + "\r\n");
    });
    while (!TheHoldPoint().entered) std::this_thread::yield();
  }
  ~Holder() { Release(); }
  void Release() {
    TheHoldPoint().release = true;
    if (thread_.joinable()) thread_.join();
  }

 private:
  std::thread thread_;
};

TEST_CASE("a script that keeps to its keys runs while others hold other locks") {
  TestEngine test;
  TestClient client(test);
  const std::string key = "k", other = KeyApart("o", {key});
  Holder holder(test, other);
  // Under All this would never come back: the holder waits for us.
  REQUIRE(client.Send("EVAL \"return redis.call('t.append',KEYS[1],'x')\" 1 " + key + "\r\n") ==
          ":1\r\n");
  REQUIRE(client.Send("MULTI\r\nT.APPEND k y\r\n"
                      "EVAL \"return redis.call('t.get',KEYS[1])\" 1 k\r\nEXEC\r\n") ==
          "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:2\r\n$2\r\nxy\r\n");
  holder.Release();
}

TEST_CASE("a script that reaches for another key finds everything as it was") {
  TestEngine test;
  TestClient client(test);
  const std::string text = "t", number = "n", gone = "g", fresh = "f", lasting = "l";
  const std::string other = KeyApart("o", {text, number, gone, fresh, lasting});
  client.Send("T.SET t before\r\nT.SET n 17\r\nT.SET g here 5000000\r\nT.SET l stays 6000000\r\n");
  LoadFunction(client,
               "if runs == 1 then "
               "redis.call('t.append', keys[1], '-after') "
               "redis.call('t.append', keys[2], '0') "
               "redis.call('t.del', keys[3]) "
               "redis.call('t.set', keys[4], 'made') "
               "redis.call('t.expireat', keys[5], '2000000') "
               "redis.call('t.set', keys[5], 'other') "
               "redis.call('t.get', '" +
                   other +
                   "') "
                   "return 'the first run ended' end "
                   "return {runs, redis.call('t.get', keys[1]), redis.call('t.get', keys[2]), "
                   "redis.call('t.get', keys[3]), redis.call('t.get', keys[4]), "
                   "redis.call('t.get', keys[5])}");
  REQUIRE(client.Send("FCALL f 5 t n g f l\r\n") ==
          "*6\r\n:2\r\n$6\r\nbefore\r\n$2\r\n17\r\n$4\r\nhere\r\n$-1\r\n$5\r\nstays\r\n");
  REQUIRE_FALSE(client.executor.unit().active());
  // Their times to live too.
  client.clock_ms = 5'500'000;
  REQUIRE(client.Send("T.GET g\r\nT.GET l\r\n") == "$-1\r\n$5\r\nstays\r\n");
  client.clock_ms = 6'500'000;
  REQUIRE(client.Send("T.GET l\r\n") == "$-1\r\n");
}

TEST_CASE("no pcall keeps a script on its way that needs more locks") {
  TestEngine test;
  TestClient client(test);
  const std::string other = KeyApart("o", {"k"});
  LoadFunction(client,
               "local n = 0 while runs == 1 do "
               "pcall(function() while true do pcall(redis.call, 't.get', '" +
                   other +
                   "') "
                   "redis.pcall('t.append', keys[1], 'x') end end) end "
                   "return {runs, redis.call('t.get', keys[1])}");
  REQUIRE(client.Send("FCALL f 1 k\r\n") == "*2\r\n:2\r\n$-1\r\n");
}

TEST_CASE("what a script may not go back from is done under All from the start") {
  TestEngine test;
  TestClient client(test);
  SECTION("a value too large to be copied") {
    client.Send("T.SET k " + std::string(UndoLog::kStringBytesMax + 1, 'v') + "\r\n");
    LoadFunction(client, "redis.call('t.append', keys[1], 'x') return runs");
    REQUIRE(client.Send("FCALL f 1 k\r\n") == ":2\r\n");
    REQUIRE(client.Send("EVAL \"return #redis.call('t.get',KEYS[1])\" 1 k\r\n") ==
            ":" + std::to_string(UndoLog::kStringBytesMax + 2) + "\r\n");
  }
  SECTION("too many keys") {
    std::string keys;
    for (size_t i = 0; i <= UndoLog::kImagesMax; ++i) keys += " key:" + std::to_string(i);
    LoadFunction(client,
                 "for i = 1, #keys do redis.call('t.append', keys[i], 'x') end return runs");
    REQUIRE(client.Send("FCALL f " + std::to_string(UndoLog::kImagesMax + 1) + keys + "\r\n") ==
            ":2\r\n");
    REQUIRE(client.Send("T.GET key:0\r\nT.GET key:64\r\n") == "$1\r\nx\r\n$1\r\nx\r\n");
  }
  SECTION("one that runs for long") {
    LoadFunction(client,
                 "redis.call('t.append', keys[1], 'x') for i = 1, 300000 do end return runs");
    REQUIRE(client.Send("FCALL f 1 k\r\nT.GET k\r\n") == ":2\r\n$1\r\nx\r\n");
  }
  SECTION("many commands") {
    LoadFunction(client, "for i = 1, 1001 do redis.call('t.append', keys[1], 'x') end return runs");
    REQUIRE(client.Send("FCALL f 1 k\r\n") == ":2\r\n");
    REQUIRE(client.Send("EVAL \"return #redis.call('t.get',KEYS[1])\" 1 k\r\n") == ":1001\r\n");
  }
  // It is remembered: the next call begins under All and runs once.
  REQUIRE(client.Send("FCALL f 1 k\r\n") == ":3\r\n");
}

TEST_CASE("a transaction goes back as a whole") {
  TestEngine test;
  TestClient client(test);
  const std::string other = KeyApart("o", {"a", "k"});
  LoadFunction(client, "redis.call('t.append', keys[1], 'x') redis.call('t.append', '" + other +
                           "', 'y') return runs");
  REQUIRE(client.Send("MULTI\r\nT.APPEND a 1\r\nFCALL f 1 k\r\nT.APPEND a 2\r\nEXEC\r\n") ==
          "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n:1\r\n:2\r\n:2\r\n");
  REQUIRE(client.Send("T.GET a\r\nT.GET k\r\nT.GET " + other + "\r\n") ==
          "$2\r\n12\r\n$1\r\nx\r\n$1\r\ny\r\n");
}

TEST_CASE("a transaction that runs again knows no more scripts than the first time") {
  TestEngine test;
  TestClient client(test);
  const std::string other = KeyApart("o", {"k"});
  // The SHA-1 of `return 7`.
  REQUIRE(client.Send("MULTI\r\nEVALSHA 59b6ab2fbe0ee4b25733de0f62e6cda4899ef8e9 1 k\r\n"
                      "EVAL 'return 7' 1 k\r\nEVAL \"return redis.call('t.get','" +
                      other + "')\" 1 k\r\nEXEC\r\n") ==
          "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n"
          "-NOSCRIPT No matching script. Please use EVAL.\r\n:7\r\n$-1\r\n");
}

TEST_CASE("who watches a key learns of what lasts, not of what was put back") {
  TestEngine test;
  TestClient client(test), watcher(test);
  const std::string other = KeyApart("o", {"k", "l"});
  REQUIRE(watcher.Send("WATCH k\r\n") == "+OK\r\n");
  LoadFunction(client, "if runs == 1 then redis.call('t.append', keys[1], 'x') end "
                       "redis.call('t.append', keys[2], 'x') redis.call('t.get', '" +
                           other + "') return runs");
  REQUIRE(client.Send("FCALL f 2 k l\r\n") == ":2\r\n");
  REQUIRE(watcher.Send("MULTI\r\nT.GET k\r\nEXEC\r\n") == "+OK\r\n+QUEUED\r\n*1\r\n$-1\r\n");
  REQUIRE(watcher.Send("WATCH l\r\n") == "+OK\r\n");
  REQUIRE(client.Send("FCALL f 2 k l\r\n") == ":3\r\n");
  REQUIRE(watcher.Send("MULTI\r\nT.GET l\r\nEXEC\r\n") == "+OK\r\n+QUEUED\r\n*-1\r\n");
}

}  // namespace
}  // namespace cairn
