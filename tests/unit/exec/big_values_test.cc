// SPDX-License-Identifier: BSD-3-Clause
//
// Values that are taken over from the request that they came in: which are, who holds them
// afterwards, and that nothing is left of those that are not.
#include <string>
#include <vector>

#include "base/hash.h"
#include "base/memory.h"
#include "tests/unit/exec/engine_harness.h"

namespace cairn {
namespace {

constexpr size_t kBig = 300'000;
const std::string kWrongType =
    "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";

// A connection: requests come in reads of 64 KiB, but for what the parser wants to have elsewhere.
struct BigClient {
  explicit BigClient(TestEngine& test_in) : test(test_in), client(test_in) {
    client.session.incoming = &parser.own();
  }

  std::string Send(const std::vector<std::string>& args) {
    std::string text = "*" + std::to_string(args.size()) + "\r\n";
    for (const auto& arg : args) text += "$" + std::to_string(arg.size()) + "\r\n" + arg + "\r\n";
    return SendRaw(text);
  }
  std::string SendRaw(std::string_view text) {
    while (!text.empty()) {
      const std::span<char> target = parser.ReadTarget(scratch);
      const size_t n = std::min(text.size(), target.size());
      memcpy(target.data(), text.data(), n);
      text.remove_prefix(n);
      parser.Feed(target.data(), n);
      batch.Clear();
      while (parser.Next({}, &batch) == ParseOutcome::kRequest) {}
      if (!batch.empty()) {
        argument = nullptr;
        for (std::string_view arg : batch[0].args)
          if (arg.size() >= kBig) argument = arg.data();
        REQUIRE(client.executor.Run(client.session, batch, 0, client.out, client.clock_ms) ==
                batch.size());
      }
      parser.EndRead();
    }
    std::string reply;
    while (!client.out.empty()) {
      iovec piece;
      REQUIRE(client.out.Gather(&piece, 1, SIZE_MAX) == 1);
      reply.append(static_cast<char*>(piece.iov_base), piece.iov_len);
      client.out.Consume(piece.iov_len);
    }
    return reply;
  }
  const Entry* Find(std::string_view key) {
    const uint64_t hash = HashBytes(key);
    const KeyTable* table = test.keyspace.PeekTable(ShardOf(hash), 0);
    return table == nullptr ? nullptr
                            : table->entries.Find(hash, [key](const Entry* e) { return e->KeyIs(key); });
  }
  // Whether the key's value lies where the last request's big argument was, and is its only holder.
  bool TookOver(std::string_view key) {
    const Entry* entry = Find(key);
    return entry != nullptr && argument != nullptr && entry->form() == Entry::Form::kBlock &&
           entry->block()->data() == argument && !entry->block()->shared();
  }

  TestEngine& test;
  TestClient client;
  RequestParser parser;
  RequestBatch batch;
  std::vector<char> scratch = std::vector<char>(64 * 1024);
  const char* argument = nullptr;  // the big one of the last request
};

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
