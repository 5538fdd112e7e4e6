// SPDX-License-Identifier: BSD-3-Clause
//
// The active expiry of keys: a slice is bounded, and slices find everything in the end.
#include "journal/stripes.h"
#include "tests/unit/exec/engine_harness.h"
#include "tests/unit/journal/journal_harness.h"

namespace cairn {
namespace {

void Fill(TestClient& client, const char* prefix, int keys, int64_t expiry_ms) {
  for (int i = 0; i < keys; ++i)
    client.Send("T.SET " + std::string(prefix) + std::to_string(i) + " v " +
                std::to_string(expiry_ms) + "\r\n");
}

}  // namespace

TEST_CASE("A slice deletes about as many keys as it may", "[exec][expiry]") {
  TestEngine engine;
  TestClient client(engine);
  Fill(client, "k", 20'000, client.clock_ms + 10);
  client.clock_ms += 20;
  size_t slices = 0, deleted = 0;
  while (engine.keyspace.Size(0) > 0) {
    const size_t now = client.executor.ExpireSlice(0, 1, 1000, client.clock_ms);
    REQUIRE(now < 2000);
    deleted += now;
    REQUIRE(++slices < 100);
  }
  REQUIRE(deleted == 20'000);
  REQUIRE(slices >= 10);
}

TEST_CASE("Few due keys among many are found without looking at all at once", "[exec][expiry]") {
  TestEngine engine;
  TestClient client(engine);
  Fill(client, "stays", 30'000, client.clock_ms + 1'000'000);
  Fill(client, "goes", 100, client.clock_ms + 10);
  client.clock_ms += 20;
  // A tenth of a sweep at most: five looks for each of the 500, and what a lock takes at once.
  size_t slices = 0;
  while (engine.keyspace.Size(0) > 30'000) {
    const size_t before = engine.keyspace.Size(0);
    client.executor.ExpireSlice(0, 1, 500, client.clock_ms);
    REQUIRE(before - engine.keyspace.Size(0) < 60);
    REQUIRE(++slices < 200);
  }
  REQUIRE(slices > 3);
}

TEST_CASE("Each worker looks at its own shards", "[exec][expiry]") {
  TestEngine engine;
  TestClient client(engine);
  Fill(client, "k", 2000, client.clock_ms + 10);
  client.clock_ms += 20;
  size_t deleted = 0;
  for (int worker = 0; worker < 3; ++worker) {
    const size_t own = client.executor.ExpireSlice(worker, 3, SIZE_MAX, client.clock_ms);
    REQUIRE((own > 500 && own < 900));
    deleted += own;
  }
  REQUIRE(deleted == 2000);
}

// appendfsync always: that something is gone may be seen when no crash can bring it back.
TEST_CASE("Who finds gone what the cycle deleted waits until that is durable", "[exec][expiry]") {
  JournalHarness journal(1);
  journal.options.policy = FsyncPolicy::kAlways;
  REQUIRE(journal.Open().ok());
  TestEngine test;
  LsnStripes stripes;
  test.engine->journal = test.engine->open_journal = journal.journal.get();
  test.engine->stripes = &stripes;
  TestClient client(test);
  const auto held_until = [&client](const std::string& command, const std::string& reply) {
    INFO(command);
    REQUIRE(client.Send(command) == reply);
    return client.executor.unit().hold_lsn();
  };
  REQUIRE(client.Send("T.SET key v 1000010\r\nHSET hash f v g v\r\n") == "+OK\r\n:2\r\n");
  REQUIRE(client.Send("HPEXPIREAT hash 1000010 FIELDS 1 f\r\n") == "*1\r\n:1\r\n");
  REQUIRE(client.Send("SET other v\r\n") == "+OK\r\n");
  const Lsn before = journal.journal->tail();
  client.clock_ms += 20;

  REQUIRE(client.executor.ExpireSlice(0, 1, SIZE_MAX, client.clock_ms) == 1);
  const Lsn key_gone = journal.journal->tail();
  REQUIRE(key_gone > before);
  REQUIRE(held_until("GET key\r\n", "$-1\r\n") == key_gone);
  REQUIRE(held_until("EXISTS key\r\n", ":0\r\n") == key_gone);

  REQUIRE(client.executor.ExpireFieldsSlice(0, 1, SIZE_MAX, client.clock_ms) == 1);
  const Lsn field_gone = journal.journal->tail();
  REQUIRE(field_gone > key_gone);
  REQUIRE(held_until("HLEN hash\r\n", ":1\r\n") == field_gone);
  REQUIRE(held_until("HGET hash g\r\n", "$1\r\nv\r\n") == field_gone);
  REQUIRE(held_until("GET other\r\n", "$1\r\nv\r\n") == before);
  test.engine->stripes = nullptr;
  test.engine->journal = test.engine->open_journal = nullptr;
}

}  // namespace cairn
