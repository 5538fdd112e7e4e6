// SPDX-License-Identifier: BSD-3-Clause
//
// Torn writes, bit flips, power cuts, failing disks: what must survive, and what must be refused.
#include "journal/recovery.h"

#include "base/random.h"
#include "tests/unit/journal/journal_harness.h"

namespace cairn {
namespace {

// A journal under `always` with some records, crashed after its mark block was written.
struct Crashed : JournalHarness {
  explicit Crashed(uint64_t seed, uint64_t tail_bytes = 0) : JournalHarness(seed) {
    options.policy = FsyncPolicy::kAlways;
    options.tail_bytes = tail_bytes;
    REQUIRE(Open().ok());
    for (int i = 0; i < 8; ++i) {
      ends.push_back(Append(Record(i, 40)));
      REQUIRE(journal->SyncTo(ends.back()).ok());
    }
    Lsn end = ends.back();
    REQUIRE(Eventually([&] {
      auto reader = SegmentReader::Open(&fs, path);
      SegmentReader::Block block;
      bool mark = false;
      while (reader.ok() && (*reader)->Next(&block) == SegmentReader::End::kNone)
        mark = block.header.is_mark() && block.header.synced_lsn == end;
      return mark;
    }));
    journal.reset();
    bytes = fs.Get(path);
    auto reader = SegmentReader::Open(&fs, path);
    SegmentReader::Block block;
    while ((*reader)->Next(&block) == SegmentReader::End::kNone)
      offsets.push_back(block.offset);
    used = (*reader)->offset();
  }

  const std::string path = "d/" + SegmentName(1, 1);
  std::string bytes;
  std::vector<Lsn> ends;
  std::vector<uint64_t> offsets;  // of the blocks, marks included
  uint64_t used = 0;              // bytes of the file; then there is the tail
};

TEST_CASE("recovery: a file cut at every byte of its last blocks loses whole records only") {
  for (uint64_t tail : {0, 2000}) {
    Crashed h(1, tail);
    REQUIRE((h.used < h.bytes.size()) == (tail > 0));
    // The end of the data blocks by offset, as a model of what a cut leaves.
    for (size_t cut = h.offsets[h.offsets.size() - 2]; cut < h.bytes.size(); ++cut) {
      h.fs.Put(h.path, h.bytes.substr(0, cut));
      auto recovered = RecoverJournal(&h.fs, "d");
      REQUIRE(recovered.ok());
      REQUIRE_FALSE(recovered->report.clean);
      bool whole = recovered->tail_lsn == 0;
      for (Lsn end : h.ends) whole = whole || end == recovered->tail_lsn;
      REQUIRE(whole);
      const std::string all = h.ReadAll(recovered->manifest, 0, kLsnMax);
      REQUIRE(all.size() == recovered->tail_lsn);
      const bool at_block = std::count(h.offsets.begin(), h.offsets.end(), cut) > 0;
      const bool in_tail = cut == h.used || cut >= h.used + kPadHeadBytes;
      REQUIRE((recovered->report.bytes_cut == 0) == (at_block || in_tail));
    }
  }
}

TEST_CASE("recovery: a flipped bit in a block that was synced is corruption, with its LSN") {
  for (uint64_t tail : {0, 2000}) {
    Crashed h(2, tail);
    Random random(2);
    for (size_t b = 0; b + 1 < h.offsets.size(); ++b) {
      for (int i = 0; i < 12; ++i) {
        const size_t at = h.offsets[b] + random.Below(h.offsets[b + 1] - h.offsets[b]);
        std::string bad = h.bytes;
        bad[at] ^= static_cast<char>(1 << random.Below(8));
        h.fs.Put(h.path, bad);
        auto recovered = RecoverJournal(&h.fs, "d");
        // A damaged mark block says nothing about the stream unless a later one promises more.
        if (recovered.ok()) {
          REQUIRE(recovered->tail_lsn == h.ends.back());
          continue;
        }
        REQUIRE(recovered.status().code() == StatusCode::kCorrupt);
        REQUIRE(recovered.status().message().find("LSN") != std::string::npos);
      }
    }
    // The last mark itself: nothing behind it promises anything, and nothing is lost.
    std::string bad = h.bytes;
    bad[h.offsets.back() + 20] ^= 1;
    h.fs.Put(h.path, bad);
    auto recovered = RecoverJournal(&h.fs, "d");
    REQUIRE(recovered.ok());
    REQUIRE(recovered->tail_lsn == h.ends.back());
    // The segment's header.
    bad = h.bytes;
    bad[60] ^= 1;
    h.fs.Put(h.path, bad);
    REQUIRE(RecoverJournal(&h.fs, "d").status().code() == StatusCode::kCorrupt);
  }
}

TEST_CASE("recovery: sealed segments refuse any damage, lost files are named") {
  JournalHarness h(3);
  REQUIRE(h.Open().ok());
  for (int i = 0; i < 50; ++i) h.Append(h.Record(i, 100));
  REQUIRE(h.journal->Close().ok());
  const Manifest m = h.journal->manifest();
  const Lsn tail = h.journal->tail();
  h.journal.reset();
  const std::string path = "d/" + SegmentName(1, 1);
  const std::string bytes = h.fs.Get(path);
  Random random(3);
  for (int i = 0; i < 200; ++i) {
    std::string bad = bytes;
    bad[random.Below(bytes.size() - kIndexFixedBytes - kIndexEntryBytes)] ^= 4;
    h.fs.Put(path, bad);
    const std::string read = h.ReadAll(m, 0, kLsnMax);
    REQUIRE(read.substr(0, 6) == "ERROR:");
  }
  h.fs.Put(path, bytes.substr(0, bytes.size() - 1));
  REQUIRE(RecoverJournal(&h.fs, "d").status().code() == StatusCode::kCorrupt);
  REQUIRE(h.fs.Remove(path).ok());
  REQUIRE(RecoverJournal(&h.fs, "d").status().code() == StatusCode::kCorrupt);
  h.fs.Put(path, bytes);
  REQUIRE(RecoverJournal(&h.fs, "d")->tail_lsn == tail);
  // Whoever has several servers is told which log it is.
  Manifest longer = m;
  longer.clean_lsn = tail + 1;
  REQUIRE(SaveManifest(&h.fs, "d", longer).ok());
  const Status shorter = RecoverJournal(&h.fs, "d").status();
  REQUIRE(shorter.code() == StatusCode::kCorrupt);
  REQUIRE(shorter.message().starts_with("the log in d ends at LSN " + std::to_string(tail)));
  REQUIRE(h.fs.Remove("d/manifest").ok());
  REQUIRE(RecoverJournal(&h.fs, "d").status().code() == StatusCode::kCorrupt);
}

// Runs rounds of appends, each ended by a power cut; what was durable must come back, in order.
void PowerCuts(uint64_t seed, FsyncPolicy policy) {
  INFO("seed " << seed);
  JournalHarness h(seed);
  h.options.policy = policy;
  h.options.segment_bytes_max = 8000;
  Random random(seed);
  std::string model;
  uint64_t number = 0;
  for (int round = 0; round < 6; ++round) {
    Status opened = h.Open();
    INFO(opened.message());
    REQUIRE(opened.ok());
    const Lsn start = h.journal->tail();
    REQUIRE(start <= model.size());
    model.resize(start);
    bool first = true;
    for (uint64_t n = random.Below(60); n > 0; --n) {
      const size_t bytes = random.Below(20) == 0 ? 400'000 : random.Below(2000);
      const std::string record = h.Record(number++, bytes);
      h.Append(record);
      if (first) model += "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n";
      first = false;
      model += record;
      if (random.Below(4) == 0)
        std::this_thread::sleep_for(std::chrono::microseconds(random.Below(1500)));
    }
    if (random.Below(3) == 0) (void)h.journal->SyncTo(h.journal->tail());
    // Freeze first: after that nothing more can become durable, so the promise is exact.
    h.fs.FreezeAfter(0);
    const Lsn durable = h.journal->durable();
    h.journal.reset();
    h.fs.PowerCut();
    auto recovered = RecoverJournal(&h.fs, "d");
    INFO(recovered.status().message());
    REQUIRE(recovered.ok());
    REQUIRE(recovered->tail_lsn >= durable);
    REQUIRE(recovered->tail_lsn <= model.size());
    REQUIRE(h.ReadAll(recovered->manifest, 0, kLsnMax) == model.substr(0, recovered->tail_lsn));
    // The cut stands at the end of a record.
    const Lsn tail = recovered->tail_lsn;
    REQUIRE((tail == 0 || model[tail - 1] == '\n'));
    REQUIRE((tail == model.size() || model[tail] == '*'));
  }
}

TEST_CASE("recovery: a log whose manifest is lost behind a rewrite is no new one") {
  for (const char* base : {"0001-0000000000000000.rdb.lz4", "0001-00000000000000ff.rdb.lz4"}) {
    FaultFs fs(1);
    REQUIRE(fs.MakeDirectory("d").ok());
    for (const std::string& name : {std::string(base), SegmentName(1, 2)})
      REQUIRE(fs.Open("d/" + name, FileSystem::Mode::kCreate).ok());
    // The first is what an import that died before its manifest leaves.
    REQUIRE(RecoverJournal(&fs, "d").ok() == (std::string(base).find("ff") == std::string::npos));
  }
}

TEST_CASE("recovery: power cuts under always lose nothing that was durable") {
  for (uint64_t seed = 100; seed < 110; ++seed) PowerCuts(seed, FsyncPolicy::kAlways);
}

TEST_CASE("recovery: power cuts under everysec and no cut a tail, never refuse") {
  for (uint64_t seed = 200; seed < 207; ++seed) PowerCuts(seed, FsyncPolicy::kEverySecond);
  for (uint64_t seed = 300; seed < 304; ++seed) PowerCuts(seed, FsyncPolicy::kNo);
}

TEST_CASE("recovery: a log that is written meanwhile ends where it was, and is no damage") {
  JournalHarness h(21);
  h.options.policy = FsyncPolicy::kAlways;
  h.options.tail_bytes = 20'000;
  h.options.segment_bytes_max = 60'000;
  REQUIRE(h.Open().ok());
  std::atomic<bool> done{false};
  std::thread writes([&] {
    for (uint64_t i = 0; !done; ++i) (void)h.journal->SyncTo(h.Append(h.Record(i, 100)));
  });
  std::string problem;
  for (int i = 0; i < 300 && problem.empty(); ++i) {
    const Lsn durable = h.journal->durable();
    auto recovered = RecoverJournal(&h.fs, "d", nullptr, /*in_use=*/true);
    if (!recovered.ok()) {
      problem = recovered.status().message();
    } else if (recovered->tail_lsn < durable || recovered->report.bytes_cut != 0) {
      problem = recovered->report.Text();
    }
  }
  done = true;
  writes.join();
  INFO(problem);
  REQUIRE(problem.empty());
}

TEST_CASE("recovery: what a client sent is never taken for a promise of ours") {
  // A mark that says all was durable, in the value of a record whose block is torn.
  BlockHeader forged;
  forged.timeline = 1;
  forged.first_lsn = forged.last_unit_lsn = 1 << 20;
  forged.synced_lsn = 1 << 20;
  DirectString mark;
  EncodeBlock(&forged, {}, 0, &mark);
  JournalHarness h(9);
  h.options.policy = FsyncPolicy::kNo;
  REQUIRE(h.Open().ok());
  const Lsn whole = h.Append(h.Record(1, 40));
  REQUIRE(h.Eventually([&] { return h.journal->written() == whole; }));
  const std::string path = "d/" + SegmentName(1, 1);
  const size_t first = h.fs.Get(path).size();
  h.Append(mark);
  REQUIRE(h.Eventually([&] { return h.journal->written() == h.journal->tail(); }));
  h.journal.reset();
  std::string bytes = h.fs.Get(path);
  REQUIRE(bytes.find(mark) != std::string::npos);
  bytes[first + 30] ^= 1;
  h.fs.Put(path, bytes);
  auto recovered = RecoverJournal(&h.fs, "d");
  INFO(recovered.status().message());
  REQUIRE(recovered.ok());
  REQUIRE(recovered->tail_lsn == whole);
}

TEST_CASE("failure: under no what a new segment calls durable survives a power cut") {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    INFO("seed " << seed);
    JournalHarness h(seed);
    h.options.policy = FsyncPolicy::kNo;
    REQUIRE(h.Open().ok());
    for (int i = 0; i < 10; ++i) h.Append(h.Record(i, 1000));
    REQUIRE(h.Eventually([&] { return h.journal->written() == h.journal->tail(); }));
    h.fs.TearNextWrite(100);
    h.Append(h.Record(10, 1000));
    REQUIRE(h.Eventually([&] { return h.journal->durable() == h.journal->tail(); }));
    const Lsn durable = h.journal->durable();
    h.fs.FreezeAfter(0);
    h.journal.reset();
    h.fs.PowerCut();
    const Status opened = h.Open();
    INFO(opened.message());
    REQUIRE(opened.ok());
    REQUIRE(h.journal->tail() == durable);
    REQUIRE(h.ReadAll(h.journal->manifest(), 0, durable).size() == durable);
  }
}

TEST_CASE("failure: a timeline that could not begin leaves the old one whole") {
  for (uint64_t step = 0; step < 12; ++step) {
    for (bool anew : {false, true}) {
      INFO("step " << step << " anew " << anew);
      JournalHarness h(step);
      h.options.policy = FsyncPolicy::kAlways;
      REQUIRE(h.Open().ok());
      h.Append(h.Record(1, 50));
      REQUIRE(h.journal->SyncTo(h.journal->tail()).ok());
      h.fs.FreezeAfter(step);
      TimelineStart start;
      start.anew = anew;
      start.lsn = 5;
      const bool begun = h.journal->StartTimeline(start).ok();
      h.fs.FreezeAfter(uint64_t{1} << 32);
      REQUIRE(h.Eventually([&] { return h.journal->Admits(); }));
      h.Append(h.Record(2, 50));
      REQUIRE(h.Eventually([&] { return h.journal->durable() == h.journal->tail(); }));
      const Lsn tail = h.journal->tail();
      h.journal.reset();
      h.fs.Kill();
      if (begun && anew) continue;  // its base is the caller's
      const Status opened = h.Open();
      INFO(opened.message());
      REQUIRE(opened.ok());
      REQUIRE(h.journal->tail() == tail);
    }
  }
}

// Two of the dataset's size would fill the disk that was too full for the first.
TEST_CASE("failure: the base of a timeline that could not begin goes, and so does the one it replaced") {
  for (uint64_t step = 0; step < 12; ++step) {
    INFO("step " << step);
    JournalHarness h(step);
    h.options.policy = FsyncPolicy::kAlways;
    REQUIRE(h.Open().ok());
    TimelineStart start;
    start.delete_old = true;
    const auto begin = [&](const char* name, Lsn lsn) {
      h.fs.Put(std::string("d/") + name, "snapshot");
      start.base_name = name;
      start.lsn = lsn;
      return h.journal->StartTimeline(start).ok();
    };
    REQUIRE(begin("0002-1.rdb", 1000));
    REQUIRE(begin("0003-2.rdb", 2000));
    REQUIRE_FALSE(h.fs.Exists("d/0002-1.rdb").value());
    h.fs.FailRenames(step == 0);
    h.fs.SetSpace(step == 0 ? ~uint64_t{0} : step * 40);
    const bool begun = begin("0004-3.rdb", 3000);
    h.fs.FailRenames(false);
    h.fs.SetSpace(~uint64_t{0});
    REQUIRE(h.Eventually([&] { return h.journal->Admits(); }));
    h.Append(h.Record(2, 50));
    REQUIRE(h.journal->SyncTo(h.journal->tail()).ok());
    h.journal->PrepareRoll();  // saves the manifest, behind which files go
    REQUIRE(h.Eventually([&] { return h.fs.Exists("d/0003-2.rdb").value() == !begun; }));
    REQUIRE(h.Eventually([&] { return h.fs.Exists("d/0004-3.rdb").value() == begun; }));
  }
}

TEST_CASE("failure: write, sync and full disks heal, in memory order") {
  for (FsyncPolicy policy : {FsyncPolicy::kAlways, FsyncPolicy::kEverySecond, FsyncPolicy::kNo}) {
    for (int kind = 0; kind < 3; ++kind) {
      if (policy == FsyncPolicy::kNo && kind == 1) continue;  // it does not sync
      INFO("policy " << static_cast<int>(policy) << " kind " << kind);
      JournalHarness h(4);
      h.options.policy = policy;
      REQUIRE(h.Open().ok());
      std::string model = "*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n";
      for (int i = 0; i < 10; ++i) {
        h.Append(h.Record(i, 300), 3);
        model += h.Record(i, 300);
      }
      REQUIRE(h.journal->SyncTo(h.journal->tail()).ok());
      const Lsn durable = h.journal->durable();
      if (kind == 0) h.fs.FailWrites(true);
      if (kind == 1) h.fs.FailSyncs(true);
      if (kind == 2) h.fs.SetSpace(100);
      for (int i = 10; i < 20; ++i) {
        h.Append(h.Record(i, 300), 3);
        model += h.Record(i, 300);
      }
      REQUIRE(h.Eventually([&] { return h.journal->state() != JournalState::kOk; }));
      // In this order: who asks why it failed waits until the gate is closed, too.
      REQUIRE_FALSE(h.journal->failure().empty());
      REQUIRE((h.journal->gate() & kGateFailed) != 0);
      std::this_thread::sleep_for(std::chrono::milliseconds(10));  // some attempts fail
      REQUIRE(h.journal->state() != JournalState::kOk);
      REQUIRE(h.journal->durable() == durable);
      h.fs.FailWrites(false);
      h.fs.FailSyncs(false);
      h.fs.SetSpace(~uint64_t{0});
      REQUIRE(h.Eventually([&] { return h.journal->Admits(); }));
      REQUIRE(h.journal->durable() == model.size());
      h.Append(h.Record(20, 300), 3);
      model += h.Record(20, 300);
      REQUIRE(h.journal->SyncTo(h.journal->tail()).ok());
      h.fs.FreezeAfter(0);
      h.journal.reset();
      h.fs.PowerCut();
      REQUIRE(h.Open().ok());
      REQUIRE(h.journal->tail() == model.size());
      REQUIRE(h.ReadAll(h.journal->manifest(), 0, model.size()) == model);
    }
  }
}

TEST_CASE("failure: bytes that memory has given back need a snapshot") {
  JournalHarness h(5);
  h.options.buffer_bytes_max = 1 << 20;
  h.options.retained_bytes_min = 0;
  REQUIRE(h.Open().ok());
  REQUIRE(h.LoseBytes([&](int i) { h.Append(h.Record(i, 300'000)); }));
  h.fs.FailSyncs(false);
  std::this_thread::sleep_for(std::chrono::milliseconds(10));
  REQUIRE(h.journal->state() == JournalState::kFailed);
  const Lsn s = h.journal->BeginSnapshot();
  h.fs.Put("d/base-s", "snapshot");
  h.Append(h.Record(99, 10));
  REQUIRE(h.journal->FinishRebase("base-s", s).ok());
  REQUIRE(h.journal->Admits());
  h.fs.FreezeAfter(0);
  h.journal.reset();
  h.fs.PowerCut();
  REQUIRE(h.Open().ok());
  REQUIRE(h.journal->manifest().base_lsn == s);
  REQUIRE(h.ReadAll(h.journal->manifest(), s, kLsnMax) ==
          "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n" + h.Record(99, 10));
}

TEST_CASE("failure: a manifest that cannot be renamed leaves no pile of files behind") {
  for (bool with_base : {false, true}) {
    INFO("with a new base " << with_base);
    JournalHarness h(8);
    h.options.policy = with_base ? FsyncPolicy::kEverySecond : FsyncPolicy::kAlways;
    h.options.retained_bytes_min = 0;
    h.options.buffer_bytes_max = 1 << 20;
    REQUIRE(h.Open().ok());
    if (with_base) {
      REQUIRE(h.LoseBytes([&](int i) { h.Append(h.Record(i, 300'000)); }));
    } else {
      h.fs.FailSyncs(true);
      h.Append(h.Record(1, 100));
      REQUIRE(h.Eventually([&] { return h.journal->state() != JournalState::kOk; }));
    }
    h.fs.FailRenames(true);
    Lsn lsn = 0;
    if (with_base) lsn = h.journal->BeginSnapshot();
    h.fs.FailSyncs(false);
    if (with_base) {
      h.fs.Put("d/base-s", "snapshot");
      REQUIRE_FALSE(h.journal->FinishRebase("base-s", lsn).ok());
      REQUIRE(h.fs.Exists("d/base-s").value());  // a manifest may name it
      h.fs.Put("d/base-t", "snapshot");
      REQUIRE_FALSE(h.journal->FinishRebase("base-t", lsn).ok());
      REQUIRE_FALSE(h.fs.Exists("d/base-t").value());
    } else {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    REQUIRE(h.journal->state() != JournalState::kOk);
    REQUIRE(h.fs.List("d")->size() <= 6);  // two or three segments, manifest, temporary one, base
    h.fs.FailRenames(false);
    REQUIRE(h.Eventually([&] { return h.journal->Admits(); }));
    REQUIRE(h.journal->manifest().base_name == (with_base ? "base-s" : ""));
    REQUIRE(h.journal->Close().ok());
    const auto files = h.fs.List("d");
    for (const std::string& file : *files) {
      INFO(file);
      REQUIRE((file == "manifest" || h.journal->manifest().Lists(file)));
    }
    h.journal.reset();
    REQUIRE(h.Open().ok());
  }
}

TEST_CASE("restore: the log ends earlier, on a new timeline, older files stay") {
  JournalHarness h(6);
  REQUIRE(h.Open().ok());
  const Lsn keep = h.Append(h.Record(1, 100));
  REQUIRE(h.journal->SyncTo(keep).ok());
  const Manifest live = h.journal->manifest();
  auto found = FindLsnAtTime(&h.fs, "d", live, ~uint64_t{0});
  REQUIRE((found.ok() && *found == keep));
  h.Append(h.Record(2, 100));
  REQUIRE(h.journal->Close().ok());
  h.journal.reset();
  auto recovered = RecoverJournal(&h.fs, "d");
  REQUIRE(recovered.ok());
  REQUIRE_FALSE(recovered->CutAt(recovered->tail_lsn + 1).ok());
  REQUIRE(recovered->CutAt(keep).ok());
  auto journal = Journal::Open(h.options, std::move(*recovered));
  REQUIRE(journal.ok());
  h.journal = std::move(*journal);
  REQUIRE(h.journal->tail() == keep);
  REQUIRE(h.journal->manifest().LastTimeline() == 2);
  h.Append(h.Record(3, 100));
  REQUIRE(h.journal->Close().ok());
  const std::string select = "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n";
  REQUIRE(h.ReadAll(h.journal->manifest(), 0, kLsnMax) ==
          select + h.Record(1, 100) + select + h.Record(3, 100));
}

}  // namespace
}  // namespace cairn
