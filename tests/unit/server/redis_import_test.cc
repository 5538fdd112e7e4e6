// SPDX-License-Identifier: BSD-3-Clause
//
// The first start on a folder of Redis's, at every step of which the process may die or the power
// fail: the next one finds the file again, or a journal that begins with what it held.
#include "server/redis_import.h"

#include <memory>
#include <string>
#include <vector>

#include "journal/recovery.h"
#include "repl/replication.h"
#include "server/persistence.h"
#include "snapshot/verify.h"
#include "tests/unit/exec/engine_harness.h"
#include "tests/unit/journal/journal_harness.h"

namespace cairn {
namespace {

constexpr const char* kFolder = "data/appendonlydir";
constexpr const char* kDump = "data/dump.rdb";
constexpr uint64_t kKeys = 20;

// An engine that has not begun to serve, with the files in `fs`.
struct Starting {
  explicit Starting(FaultFs* fs) : fs(*fs), client(test) {
    replication = std::make_unique<Replication>(test.engine.get());
    test.engine->replication = replication.get();
    persistence =
        std::make_unique<Persistence>(test.engine.get(), std::vector<AuxSource*>{}, [] {}, fs);
    test.engine->snapshots = persistence.get();
    test.store.SetInternally("dir", "data");
  }

  // As Server::OpenJournal does it.
  Status Import(const JournalOptions& options) {
    auto recovered = RecoverJournal(&fs, kFolder);
    if (!recovered.ok()) return recovered.status();
    if (recovered->report.fresh) {
      auto found = FindRedisFiles(&fs, test.engine->config);
      if (!found.ok()) return found.status();
      REQUIRE(found->rdb == kDump);
      CAIRN_RETURN_IF_ERROR(LoadRedisFiles(&fs, *found, test.engine.get(), persistence.get(),
                                           nullptr, [] { return false; }));
      CAIRN_RETURN_IF_ERROR(SaveFirstBase(persistence.get(), kFolder, &*recovered));
    }
    return Journal::Open(options, std::move(*recovered)).status();
  }

  FaultFs& fs;
  TestEngine test;
  TestClient client;
  std::unique_ptr<Replication> replication;
  std::unique_ptr<Persistence> persistence;
};

std::string Dump() {
  FaultFs fs(1);
  Starting redis(&fs);
  for (uint64_t i = 0; i < kKeys; ++i)
    redis.client.Send("SET key:" + std::to_string(i) + " " + std::string(100, 'v') + "\r\n");
  REQUIRE(redis.persistence->SaveAs("data", "dump.rdb", SnapshotFormat::kPlain).ok());
  return fs.Get(kDump);
}

}  // namespace

TEST_CASE("import: a crash at every step leaves the file, or a journal that begins with it") {
  const std::string dump = Dump();
  REQUIRE_FALSE(dump.empty());
  for (bool power : {false, true}) {
    bool more = true;
    for (uint64_t step = 0; more; ++step) {
      INFO("step " << step << " power cut " << power);
      JournalHarness h(500 + step);
      h.options.dir = kFolder;
      h.fs.Put(kDump, dump);
      REQUIRE(h.fs.MakeDirectory(kFolder).ok());
      REQUIRE(h.fs.SyncDirectory("data").ok());
      h.fs.FreezeAfter(step);
      const bool done = Starting(&h.fs).Import(h.options).ok();
      more = h.fs.frozen();
      power ? h.fs.PowerCut() : h.fs.Kill();
      REQUIRE(h.fs.Get(kDump) == dump);
      if (done) REQUIRE(LoadManifest(&h.fs, kFolder).ok());
      const Status again = Starting(&h.fs).Import(h.options);
      INFO(again.message());
      REQUIRE(again.ok());
      auto recovered = RecoverJournal(&h.fs, kFolder);
      REQUIRE(recovered.ok());
      REQUIRE_FALSE(recovered->report.fresh);
      auto keys = VerifyBase(&h.fs, std::string(kFolder) + "/" + recovered->manifest.base_name, 0,
                             nullptr);
      INFO(keys.status().message());
      REQUIRE(keys.ok());
      REQUIRE(*keys == kKeys);
    }
  }
}

}  // namespace cairn
