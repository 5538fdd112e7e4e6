// SPDX-License-Identifier: BSD-3-Clause
//
// The rules of the pipeline, one test each; the names say what would break without them.
#include <unistd.h>

#include <thread>

#include "tests/unit/exec/engine_harness.h"

namespace cairn {

TEST_CASE("EXEC sees a write to a watched key: no write skew", "[exec]") {
  TestEngine engine;
  TestClient one(engine), two(engine);
  REQUIRE(one.Send("WATCH a\r\nMULTI\r\nT.SET b 1\r\n") == "+OK\r\n+OK\r\n+QUEUED\r\n");
  REQUIRE(two.Send("WATCH b\r\nMULTI\r\nT.SET a 1\r\n") == "+OK\r\n+OK\r\n+QUEUED\r\n");
  REQUIRE(one.Send("EXEC\r\n") == "*1\r\n+OK\r\n");
  REQUIRE(two.Send("EXEC\r\n") == "*-1\r\n");
  REQUIRE(two.Send("T.GET a\r\n") == "$-1\r\n");
}

TEST_CASE("Expiry and WATCH: alive then, dead now is a change; dead then is none", "[exec]") {
  TestEngine engine;
  TestClient one(engine), two(engine);
  one.Send("T.SET k v 1000100\r\nWATCH k\r\nMULTI\r\nPING\r\n");
  one.clock_ms += 200;
  REQUIRE(one.Send("EXEC\r\n") == "*-1\r\n");

  one.Send("T.SET k v 1000300\r\n");
  one.clock_ms += 200;
  two.clock_ms = one.clock_ms;
  one.Send("WATCH k\r\n");
  REQUIRE(two.Send("T.GET k\r\n") == "$-1\r\n");  // deletes it, if nobody did
  REQUIRE(one.Send("MULTI\r\nPING\r\nEXEC\r\n") == "+OK\r\n+QUEUED\r\n*1\r\n+PONG\r\n");
}

TEST_CASE("FLUSH and SWAP touch watched keys that exist, and no others", "[exec]") {
  for (const char* change : {"T.FLUSH\r\n", "T.SWAP\r\n"}) {
    TestEngine engine;
    TestClient one(engine), two(engine);
    two.Send("T.SET there 1\r\n");
    one.Send("WATCH missing\r\nMULTI\r\nPING\r\n");
    REQUIRE(two.Send(change) == "+OK\r\n");
    REQUIRE(one.Send("EXEC\r\n") == "*1\r\n+PONG\r\n");
    two.Send("T.SET there 1\r\n");
    one.Send("WATCH there\r\nMULTI\r\nPING\r\n");
    two.Send(change);
    REQUIRE(one.Send("EXEC\r\n") == "*-1\r\n");
  }
}

TEST_CASE("A mode that changes while a command waits for its lock counts", "[exec]") {
  TestEngine engine;
  TestClient holder(engine), writer(engine);
  TheHoldPoint().entered = TheHoldPoint().release = false;
  std::string reply;
  std::thread hold([&] { holder.Send("T.HOLD k\r\n"); });
  while (!TheHoldPoint().entered) usleep(200);
  std::thread write([&] { reply = writer.Send("T.SET k v\r\n"); });
  engine.AwaitWaiterFor("k");  // it has passed the gates
  engine.engine->modes.Set(kModeFollower, true);
  TheHoldPoint().release = true;
  hold.join();
  write.join();
  REQUIRE(reply.starts_with("-READONLY"));
  REQUIRE(holder.Send("T.GET k\r\n") == "$-1\r\n");
}

TEST_CASE("A mode that changes while an EXEC retreats to scope All counts", "[exec]") {
  for (const ModeFlag flag : {kModeFollower, kModeLoading, kModePausedWrite, kModePausedAll}) {
    TestEngine engine;
    TestClient client(engine);
    REQUIRE(client.Send("MULTI\r\nT.RETREAT k\r\nT.SET k v\r\n") ==
            "+OK\r\n+QUEUED\r\n+QUEUED\r\n");
    // It gets the gate as soon as the transaction, which waits for that, has left it.
    std::thread change([&] {
      Gate& gate = engine.keyspace.gate();
      while (!gate.inside(client.executor.slot())) std::this_thread::yield();
      gate.Close();
      engine.engine->modes.Set(flag, true);
      gate.Open();
    });
    const std::string reply = client.Send("EXEC\r\n");
    change.join();
    const bool paused = flag == kModePausedWrite || flag == kModePausedAll;
    if (paused) {
      REQUIRE(reply == "");
      REQUIRE((client.session.suspended && client.session.retry && client.done == 0));
      client.session.suspended = client.session.retry = false;
    } else {
      REQUIRE(reply.starts_with("-EXECABORT"));
    }
    engine.engine->modes.Set(flag, false);
    REQUIRE(client.Send("T.GET k\r\n") == (paused ? "+QUEUED\r\n" : "$-1\r\n"));
    if (paused) REQUIRE(client.Send("DISCARD\r\n") == "+OK\r\n");
  }
}

TEST_CASE("CLIENT PAUSE WRITE holds an EXEC that writes, and lets one that reads go", "[exec]") {
  TestEngine engine;
  TestClient client(engine);
  client.Send("MULTI\r\nT.SET k v\r\n");
  engine.engine->modes.Set(kModePausedWrite, true);
  REQUIRE(client.Send("EXEC\r\n") == "");
  REQUIRE((client.session.suspended && client.session.retry && client.done == 0));
  TestClient reader(engine);
  REQUIRE(reader.Send("MULTI\r\nT.GET k\r\nEXEC\r\n") == "+OK\r\n+QUEUED\r\n*1\r\n$-1\r\n");
  engine.engine->modes.Set(kModePausedWrite, false);
  client.session.suspended = client.session.retry = false;
  REQUIRE(client.Send("EXEC\r\n") == "*1\r\n+OK\r\n");
}

TEST_CASE("A killed client runs nothing that had waited for locks, EXEC included", "[exec]") {
  for (const char* requests : {"T.SET k v\r\n", "EXEC\r\n"}) {
    TestEngine engine;
    TestClient holder(engine), victim(engine);
    if (requests[0] == 'E') victim.Send("MULTI\r\nT.SET k v\r\n");
    TheHoldPoint().entered = TheHoldPoint().release = false;
    std::thread hold([&] { holder.Send("T.HOLD k\r\n"); });
    while (!TheHoldPoint().entered) usleep(200);
    std::thread write([&] { (void)victim.Send(requests); });
    engine.AwaitWaiterFor("k");
    victim.session.record->closing = true;
    TheHoldPoint().release = true;
    hold.join();
    write.join();
    REQUIRE(holder.Send("T.GET k\r\n") == "$-1\r\n");
  }
}

TEST_CASE("Scope All keeps everybody else out", "[exec]") {
  TestEngine engine;
  TestClient alone(engine), other(engine);
  std::atomic<bool> stop{false};
  std::thread run([&] {
    while (!stop) other.Send("T.WITNESS a\r\nT.WITNESS b\r\n");
  });
  while (test_rows::TheWitness().ran == 0) std::this_thread::yield();
  const uint64_t before = test_rows::TheWitness().ran;
  // Alone for a moment each, again and again, until the other has run often in between.
  int rounds = 0;
  for (; rounds < 200 || test_rows::TheWitness().ran < before + 200; ++rounds)
    alone.Send("T.ALONE\r\n");
  stop = true;
  run.join();
  REQUIRE(rounds >= 200);
  REQUIRE(test_rows::TheWitness().met == 0);
}

namespace {
struct Recorder : MutationObserver {
  void BeforeChange(int, KeyTable*, Entry* entry) override {
    seen.push_back(std::string(entry->key()) + "=" +
                   (!entry->is_string()                        ? "object"
                    : entry->form() == Entry::Form::kInt       ? std::to_string(entry->integer())
                                                               : std::string(entry->text())) +
                   (entry->has_expiry() ? "!" : ""));
  }
  bool Postpone(int, int, const Entry&, bool) override { return false; }
  bool TakeOver(KeyTable*, Entry* entry) override {
    if (!takes) return false;
    seen.push_back("taken " + std::string(entry->key()));
    Entry::Free(entry);
    return true;
  }
  void OnDetached(KeyTables*) override {}
  bool takes = false;
  std::vector<std::string> seen;
};
}  // namespace

TEST_CASE("The pre-change hook fires once, with the old state, for every kind of change", "[exec]") {
  TestEngine engine;
  TestClient client(engine);
  
  const struct {
    const char *before, *change, *seen;
  } kCases[] = {
      {"T.SET k old\r\n", "T.SET k new\r\n", "k=old"},
      {"T.SET k 7\r\n", "T.SET k 8\r\n", "k=7"},
      {"T.SET k old\r\n", "T.APPEND k more\r\n", "k=old"},
      {"T.SET k old\r\n", "T.APPENDTWICE k k more\r\n", "k=old"},
      {"T.SET k old\r\n", "T.EXPIREAT k 99999999\r\n", "k=old"},
      {"T.SET k old 99999999\r\n", "T.EXPIREAT k 88888888\r\n", "k=old!"},
      {"T.SET k old\r\n", "T.DEL k\r\n", "k=old"},
      {"T.SET k old\r\n", "T.RENAME k k2\r\n", "k=old"},
      {"RPUSH k old\r\n", "LPUSH k new\r\n", "k=object"},
      {"RPUSH k old\r\n", "LPOP k\r\n", "k=object"},
      {"T.SET k old 1\r\n", "T.GET k\r\n", "k=old!"},  // lazy expiry
  };
  for (const auto& test : kCases) {
    client.Send("T.FLUSH\r\n");
    client.Send(test.before);
    Recorder recorder;
    for (int i = 0; i < kShards; ++i) engine.keyspace.shard(i).epoch ^= true;
    engine.keyspace.set_observer(&recorder);
    client.Send(test.change);
    client.Send("T.SET k again\r\n");  // the bit is new by now, or the key is
    engine.keyspace.set_observer(nullptr);
    INFO(test.change);
    REQUIRE(recorder.seen == std::vector<std::string>{test.seen});
  }
}

TEST_CASE("An entry that goes as a whole is offered to the observer", "[exec]") {
  TestEngine engine;
  TestClient client(engine);
  const struct {
    const char *before, *change, *seen;
  } kCases[] = {
      {"T.SET k old\r\n", "T.SET k longer\r\n", "taken k"},
      {"RPUSH k old\r\n", "T.SET k new\r\n", "taken k"},
      {"RPUSH k old\r\n", "T.DEL k\r\n", "taken k"},
      {"T.SET k old 1\r\n", "T.GET k\r\n", "taken k"},
      {"RPUSH k old\r\n", "LPOP k\r\n", "k=object"},
      {"T.SET k old\r\n", "T.RENAME k k2\r\n", "k=old"},
  };
  for (const auto& test : kCases) {
    client.Send("T.FLUSH\r\n");
    client.Send(test.before);
    Recorder recorder;
    recorder.takes = true;
    for (int i = 0; i < kShards; ++i) engine.keyspace.shard(i).epoch ^= true;
    engine.keyspace.set_observer(&recorder);
    client.Send(test.change);
    client.Send("T.SET k again\r\n");
    engine.keyspace.set_observer(nullptr);
    INFO(test.change);
    REQUIRE(recorder.seen == std::vector<std::string>{test.seen});
  }
}

TEST_CASE("Two refs to one key are one value, wherever the entry moves", "[exec]") {
  TestEngine engine;
  TestClient client(engine);
  client.Send("T.SET k a\r\n");
  REQUIRE(client.Send("T.APPENDTWICE k k bc\r\n") == "$5\r\nabcbc\r\n");
  REQUIRE(client.Send("T.PUSHTWICE l l x\r\n") == ":2\r\n");
  client.Send("RPUSH r 1 2 3\r\n");
  REQUIRE(client.Send("LMOVE r r LEFT RIGHT\r\n") == "$1\r\n1\r\n");
  REQUIRE(client.Send("LRANGE r 0 -1\r\n") == "*3\r\n$1\r\n2\r\n$1\r\n3\r\n$1\r\n1\r\n");
}

TEST_CASE("Time does not run backwards from one worker to the next", "[exec]") {
  TestEngine engine;
  TestClient ahead(engine), behind(engine);
  behind.clock_ms = ahead.clock_ms - 500;
  ahead.Send("T.SET k v 999900\r\n");
  REQUIRE(ahead.Send("T.NOW k\r\n") == ":1000000\r\n");
  REQUIRE(behind.Send("T.NOW k\r\n") == ":1000000\r\n");
  // Nor between those who hold a key and who holds all.
  REQUIRE(behind.Send("T.NOWALL\r\n") == ":1000000\r\n");
  ahead.clock_ms += 100;
  REQUIRE(ahead.Send("T.NOWALL\r\n") == ":1000100\r\n");
  REQUIRE(behind.Send("T.NOW other\r\n") == ":1000100\r\n");
  // Expired for one means expired for all, also where nothing is deleted.
  engine.engine->modes.Set(kModePausedWrite, true);
  REQUIRE(ahead.Send("T.GET k\r\n") == "$-1\r\n");
  REQUIRE(behind.Send("T.GET k\r\n") == "$-1\r\n");
}

TEST_CASE("Lazy expiry: delete, hide, or apply", "[exec]") {
  TestEngine engine;
  TestClient client(engine);
  client.Send("T.SET k v 1000100\r\n");
  client.clock_ms += 200;
  engine.engine->modes.Set(kModePausedWrite, true);
  REQUIRE(client.Send("T.GET k\r\n") == "$-1\r\n");
  REQUIRE(engine.keyspace.Size(0) == 1);  // hidden, not gone
  engine.engine->modes.Set(kModePausedWrite, false);

  Session stream(std::make_shared<ClientRecord>());
  stream.internal = stream.authenticated = true;
  OutputBuffer out;
  const std::string_view append[] = {"T.APPEND", "k", "w"};
  TestClient leader(engine);
  REQUIRE(leader.executor.Apply(stream, append, out));  // alive for the leader's stream
  REQUIRE(engine.keyspace.Size(0) == 1);

  REQUIRE(client.Send("T.GET k\r\n") == "$-1\r\n");
  REQUIRE(engine.keyspace.Size(0) == 0);
}

TEST_CASE("A mode that changes while a command waits for the gate decides over expiry too", "[exec]") {
  TestEngine engine;
  TestClient reader(engine), role(engine);
  reader.Send("T.SET k v 1000100\r\n");
  reader.clock_ms += 200;
  TheHoldPoint().entered = TheHoldPoint().release = false;
  std::string reply;
  // One section of the gate: the second command is judged before the role changes, and waits then.
  std::thread read([&] { reply = reader.Send("T.HOLD x\r\nT.GETALL k\r\n"); });
  while (!TheHoldPoint().entered) usleep(200);
  std::thread follow([&] { role.Send("T.FOLLOW\r\n"); });
  while (!engine.keyspace.gate().wanted()) std::this_thread::yield();
  TheHoldPoint().release = true;
  read.join();
  follow.join();
  REQUIRE(reply == "+OK\r\n$-1\r\n");
  REQUIRE(engine.keyspace.Size(0) == 1);  // a follower deletes nothing by itself
}

TEST_CASE("CLIENT REPLY OFF silences errors and QUEUED too", "[exec]") {
  TestEngine engine;
  TestClient client(engine);
  REQUIRE(client.Send("CLIENT REPLY OFF\r\nNOPE\r\nMULTI\r\nPING\r\nEXEC\r\nGET\r\n") == "");
  REQUIRE(client.Send("CLIENT REPLY ON\r\n") == "+OK\r\n");
  REQUIRE(client.Send("CLIENT REPLY SKIP\r\nNOPE\r\nPING\r\n") == "+PONG\r\n");
}

TEST_CASE("A tricked browser is cut off, authenticated or not", "[exec]") {
  TestEngine engine;
  TestClient client(engine);
  client.session.authenticated = false;
  client.Send("POST / HTTP/1.1\r\nPING\r\n");
  REQUIRE(client.session.close_after_reply);
}

TEST_CASE("A barrier ends the batch: what follows is parsed again", "[exec]") {
  TestEngine engine;
  TestClient client(engine);
  REQUIRE(client.Send("PING\r\nRESET\r\nPING\r\nPING\r\n") == "+PONG\r\n+RESET\r\n");
  REQUIRE(client.done == 2);
}

TEST_CASE("Commands of an EXEC reach the slow log, EXEC itself does not", "[exec]") {
  TestEngine engine;
  TestClient client(engine);
  REQUIRE(client.Send("CONFIG SET slowlog-log-slower-than 0\r\nSLOWLOG RESET\r\n") ==
          "+OK\r\n+OK\r\n");
  client.Send("MULTI\r\nT.SET k v\r\nT.GET k\r\nEXEC\r\n");
  std::vector<std::string> names;
  for (const CommandLogEntry& entry :
       engine.engine->command_log.Get(CommandLogType::kSlow, -1)) names.push_back(entry.args[0]);
  REQUIRE(names == std::vector<std::string>{"T.GET", "T.SET", "MULTI", "SLOWLOG"});
}

TEST_CASE("A reply that repeats itself is bounded", "[exec]") {
  TestEngine engine;
  engine.engine->output_bytes_max = 100'000;
  const std::string member(1000, 'm');
  const std::string out_of_range = "-ERR value is out of range\r\n";
  const struct {
    std::string fill, command;
  } kCases[] = {
      {"SADD k " + member, "SRANDMEMBER k -"},
      {"SADD k " + member + " b c", "SRANDMEMBER k -"},
      {"HSET k " + member + " " + member, "HRANDFIELD k -"},
      {"ZADD k 1 " + member, "ZRANDMEMBER k -"},
  };
  for (const auto& test : kCases) {
    TestClient client(engine);
    client.Send("T.FLUSH\r\n" + test.fill + "\r\n");
    INFO(test.command);
    REQUIRE(client.Send(test.command + "16667\r\n") == out_of_range);
    REQUIRE(client.Send(test.command + "9223372036854775807\r\n") == out_of_range);
    REQUIRE(client.Send(test.command + "10\r\n").starts_with("*10\r\n"));
    REQUIRE_FALSE(client.session.close_after_reply);
    const std::string torn = client.Send(test.command + "16000\r\n");
    REQUIRE(torn.size() < 102'000);
    REQUIRE(client.session.close_after_reply);
  }
}

TEST_CASE("RENAME and MOVE keep the access clock, SET inherits it, COPY begins anew", "[exec]") {
  TestEngine engine;
  TestClient client(engine);
  client.Send("CONFIG SET maxmemory-policy allkeys-lfu lfu-log-factor 0\r\nSET k 1\r\n");
  for (int i = 0; i < 20; ++i) client.Send("GET k\r\n");
  REQUIRE(client.Send("OBJECT FREQ k\r\n") == ":25\r\n");
  client.Send("SET k other-value\r\n");
  REQUIRE(client.Send("OBJECT FREQ k\r\n") == ":26\r\n");
  client.Send("RENAME k l\r\n");
  REQUIRE(client.Send("OBJECT FREQ l\r\n") == ":27\r\n");
  client.Send("MOVE l 1\r\nSELECT 1\r\n");
  REQUIRE(client.Send("OBJECT FREQ l\r\n") == ":28\r\n");
  client.Send("COPY l m\r\n");
  REQUIRE(client.Send("OBJECT FREQ m\r\n") == ":5\r\n");
}

}  // namespace cairn
