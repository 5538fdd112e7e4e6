// SPDX-License-Identifier: BSD-3-Clause
//
// Big values in snapshots: written in steps between which others go on, exact whatever they do.
#include <algorithm>
#include <thread>

#include "base/random.h"
#include "rdb/step_saver.h"
#include "snapshot/loader.h"
#include "snapshot/sink.h"
#include "snapshot/walk.h"
#include "tests/unit/exec/engine_harness.h"
#include "tests/unit/support/fault_fs.h"

namespace cairn {
namespace {

constexpr int kElements = 120'000;

// Passes parts on to a file, and lets the test do something between two pieces of a run.
struct Receiver final : PartReceiver {
  explicit Receiver(FileSystem* fs) {
    SinkOptions options;
    options.fs = fs;
    options.dir = "d";
    options.name = "s";
    options.format = SnapshotFormat::kPacked;
    sink = std::move(*SnapshotSink::Create(std::move(options)));
  }
  void Add(const Part& part) override { sink->Add(part); }
  void BeginRun() override { sink->BeginRun(); }
  void AddToRun(std::string_view piece) override {
    sink->AddToRun(piece);
    largest = std::max(largest, piece.size());
    if (++pieces == 1 && between != nullptr) between();
    if (pieces == 2 && later != nullptr) later();
  }
  void EndRun(std::string_view piece, int version) override {
    sink->EndRun(piece, version);
    ++runs;
  }
  bool failed() const override { return sink->failed(); }

  std::unique_ptr<SnapshotSink> sink;
  std::function<void()> between, later;
  int pieces = 0, runs = 0;
  size_t largest = 0;
};

struct Walked : PressureListener {
  Walked() : fs(1), client(test), walk(&test.keyspace), receiver(&fs) {
    slot = test.keyspace.gate().AddThread();
  }

  // A value of each type, all large, and small ones around them.
  void Fill() {
    for (int i = 0; i < kElements; i += 100) {
      std::string sadd = "SADD set", hset = "HSET hash", zadd = "ZADD zset", rpush = "RPUSH list";
      for (int j = i; j < i + 100; ++j) {
        const std::string n = std::to_string(j);
        sadd += " member:" + n;
        hset += " field:" + n + " value:" + n;
        zadd += " " + std::to_string(j % 1000) + ".5 member:" + n;
        rpush += " element:" + n;
      }
      client.Send(sadd + "\r\n" + hset + "\r\n" + zadd + "\r\n" + rpush + "\r\n");
      client.Send("XADD stream * field " + std::string(2000, 'x') + "\r\n");
      client.Send("SET small:" + std::to_string(i) + " v\r\n");
    }
    client.Send("HSET expiring f v g w\r\n");
    for (int i = 0; i < 8000; ++i) client.Send("HSET expiring f" + std::to_string(i) + " v\r\n");
    client.Send("HPEXPIREAT expiring 99999999999999 FIELDS 2 f3 f7\r\n");
  }
  // A string of 6 MB that is nothing but zero bytes at most places, one of 3 MB that is random, and
  // small ones.
  void FillStrings() {
    client.Send("SETRANGE zeros 6000000 end\r\n");
    for (int i = 0; i < 50; ++i)
      client.Send("SETRANGE zeros " + std::to_string(i * 120'000) + " " + std::to_string(i) +
                  "\r\n");
    Random random(5);
    std::string bytes(3'000'000, '\0');
    for (char& c : bytes) c = static_cast<char>(random.Next());
    client.Send("*3\r\n$3\r\nSET\r\n$6\r\nrandom\r\n$3000000\r\n" + bytes + "\r\n");
    client.Send("PEXPIREAT random 99999999999999\r\n");
    for (int i = 0; i < 100; ++i) client.Send("SET small:" + std::to_string(i) + " v\r\n");
  }
  std::string Digest(TestClient& of) { return of.Send("DEBUG DIGEST\r\n"); }

  Status Walk() {
    WalkOptions options;
    options.pressure = this;
    options.compress_strings = compress_strings;
    options.preimage_bytes_max = preimage_bytes_max;
    test.keyspace.gate().Close();
    walk.Begin(options);
    test.keyspace.gate().Open();
    walk.Run(slot, &receiver);
    CAIRN_RETURN_IF_ERROR(walk.Finish(&receiver));
    if (walk.abandoned()) return Status::Unavailable("abandoned");
    return receiver.sink->Commit();
  }
  // The digest of what was saved.
  std::string Saved() {
    TestEngine loaded;
    LoadOptions options;
    options.keyspace = &loaded.keyspace;
    options.slots = {loaded.keyspace.gate().AddThread(), loaded.keyspace.gate().AddThread()};
    options.thresholds = loaded.engine->ReadThresholds();
    LoadTotals totals;
    auto report = LoadSnapshot(&fs, "d/s", options, &totals);
    INFO(report.status().message());
    REQUIRE(report.ok());
    TestClient reader(loaded);
    return Digest(reader);
  }
  void OnPressure(bool) override {}
  void OnPostponedReady() override { ++ready; }
  void OnInPlace(int64_t duration_us) override {
    ++in_place;
    longest_us = std::max(longest_us, duration_us);
  }

  FaultFs fs;
  TestEngine test;
  TestClient client;
  SnapshotWalk walk;
  Receiver receiver;
  int slot = 0;
  int ready = 0, in_place = 0;
  int64_t longest_us = 0;
  bool compress_strings = false;
  size_t preimage_bytes_max = 64 << 20;
};

}  // namespace

TEST_CASE("Big values of every type are written in bounded pieces", "[snapshot]") {
  Walked walked;
  walked.Fill();
  const std::string wanted = walked.Digest(walked.client);
  REQUIRE(walked.Walk().ok());
  REQUIRE(walked.receiver.runs == 6);
  REQUIRE(walked.receiver.largest < size_t{2} << 20);
  REQUIRE(walked.Saved() == wanted);
}

TEST_CASE("Big strings are written in bounded pieces, compressed or not", "[snapshot]") {
  for (const bool compress : {false, true}) {
    Walked walked;
    walked.compress_strings = compress;
    walked.FillStrings();
    const std::string wanted = walked.Digest(walked.client);
    REQUIRE(walked.Walk().ok());
    REQUIRE(walked.receiver.runs == 2);
    REQUIRE(walked.receiver.pieces >= 6);
    REQUIRE(walked.receiver.largest < size_t{5} << 18);
    REQUIRE(walked.receiver.sink->keys() == 102);
    const uint64_t plain_bytes = walked.receiver.sink->plain_bytes();
    REQUIRE((plain_bytes < 3'500'000) == compress);
    REQUIRE(walked.Saved() == wanted);
  }
}

TEST_CASE("While a big string is written others read it, and who would change it waits",
          "[snapshot]") {
  Walked walked;
  walked.FillStrings();
  const std::string wanted = walked.Digest(walked.client);
  TestClient other(walked.test);
  const auto parked = [&other](const std::string& change) {
    other.session.retry = other.session.suspended = false;
    return other.Send(change).empty() && other.session.retry;
  };
  walked.receiver.between = [&] {
    for (const char* change : {"APPEND zeros x\r\n", "SETBIT random 9 1\r\n"}) {
      INFO(change);
      REQUIRE(parked(change));
    }
    other.session.retry = other.session.suspended = false;
    REQUIRE(other.Send("GETRANGE zeros 6000000 -1\r\n") == "$3\r\nend\r\n");
    REQUIRE(other.Send("STRLEN random\r\n") == ":3000000\r\n");
    REQUIRE(other.Send("SET small:0 changed\r\n") == "+OK\r\n");
  };
  REQUIRE(walked.Walk().ok());
  REQUIRE(walked.ready > 0);
  REQUIRE(walked.Saved() == wanted);
  other.session.retry = other.session.suspended = false;
  REQUIRE(other.Send("APPEND zeros x\r\n") == ":6000004\r\n");
}

TEST_CASE("A stream's consumer groups are written in steps too, to the same bytes", "[snapshot]") {
  TestEngine test;
  TestClient client(test);
  client.Send("XGROUP CREATE s one 0 MKSTREAM\r\nXGROUP CREATE s two 0\r\n");
  client.Send("XGROUP CREATE s none $\r\nXGROUP CREATECONSUMER s one idle\r\n");
  for (int i = 0; i < 9000; ++i) client.Send("XADD s " + std::to_string(i + 1) + "-1 f v\r\n");
  for (const char* read : {"one a", "one b", "two a"})
    client.Send("XREADGROUP GROUP " + std::string(read) + " COUNT 4000 STREAMS s >\r\n");
  // Little is left but what is pending.
  REQUIRE(client.Send("XTRIM s MAXLEN 1\r\n") == ":8999\r\n");
  Entry* entry = nullptr;
  for (int shard = 0; shard < kShards; ++shard) {
    KeyTable* table = test.keyspace.PeekTable(shard, 0);
    if (table == nullptr) continue;
    table->entries.ForEach([&](Entry* e) {
      entry = e;
      return true;
    });
  }
  REQUIRE(entry != nullptr);
  REQUIRE(BigRecord::IsBig(*entry));
  for (const RdbType type : {RdbType::kStreamListpacks, RdbType::kStreamListpacks2,
                             RdbType::kStreamListpacks3}) {
    std::string whole, steps;
    RdbWriter writer(&whole, false);
    RdbSave(entry->type(), entry->rep(), type, &writer);
    RdbStepSaver saver(entry->type(), entry->rep(), type, &steps);
    size_t largest = 0, count = 0;
    for (bool more = true; more; ++count) {
      const size_t before = steps.size();
      more = saver.Step(1000);
      largest = std::max(largest, steps.size() - before);
    }
    const bool equal = steps == whole;
    REQUIRE(equal);
    REQUIRE(largest < 2000);
    REQUIRE(count >= whole.size() / 2000);
  }
}

TEST_CASE("While a big value is written others read it, and who would change it waits",
          "[snapshot]") {
  Walked walked;
  walked.Fill();
  const std::string wanted = walked.Digest(walked.client);
  TestClient other(walked.test);
  bool parked_some = false;
  walked.receiver.between = [&] {
    // Whichever of them is first in the walk: none is done, so all wait.
    for (const char* change : {"SADD set x\r\n", "HDEL hash field:1\r\n", "ZADD zset 1 x\r\n",
                               "LPOP list\r\n", "XADD stream * a b\r\n", "EXPIRE set 9\r\n",
                               "RENAME list other\r\n"}) {
      INFO(change);
      other.session.retry = other.session.suspended = false;
      const std::string reply = other.Send(change);
      const bool parked = other.session.retry;
      REQUIRE(parked == reply.empty());
      parked_some |= parked;
      REQUIRE(parked);
    }
    other.session.retry = other.session.suspended = false;
    REQUIRE(other.Send("SISMEMBER set member:7\r\n") == ":1\r\n");
    REQUIRE(other.Send("HGET hash field:7\r\n") == "$7\r\nvalue:7\r\n");
    REQUIRE(other.Send("ZSCORE zset member:7\r\n") == "$3\r\n7.5\r\n");
    REQUIRE(other.Send("SET small:0 changed\r\n") == "+OK\r\n");
    // A transaction waits as a whole, and is not lost.
    REQUIRE(other.Send("MULTI\r\nINCR counter\r\nSADD set y\r\n") ==
            "+OK\r\n+QUEUED\r\n+QUEUED\r\n");
    REQUIRE(other.Send("EXEC\r\n").empty());
    REQUIRE(other.session.retry);
    REQUIRE(other.session.transaction.active);
  };
  REQUIRE(walked.Walk().ok());
  REQUIRE(parked_some);
  REQUIRE(walked.ready > 0);
  REQUIRE(walked.Saved() == wanted);
  other.session.retry = other.session.suspended = false;
  REQUIRE(other.Send("EXEC\r\n") == "*2\r\n:1\r\n:1\r\n");
  REQUIRE(other.Send("DEL set\r\n") == ":1\r\n");
}

TEST_CASE("Who cannot wait changes a big value in the middle, and the image is exact",
          "[snapshot]") {
  for (const char* change : {"EVAL \"redis.call('SADD','set','x') redis.call('HDEL','hash','field:1')"
                             " redis.call('ZADD','zset',1,'x') redis.call('LPOP','list')"
                             " redis.call('DEL','stream','expiring')\" 0\r\n",
                             "FLUSHALL\r\n", "SWAPDB 0 1\r\n"}) {
    INFO(change);
    Walked walked;
    walked.Fill();
    const std::string wanted = walked.Digest(walked.client);
    walked.receiver.between = [&] {
      const std::string reply = walked.client.Send(change);
      INFO(reply);
      REQUIRE((reply == "$-1\r\n" || reply == "+OK\r\n"));
    };
    const Status status = walked.Walk();
    INFO(status.message());
    REQUIRE(status.ok());
    REQUIRE(walked.Saved() == wanted);
    // The script's: one of them was half written, the others not yet.
    REQUIRE(walked.in_place == (change[0] == 'E' ? 4 : 0));
    REQUIRE((walked.in_place > 0) == (walked.longest_us > 0));
  }
}

TEST_CASE("What is flushed under a snapshot counts as pending until it is written", "[snapshot]") {
  Walked walked;
  walked.Fill();
  size_t detached = 0;
  walked.receiver.between = [&] {
    REQUIRE(walked.walk.PendingBytes() == 0);
    REQUIRE(walked.client.Send("FLUSHALL\r\n") == "+OK\r\n");
    detached = walked.walk.detached_bytes();
    REQUIRE(walked.walk.PendingBytes() >= detached);
  };
  REQUIRE(walked.Walk().ok());
  // Of the five big values at least that which is being written is left, of a megabyte and more.
  REQUIRE(detached > 1 << 20);
  REQUIRE(walked.walk.PendingBytes() == 0);
}

TEST_CASE("Who cannot wait changes a big string in the middle, and the image is exact",
          "[snapshot]") {
  for (const char* change :
       {"EVAL \"redis.call('APPEND','zeros','x') redis.call('SETRANGE','random',9,'xyz')\" 0\r\n",
        "EVAL \"redis.call('DEL','zeros','random')\" 0\r\n", "FLUSHALL\r\n", "SWAPDB 0 1\r\n"}) {
    INFO(change);
    Walked walked;
    walked.FillStrings();
    const std::string wanted = walked.Digest(walked.client);
    walked.receiver.between = [&] {
      const std::string reply = walked.client.Send(change);
      INFO(reply);
      REQUIRE((reply == "$-1\r\n" || reply == "+OK\r\n"));
      // The one that is being written, and the one that is still to be, are nobody else's now.
      if (reply == "$-1\r\n") REQUIRE(walked.walk.PendingBytes() > 9'000'000);
    };
    const Status status = walked.Walk();
    INFO(status.message());
    REQUIRE(status.ok());
    REQUIRE(walked.receiver.largest < size_t{5} << 18);
    REQUIRE(walked.Saved() == wanted);
    REQUIRE(walked.walk.PendingBytes() == 0);
  }
}

TEST_CASE("Who deletes or overwrites a big value hands it to the snapshot, and waits for nobody",
          "[snapshot]") {
  // Whichever of them is being written, all the others are still to be.
  const std::vector<std::string> collections = {
      "UNLINK set\r\n", "SET hash x\r\n", "RENAME small:0 zset\r\n",
      "COPY small:100 stream REPLACE\r\n", "SDIFFSTORE expiring none\r\n",
      "TYPE list\r\n"};  // has expired
  const std::vector<std::string> strings = {"GETDEL zeros\r\n", "SET random x KEEPTTL\r\n"};
  for (const auto& changes : {collections, strings}) {
    Walked walked;
    changes == strings ? walked.FillStrings() : walked.Fill();
    walked.client.Send("PEXPIREAT list 2000000\r\n");
    const std::string wanted = walked.Digest(walked.client);
    TestClient other(walked.test);
    other.clock_ms = 3'000'000;
    walked.receiver.between = [&] {
      for (const std::string& change : changes) {
        INFO(change);
        REQUIRE_FALSE(other.Send(change).empty());
        REQUIRE_FALSE(other.session.retry);
      }
      REQUIRE(other.Send("EXISTS set list expiring zeros\r\n") == ":0\r\n");
      REQUIRE(walked.walk.PendingBytes() > 9'000'000);
      // The keys are free for others.
      REQUIRE(other.Send("RPUSH set a\r\n") == ":1\r\n");
      REQUIRE(other.Send("SET list v\r\n") == "+OK\r\n");
    };
    const Status status = walked.Walk();
    INFO(status.message());
    REQUIRE(status.ok());
    REQUIRE(walked.in_place == 0);
    REQUIRE(walked.ready == 0);
    REQUIRE(walked.receiver.largest < size_t{2} << 20);
    REQUIRE(walked.walk.PendingBytes() == 0);
    REQUIRE(walked.Saved() == wanted);
    REQUIRE(other.Send("LRANGE set 0 -1\r\n") == "*1\r\n$1\r\na\r\n");
  }
}

TEST_CASE("Of what is handed to a snapshot there is a bound", "[snapshot]") {
  Walked walked;
  walked.Fill();
  walked.preimage_bytes_max = 1;
  const std::string wanted = walked.Digest(walked.client);
  TestClient other(walked.test);
  int taken = 0, parked = 0;
  walked.receiver.between = [&] {
    for (const char* key : {"set", "hash", "zset", "list"}) {
      other.session.retry = other.session.suspended = false;
      taken += other.Send("DEL " + std::string(key) + "\r\n") == ":1\r\n";
      parked += other.session.retry;
    }
    other.session.retry = other.session.suspended = false;
    // Who cannot wait serialises it.
    REQUIRE(other.Send("EVAL \"return redis.call('DEL','stream','expiring')\" 0\r\n") ==
            ":2\r\n");
  };
  REQUIRE(walked.Walk().ok());
  REQUIRE(taken == 1);
  REQUIRE(parked == 3);
  REQUIRE(walked.in_place >= 1);  // one of the two may have been under way
  REQUIRE(walked.ready > 0);
  REQUIRE(walked.Saved() == wanted);
}

TEST_CASE("What is handed to a snapshot counts as what it really holds", "[snapshot]") {
  Walked walked;
  constexpr size_t kHuge = 2 << 20, kHugeElements = 10;
  for (const std::string key : {"odd:1", "odd:2", "odd:3"}) {
    for (int i = 0; i < 20'000; ++i)
      walked.client.Send("HSET " + key + " f" + std::to_string(i) + " v\r\n");
    // Among so many no sample meets these.
    for (size_t i = 0; i < kHugeElements; ++i)
      walked.client.Send("HSET " + key + " huge" + std::to_string(i) + " " +
                         std::string(kHuge, 'x') + "\r\n");
  }
  walked.preimage_bytes_max = 16 << 20;
  const std::string wanted = walked.Digest(walked.client);
  TestClient other(walked.test);
  walked.receiver.between = [&] { REQUIRE(other.Send("DEL odd:1\r\n") == ":1\r\n"); };
  walked.receiver.later = [&] {
    REQUIRE(walked.walk.detached_bytes() >= kHuge * kHugeElements);
    REQUIRE(walked.walk.detached_bytes() < 2 * kHuge * kHugeElements);
    REQUIRE(other.Send("DEL odd:2\r\n").empty());
    REQUIRE(other.session.retry);
  };
  REQUIRE(walked.Walk().ok());
  REQUIRE(walked.receiver.pieces >= 2);
  REQUIRE(walked.walk.PendingBytes() == 0);
  REQUIRE(walked.Saved() == wanted);
}

TEST_CASE("Few values are handed to a snapshot that has not measured them", "[snapshot]") {
  Walked walked;
  walked.Fill();
  const auto key = [](int i) { return "k:" + std::to_string(i); };
  for (int i = 0; i < 20; ++i)
    for (int j = 0; j < 5000; ++j)
      walked.client.Send("SADD " + key(i) + " member:" + std::to_string(j) + "\r\n");
  const std::string wanted = walked.Digest(walked.client);
  int taken = 0;
  // In one turn of the walk.
  walked.receiver.between = [&] {
    for (int i = 0; i < 20; ++i) {
      TestClient other(walked.test);
      taken += other.Send("DEL " + key(i) + "\r\n") == ":1\r\n";
    }
    REQUIRE(walked.client.Send("EXISTS set\r\n") == ":1\r\n");
  };
  REQUIRE(walked.Walk().ok());
  REQUIRE(taken >= 8);
  REQUIRE(taken < 20);
  REQUIRE(walked.ready > 0);
  REQUIRE(walked.in_place == 0);
  REQUIRE(walked.walk.PendingBytes() == 0);
  REQUIRE(walked.Saved() == wanted);
}

TEST_CASE("What was handed to a snapshot that is given up is freed", "[snapshot]") {
  Walked walked;
  walked.Fill();
  walked.receiver.between = [&] {
    REQUIRE(walked.client.Send("DEL set hash zset list stream\r\n") == ":5\r\n");
    REQUIRE(walked.walk.PendingBytes() > 0);
    walked.walk.Abandon();
  };
  REQUIRE(walked.Walk().code() == StatusCode::kUnavailable);
  REQUIRE(walked.walk.PendingBytes() == 0);
}

TEST_CASE("A snapshot given up in the middle of a big value leaves all bits equal", "[snapshot]") {
  Walked walked;
  walked.Fill();
  TestClient other(walked.test);
  walked.receiver.between = [&] {
    other.Send("SADD set x\r\n");
    REQUIRE(other.session.retry);
    walked.walk.Abandon();
  };
  REQUIRE(walked.Walk().code() == StatusCode::kUnavailable);
  REQUIRE(walked.ready > 0);
  // The next one is exact.
  walked.receiver.between = nullptr;
  walked.receiver.sink.reset();
  Receiver again(&walked.fs);
  const std::string wanted = walked.Digest(walked.client);
  walked.receiver.sink = std::move(again.sink);
  REQUIRE(walked.Walk().ok());
  REQUIRE(walked.Saved() == wanted);
}

// Two walkers: the second comes to the table of the value that the first has begun to write.
TEST_CASE("A snapshot given up leaves what one walker writes to nobody, whoever walks its table",
          "[snapshot]") {
  for (const bool strings : {false, true}) {
    INFO((strings ? "strings" : "collections"));
    Walked walked;
    strings ? walked.FillStrings() : walked.Fill();
    // The first walker begins with another table, since the wish is of a later one.
    const std::vector<std::string> big = strings ? std::vector<std::string>{"zeros", "random"}
                                                 : std::vector<std::string>{"set", "hash", "zset"};
    const std::string last = *std::max_element(
        big.begin(), big.end(), [](const std::string& a, const std::string& b) {
          return ShardOf(HashBytes(a)) < ShardOf(HashBytes(b));
        });
    WalkOptions options;
    options.pressure = &walked;
    walked.test.keyspace.gate().Close();
    walked.walk.Begin(options);
    walked.test.keyspace.gate().Open();
    TestClient other(walked.test);
    REQUIRE(other.Send("EXPIRE " + last + " 9\r\n").empty());  // wishes for it
    REQUIRE(other.session.retry);
    walked.receiver.between = [&] {
      walked.walk.Abandon();
      std::thread second([&] {
        walked.walk.Run(walked.test.keyspace.gate().AddThread(), &walked.receiver);
      });
      second.join();
      // The entry is nobody's any more, and goes.
      other.session.retry = other.session.suspended = false;
      REQUIRE(other.Send("DEL " + last + "\r\n") == ":1\r\n");
    };
    walked.walk.Run(walked.slot, &walked.receiver);
    REQUIRE(walked.receiver.pieces > 0);
    const Status status = walked.walk.Finish(&walked.receiver);
    INFO(status.message());
    REQUIRE(status.ok());
  }
}

}  // namespace cairn
