// SPDX-License-Identifier: BSD-3-Clause
//
// A base that replaces what was before it, and the first one of a log: whenever the process dies, a
// start finds the one or the other.
#include "journal/recovery.h"
#include "tests/unit/journal/journal_harness.h"

namespace cairn {

TEST_CASE("compaction: what a base replaced goes as soon as it can, also where nobody writes") {
  for (bool followed : {false, true}) {
    INFO("followed " << followed);
    JournalHarness h(12);
    REQUIRE(h.Open().ok());
    h.Append(h.Record(1, 5000));
    h.journal->PrepareRoll();
    REQUIRE(h.Eventually([&] { return h.journal->next_ready(); }));
    REQUIRE(h.journal->SyncTo(h.journal->tail()).ok());
    if (followed) h.journal->RetainFrom(100);
    const Lsn lsn = h.journal->BeginSnapshot();
    h.fs.Put("d/base-1", "snapshot");
    REQUIRE(h.journal->InstallBase("base-1", lsn).ok());
    const std::string old = "d/" + SegmentName(1, 1);
    if (followed) {
      REQUIRE(h.Eventually([&] { return h.journal->manifest().segments.front().ended(); }));
      REQUIRE(h.fs.Exists(old).value());
      // A start does not know yet who follows.
      REQUIRE(h.journal->Close().ok());
      h.journal.reset();
      h.options.retained_on_disk = 10'000;
      REQUIRE(h.Open().ok());
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      REQUIRE(h.fs.Exists(old).value());
      h.journal->RetainFrom(kLsnMax);
    }
    REQUIRE(h.Eventually([&] { return !h.fs.Exists(old).value(); }));
    REQUIRE(h.journal->manifest().segments.front().first_lsn == lsn);
    h.Append(h.Record(2, 50));
    REQUIRE(h.journal->Close().ok());
    h.journal.reset();
    REQUIRE(h.Open().ok());
    REQUIRE(h.journal->manifest().base_lsn == lsn);
  }
}

// As of a log that only feeds followers.
TEST_CASE("compaction: what is forgotten goes without a sync of the caller's") {
  JournalHarness h(14);
  h.options.policy = FsyncPolicy::kNo;
  h.options.segment_bytes_max = 2000;
  REQUIRE(h.Open().ok());
  const auto grow = [&](uint64_t segments) {
    const auto last = [&] { return h.journal->manifest().segments.back().sequence; };
    for (const uint64_t to = last() + segments; last() < to;) {
      h.Append(h.Record(1, 1500));
      REQUIRE(h.Eventually([&] { return h.journal->written() == h.journal->tail(); }));
    }
  };
  grow(3);
  const Lsn tail = h.journal->tail();
  h.journal->RetainFrom(tail);
  // It returns while nothing can be saved, and what is there stays.
  h.fs.FailRenames(true);
  h.journal->ForgetBefore(tail);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  REQUIRE(h.fs.Exists("d/" + SegmentName(1, 1)).value());
  h.fs.FailRenames(false);
  REQUIRE(h.Eventually([&] { return !h.fs.Exists("d/" + SegmentName(1, 1)).value(); }));
  REQUIRE(h.journal->manifest().base_lsn == tail);
  grow(2);
  const std::string rest = h.ReadAll(h.journal->manifest(), tail, h.journal->written());
  REQUIRE(tail + rest.size() == h.journal->written());
}

TEST_CASE("compaction: a timeline that begins meanwhile does not bring the old base back") {
  for (bool base_first : {false, true}) {
    JournalHarness h(11);
    REQUIRE(h.Open().ok());
    h.Append(h.Record(1, 50));
    h.journal->PrepareRoll();
    REQUIRE(h.Eventually([&] { return h.journal->next_ready(); }));
    REQUIRE(h.journal->SyncTo(h.journal->tail()).ok());
    const Lsn lsn = h.journal->BeginSnapshot();
    h.Append(h.Record(2, 50));
    REQUIRE(h.journal->SyncTo(h.journal->tail()).ok());
    REQUIRE(h.Eventually([&] { return h.journal->manifest().segments.front().ended(); }));
    h.fs.Put("d/base-1", "snapshot");
    // Every sync takes long enough for the other one to be in its middle.
    h.fs.SetSyncDelayUs(30'000);
    std::thread installs([&] {
      if (!base_first)
        (void)h.Eventually([&] { return h.fs.Exists("d/" + SegmentName(2, 3)).value(); });
      (void)h.journal->InstallBase("base-1", lsn);
    });
    if (base_first) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    REQUIRE(h.journal->StartTimeline({}).ok());
    installs.join();
    h.fs.SetSyncDelayUs(0);
    const Lsn tail = h.journal->tail();
    h.journal.reset();
    h.fs.Kill();
    const Status opened = h.Open();
    INFO(opened.message());
    REQUIRE(opened.ok());
    REQUIRE(h.journal->manifest().base_name == "base-1");
    REQUIRE(h.journal->tail() == tail);
  }
}

TEST_CASE("compaction: a crash at every step leaves a chain that starts") {
  for (uint64_t step = 0; step < 40; ++step) {
    INFO("step " << step);
    JournalHarness h(1000 + step);
    h.options.segment_bytes_max = 1000;
    REQUIRE(h.Open().ok());
    for (int i = 0; i < 20; ++i) {
      h.Append(h.Record(i, 700));
      std::this_thread::sleep_for(std::chrono::microseconds(300));
    }
    const Lsn tail = h.journal->tail();
    REQUIRE(h.journal->SyncTo(tail).ok());
    const std::string before = h.ReadAll(h.journal->manifest(), 0, tail);
    REQUIRE(before.size() == tail);
    h.fs.Put("d/base-a", "snapshot");
    h.fs.FreezeAfter(step);
    (void)h.journal->InstallBase("base-a", tail);
    h.fs.FreezeAfter(0);
    h.journal.reset();
    h.fs.PowerCut();
    auto recovered = RecoverJournal(&h.fs, "d");
    INFO(recovered.status().message());
    REQUIRE(recovered.ok());
    REQUIRE(recovered->tail_lsn == tail);
    const Lsn base = recovered->manifest.base_lsn;
    REQUIRE((base == 0 || base == tail));
    REQUIRE(h.ReadAll(recovered->manifest, base, kLsnMax) == before.substr(base));
    REQUIRE(h.Open().ok());
    h.Append(h.Record(1, 10));
    REQUIRE(h.journal->Close().ok());
  }
}

// A log that begins under data that is there already is of no use before its first snapshot.
TEST_CASE("base awaited: until it is there a start finds what was there before") {
  for (const bool former : {false, true}) {
    for (uint64_t step = 0; step < 40; ++step) {
      INFO("step " << step << ", former log " << former);
      JournalHarness h(2000 + step);
      Lsn kept = 0;
      if (former) {
        REQUIRE(h.Open().ok());
        kept = h.Append(h.Record(1, 50));
        REQUIRE(h.journal->Close().ok());
        h.journal.reset();
      }
      h.options.awaits_base = true;
      h.options.segment_bytes_max = 1000;
      REQUIRE(h.Open().ok());
      REQUIRE(h.journal->tail() == kept);
      // Nor may who followed the former log go on from where it ended.
      REQUIRE(h.journal->manifest().replid2.empty());
      for (int i = 0; i < 10; ++i) {
        h.Append(h.Record(2, 700));
        REQUIRE(h.journal->SyncTo(h.journal->tail()).ok());
      }
      const Lsn base = h.journal->tail();
      const Lsn tail = h.Append(h.Record(3, 50));
      REQUIRE(h.journal->SyncTo(tail).ok());
      REQUIRE_FALSE(h.journal->StartTimeline({}).ok());
      h.fs.Put("d/0009-1.rdb", "snapshot");
      TimelineStart full_sync;
      full_sync.base_name = "0009-1.rdb";
      REQUIRE_FALSE(h.journal->StartTimeline(full_sync).ok());
      REQUIRE_FALSE(h.fs.Exists("d/0009-1.rdb").value());
      REQUIRE(h.fs.SyncDirectory("d").ok());
      h.fs.Put("d/base-a", "snapshot");
      h.fs.FreezeAfter(step);
      const bool installed = h.journal->InstallBase("base-a", base).ok();
      h.fs.FreezeAfter(0);
      h.journal.reset();
      h.fs.PowerCut();
      REQUIRE(RemoveUnbased(&h.fs, "d").ok());
      auto recovered = RecoverJournal(&h.fs, "d");
      INFO(recovered.status().message());
      REQUIRE(recovered.ok());
      if (recovered->manifest.base_name.empty()) {
        REQUIRE_FALSE(installed);
        REQUIRE(recovered->report.fresh == !former);
        REQUIRE(recovered->tail_lsn == kept);
        REQUIRE(recovered->report.unknown_files.empty());
      } else {
        REQUIRE(recovered->manifest.base_lsn == base);
        REQUIRE(recovered->tail_lsn == tail);
      }
      h.options.awaits_base = false;
      REQUIRE(h.Open().ok());
    }
  }
}

TEST_CASE("base awaited: what one left that came too late keeps no start from beginning anew") {
  for (uint64_t step = 0, more = 1; more != 0; ++step) {
    INFO("step " << step);
    JournalHarness h(3000 + step);
    h.options.awaits_base = true;
    REQUIRE(h.Open().ok());
    REQUIRE(h.journal->SyncTo(h.Append(h.Record(1, 50))).ok());
    h.fs.Put("d/0001-0000000000000079-1.rdb.lz4", "snapshot");
    h.journal.reset();
    h.fs.Kill();
    REQUIRE(RemoveUnbased(&h.fs, "d").ok());
    h.options.awaits_base = false;
    h.fs.FreezeAfter(step);
    (void)h.Open();
    more = h.fs.frozen();
    h.fs.FreezeAfter(0);
    h.journal.reset();
    h.fs.Kill();
    const Status again = h.Open();
    INFO(again.message());
    REQUIRE(again.ok());
  }
}

// The snapshot that heals a log is its first base, too.
static void HealsWithFirstBase(bool manifest_fails) {
  INFO("manifest fails at first " << manifest_fails);
  JournalHarness h(13);
  h.options.buffer_bytes_max = 1 << 20;
  h.options.retained_bytes_min = 0;
  h.options.awaits_base = true;
  REQUIRE(h.Open().ok());
  REQUIRE(h.LoseBytes([&](int i) { h.Append(h.Record(i, 300'000)); }));
  h.fs.FailSyncs(false);
  const Lsn base = h.journal->BeginSnapshot();
  h.fs.Put("d/base-s", "snapshot");
  h.Append(h.Record(99, 10));
  h.fs.FailRenames(manifest_fails);
  REQUIRE(h.journal->FinishRebase("base-s", base).ok() == !manifest_fails);
  h.fs.FailRenames(false);
  REQUIRE(h.Eventually([&] { return h.journal->Admits(); }));
  REQUIRE_FALSE(h.journal->awaits_base());
  REQUIRE_FALSE(h.fs.Exists(std::string("d/") + kAwaitsBaseName).value());
  REQUIRE(h.journal->SyncTo(h.journal->tail()).ok());
  const Lsn tail = h.journal->tail();
  h.fs.FreezeAfter(0);
  h.journal.reset();
  h.fs.PowerCut();
  REQUIRE(RemoveUnbased(&h.fs, "d").ok());
  h.options.awaits_base = false;
  REQUIRE(h.Open().ok());
  REQUIRE(h.journal->manifest().base_name == "base-s");
  REQUIRE(h.journal->tail() == tail);
}

TEST_CASE("base awaited: it comes with the end of a disk's failure") {
  HealsWithFirstBase(false);
  HealsWithFirstBase(true);
}

}  // namespace cairn
