// SPDX-License-Identifier: BSD-3-Clause
//
// A leader's stream: whatever its bytes come in, keyspace and log are that of its last whole
// record.
#include "repl/stream_applier.h"

#include <catch2/catch.hpp>
#include "base/random.h"
#include "tests/unit/repl/repl_harness.h"

namespace cairn {
namespace {

std::string Resp(std::initializer_list<std::string_view> parts) {
  std::string out;
  AppendResp(&out, {parts.begin(), parts.size()});
  return out;
}

struct Applying : ReplicatedEngine {
  Applying()
      : ReplicatedEngine(FsyncPolicy::kNo),
        executor(engine.get()),
        applier(engine.get(), &executor, [] { return false; }),
        client(*this) {
    engine->modes.Set(kModeFollower, true);
    applier.Begin(0);
  }
  Status Feed(std::string bytes) { return applier.Feed(bytes.data(), bytes.size()); }
  std::string Get(const std::string& key) { return client.Send("T.GET " + key + "\r\n"); }

  Executor executor;
  StreamApplier applier;
  TestClient client;
};

}  // namespace

TEST_CASE("A stream in pieces of any size is the same log and the same data", "[repl]") {
  std::string stream;
  for (int i = 0; i < 300; ++i) {
    const std::string key = "k" + std::to_string(i % 7), value = std::to_string(i);
    if (i % 5 == 0) stream += Resp({"SELECT", std::to_string(i % 3)});
    if (i % 11 == 0) stream += Resp({"PING"});
    if (i % 4 == 0)
      stream +=
          Resp({"MULTI"}) + Resp({"SET", key, value}) + Resp({"APPEND", key, "x"}) + Resp({"EXEC"});
    stream += Resp({"APPEND", key, value});
  }
  stream += Resp({"SELECT", "0"}) + Resp({"SET", "end", "1"});
  std::string expected;
  for (size_t piece : {stream.size(), size_t{1}, size_t{7}, size_t{64}, size_t{1000}}) {
    Applying follower;
    size_t last = 0;
    for (size_t at = 0; at < stream.size(); at += piece) {
      REQUIRE(follower.Feed(stream.substr(at, piece)).ok());
      const Lsn tail = follower.files.journal->tail();
      REQUIRE(tail >= last);
      REQUIRE(tail <= at + piece);
      last = tail;
    }
    REQUIRE(follower.Stream() == stream);
    REQUIRE(follower.applier.database() == 0);
    std::string data;
    for (int i = 0; i < 7; ++i) data += follower.Get("k" + std::to_string(i));
    if (expected.empty()) expected = data;
    REQUIRE(data == expected);
    REQUIRE(follower.Get("end") == "$1\r\n1\r\n");
  }
}

TEST_CASE("A transaction is applied and logged whole or not at all", "[repl]") {
  Applying follower;
  const std::string whole =
      Resp({"MULTI"}) + Resp({"SET", "a", "1"}) + Resp({"SET", "b", "2"}) + Resp({"EXEC"});
  const std::string half = whole.substr(0, whole.size() - 3);
  REQUIRE(follower.Feed(Resp({"SET", "before", "1"}) + half).ok());
  REQUIRE(follower.Stream() == Resp({"SET", "before", "1"}));
  REQUIRE(follower.Get("a") == "$-1\r\n");
  // The connection breaks, and the next one sends it again from its beginning.
  follower.applier.Begin(0);
  REQUIRE(follower.Feed(whole).ok());
  REQUIRE(follower.Stream() == Resp({"SET", "before", "1"}) + whole);
  REQUIRE(follower.Get("b") == "$1\r\n2\r\n");
}

TEST_CASE("Nothing that cannot be applied is skipped, nor is it in the log", "[repl]") {
  const std::string bad[] = {
      Resp({"NO-SUCH-COMMAND"}),
      Resp({"SET", "k"}),
      Resp({"EXEC"}),
      Resp({"MULTI"}) + Resp({"MULTI"}),
      Resp({"SELECT", "99"}),
      Resp({"SELECT", "x"}),
      Resp({"T.GET", "k"}),  // changes nothing
      Resp({"RPUSH", "k", "v"}),  // of a string
      Resp({"MULTI"}) + Resp({"SET", "a", "1"}) + Resp({"RPUSH", "k", "v"}) + Resp({"EXEC"}),
      "*1\r\n$x\r\n",
      "SET inline 1\r\n",
      "\r\n"};
  for (const std::string& bytes : bad) {
    Applying follower;
    const std::string good = Resp({"SET", "k", "v"});
    REQUIRE(follower.Feed(good).ok());
    const Status status = follower.Feed(bytes + Resp({"SET", "behind", "1"}));
    INFO(bytes);
    REQUIRE(status.code() == StatusCode::kCorrupt);
    REQUIRE(follower.Stream() == good);
    REQUIRE(follower.Get("behind") == "$-1\r\n");
  }
}

TEST_CASE("A stream in a database that is not here needs a SELECT first", "[repl]") {
  Applying follower;
  follower.applier.Begin(1'000'000);
  REQUIRE(follower.Feed(Resp({"PING"}) + Resp({"SELECT", "1"}) + Resp({"SET", "k", "v"})).ok());
  follower.applier.Begin(16);
  const Status status = follower.Feed(Resp({"SET", "k", "v"}));
  REQUIRE(status.code() == StatusCode::kCorrupt);
  REQUIRE(status.message().find("no such database here") != std::string::npos);
}

TEST_CASE("What changes no data is in the log, and a question is noticed", "[repl]") {
  Applying follower;
  const std::string words =
      Resp({"PING"}) + Resp({"SELECT", "3"}) + Resp({"REPLCONF", "GETACK", "*"});
  REQUIRE(follower.Feed(words).ok());
  REQUIRE(follower.Stream() == words);
  REQUIRE(follower.applier.database() == 3);
  REQUIRE(follower.applier.TakeAckWanted());
  REQUIRE_FALSE(follower.applier.TakeAckWanted());
}

TEST_CASE("A follower lets nothing go by itself that is past its time", "[repl]") {
  Applying follower;
  REQUIRE(follower.Feed(Resp({"SET", "k", "10", "PXAT", "5"}) + Resp({"INCR", "k"})).ok());
  REQUIRE(follower.Get("k") == "$-1\r\n");
  REQUIRE(follower.Feed(Resp({"PERSIST", "k"})).ok());
  REQUIRE(follower.Get("k") == "$2\r\n11\r\n");
}

}  // namespace cairn
