// SPDX-License-Identifier: BSD-3-Clause
//
// What the tests of replication share: an engine with a journal that fails on demand, and a server
// around it that has no clients.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "exec/server_control.h"
#include "tests/unit/exec/engine_harness.h"
#include "tests/unit/journal/journal_harness.h"

namespace cairn {

struct NoServer final : ServerControl {
  std::vector<std::shared_ptr<ClientRecord>> Clients() override { return {}; }
  bool Kill(uint64_t) override { return ++kills != 0; }
  std::shared_ptr<ClientRecord> FindClient(uint64_t) override { return nullptr; }
  void Pause(int64_t, bool) override {}
  void Shutdown(const ShutdownRequest&, std::function<void()>) override {}
  bool AbortShutdown() override { return false; }
  std::string Info(const std::vector<std::string>&) override { return ""; }
  void ResetStatistics() override {}
  bool Put(int, std::unique_ptr<WorkerTask>) override { return false; }
  void Wake(int) override {}
  Status ReloadJournal() override { return Status::Ok(); }
  Status EnsureJournal() override { return Status::Ok(); }
  Status SwitchJournal() override { return Status::Ok(); }
  void OnFirstBase() override {}
  void OnTimeline(uint64_t) override {}
  void OnAcknowledged() override { ++acknowledged; }
  void GiveUpHeld() override { ++given_up; }
  void Sleep(int64_t) override {}
  bool OnlyReads(const Command&, Arguments) override { return false; }

  int kills = 0, acknowledged = 0, given_up = 0;
};

struct ReplicatedEngine : TestEngine {
  explicit ReplicatedEngine(FsyncPolicy policy) : files(1) {
    files.options.policy = policy;
    REQUIRE(files.Open().ok());
    engine->journal = engine->open_journal = files.journal.get();
    engine->journal_kept = true;
    engine->control = &server;
  }
  ~ReplicatedEngine() { engine->journal = engine->open_journal = nullptr; }

  // Every byte of the log.
  std::string Stream() {
    REQUIRE(files.journal->SyncTo(files.journal->tail()).ok());
    return files.ReadAll(files.journal->manifest(), 0, files.journal->tail());
  }

  JournalHarness files;
  NoServer server;
};

}  // namespace cairn
