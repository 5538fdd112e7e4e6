// SPDX-License-Identifier: BSD-3-Clause
//
// Replay on several threads gives what the live server had: random histories of single keys, many
// keys, groups, databases and barriers, whatever the number of appliers.
#include "exec/replay.h"
#include "exec/stream_limits.h"

#include "base/random.h"
#include "commands/digest.h"
#include "tests/unit/exec/engine_harness.h"
#include "tests/unit/journal/journal_harness.h"

namespace cairn {
namespace {

std::string Resp(std::initializer_list<std::string> parts) {
  std::string text = "*" + std::to_string(parts.size()) + "\r\n";
  for (const std::string& part : parts)
    text += "$" + std::to_string(part.size()) + "\r\n" + part + "\r\n";
  return text;
}

// A journal, and an engine that writes to it.
struct Live {
  explicit Live(uint64_t seed) : h(seed), random(seed) {
    h.options.segment_bytes_max = 100'000;
    REQUIRE(h.Open().ok());
    test.engine->journal = test.engine->open_journal = h.journal.get();
    client = std::make_unique<TestClient>(test);
  }
  ~Live() { test.engine->journal = test.engine->open_journal = nullptr; }

  std::string Key(const char* type) { return type + std::to_string(random.Below(40)); }
  std::string Number(uint64_t below) { return std::to_string(random.Below(below)); }

  std::string RandomCommand() {
    switch (random.Below(22)) {
      case 0:
        return Resp({"SET", Key("s"), Number(1000)});
      case 1:
        return Resp({"APPEND", Key("s"), "x" + Number(100)});
      case 2:
        return Resp({"MSET", Key("s"), Number(9), Key("s"), Number(9), Key("s"), "z"});
      case 3:
        return Resp({"DEL", Key("s"), Key("l"), Key("h")});
      case 4:
        return Resp({"RENAME", Key("s"), Key("s")});
      case 5:
        return Resp({"RPUSH", Key("l"), Number(100), Number(100)});
      case 6:
        return Resp({"LMOVE", Key("l"), Key("l"), "LEFT", "RIGHT"});
      case 7:
        return Resp({"SADD", Key("u"), Number(50), Number(50)});
      case 8:
        return Resp({"SUNIONSTORE", Key("u"), Key("u"), Key("u")});
      case 9:
        return Resp({"SPOP", Key("u"), "2"});
      case 10:
        return Resp({"ZADD", Key("z"), Number(90), Number(20)});
      case 11:
        return Resp({"ZUNIONSTORE", Key("z"), "2", Key("z"), Key("z")});
      case 12:
        return Resp({"HSET", Key("h"), Number(20), Number(1000)});
      case 13:
        return Resp({"INCRBYFLOAT", Key("f"), "0.5"});
      case 14:
        return Resp({"PEXPIREAT", Key("s"), "99999999999" + Number(100)});
      case 15:
        return Resp({"COPY", Key("s"), Key("s"), "DB", Number(4), "REPLACE"});
      case 16:
        return Resp({"MOVE", Key("l"), Number(4)});
      case 17:
        return Resp({"SELECT", Number(4)});
      case 18:
        return Resp({"SMOVE", Key("u"), Key("u"), Number(50)});
      case 19:
        return random.Below(10) == 0 ? Resp({"SWAPDB", Number(4), Number(4)})
                                     : Resp({"GETDEL", Key("s")});
      case 20:
        return random.Below(30) == 0 ? Resp({"FLUSHDB"}) : Resp({"INCR", Key("n")});
      default:
        return Resp({"SETRANGE", Key("s"), Number(300), "range"});
    }
  }

  void Run(int commands) {
    for (int i = 0; i < commands; ++i) {
      if (random.Below(200) == 0) {
        // Longer than a block, so that it lies across pieces.
        client->Send(Resp({"SET", Key("s"), std::string(random.Below(700'000), 'b')}));
      } else if (random.Below(12) == 0) {
        std::string group = Resp({"MULTI"});
        for (uint64_t n = random.Below(5); n > 0; --n) group += RandomCommand();
        if (random.Below(60) == 0)
          group += Resp({"SET", Key("s"), std::string(random.Below(600'000), 'm')});
        client->Send(group + Resp({"EXEC"}));
      } else {
        client->Send(RandomCommand());
      }
    }
    REQUIRE(h.journal->SyncTo(h.journal->tail()).ok());
  }

  std::string Digest() { return DigestKeyspace(test.keyspace).Hex(); }

  JournalHarness h;
  Random random;
  TestEngine test;
  std::unique_ptr<TestClient> client;
};

struct Replayed {
  Replayed(Live& live, int appliers, bool stop = false) : replayer(test.engine.get(), appliers) {
    auto reader = JournalReader::Open(&live.h.fs, "d", live.h.journal->manifest(), 0,
                                      live.h.journal->written());
    REQUIRE(reader.ok());
    test.engine->loading.Begin(live.h.journal->written(), 0);
    auto done = replayer.Run(
        0, [&](StreamPiece* piece) { return (*reader)->Next(piece); }, [stop] { return stop; });
    status = done.ok() ? Status::Ok() : done.status();
    if (done.ok()) report = *done;
  }
  std::string Digest() { return DigestKeyspace(test.keyspace).Hex(); }

  TestEngine test;
  Replayer replayer;
  Status status;
  ReplayReport report;
};

// Only their lengths are looked at.
TEST_CASE("replay: arguments of 4 GiB are refused but as the value of a string") {
  TestEngine test;
  const std::string_view small("x"), huge(small.data(), uint64_t{1} << 32);
  const auto fit = [&](const char* name, std::initializer_list<std::string_view> arguments) {
    return ArgumentsFit(*test.registry.Find(name), {arguments.begin(), arguments.size()});
  };
  REQUIRE(fit("rpush", {"RPUSH", "k", small}));
  REQUIRE(fit("rpush", {"RPUSH", "k", huge.substr(0, kArgumentBytesMax)}));
  REQUIRE(!fit("rpush", {"RPUSH", "k", small, huge}));
  REQUIRE(!fit("hset", {"HSET", "k", huge, small}));
  REQUIRE(!fit("hset", {"HSET", "k", small, huge}));
  REQUIRE(fit("set", {"SET", "k", huge}));
  REQUIRE(fit("append", {"APPEND", "k", huge}));
  REQUIRE(!fit("set", {"SET", huge, small}));
  REQUIRE(fit("mset", {"MSET", "k", small, "l", huge}));
  REQUIRE(fit("msetnx", {"MSETNX", "k", huge, "l", huge}));
  REQUIRE(!fit("mset", {"MSET", "k", small, huge, small}));
  REQUIRE(fit("msetex", {"MSETEX", "2", "k", huge, "l", small, "EX", "9"}));
}

TEST_CASE("replay: any number of appliers gives what the live server had") {
  for (uint64_t seed = 1; seed <= 6; ++seed) {
    INFO("seed " << seed);
    Live live(seed);
    live.Run(3000);
    const std::string expected = live.Digest();
    for (int appliers : {1, 2, 3, 8}) {
      INFO("appliers " << appliers);
      Replayed replayed(live, appliers);
      INFO(replayed.status.message());
      REQUIRE(replayed.status.ok());
      REQUIRE(replayed.Digest() == expected);
      REQUIRE(replayed.report.unfinished == "");
      REQUIRE(replayed.report.end_lsn == live.h.journal->tail());
      REQUIRE(replayed.test.engine->loading.loaded_bytes() == live.h.journal->tail());
      REQUIRE(replayed.test.engine->statistics.Changes() == 0);
    }
  }
}

TEST_CASE("replay: keys past their time are kept, and count for what follows") {
  Live live(50);
  live.h.Append(Resp({"SET", "k", "10", "PXAT", "1000"}));
  live.h.Append(Resp({"INCR", "k"}));
  live.h.Append(Resp({"PERSIST", "k"}));
  live.Run(0);
  Replayed replayed(live, 2);
  REQUIRE(replayed.status.ok());
  TestClient client(replayed.test);
  REQUIRE(client.Send("GET k\r\n") == "$2\r\n11\r\n");
}

TEST_CASE("replay: what cannot be applied is refused with its LSN and file") {
  const std::string select = "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n";
  const struct {
    std::string record, text;
  } cases[] = {
      {Resp({"NOPE", "x"}), "unknown command 'NOPE'"},
      {Resp({"SET", "x"}), "wrong number of arguments for 'set'"},
      {Resp({"EXEC"}), "EXEC without MULTI"},
      {Resp({"MULTI"}) + Resp({"MULTI"}), "MULTI inside MULTI"},
      {Resp({"SELECT", "16"}), "only 16 databases"},
      {"*1\r\n$x\r\n", "Protocol error"},
      {"SET a b\r\n", "no record"},
  };
  for (const auto& c : cases) {
    INFO(c.record);
    Live live(60);
    const Lsn at = live.h.Append(Resp({"SET", "s", "text"}));
    live.h.Append(c.record);
    for (int i = 0; i < 100; ++i) live.h.Append(Resp({"SET", "s" + std::to_string(i), "x"}));
    live.Run(0);
    Replayed replayed(live, 3);
    REQUIRE(replayed.status.code() == StatusCode::kCorrupt);
    const std::string& text = replayed.status.message();
    INFO(text);
    REQUIRE(text.find(c.text) != std::string::npos);
    REQUIRE(text.find("0001-00000001.aof.lz4") != std::string::npos);
    if (c.record.find("MULTI\r\n*1\r\n$5") == std::string::npos)
      REQUIRE(text.find("LSN " + std::to_string(at) + ":") != std::string::npos);
  }
}

TEST_CASE("replay: a stream that goes on in a database that is not here is refused") {
  Live live(62);
  live.h.Append(Resp({"SET", "s", "text"}));
  live.Run(0);
  for (const int database : {15, 16, 1'000'000}) {
    TestEngine test;
    Replayer replayer(test.engine.get(), 2);
    // Behind the SELECT that this log begins with.
    const Lsn from = 23;
    auto reader = JournalReader::Open(&live.h.fs, "d", live.h.journal->manifest(), from,
                                      live.h.journal->written());
    REQUIRE(reader.ok());
    test.engine->loading.Begin(live.h.journal->written(), 0);
    auto done = replayer.Run(
        from, [&](StreamPiece* piece) { return (*reader)->Next(piece); }, [] { return false; },
        StreamKind::kJournal, database);
    REQUIRE(done.ok() == (database == 15));
    if (!done.ok())
      REQUIRE(done.status().message().find("there are only 16 databases") != std::string::npos);
  }
}

// What a script kept out of the log may be what they rest on.
TEST_CASE("replay: commands that fail are passed over and named, the rest of their MULTI is not") {
  Live live(61);
  const Lsn at = live.h.Append(Resp({"SET", "s", "text"}));
  live.h.Append(Resp({"LPUSH", "s", "1"}));
  live.h.Append(Resp({"MULTI"}) + Resp({"SET", "x", "1"}) + Resp({"INCR", "s"}) +
                Resp({"SET", "y", "2"}) + Resp({"EXEC"}));
  for (int i = 0; i < 100; ++i) live.h.Append(Resp({"SET", "s" + std::to_string(i), "x"}));
  live.Run(0);
  Replayed replayed(live, 3);
  REQUIRE(replayed.status.ok());
  REQUIRE(replayed.report.refused == 2);
  const std::string& text = replayed.report.first_refused;
  INFO(text);
  REQUIRE(text.find("LSN " + std::to_string(at) + ": lpush failed: -WRONGTYPE") !=
          std::string::npos);
  TestClient client(replayed.test);
  REQUIRE(client.Send("MGET s x y s99\r\n") == "*4\r\n$4\r\ntext\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\nx\r\n");
}

TEST_CASE("replay: an unfinished end is dropped and named") {
  for (const std::string& end : {Resp({"MULTI"}) + Resp({"SET", "s", "lost"}),
                                 std::string("*3\r\n$3\r\nSET\r\n$1\r\ns\r\n$4\r\nlo")}) {
    Live live(70);
    const Lsn at = live.h.Append(Resp({"SET", "s", "kept"}));
    live.h.Append(end);
    live.Run(0);
    Replayed replayed(live, 2);
    REQUIRE(replayed.status.ok());
    REQUIRE(replayed.report.end_lsn == at);
    REQUIRE(replayed.report.unfinished != "");
    TestClient client(replayed.test);
    REQUIRE(client.Send("GET s\r\n") == "$4\r\nkept\r\n");
  }
}

TEST_CASE("replay: stops when asked, and at a damaged block") {
  Live live(80);
  live.Run(200);
  REQUIRE(Replayed(live, 2, true).status.code() == StatusCode::kUnavailable);
  const std::string path = "d/" + SegmentName(1, 1);
  std::string bytes = live.h.fs.Get(path);
  bytes[bytes.size() / 2] ^= 1;
  live.h.fs.Put(path, bytes);
  Replayed replayed(live, 2);
  REQUIRE(replayed.status.code() == StatusCode::kCorrupt);
  REQUIRE(replayed.status.message().find("LSN") != std::string::npos);
}

}  // namespace
}  // namespace cairn
