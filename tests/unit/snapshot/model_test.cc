// SPDX-License-Identifier: BSD-3-Clause
//
// Snapshots against a model: four threads write at random into an engine with a journal while one
// snapshot after the other is taken. The model of an instant is the journal up to its LSN, replayed
// by one thread; the loaded file must hold the same keys, values, expiry times and function
// libraries. Now and then there is no memory for anything, so that keys are evicted.
//
// CAIRN_MODEL_ROUNDS asks for more rounds than those of a quick run.
#include <stdlib.h>

#include <thread>

#include "base/memory.h"
#include "commands/digest.h"
#include "journal/reader.h"
#include "server/function_source.h"
#include "snapshot/loader.h"
#include "snapshot/snapshotter.h"
#include "tests/unit/exec/engine_harness.h"
#include "tests/unit/journal/journal_harness.h"

namespace cairn {
namespace {

// Applies the journal to an engine of its own, as far as asked for.
class Replica {
 public:
  Replica() : executor_(test_.engine.get()), session_(std::make_shared<ClientRecord>()) {
    session_.internal = session_.authenticated = true;
  }

  void ReplayTo(JournalHarness& harness, Lsn lsn) {
    auto reader = JournalReader::Open(&harness.fs, harness.options.dir, harness.journal->manifest(),
                                      position_, lsn);
    REQUIRE(reader.ok());
    StreamPiece piece;
    OutputBuffer out;
    for (;;) {
      auto more = (*reader)->Next(&piece);
      REQUIRE(more.ok());
      if (!*more) break;
      std::string bytes(piece.bytes);
      parser_.Feed(bytes.data(), bytes.size());
      ParseOutcome outcome = ParseOutcome::kRequest;
      while (outcome == ParseOutcome::kRequest) {
        RequestBatch batch;
        outcome = parser_.Next({}, &batch);
        for (size_t i = 0; i < batch.size(); ++i) {
          REQUIRE(executor_.Apply(session_, batch[i].args, out));
          out.Clear();
        }
      }
      REQUIRE(outcome != ParseOutcome::kError);
      parser_.EndRead();
    }
    position_ = lsn;
  }
  TestEngine& test() { return test_; }

 private:
  TestEngine test_;
  Executor executor_;
  Session session_;
  RequestParser parser_;
  Lsn position_ = 0;
};

// A command with 400 arguments, or pairs of them.
std::string Many(std::string command, int words, Random& random) {
  for (int i = 0; i < 400; ++i)
    for (int word = 0; word < words; ++word) command += " " + std::to_string(random.Below(20'000));
  return command + "\r\n";
}

// A library whose code differs from that of others of its name.
std::string LoadLibrary(Random& random) {
  const std::string n = std::to_string(random.Below(2));
  const std::string code = "#!lua name=lib" + n + "\nredis.register_function('f" + n +
                           "', function() return " + std::to_string(random.Below(1000)) + " end)";
  return "*4\r\n$8\r\nFUNCTION\r\n$4\r\nLOAD\r\n$7\r\nREPLACE\r\n$" +
         std::to_string(code.size()) + "\r\n" + code + "\r\n";
}

// A random request of one that changes keys in some way; keys are few, so that they meet.
std::string RandomRequest(Random& random) {
  const auto key = [&random] { return "k" + std::to_string(random.Below(400)); };
  const auto number = [&random] { return std::to_string(random.Below(1000)); };
  switch (random.Below(25)) {
    case 0:
    case 1:
    case 2:
      return "SET " + key() + " " + number() + "\r\n";
    case 3:
      return "SET " + key() + " " + std::string(random.Below(200) + 1, 'v') + "\r\n";
    case 4:
      return "APPEND " + key() + " more\r\n";
    case 5:
      return "SETRANGE long" + std::to_string(random.Below(4)) + " " +
             std::to_string(random.Below(60'000)) + " " + number() + "\r\n";
    case 6:
      return "INCR n" + key() + "\r\n";
    case 7:
      return "RPUSH l" + key() + " " + number() + " " + number() + "\r\n";
    case 8:
      return "LPOP l" + key() + "\r\n";
    case 9:
      return "SADD s" + key() + " " + number() + " m" + number() + "\r\n";
    case 10:
      return "SPOP s" + key() + "\r\n";
    case 11:
      return "HSET h" + key() + " f" + number() + " " + number() + "\r\n";
    case 12:
      return "HDEL h" + key() + " f" + number() + "\r\n";
    case 13:
      return "ZADD z" + key() + " " + number() + " m" + number() + "\r\n";
    case 14:
      return "DEL " + key() + " l" + key() + " s" + key() + "\r\n";
    case 15:
      return "RENAME " + key() + " " + key() + "\r\n";
    case 16:
      return "PEXPIRE " + key() + " " + std::to_string(random.Below(40)) + "\r\n";
    case 17:
      return "PERSIST " + key() + "\r\n";
    case 18:
      return "MULTI\r\nINCR n" + key() + "\r\nRPUSH l" + key() + " x\r\nEXEC\r\n";
    case 19:
      return "COPY l" + key() + " l" + key() + " REPLACE\r\n";
    case 20:
      return "SELECT " + std::to_string(random.Below(3)) + "\r\n";
    case 21:
      return "MOVE " + key() + " " + std::to_string(random.Below(3)) + "\r\n";
    case 22:
      return "UNLINK h" + key() + " z" + key() + "\r\n";
    case 23:
      return "HPEXPIRE h" + key() + " " + std::to_string(random.Below(60)) + " FIELDS 1 f" +
             number() + "\r\n";
    default:
      break;
  }
  // Values that a snapshot writes in steps.
  const std::string big = std::to_string(random.Below(3));
  switch (random.Below(60)) {
    case 0:
      return "FLUSHALL\r\n";
    case 1:
      return "FLUSHDB\r\n";
    case 2:
    case 3:
    case 4:
      return "SWAPDB 0 " + std::to_string(random.Below(3)) + "\r\n";
    case 5:
      return "UNLINK bighash" + big + " bigset" + big + "\r\n";
    case 6:
      return "RENAME bighash" + big + " bighash" + number().substr(0, 1) + "\r\n";
    case 7:
    case 8:
    case 9:
    case 10:
      return Many("HSET bighash" + big, 2, random);
    case 11:
    case 12:
    case 13:
      return Many("SADD bigset" + big, 1, random);
    case 14:
    case 15:
      return Many("ZADD bigzset" + big, 2, random);
    case 16:
    case 17:
      return Many("RPUSH biglist" + big, 1, random);
    case 18:
    case 19:
      return "HDEL bighash" + big + " " + number() + "\r\n";
    case 20:
    case 21:
      return "LPOP biglist" + big + " 3\r\n";
    case 22:
      return "EVAL \"redis.call('hset','bighash" + big + "','x','y')\" 0\r\n";
    case 23:
      return "XADD stream" + big + " * f " + std::string(300, 'x') + "\r\n";
    case 24:
      return "PEXPIRE bigset" + big + " 30\r\n";
    case 25:
      return "HPEXPIRE bighash" + big + " " + std::to_string(random.Below(60)) +
             " FIELDS 2 " + number() + " " + number() + "\r\n";
    // Strings that are borrowed and written without a lock.
    case 26:
    case 27:
      return "SETRANGE huge" + big + " " + std::to_string((1 << 20) + random.Below(100'000)) + " " +
             number() + "\r\n";
    case 28:
      return "EVAL \"redis.call('setrange','huge" + big + "',5,'" + number() + "')\" 0\r\n";
    case 29:
      return "UNLINK huge" + big + "\r\n";
    case 30:
      return LoadLibrary(random);
    case 31:
      // The second of them finds no memory, and keys go for it.
      return "CONFIG SET maxmemory 1\r\nSET " + key() + " v\r\nCONFIG SET maxmemory 0\r\n";
    // Big values that go as a whole.
    case 32:
      return "DEL biglist" + big + " bigzset" + big + "\r\n";
    case 33:
      return "SET bighash" + big + " v\r\nGETDEL bighash" + big + "\r\n";
    case 34:
      return "SUNIONSTORE bigset" + big + " bigset0 bigset1 bigset2\r\n";
    case 35:
      return "COPY bigset" + big + " biglist" + big + " REPLACE\r\nDEL biglist" + big + "\r\n";
    case 36:
      return "SET huge" + big + " v\r\n";
    default:
      return "GET " + key() + "\r\n";
  }
}

// Every key with its expiry time, the first one of its fields and a digest of its value; and the
// libraries.
std::map<std::string, std::string> Contents(TestEngine& of) {
  Keyspace& keyspace = of.keyspace;
  std::map<std::string, std::string> contents;
  const auto libraries = of.engine->scripts->functions().Current();
  for (const auto& [name, library] : libraries->all()) contents["library " + name] = library->code;
  for (int shard = 0; shard < kShards; ++shard) {
    for (int db = 0; db < keyspace.databases(); ++db) {
      KeyTable* table = keyspace.PeekTable(shard, db);
      if (table == nullptr) continue;
      size_t with_expiry = 0;
      table->entries.ForEach([&](Entry* entry) {
        Digest digest;
        DigestEntry(&digest, entry);
        contents[std::to_string(db) + "/" + std::string(entry->key())] =
            digest.Hex() + "@" + std::to_string(entry->expiry_ms()) + "@" +
            std::to_string(entry->NextFieldExpiry());
        with_expiry += entry->has_expiry();
        return true;
      });
      REQUIRE(table->volatile_size() == with_expiry);
    }
  }
  return contents;
}

void RequireEpochsEqual(Keyspace& keyspace) {
  for (int shard = 0; shard < kShards; ++shard) {
    for (int db = 0; db < keyspace.databases(); ++db) {
      KeyTable* table = keyspace.PeekTable(shard, db);
      if (table == nullptr) continue;
      const bool epoch = keyspace.shard(shard).epoch;
      table->entries.ForEach([&](Entry* entry) {
        if (entry->epoch() != epoch) FAIL("an entry kept its old bit: " << entry->key());
        return true;
      });
    }
  }
}

struct Pressure final : PressureListener {
  explicit Pressure(Engine* e) : engine(*e) {}
  void OnPressure(bool high) override {
    engine.modes.Set(kModeSnapshotLag, high);
    times += high;
  }
  void OnPostponedReady() override {}
  Engine& engine;
  std::atomic<int> times{0};
};

// A worker with one client that writes while it is let.
class Writer {
 public:
  Writer(TestEngine& test, int index)
      : executor_(test.engine.get()), session_(std::make_shared<ClientRecord>()), index_(index) {
    session_.authenticated = true;
  }

  void Main(std::atomic<bool>* stop, std::atomic<bool>* may_write,
            std::atomic<uint64_t>* requests) {
    MemoryMeter::RegisterThread();
    Random random(static_cast<uint64_t>(100 + index_));
    while (!*stop) {
      if (!*may_write) {
        std::this_thread::yield();
        continue;
      }
      std::string batch;
      for (int n = 0; n < 12; ++n) batch += RandomRequest(random);
      Run(std::move(batch), *stop);
      const int64_t now_ms = SystemClock()->WallMs();
      if (random.Below(20) == 0) executor_.ExpireSlice(index_, kWriters, 100, now_ms);
      requests->fetch_add(12);
    }
  }

  static constexpr int kWriters = 4;

 private:
  void Run(std::string text, const std::atomic<bool>& stop) {
    RequestParser parser;
    RequestBatch batch;
    parser.Feed(text.data(), text.size());
    while (parser.Next({}, &batch) == ParseOutcome::kRequest) {
    }
    for (size_t done = 0; done < batch.size() && !stop;) {
      done += executor_.Run(session_, batch, done, out_, SystemClock()->WallMs());
      out_.Clear();
      // Parked for the snapshot: the server would resume it.
      if (session_.retry) std::this_thread::yield();
      session_.suspended = session_.retry = false;
    }
  }

  Executor executor_;
  Session session_;
  OutputBuffer out_;
  const int index_;
};

// Ends the writers, also where a REQUIRE throws.
struct Threads {
  ~Threads() { Join(); }
  void Join() {
    stop = true;
    for (std::thread& thread : all) thread.join();
    all.clear();
  }
  std::atomic<bool> stop{false}, may_write{true};
  std::atomic<uint64_t> requests{0};
  std::vector<std::thread> all;
};

int Rounds() {
  const char* wanted = getenv("CAIRN_MODEL_ROUNDS");
  return wanted == nullptr ? 60 : atoi(wanted);
}

}  // namespace

TEST_CASE("A snapshot under four writers is the journal up to its LSN", "[snapshot][model]") {
  const int rounds = Rounds();
  JournalHarness journal(7);
  journal.options.policy = FsyncPolicy::kNo;
  journal.options.segment_bytes_max = 1 << 20;
  REQUIRE(journal.Open().ok());
  TestEngine test;
  test.engine->journal = test.engine->open_journal = journal.journal.get();
  Pressure pressure(test.engine.get());
  test.store.SetInternally("maxmemory-policy", "allkeys-random");
  test.engine->memory.Measure();
  FunctionSource functions(test.engine.get());
  Snapshotter snapshotter(&test.keyspace, SystemClock(), {&functions});
  std::vector<std::unique_ptr<Writer>> writers;
  Threads threads;
  for (int i = 0; i < Writer::kWriters; ++i) writers.push_back(std::make_unique<Writer>(test, i));
  for (auto& writer : writers)
    threads.all.emplace_back([&threads, w = writer.get()] {
      w->Main(&threads.stop, &threads.may_write, &threads.requests);
    });
  Replica replica;
  uint64_t compared = 0;
  for (int round = 0; round < rounds; ++round) {
    // A snapshot of nothing new would prove little; they write on while it is taken, and rest while
    // it is compared, or the model would never catch up.
    const uint64_t before = threads.requests;
    threads.may_write = true;
    while (threads.requests < before + 400) std::this_thread::yield();
    SnapshotResult result;
    SnapshotRequest request;
    request.fs = &journal.fs;
    request.dir = "snapshots";
    request.name = "s";
    request.format = round % 2 == 0 ? SnapshotFormat::kPacked : SnapshotFormat::kPlain;
    request.threads = 1 + round % 3;
    // Sometimes so little that writers wait.
    request.preimage_bytes_max = round % 5 == 0 ? 1000 : 64 << 20;
    request.pressure = &pressure;
    request.at_instant = [&](SnapshotInstant* instant) {
      instant->lsn = journal.journal->BeginSnapshot();
    };
    request.done = [&](const SnapshotResult& r) { result = r; };
    REQUIRE(snapshotter.Start(request).ok());
    const bool cancel = round % 10 == 9;
    if (cancel) snapshotter.Cancel();
    snapshotter.Wait();
    threads.may_write = false;
    if (cancel && !result.status.ok()) continue;
    INFO("round " << round << ": " << result.status.message());
    REQUIRE(result.status.ok());

    REQUIRE(journal.journal->SyncTo(result.lsn).ok());
    replica.ReplayTo(journal, result.lsn);
    TestEngine loaded;
    LoadOptions options;
    options.keyspace = &loaded.keyspace;
    options.slots = {loaded.keyspace.gate().AddThread(), loaded.keyspace.gate().AddThread()};
    options.thresholds = loaded.engine->ReadThresholds();
    FunctionSource loaded_functions(loaded.engine.get());
    options.aux_sources = {&loaded_functions};
    LoadTotals totals;
    auto report = LoadSnapshot(&journal.fs, "snapshots/s", options, &totals);
    INFO(report.status().message());
    REQUIRE(report.ok());
    REQUIRE(totals.keys == result.keys);
    ++compared;
    const auto got = Contents(loaded), wanted = Contents(replica.test());
    if (got != wanted) {
      for (const auto& [name, value] : wanted)
        if (!got.contains(name) || got.at(name) != value) FAIL_CHECK("wrong or missing: " << name);
      for (const auto& [name, value] : got)
        if (!wanted.contains(name)) FAIL_CHECK("not of then: " << name);
      FAIL("the snapshot of round " << round << " is another dataset");
    }
  }
  // One request in some 1,500 evicts: few rounds on a slow machine may have had none.
  threads.may_write = true;
  REQUIRE(journal.Eventually([&] { return test.engine->statistics.Sum(Stat::kEvicted) > 0; }));
  threads.Join();
  RequireEpochsEqual(test.keyspace);
  REQUIRE(compared > 0);
  REQUIRE_FALSE(test.engine->modes.Has(kModeSnapshotLag));
  test.engine->journal = test.engine->open_journal = nullptr;
}

}  // namespace cairn
