// SPDX-License-Identifier: BSD-3-Clause
//
// Who frees large values: the background thread, whatever took them out of the keyspace. Nothing
// is timed; the allocator's own count of the bytes that the worker freed tells.
#include "keyspace/lazy_free.h"

#include "tests/unit/allocation.h"
#include "tests/unit/exec/engine_harness.h"

namespace cairn {
namespace {

constexpr int kElements = 20'000;

// Fills key "big" with a large value of one kind.
void Fill(TestClient& client, std::string_view kind) {
  for (int i = 0; i < kElements;) {
    std::string request = kind == "hash"   ? "HSET big"
                          : kind == "list" ? "RPUSH big"
                          : kind == "set"  ? "SADD big"
                          : kind == "zset" ? "ZADD big"
                                           : "XADD big *";
    for (int end = i + 20; i < end; ++i) {
      const std::string number = std::to_string(i);
      if (kind == "hash" || kind == "stream") request += " field" + number + " value" + number;
      if (kind == "list" || kind == "set") request += " element-of-some-length-" + number;
      if (kind == "zset") request += " " + number + " member" + number;
    }
    REQUIRE(client.Send(request + "\r\n")[0] != '-');
  }
}

}  // namespace

TEST_CASE("A large value is freed in the background, however it goes", "[exec][lazy_free]") {
  const std::vector<std::string> kWays = {"DEL big",
                                          "UNLINK big",
                                          "SET big 1",
                                          "RENAME small big",
                                          "COPY small big REPLACE",
                                          "SUNIONSTORE big none",
                                          "SINTERSTORE big small",
                                          "ZUNIONSTORE big 1 zsmall",
                                          "SORT small BY nosort STORE big",
                                          "PEXPIREAT big 1",
                                          "MULTI\r\nDEL big\r\nEXEC",
                                          "FLUSHALL",
                                          "FLUSHDB",
                                          "expiry",
                                          "GET big"};
  for (const char* kind : {"hash", "list", "set", "zset", "stream"}) {
    for (const std::string& way : kWays) {
      INFO(kind << ", " << way);
      TestEngine engine;
      TestClient client(engine);
      Fill(client, kind);
      client.Send("SADD small a b c\r\nZADD zsmall 1 a\r\n");
      REQUIRE(client.Send("EXISTS big\r\n") == ":1\r\n");
      const size_t before = engine.engine->lazy_free.freed();
      std::string request = way + "\r\n";
      if (way == "expiry" || way == "GET big") {
        client.Send("PEXPIREAT big " + std::to_string(client.clock_ms + 10) + "\r\n");
        client.clock_ms += 20;
      }
      // What reading and answering a request frees anyway.
      uint64_t freed = FreedByThisThread();
      client.Send("DEL none\r\n");
      const uint64_t anyway = FreedByThisThread() - freed;
      freed = FreedByThisThread();
      if (way == "expiry") {
        REQUIRE(client.executor.ExpireSlice(0, 1, SIZE_MAX, client.clock_ms) == 1);
      } else {
        REQUIRE(client.Send(request)[0] != '-');
      }
      // The value is some 200 KiB and more; what a command frees by the way is far less.
      REQUIRE(FreedByThisThread() - freed < anyway + 16 * 1024);
      while (engine.engine->lazy_free.pending() > 0) usleep(200);
      REQUIRE(engine.engine->lazy_free.freed() > before);
    }
  }
}

TEST_CASE("A small value is freed on the spot", "[exec][lazy_free]") {
  TestEngine engine;
  TestClient client(engine);
  client.Send("SADD s a b c\r\nRPUSH l 1 2\r\nHSET h f v\r\nZADD z 1 a\r\nSET k v\r\n");
  REQUIRE(client.Send("DEL s l h z k\r\n") == ":5\r\n");
  REQUIRE(engine.engine->lazy_free.freed() + engine.engine->lazy_free.pending() == 0);
}

}  // namespace cairn
