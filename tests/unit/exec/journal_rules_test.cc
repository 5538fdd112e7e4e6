// SPDX-License-Identifier: BSD-3-Clause
//
// The pipeline over a real journal on a file system that fails on demand: what the log holds for
// each kind of unit, and who waits while the log is broken.
#include <string>

#include "exec/modes.h"
#include "tests/unit/exec/journaled_engine.h"

namespace cairn {
namespace {

// Sends once more what a parked session has to run again.
std::string Retry(TestClient& client, std::string text) {
  client.session.suspended = client.session.retry = false;
  return client.Send(std::move(text));
}

bool Parked(const TestClient& client) { return client.session.suspended && client.session.retry; }

}  // namespace

TEST_CASE("What has expired goes with a DEL, whoever meets it", "[exec]") {
  JournaledEngine engine(FsyncPolicy::kEverySecond);
  TestClient client(engine);
  // A script that wants nothing of it in the log.
  client.Send("T.SET k 10 1000100\r\nHSET h f 1\r\nHPEXPIREAT h 1000100 FIELDS 1 f\r\n");
  client.clock_ms += 200;
  engine.NewEffects();
  REQUIRE(client.Send("EVAL \"redis.set_repl(redis.REPL_NONE) redis.call('SET', KEYS[2], 'v') "
                      "return redis.call('GET', KEYS[1])\" 2 k other\r\n") == "$-1\r\n");
  REQUIRE(engine.NewEffects() == "{DEL k}");
  REQUIRE(client.Send("EVAL \"redis.set_repl(redis.REPL_NONE) "
                      "return redis.call('HGET', KEYS[1], 'f')\" 1 h\r\n") == "$-1\r\n");
  REQUIRE(engine.NewEffects() == "{HDEL h f}");
  // The first of several databases' too.
  client.Send("T.SET k 10 1000300\r\n");
  client.clock_ms += 200;
  engine.NewEffects();
  REQUIRE(client.Send("EVAL \"redis.call('SET', 'there', 'v') redis.set_repl(redis.REPL_NONE) "
                      "redis.call('SELECT', 0) redis.call('GET', 'k') redis.set_repl(3) "
                      "redis.call('SELECT', 1) redis.call('SET', 'here', 'v')\" 0\r\n") ==
          "$-1\r\n");
  REQUIRE(engine.NewEffects() ==
          "{MULTI}{SET there v}{DEL k}{SELECT 1}{SET here v}{SELECT 0}{EXEC}");

  // A write at a moment when look-ups only hide it.
  client.Send("T.SET k v 1000500\r\n");
  client.clock_ms += 200;
  engine.NewEffects();
  engine.engine->modes.Set(kModeLogRefused, true);
  REQUIRE(client.Send("T.APPEND k x\r\n") == ":1\r\n");
  REQUIRE(engine.NewEffects() == "{MULTI}{DEL k}{T.APPEND k x}{EXEC}");
}

TEST_CASE("Rule 5: a unit is one record, in MULTI if it has several effects", "[exec]") {
  JournaledEngine engine(FsyncPolicy::kEverySecond);
  TestClient client(engine);
  client.Send("PING\r\n");
  REQUIRE(engine.NewEffects() == "");
  const struct {
    const char *requests, *effects;
  } kCases[] = {
      {"T.SET a 1\r\n", "{SELECT 0}{T.SET a 1}"},
      {"T.EFFECTS a\r\n", "{MULTI}{SET x 1}{SET y 2}{EXEC}"},
      // One effect needs no wrapping, be it of an EXEC; none leaves no record.
      {"MULTI\r\nT.GET a\r\nT.SET a 2\r\nEXEC\r\n", "{T.SET a 2}"},
      {"MULTI\r\nT.GET a\r\nPING\r\nEXEC\r\n", ""},
      {"MULTI\r\nT.SET a 3\r\nT.EFFECTS a\r\nT.SET b 4\r\nEXEC\r\n",
       "{MULTI}{T.SET a 3}{SET x 1}{SET y 2}{T.SET b 4}{EXEC}"},
      // A command that fails leaves nothing, the others of its EXEC stay.
      {"MULTI\r\nT.SET a 5\r\nLPUSH a 1\r\nT.SET b 6\r\nEXEC\r\n",
       "{MULTI}{T.SET a 5}{T.SET b 6}{EXEC}"},
      // Two keys, one effect; a command without a change, none.
      {"MSET p 1 q 2\r\n", "{MSET p 1 q 2}"},
      {"T.RENAME p r\r\n", "{T.RENAME p r}"},
      {"T.DEL nokey\r\n", ""},
      // The last element takes the key with it without a DEL of its own.
      {"RPUSH l 1\r\n", "{RPUSH l 1}"},
      {"LPOP l\r\n", "{LPOP l}"},
      // A time that is relative, a choice that is random.
      {"SET t v PX 5000\r\n", "{SET t v PXAT 1005000}"},
      {"SADD s one\r\n", "{SADD s one}"},
      {"SPOP s\r\n", "{DEL s}"},
      // The database is part of the order: SELECT inside MULTI, and back.
      {"SELECT 3\r\nT.SET d 1\r\n", "{SELECT 3}{T.SET d 1}"},
      {"MULTI\r\nT.SET d 2\r\nSELECT 0\r\nT.SET a 7\r\nEXEC\r\n",
       "{MULTI}{T.SET d 2}{SELECT 0}{T.SET a 7}{SELECT 3}{EXEC}"},
      {"T.SET a 8\r\n", "{SELECT 0}{T.SET a 8}"},
  };
  for (const auto& test : kCases) {
    INFO(test.requests);
    client.Send(test.requests);
    REQUIRE(engine.NewEffects() == test.effects);
  }
  // A write that meets an expired key: its DEL goes first, in the same unit.
  client.Send("T.SET gone v 1000001\r\n");
  engine.NewEffects();
  client.clock_ms += 10;
  client.Send("T.APPEND gone w\r\n");
  REQUIRE(engine.NewEffects() == "{MULTI}{DEL gone}{T.APPEND gone w}{EXEC}");
}

TEST_CASE("What Redis 7.0 does not know is recorded by what it did", "[exec]") {
  JournaledEngine engine(FsyncPolicy::kEverySecond);
  TestClient client(engine);
  client.Send("ZADD g 3479447370796909 b\r\nZADD z 1 a 2 b\r\nSADD s a\r\nZADD old 1 x\r\n");
  engine.NewEffects();
  const struct {
    const char *requests, *effects;
  } kCases[] = {
      {"XADD x KEEPREF 1-1 f v\r\n", "{XADD x 1-1 f v}"},
      {"GEOSEARCHSTORE t g BYPOLYGON 4 14 37 14 39 17 39 17 36\r\n",
       "{MULTI}{DEL t}{ZADD t 3479447370796909 b}{EXEC}"},
      {"GEOSEARCHSTORE old g BYPOLYGON 3 -60 -10 -61 -10 -60 -11\r\n", "{DEL old}"},
      {"GEOSEARCHSTORE old g BYPOLYGON 3 -60 -10 -61 -10 -60 -11\r\n", ""},
      {"ZUNIONSTORE u 2 z s AGGREGATE COUNT\r\n", "{MULTI}{DEL u}{ZADD u 1 b 2 a}{EXEC}"},
      {"ZINTERSTORE u 2 z none AGGREGATE COUNT\r\n", "{DEL u}"},
      {"MULTI\r\nT.SET a 1\r\nZINTERSTORE u 2 z none AGGREGATE COUNT\r\nEXEC\r\n",
       "{T.SET a 1}"},
  };
  for (const auto& test : kCases) {
    INFO(test.requests);
    client.Send(test.requests);
    REQUIRE(engine.NewEffects() == test.effects);
  }
}

TEST_CASE("A range by members is recorded by its ranks", "[exec]") {
  JournaledEngine engine(FsyncPolicy::kEverySecond);
  TestClient client(engine);
  client.Send("ZADD z 1 a 1 b 1 c 1 d 1 e\r\nZADD old 1 x\r\n");
  engine.NewEffects();
  const struct {
    const char *requests, *effects;
  } kCases[] = {
      {"ZRANGESTORE t z [b [d BYLEX\r\n", "{ZRANGESTORE t z 1 3}"},
      {"ZRANGESTORE t z + - BYLEX REV LIMIT 1 2\r\n", "{ZRANGESTORE t z 2 3}"},
      {"ZRANGESTORE old z [x [y BYLEX\r\n", "{DEL old}"},
      {"ZRANGESTORE old z [x [y BYLEX\r\n", ""},
      {"ZRANGESTORE t z 1 2 BYSCORE\r\n", "{ZRANGESTORE t z 1 2 BYSCORE}"},
      {"ZREMRANGEBYLEX z (a (c\r\n", "{ZREMRANGEBYRANK z 1 1}"},
      {"ZREMRANGEBYLEX z [x +\r\n", ""},
      {"ZREMRANGEBYLEX z - +\r\n", "{ZREMRANGEBYRANK z 0 3}"},
  };
  for (const auto& test : kCases) {
    INFO(test.requests);
    client.Send(test.requests);
    REQUIRE(engine.NewEffects() == test.effects);
  }
}

TEST_CASE("While the log is broken, reads of what is not durable wait a while", "[exec]") {
  JournaledEngine engine(FsyncPolicy::kAlways);
  Modes& modes = engine.engine->modes;
  TestClient writer(engine), reader(engine), other(engine), operators(engine);
  writer.Send("T.SET safe 1\r\n");
  REQUIRE(engine.files.journal->SyncTo(engine.files.journal->tail()).ok());
  engine.files.fs.FailSyncs(true);
  writer.Send("T.SET k v\r\n");
  REQUIRE(JournalHarness::Eventually(
      [&] { return engine.files.journal->state() != JournalState::kOk; }));
  modes.Set(kModeLogRefused, true);

  REQUIRE(writer.Send("T.SET k w\r\n").starts_with("-MISCONF"));
  REQUIRE(reader.Send("T.GET safe\r\n") == "$1\r\n1\r\n");
  REQUIRE(other.Send("CONFIG SET busy-reply-threshold 3600000\r\n") == "+OK\r\n");
  REQUIRE(reader.Send("T.GET k\r\n") == "");
  REQUIRE(Parked(reader));
  // It waits by the monotonic clock, whatever the wall's says.
  const int64_t now_ms = engine.engine->clock.MonotonicMs();
  REQUIRE(reader.session.log_deadline_ms > now_ms);
  REQUIRE(reader.session.log_deadline_ms <= now_ms + 3'600'000);
  reader.clock_ms += 7'200'000;
  REQUIRE(Retry(reader, "T.GET k\r\n") == "");
  REQUIRE(Parked(reader));
  reader.session.log_deadline_ms = now_ms;
  REQUIRE(Retry(reader, "T.GET k\r\n").starts_with("-MISCONF Errors writing to the AOF file"));
  REQUIRE_FALSE(Parked(reader));
  // The next one waits anew.
  REQUIRE(reader.Send("T.GET k\r\n") == "");
  // A transaction cannot be run twice, an operator's command may be what mends the log.
  REQUIRE(other.Send("MULTI\r\nT.GET k\r\nEXEC\r\n").find("-MISCONF") != std::string::npos);
  REQUIRE(operators.Send("CONFIG SET maxclients 5000\r\n") == "+OK\r\n");
  REQUIRE(operators.out.empty());

  engine.files.fs.FailSyncs(false);
  REQUIRE(JournalHarness::Eventually(
      [&] { return engine.files.journal->state() == JournalState::kOk; }));
  modes.Set(kModeLogRefused, false);
  REQUIRE(Retry(reader, "T.GET k\r\n") == "$1\r\nv\r\n");
}

}  // namespace cairn
