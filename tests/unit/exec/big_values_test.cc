// SPDX-License-Identifier: BSD-3-Clause
//
// Values that are taken over from the request that they came in: which are, who holds them
// afterwards, and that nothing is left of those that are not.
#include <algorithm>
#include <string>
#include <vector>

#include "base/memory.h"
#include "tests/unit/allocation.h"
#include "tests/unit/exec/big_client.h"
#include "tests/unit/exec/journaled_engine.h"

namespace cairn {
namespace {

constexpr size_t kBig = kBigValueBytes;
const std::string kWrongType =
    "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";

}  // namespace

TEST_CASE("A big value is taken over from its request", "[exec]") {
  TestEngine engine;
  BigClient c(engine);
  const std::string big(kBig, 'b'), other(kBig + 5, 'o');
  REQUIRE(c.Send({"SET", "set", big}) == "+OK\r\n");
  REQUIRE(c.TookOver("set"));
  REQUIRE(c.Send({"SET", "set", other, "PX", "100000", "NX"}) == "$-1\r\n");
  REQUIRE(c.Find("set")->text() == big);
  REQUIRE(c.Send({"SET", "set", other, "EX", "100", "XX"}) == "+OK\r\n");
  REQUIRE(c.TookOver("set"));
  REQUIRE(c.Find("set")->text() == other);
  REQUIRE(c.Send({"SETEX", "setex", "100", big}) == "+OK\r\n");
  REQUIRE(c.TookOver("setex"));
  REQUIRE(c.Send({"SETNX", "setnx", big}) == ":1\r\n");
  REQUIRE(c.TookOver("setnx"));
  REQUIRE(c.Send({"GETSET", "setnx", other}) == "$300000\r\n" + big + "\r\n");
  REQUIRE(c.TookOver("setnx"));
  REQUIRE(c.Send({"SET", "setnx", big, "GET"}) == "$300005\r\n" + other + "\r\n");
  REQUIRE(c.TookOver("setnx"));
  REQUIRE(c.Send({"MSET", "small", "1", "mset", big}) == "+OK\r\n");
  REQUIRE(c.TookOver("mset"));
  REQUIRE(c.Send({"APPEND", "append", big}) == ":300000\r\n");
  REQUIRE(c.TookOver("append"));
  REQUIRE(c.parser.memory_bytes() == 0);
}

TEST_CASE("A value that was taken over is edited, copied and replaced as any other", "[exec]") {
  TestEngine engine;
  BigClient c(engine);
  const std::string big(kBig, 'b');
  for (const char* key : {"a", "b", "c", "d"}) REQUIRE(c.Send({"SET", key, big}) == "+OK\r\n");
  REQUIRE(c.Send({"APPEND", "a", "xy"}) == ":300002\r\n");
  REQUIRE(c.Find("a")->text() == big + "xy");
  REQUIRE(c.Send({"APPEND", "a", "z"}) == ":300003\r\n");
  REQUIRE(c.Find("a")->text() == big + "xyz");
  REQUIRE(c.Send({"SETRANGE", "b", "300001", "q"}) == ":300002\r\n");
  REQUIRE(c.Find("b")->text() == big + std::string("\0q", 2));
  REQUIRE(c.Send({"SETRANGE", "c", "1", "q"}) == ":300000\r\n");
  REQUIRE(c.Find("c")->text() == "bq" + big.substr(2));
  REQUIRE(c.Send({"COPY", "c", "e"}) == ":1\r\n");
  REQUIRE(c.Send({"SETBIT", "c", "0", "1"}) == ":0\r\n");
  REQUIRE(c.Find("e")->text() == "bq" + big.substr(2));
  REQUIRE(c.Send({"RENAME", "d", "f"}) == "+OK\r\n");
  REQUIRE(c.Send({"PEXPIRE", "f", "1000"}) == ":1\r\n");
  REQUIRE(c.Find("f")->text() == big);
  REQUIRE(c.Send({"SET", "f", "small"}) == "+OK\r\n");
  REQUIRE(c.Find("f")->text() == "small");
}

TEST_CASE("A big value grows where it lies while the allocator has room there", "[exec]") {
  if (!MemoryMeter::kCounts) return;
  TestEngine engine;
  BigClient c(engine);
  const std::string big(5 << 20, 'b'), more(100'000, 'm');
  REQUIRE(c.Send({"SET", "k", big}) == "+OK\r\n");
  const StringBlock* const block = c.Find("k")->block();
  REQUIRE(c.Send({"APPEND", "k", more}) == ":" + std::to_string(big.size() + more.size()) + "\r\n");
  REQUIRE(c.Find("k")->block() == block);
  REQUIRE(c.Find("k")->text() == big + more);
  // Whoever shares it goes on seeing what it was.
  REQUIRE(c.Send({"COPY", "k", "copy"}) == ":1\r\n");
  REQUIRE(c.Send({"APPEND", "k", "x"}) ==
          ":" + std::to_string(big.size() + more.size() + 1) + "\r\n");
  REQUIRE(c.Find("k")->text() == big + more + "x");
  REQUIRE(c.Find("copy")->text() == big + more);
}

TEST_CASE("Requests around one with a big value are what they were", "[exec]") {
  TestEngine engine;
  BigClient c(engine);
  const std::string big(kBig, 'b'), size = "$" + std::to_string(kBig) + "\r\n";
  const std::string get = "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n";
  REQUIRE(c.SendRaw(get + "*5\r\n$3\r\nSET\r\n$1\r\nk\r\n" + size + big +
                    "\r\n$2\r\nEX\r\n$3\r\n100\r\n" + get + "*2\r\n$3\r\nDEL\r\n$1\r\nk\r\n" + get) ==
          "$-1\r\n+OK\r\n" + size + big + "\r\n:1\r\n$-1\r\n");
  REQUIRE(c.parser.memory_bytes() == 0);
}

TEST_CASE("EXEC's values are taken over from the queue", "[exec]") {
  TestEngine engine;
  BigClient c(engine);
  const std::string big(kBig, 'b'), other(kBig, 'o');
  REQUIRE(c.Send({"MULTI"}) == "+OK\r\n");
  REQUIRE(c.Send({"SET", "a", big}) == "+QUEUED\r\n");
  const char* const first = c.argument;
  REQUIRE(c.Send({"SET", "b", "small"}) == "+QUEUED\r\n");
  REQUIRE(c.Send({"GETSET", "b", other}) == "+QUEUED\r\n");
  const char* const second = c.argument;
  REQUIRE(c.parser.memory_bytes() == 0);
  REQUIRE(c.client.session.transaction.bytes > 2 * kBig);
  REQUIRE(c.Send({"EXEC"}) == "*3\r\n+OK\r\n+OK\r\n$5\r\nsmall\r\n");
  c.argument = first;
  REQUIRE(c.TookOver("a"));
  c.argument = second;
  REQUIRE(c.TookOver("b"));
  REQUIRE(c.Find("a")->text() == big);
  REQUIRE(c.Find("b")->text() == other);
  REQUIRE(c.client.session.incoming == &c.parser.own());
}

TEST_CASE("A big value is recorded from where it was received", "[exec]") {
  JournaledEngine engine(FsyncPolicy::kEverySecond);
  BigClient c(engine);
  const std::string big(kBig, 'b'), other(kBig, 'o');
  c.Send({"SET", "first", "v"});  // brings a SELECT
  engine.NewEffects();
  const auto check = [&](const std::vector<std::string>& args, const std::string& effects) {
    INFO(args[0]);
    const std::string reply = c.Send(args);
    REQUIRE(!reply.starts_with("-"));
    REQUIRE(c.TookOver(args[1]));
    REQUIRE(engine.NewEffects() == effects);
  };
  check({"SETEX", "k", "100", big}, "{SET k " + big + " PXAT 1100000}");
  check({"PSETEX", "k", "100", other}, "{SET k " + other + " PXAT 1000100}");
  check({"SET", "k", big, "EX", "100"}, "{SET k " + big + " PXAT 1100000}");
  check({"GETSET", "k", other}, "{SET k " + other + "}");
  check({"SET", "k", big, "KEEPTTL", "GET"}, "{SET k " + big + " KEEPTTL}");
  // An expired key's end comes before it, in one unit; SELECT where the database is another.
  c.Send({"SET", "gone", "v", "PX", "5"});
  engine.NewEffects();
  c.client.clock_ms += 10;
  check({"SET", "gone", big}, "{MULTI}{DEL gone}{SET gone " + big + "}{EXEC}");
  c.Send({"SELECT", "3"});
  REQUIRE(c.Send({"SETEX", "k", "100", big}) == "+OK\r\n");
  REQUIRE(engine.NewEffects() == "{SELECT 3}{SET k " + big + " PXAT 1100010}");
}

TEST_CASE("A transaction's big values are recorded from where they were received", "[exec]") {
  JournaledEngine engine(FsyncPolicy::kEverySecond);
  BigClient c(engine);
  const std::string big(kBig, 'b'), other(kBig, 'o');
  c.Send({"SET", "first", "v"});  // brings a SELECT
  engine.NewEffects();
  c.Send({"MULTI"});
  c.Send({"SET", "a", big});
  c.Send({"APPEND", "a", "x"});
  c.Send({"INCR", "n"});
  c.Send({"SET", "b", other, "EX", "100"});
  c.Send({"RPUSH", "list", "small", big});
  c.Send({"EXEC"});
  REQUIRE(engine.NewEffects() == "{MULTI}{SET a " + big + "}{APPEND a x}{INCR n}{SET b " + other +
                                     " PXAT 1100000}{RPUSH list small " + big + "}{EXEC}");
  REQUIRE(c.Find("a")->text() == big + "x");
  REQUIRE(c.Find("b")->text() == other);
  REQUIRE(!c.Find("b")->block()->shared());
  // A script's copy of an argument is nobody's to lend.
  c.Send({"MULTI"});
  c.Send({"EVAL", "return redis.call('SET', KEYS[1], ARGV[1], 'EX', 100)", "1", "a", other});
  c.Send({"SET", "b", big});
  c.Send({"EXEC"});
  REQUIRE(engine.NewEffects() ==
          "{MULTI}{SET a " + other + " PXAT 1100000}{SET b " + big + "}{EXEC}");
}

TEST_CASE("What an effect lends is not copied", "[exec]") {
  JournaledEngine engine(FsyncPolicy::kEverySecond);
  BigClient c(engine);
  const std::string big(3 << 20, 'b');
  // The least of several, since the journal's own memory comes a MiB at a time.
  const auto allocated = [&](const std::vector<std::string>& args) {
    const std::string request = BigClient::Encode(args);
    uint64_t least = ~uint64_t{0};
    for (int i = 0; i < 4; ++i) {
      const uint64_t before = AllocatedByThisThread();
      REQUIRE(!c.SendRaw(request).starts_with("-"));
      least = std::min(least, AllocatedByThisThread() - before);
      REQUIRE(engine.files.journal->SyncTo(engine.files.journal->tail()).ok());
    }
    return least;
  };
  const uint64_t plain = allocated({"SET", "k", big}), slack = 2 << 20;
  REQUIRE(plain > big.size());
  REQUIRE(allocated({"SETEX", "k", "100", big}) < plain + slack);
  REQUIRE(allocated({"SET", "k", big, "PX", "100000"}) < plain + slack);
  c.Send({"SET", "k", "small"});
  REQUIRE(allocated({"GETSET", "k", big}) < plain + slack + big.size());  // and the reply, once
}

TEST_CASE("A big argument that became no value is gone with its request", "[exec]") {
  if (!MemoryMeter::kCounts) return;
  MemoryMeter::RegisterThread();
  TestEngine engine;
  BigClient c(engine);
  const std::string big(kBig, 'b');
  REQUIRE(c.Send({"RPUSH", "list", "x"}) == ":1\r\n");
  REQUIRE(c.Send({"SET", "string", "x"}) == "+OK\r\n");
  const auto all = [&] {
    REQUIRE(c.Send({"SET", "string", big, "NX"}) == "$-1\r\n");
    REQUIRE(c.Send({"SET", "list", big, "GET"}) == kWrongType);
    REQUIRE(c.Send({"GETSET", "list", big}) == kWrongType);
    REQUIRE(c.Send({"SET", "string", big, "EX", "nonsense"}).starts_with("-ERR"));
    REQUIRE(c.Send({"NOSUCH", big}).starts_with("-ERR unknown command"));
    REQUIRE(c.Send({"MSETNX", "new", big, "string", "y"}) == ":0\r\n");
    REQUIRE(c.Send({"MULTI"}) == "+OK\r\n");
    REQUIRE(c.Send({"SET", "other", big}) == "+QUEUED\r\n");
    REQUIRE(c.Send({"DISCARD"}) == "+OK\r\n");
    REQUIRE(c.parser.memory_bytes() == 0);
  };
  all();
  const int64_t before = MemoryMeter::OwnBalance();
  all();
  REQUIRE(MemoryMeter::OwnBalance() < before + 100'000);
  REQUIRE(c.Find("string")->text() == "x");
}

TEST_CASE("A value is not taken over with much else", "[exec]") {
  TestEngine engine;
  BigClient c(engine);
  const std::string big(kBig, 'b'), other(kBig, 'o');
  REQUIRE(c.Send({"MSET", "a", big, "b", other}) == "+OK\r\n");
  REQUIRE(!c.TookOver("a"));
  REQUIRE(!c.TookOver("b"));
  REQUIRE(c.Find("a")->text() == big);
  REQUIRE(c.Find("b")->text() == other);
}

}  // namespace cairn
