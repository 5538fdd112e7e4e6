// SPDX-License-Identifier: BSD-3-Clause
//
// When snapshots are made by themselves: the journal grew, or lost bytes to a failing disk.
#include "server/persistence.h"

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>

#include "repl/replication.h"
#include "script/registry.h"
#include "tests/unit/exec/engine_harness.h"
#include "tests/unit/journal/journal_harness.h"

namespace cairn {
namespace {

// An engine whose journal and snapshots are in a FaultFs.
struct Machine : JournalHarness {
  explicit Machine(uint64_t seed) : JournalHarness(seed), client(test) {
    options.policy = FsyncPolicy::kEverySecond;
    options.retained_bytes_min = 0;
    options.buffer_bytes_max = 1 << 20;
    REQUIRE(Open().ok());
    test.engine->journal = test.engine->open_journal = journal.get();
    test.engine->journal_kept = true;
    replication = std::make_unique<Replication>(test.engine.get());
    test.engine->replication = replication.get();
    persistence = std::make_unique<Persistence>(test.engine.get(), std::vector<AuxSource*>{},
                                                [] {}, &fs);
    test.engine->snapshots = persistence.get();
    Set("save", "");
  }
  ~Machine() {
    persistence.reset();
    replication.reset();
    test.engine->journal = test.engine->open_journal = nullptr;
  }
  void Set(const char* name, const char* value) { test.store.SetInternally(name, value); }
  // One turn of worker 0's periodic work, at second `s`.
  void Cron(int64_t s) { persistence->Cron(s * 1000); }
  void OnRebaseNeeded(Lsn lsn) override {
    JournalHarness::OnRebaseNeeded(lsn);
    persistence->RequestRebase();
  }
  uint64_t rewrites() const { return persistence->figures().rewrites; }

  TestEngine test;
  TestClient client;
  std::unique_ptr<Replication> replication;  // says where in the stream a snapshot stands
  std::unique_ptr<Persistence> persistence;
};

}  // namespace

TEST_CASE("persistence: the log is compacted when it has grown enough") {
  Machine m(1);
  m.Set("auto-aof-rewrite-min-size", "10000");
  m.Set("auto-aof-rewrite-percentage", "100");
  m.Cron(1);
  m.client.Send("SET a 1\r\n");
  m.Cron(2);
  REQUIRE_FALSE(m.persistence->figures().rewriting);
  const std::string value(3000, 'x');
  for (int i = 0; i < 4; ++i) m.client.Send("SET k " + value + "\r\n");
  m.Cron(3);
  REQUIRE(m.Eventually([&] { return m.rewrites() == 1; }));
  const Persistence::Figures after = m.persistence->figures();
  REQUIRE(after.base_bytes > 0);
  REQUIRE(after.log_bytes == 0);
  // Big enough, but not twice the base.
  m.Set("auto-aof-rewrite-min-size", "1");
  m.client.Send("SET a 2\r\n");
  m.Cron(10);
  REQUIRE_FALSE(m.persistence->figures().rewriting);
  // 0: only when asked for.
  m.Set("auto-aof-rewrite-percentage", "0");
  for (int i = 0; i < 20; ++i) m.client.Send("SET k " + value + "\r\n");
  m.Cron(20);
  REQUIRE_FALSE(m.persistence->figures().rewriting);
  REQUIRE(m.rewrites() == 1);
}

TEST_CASE("persistence: a journal that lost bytes gets a new base by itself") {
  // Some seconds after it failed, or when the clock was set back since.
  const int64_t seconds = GENERATE(100, -3600);
  Machine m(2);
  m.Set("auto-aof-rewrite-percentage", "0");
  const std::string value(300'000, 'v');
  REQUIRE(m.LoseBytes([&](int i) {
    if (m.journal->Admits()) m.client.Send("SET key:" + std::to_string(i) + " " + value + "\r\n");
  }));
  // The disk still fails: so does the snapshot, and the next try is some seconds later.
  m.Cron(100);
  REQUIRE(m.Eventually([&] { return m.persistence->figures().rewrite_failures_in_a_row == 1; }));
  REQUIRE(m.journal->state() != JournalState::kOk);
  m.fs.FailSyncs(false);
  const int64_t now_s = SystemClock()->WallMs() / 1000;
  m.Cron(now_s + seconds);
  REQUIRE(m.Eventually([&] { return m.rewrites() == 1; }));
  REQUIRE(m.journal->state() == JournalState::kOk);
  REQUIRE(m.journal->Admits());
  const std::string before = m.client.Send("GET key:0\r\n");
  REQUIRE(before.size() > value.size());
  m.client.Send("SET after 1\r\n");
  REQUIRE(m.journal->SyncTo(m.journal->tail()).ok());
  // What is on disk starts at the snapshot and has what came later; no other file is left.
  const Manifest manifest = m.journal->manifest();
  REQUIRE_FALSE(manifest.base_name.empty());
  const std::string stream = m.ReadAll(manifest, manifest.base_lsn, kLsnMax);
  REQUIRE(stream.find("after") != std::string::npos);
  REQUIRE(stream.find("key:") == std::string::npos);
  REQUIRE(m.Eventually([&] {
    const auto files = m.fs.List("d");
    return std::all_of(files->begin(), files->end(), [&](const std::string& file) {
      return file == "manifest" || m.journal->manifest().Lists(file);
    });
  }));
}

TEST_CASE("persistence: nobody waits for a busy script, and snapshots begin behind it") {
  Machine m(3);
  using Kind = SnapshotControl::Kind;
  Gate& gate = m.test.engine->keyspace.gate();
  m.client.Send("SET a 1\r\n");
  std::atomic<int> told{0};
  const auto ask = [&] {
    SnapshotControl::SyncRequest request;
    request.name = "sync-1.rdb";
    request.at_instant = [&](uint64_t) { ++told; };
    request.done = [&](const Status& status, uint64_t) { told += status.ok(); };
    return m.persistence->StartSync(std::move(request));
  };
  gate.Close();
  gate.Hold(true);
  REQUIRE(ask().code() == StatusCode::kUnavailable);
  // Let in before the script was.
  for (Kind kind : {Kind::kSave, Kind::kRewrite}) {
    REQUIRE(m.persistence->Claim(kind, true) == SnapshotControl::Claimed::kStarted);
    REQUIRE(m.persistence->Run().code() == StatusCode::kUnavailable);
    REQUIRE_FALSE(m.persistence->figures().rewriting);
  }
  REQUIRE(m.persistence->figures().rewrite_scheduled);
  m.Cron(1);
  REQUIRE(m.persistence->figures().rewrite_scheduled);
  gate.Hold(false);
  gate.Open();
  REQUIRE(told == 0);
  m.Cron(2);
  REQUIRE(m.Eventually([&] { return m.rewrites() == 1; }));
  REQUIRE(m.Eventually([&] { return ask().ok(); }));
  REQUIRE(m.Eventually([&] { return told == 2; }));
}

TEST_CASE("persistence: SAVE waits for its own snapshot, and says how that one went") {
  Machine m(5);
  using Kind = SnapshotControl::Kind;
  m.client.Send("SET a 1\r\n");
  std::atomic<bool> over{false};
  // Another begins as soon as one has ended, and comes to nothing.
  std::thread other([&] {
    while (!over)
      if (m.persistence->Claim(Kind::kBackgroundSave, false) == SnapshotControl::Claimed::kStarted) {
        (void)m.persistence->Run();
        (void)m.persistence->Cancel();
      }
  });
  int wrong = 0;
  for (int i = 0; i < 300; ++i) {
    while (m.persistence->Claim(Kind::kSave, false) != SnapshotControl::Claimed::kStarted)
      std::this_thread::yield();
    wrong += !m.persistence->Run().ok();
  }
  over = true;
  other.join();
  REQUIRE(wrong == 0);
}

// Of what was there, if it was claimed before; of nothing it would be a base that forgets it all.
TEST_CASE("persistence: a leader's data replaces ours behind the last snapshot that was claimed") {
  Machine m(4);
  m.test.engine->scripts = std::make_shared<ScriptRegistry>();
  m.client.Send("SET a 1\r\n");
  REQUIRE(m.persistence->Claim(SnapshotControl::Kind::kRewrite, true) ==
          SnapshotControl::Claimed::kStarted);
  std::atomic<bool> cleared{false};
  std::thread link([&] {
    SnapshotControl::SyncLoad load;
    load.path = "nowhere";
    load.clear = [&] { cleared = true; };
    REQUIRE_FALSE(m.persistence->LoadSync(load).ok());
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  REQUIRE_FALSE(cleared);
  (void)m.persistence->Run();
  link.join();
  REQUIRE(cleared);
}

}  // namespace cairn
