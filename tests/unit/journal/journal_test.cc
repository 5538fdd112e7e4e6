// SPDX-License-Identifier: BSD-3-Clause
#include "journal/journal.h"

#include "base/random.h"
#include "journal/segment_reader.h"
#include "journal/stripes.h"
#include "tests/unit/journal/journal_harness.h"

namespace cairn {
namespace {

const std::string kSelect0 = "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n";
const std::string kSelect12 = "*2\r\n$6\r\nSELECT\r\n$2\r\n12\r\n";

TEST_CASE("journal: appends come back after a clean shutdown, with the same id") {
  JournalHarness h(1);
  REQUIRE(h.Open().ok());
  REQUIRE(h.report.fresh);
  const std::string id = h.journal->manifest().replid;
  std::string model = kSelect0;
  for (int i = 0; i < 100; ++i) {
    h.Append(h.Record(i, 10), 0);
    model += h.Record(i, 10);
  }
  h.Append(h.Record(100, 10), 12);
  model += kSelect12 + h.Record(100, 10);
  REQUIRE(h.journal->tail() == model.size());
  REQUIRE(h.journal->Close().ok());
  REQUIRE(h.journal->durable() == model.size());
  REQUIRE(h.ReadAll(h.journal->manifest(), 0, kLsnMax) == model);
  h.journal.reset();

  REQUIRE(h.Open().ok());
  REQUIRE(h.report.clean);
  REQUIRE(h.journal->manifest().replid == id);
  REQUIRE(h.journal->tail() == model.size());
  h.Append(h.Record(1, 5), 12);
  model += kSelect12 + h.Record(1, 5);  // a start forgets the database
  REQUIRE(h.journal->SyncTo(h.journal->tail()).ok());
  h.journal.reset();  // a crash

  REQUIRE(h.Open().ok());
  REQUIRE_FALSE(h.report.clean);
  REQUIRE(h.journal->tail() == model.size());
  const Manifest m = h.journal->manifest();
  REQUIRE(m.replid != id);
  REQUIRE(m.replid2 == id);
  REQUIRE(m.second_offset == model.size());
  REQUIRE(m.LastTimeline() == 2);
  REQUIRE(h.ReadAll(m, 0, model.size()) == model);
  REQUIRE(h.ReadAll(m, 1000, 2000) == model.substr(1000, 1000));
}

TEST_CASE("journal: four threads append, order within a thread and content hold") {
  JournalHarness h(2);
  h.options.segment_bytes_max = 30 * 1024;  // compressed
  h.options.acceleration = 1;
  if (GENERATE(false, true)) h.options.cpu_groups = CpuGroups::Single();
  REQUIRE(h.Open().ok());
  constexpr int kThreads = 4, kRecords = 4000;
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < kThreads; ++t)
    threads.emplace_back([&h, t] {
      Random random(t);
      for (int i = 0; i < kRecords; ++i) {
        // Now and then a record that spans blocks or lines.
        const uint64_t dice = random.Below(1000);
        const size_t bytes = dice == 0 ? 700'000 : dice < 4 ? 70'000 : 20;
        h.Append("<" + std::to_string(t) + "," + std::to_string(i) + std::string(bytes, '.') + ">",
                 t % 2, t);
        // Gives the keeper time to have the next segment ready.
        if (i % 100 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
    });
  for (auto& t : threads) t.join();
  REQUIRE(h.journal->Close().ok());
  const Manifest m = h.journal->manifest();
  REQUIRE(m.segments.size() > 1);
  const std::string all = h.ReadAll(m, 0, kLsnMax);
  REQUIRE(all.size() == h.journal->tail());
  int next[kThreads] = {};
  uint32_t database = kNoDatabase;
  for (size_t at = 0; at < all.size();) {
    if (all[at] == '*') {
      REQUIRE(all.compare(at, 17, "*2\r\n$6\r\nSELECT\r\n$") == 0);
      database = all[at + 20] - '0';
      at += SelectBytes(0);
      continue;
    }
    unsigned t = 0, i = 0;
    REQUIRE(sscanf(all.c_str() + at, "<%u,%u.", &t, &i) == 2);
    REQUIRE(t < kThreads);
    REQUIRE(i == static_cast<unsigned>(next[t]++));
    REQUIRE(database == t % 2);
    at = all.find('>', at) + 1;
  }
  for (int n : next) REQUIRE(n == kRecords);
  // Every segment begins at a record and every reader start is exact.
  for (const SegmentEntry& s : m.segments) {
    REQUIRE(s.state == SegmentState::kSealed);
    REQUIRE((all[s.first_lsn] == '*' || all[s.first_lsn] == '<'));
  }
  Random random(7);
  for (int i = 0; i < 20; ++i) {
    const Lsn from = random.Below(all.size());
    const Lsn to = std::min<Lsn>(all.size(), from + random.Below(600'000));
    REQUIRE(h.ReadAll(m, from, to) == all.substr(from, to - from));
  }
}

TEST_CASE("journal: what comes fast is stored while the disk keeps up, else compressed") {
  constexpr size_t kBytes = 600'000;
  for (const bool slow_disk : {false, true}) {
    for (const bool fast : {false, true}) {
      JournalHarness h(6);
      h.options.acceleration = 1;
      h.options.store_bytes_per_ms = fast ? 1 : uint64_t{1} << 30;
      h.options.slow_sync_us = slow_disk ? 1000 : int64_t{1} << 40;
      if (slow_disk) h.fs.SetSyncDelayUs(5000);
      REQUIRE(h.Open().ok());
      // A rate is known from the second time on, a sync's time from the first.
      REQUIRE(h.journal->SyncTo(h.Append(h.Record(1, 10))).ok());
      std::string model = kSelect0 + h.Record(1, 10) + h.Record(2, kBytes);
      REQUIRE(h.journal->SyncTo(h.Append(h.Record(2, kBytes))).ok());
      const std::string path = SegmentPath("d", h.journal->manifest().segments.back());
      const size_t bytes = h.fs.Get(path).size();
      INFO("slow disk " << slow_disk << ", fast log " << fast << ": " << bytes << " bytes");
      REQUIRE((bytes > kBytes) == (fast && !slow_disk));
      REQUIRE(h.journal->Close().ok());
      REQUIRE(h.ReadAll(h.journal->manifest(), 0, kLsnMax) == model);
    }
  }
}

TEST_CASE("journal: what comes in bulk ends where a write past the page cache may") {
  const KeyRing ring = *KeyRing::Parse("k1 " + std::string(64, 'a'));
  for (const KeyRing* keys : {static_cast<const KeyRing*>(nullptr), &ring}) {
    JournalHarness h(11);
    h.options.keys = keys;
    // A pass begins when there is a MiB, or when somebody waits for it: not by the clock, by which
    // a slow machine has appended too little for a large one.
    h.options.write_delay_us = 600'000'000;
    h.options.segment_bytes_max = 3 << 20;
    REQUIRE(h.Open().ok());
    std::string model = kSelect0;
    for (int i = 0; i < 4; ++i) {  // one small pass, then large ones
      for (int j = 0; j < (i == 0 ? 1 : 300); ++j) {
        h.Append(h.Record(j, 4000));
        model += h.Record(j, 4000);
      }
      REQUIRE(h.journal->SyncTo(h.journal->tail()).ok());
    }
    const Manifest m = h.journal->manifest();
    unsigned aligned = 0;
    for (const SegmentEntry& segment : m.segments) {
      if (segment.state == SegmentState::kNext) continue;
      auto reader = SegmentReader::Open(&h.fs, SegmentPath("d", segment), keys);
      REQUIRE(reader.ok());
      SegmentReader::Block block;
      while ((*reader)->Next(&block) == SegmentReader::End::kNone)
        aligned += (block.offset + block.stored.size()) % kDirectAlignBytes == 0;
      REQUIRE((*reader)->status().ok());
    }
    REQUIRE(aligned >= 8);
    REQUIRE(h.ReadAll(m, 0, kLsnMax) == model);
    h.journal.reset();
    REQUIRE(h.Open().ok());
    REQUIRE(h.journal->tail() == model.size());
    REQUIRE(h.ReadAll(h.journal->manifest(), 0, kLsnMax) == model);
  }
}

TEST_CASE("journal: always makes each record durable and tells so") {
  JournalHarness h(3);
  h.options.policy = FsyncPolicy::kAlways;
  REQUIRE(h.Open().ok());
  for (int i = 0; i < 20; ++i) {
    const Lsn end = h.Append(h.Record(i, 30));
    REQUIRE(h.Eventually([&] { return h.durable_told >= end; }));
  }
  // A mark follows once it is idle.
  REQUIRE(h.Eventually([&] {
    h.journal->manifest();
    SegmentReader::Block block;
    auto reader = SegmentReader::Open(&h.fs, "d/" + SegmentName(1, 1));
    bool mark = false;
    while (reader.ok() && (*reader)->Next(&block) == SegmentReader::End::kNone)
      mark = block.header.is_mark() && block.header.synced_lsn == h.journal->tail();
    return mark;
  }));
}

TEST_CASE("journal: everysec syncs by itself, no does not") {
  JournalHarness h(4);
  h.options.policy = FsyncPolicy::kNo;
  REQUIRE(h.Open().ok());
  const Lsn end = h.Append(h.Record(1, 30));
  REQUIRE(h.Eventually([&] { return h.journal->written() == end; }));
  REQUIRE(h.journal->durable() == 0);
  h.journal->SetPolicy(FsyncPolicy::kEverySecond);
  REQUIRE(h.Eventually([&] { return h.journal->durable() == end && h.journal->Admits(); }));
}

TEST_CASE("journal: the gate closes when the buffer is full and opens again") {
  JournalHarness h(5);
  h.options.policy = FsyncPolicy::kAlways;
  h.options.buffer_bytes_max = 1 << 20;
  REQUIRE(h.Open().ok());
  h.fs.HoldSyncs(true);
  for (int i = 0; i < 30; ++i) h.Append(h.Record(i, 100'000));
  REQUIRE(h.journal->gate() == kGateBufferFull);
  h.fs.HoldSyncs(false);
  REQUIRE(h.Eventually([&] { return h.journal->Admits() && h.openings >= 1; }));
  REQUIRE(h.journal->Close().ok());
}

TEST_CASE("journal: everysec closes the gate when the disk hangs") {
  JournalHarness h(6);
  REQUIRE(h.Open().ok());
  h.fs.HoldSyncs(true);
  h.Append(h.Record(1, 10));
  REQUIRE(h.Eventually([&] { return h.journal->gate() == kGateSyncLate; }));
  REQUIRE(h.journal->late_syncs() == 1);
  h.fs.HoldSyncs(false);
  REQUIRE(h.Eventually([&] { return h.journal->Admits() && h.openings == 1; }));
}

TEST_CASE("journal: a snapshot's instant begins a segment, the base drops what is before") {
  JournalHarness h(7);
  REQUIRE(h.Open().ok());
  h.Append(h.Record(1, 5000), 3);
  h.journal->PrepareRoll();
  REQUIRE(h.Eventually([&] { return h.journal->next_ready(); }));
  REQUIRE(h.Eventually([&] { return h.journal->written() == h.journal->tail(); }));
  const Lsn s = h.journal->BeginSnapshot();
  h.Append(h.Record(2, 50), 3);
  h.fs.Put("d/base-1", "snapshot");
  REQUIRE(h.journal->SyncTo(h.journal->tail()).ok());
  REQUIRE(h.Eventually([&] { return h.journal->manifest().segments.front().ended(); }));
  REQUIRE(h.journal->InstallBase("base-1", s).ok());
  const Manifest m = h.journal->manifest();
  REQUIRE(m.segments.front().first_lsn == s);
  const std::string expected = "*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n" + h.Record(2, 50);
  REQUIRE(h.ReadAll(m, s, h.journal->written()) == expected);
  REQUIRE_FALSE(*h.fs.Exists("d/" + SegmentName(1, 1)));
  h.journal.reset();
  REQUIRE(h.Open().ok());
  REQUIRE(h.journal->manifest().base_lsn == s);
}

TEST_CASE("journal: new timelines keep or leave the stream") {
  JournalHarness h(8);
  REQUIRE(h.Open().ok());
  h.Append(h.Record(1, 50));
  const Lsn branch = h.journal->tail();
  TimelineStart promotion;
  promotion.replid2 = h.journal->manifest().replid;
  promotion.second_offset = branch;
  REQUIRE(h.journal->StartTimeline(promotion).ok());
  h.Append(h.Record(2, 50));
  REQUIRE(h.journal->SyncTo(h.journal->tail()).ok());
  REQUIRE(h.ReadAll(h.journal->manifest(), 0, h.journal->tail()) ==
          kSelect0 + h.Record(1, 50) + kSelect0 + h.Record(2, 50));
  TimelineStart full_sync;
  full_sync.replid = std::string(40, 'a');
  full_sync.base_name = "base-x";
  full_sync.lsn = 17;
  h.fs.Put("d/base-x", "x");
  REQUIRE(h.journal->StartTimeline(full_sync).ok());
  REQUIRE(h.journal->tail() == 17);
  const Lsn end = h.journal->AppendRaw(5, h.Record(3, 30), 9);
  h.journal->WakeIfNeeded(5);
  REQUIRE(h.journal->Close().ok());
  h.journal.reset();
  REQUIRE(h.Open().ok());
  REQUIRE(h.report.clean);
  REQUIRE(h.journal->manifest().replid == std::string(40, 'a'));
  REQUIRE(h.journal->tail() == end);
  REQUIRE(h.ReadAll(h.journal->manifest(), 17, end) == h.Record(3, 30));
}

TEST_CASE("journal: bytes in memory can be read at once") {
  JournalHarness h(9);
  REQUIRE(h.Open().ok());
  h.Append(h.Record(1, 50));
  std::string bytes(4096, '\0');
  bytes.resize(h.journal->ReadMemory(5, bytes.data(), bytes.size()));
  REQUIRE(bytes == (kSelect0 + h.Record(1, 50)).substr(5));
  REQUIRE(h.journal->ReadMemory(h.journal->tail(), bytes.data(), 1) == 0);
}

TEST_CASE("stripes: the maximum of a stripe") {
  LsnStripes stripes;
  stripes.Note(uint64_t{5} << 48, 10);
  stripes.Note(uint64_t{5} << 48 | 99, 8);
  REQUIRE(stripes.Max(uint64_t{5} << 48 | 1) == 10);
  REQUIRE(stripes.Max(uint64_t{6} << 48) == 0);
  stripes.Reset();
  REQUIRE(stripes.Max(uint64_t{5} << 48) == 0);
}

}  // namespace
}  // namespace cairn
