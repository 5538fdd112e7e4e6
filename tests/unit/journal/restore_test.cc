// SPDX-License-Identifier: BSD-3-Clause
//
// Going back in time and repairing, at every step of which the process may die or the power fail:
// nothing of the log is lost, and the next try succeeds.
#include "journal/restore_point.h"

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/random.h"
#include "tests/unit/journal/journal_harness.h"
#include "utils/cairn-check/repair.h"

namespace cairn {
namespace {

struct Restored : JournalHarness {
  explicit Restored(uint64_t seed) : JournalHarness(seed) {
    options.policy = FsyncPolicy::kAlways;
    options.segment_bytes_max = 2000;
    REQUIRE(fs.MakeDirectory("d").ok());
    REQUIRE(fs.SyncDirectory(".").ok());
    REQUIRE(Open().ok());
    for (uint64_t i = 0; i < 12; ++i) {
      // Else the log may go on in one segment.
      journal->PrepareRoll();
      REQUIRE(Eventually([this] { return journal->next_ready(); }));
      ends.push_back(Write(i));
    }
    REQUIRE(journal->Close().ok());
    all = ReadAll(journal->manifest(), 0, kLsnMax);
    REQUIRE(all.size() == ends.back());
    REQUIRE(journal->manifest().segments.size() >= 3);
    journal.reset();
  }
  ~Restored() override { journal.reset(); }

  Lsn Write(uint64_t number) {
    const Lsn end = Append(Record(number, 500));
    REQUIRE(journal->SyncTo(end).ok());
    return end;
  }
  // What a start with --restore-to does.
  Status GoBack(Lsn to) {
    auto recovered = RecoverJournal(&fs, "d");
    if (!recovered.ok()) return recovered.status();
    const Manifest before = recovered->manifest;
    auto lsn = FindRestorePoint(&fs, "d", &*recovered, "--restore-to", std::to_string(to), nullptr);
    if (!lsn.ok()) return lsn.status();
    auto kept = KeepTimeline(&fs, "d", before);
    if (!kept.ok()) return kept.status();
    CAIRN_RETURN_IF_ERROR(recovered->CutAt(to));
    auto opened = Journal::Open(options, std::move(*recovered));
    if (!opened.ok()) return opened.status();
    journal = std::move(*opened);
    RemoveKept(&fs, "d", journal->manifest());
    return Status::Ok();
  }
  // All that the journal in this folder says.
  std::string Stream(const std::string& dir) {
    auto recovered = RecoverJournal(&fs, dir);
    if (!recovered.ok()) return "ERROR: " + recovered.status().message();
    if (recovered->report.fresh) return "ERROR: no journal";
    options.dir = dir;
    const std::string stream = ReadAll(recovered->manifest, 0, recovered->tail_lsn);
    options.dir = "d";
    return stream;
  }
  std::vector<std::string> Names() {
    auto names = fs.List("d");
    REQUIRE(names.ok());
    return std::move(*names);
  }
  void Die(bool power) {
    fs.FreezeAfter(0);
    journal.reset();
    power ? fs.PowerCut() : fs.Kill();
  }

  std::vector<Lsn> ends;
  std::string all;
};

}  // namespace

TEST_CASE("restore: the timeline that was is in its folder alone, and needs nothing else") {
  Restored h(1);
  REQUIRE(h.GoBack(h.ends[4]).ok());
  const Manifest now = h.journal->manifest();
  for (const std::string& name : h.Names())
    if (name.ends_with(".lz4")) REQUIRE(now.Lists(name));
  REQUIRE(h.Stream("d/timeline-1") == h.all);
  h.Write(100);
  REQUIRE(h.journal->Close().ok());
  h.journal.reset();
  // Once more, from the second timeline.
  REQUIRE(h.GoBack(h.ends[2]).ok());
  REQUIRE(h.journal->Close().ok());
  h.journal.reset();
  REQUIRE(h.Stream("d") == h.all.substr(0, h.ends[2]));
  REQUIRE(h.Stream("d/timeline-1") == h.all);
  REQUIRE(h.Stream("d/timeline-2").starts_with(h.all.substr(0, h.ends[4])));
}

TEST_CASE("restore: what is no time is none") {
  Restored h(2);
  auto recovered = RecoverJournal(&h.fs, "d");
  REQUIRE(recovered.ok());
  const auto find = [&](const std::string& target) {
    return FindRestorePoint(&h.fs, "d", &*recovered, "--restore-to", target, nullptr);
  };
  for (const char* target : {"2999-01-31T12:00:00", "2999-01-31T12:00:00.061Z"})
    REQUIRE(find(target).value() == h.ends.back());
  for (const char* target : {"2999-02-31T12:00:00Z", "2999-01-31T12:00:60Z", "2999-01-31T12:00",
                             "2999-01-31T12:00:00.12Z", "2999-01-31T12:00:00.-12Z",
                             "2999-01-31T12:00:00. 12Z", "2999-01-31T12:00:00.123z"}) {
    INFO(target);
    REQUIRE(find(target).status().message().find("takes an LSN or a time") != std::string::npos);
  }
}

TEST_CASE("restore: an index that leads out of its file leads nowhere") {
  for (size_t bytes : {10'000, 100'000}) {
    JournalHarness h(4);
    h.options.policy = FsyncPolicy::kAlways;
    REQUIRE(h.Open().ok());
    Random random(4);
    Lsn half = 0;
    for (int i = 0; i < 8; ++i) {
      std::string noise;
      while (noise.size() < bytes / 8) noise += static_cast<char>(random.Below(256));
      if (i == 4) half = h.journal->tail();
      REQUIRE(h.journal->SyncTo(h.Append(noise)).ok());
    }
    REQUIRE(h.journal->Close().ok());
    const Manifest m = h.journal->manifest();
    const Lsn tail = h.journal->tail();
    h.journal.reset();
    const std::string path = SegmentPath("d", m.segments.front());
    const std::string read = h.ReadAll(m, half, tail);
    REQUIRE(read.size() == tail - half);
    const std::string whole = h.fs.Get(path);
    const std::string blocks = whole.substr(
        0, whole.size() - LoadLe<uint32_t>(whole.data() + whole.size() - 8));
    for (uint64_t offset : {~uint64_t{0} - 15, ~uint64_t{0}, uint64_t{whole.size()},
                            uint64_t{blocks.size()}}) {
      INFO("offset " << offset << " of " << whole.size());
      DirectString index;
      EncodeIndex({{half, offset}}, 0, tail, &index);
      h.fs.Put(path, blocks + std::string(index));
      REQUIRE(h.ReadAll(m, half, tail) == read);
    }
  }
}

TEST_CASE("restore: a crash at every step leaves the log as it was, or where it was to go") {
  for (bool power : {false, true}) {
    bool more = true;
    for (uint64_t step = 0; more; ++step) {
      INFO("step " << step << " power cut " << power);
      Restored h(100 + step);
      const Lsn to = h.ends[4];
      h.fs.FreezeAfter(step);
      const Status status = h.GoBack(to);
      more = h.fs.frozen();
      h.Die(power);
      const std::string found = h.Stream("d");
      const bool went = found == h.all.substr(0, to);
      REQUIRE((went || found == h.all));
      // Clients may have been answered.
      if (status.ok()) REQUIRE(went);
      if (went) REQUIRE(h.Stream("d/timeline-1") == h.all);
      // Again: also where it was there already, a start as ever.
      if (!went) {
        REQUIRE(h.GoBack(to).ok());
        REQUIRE(h.Stream("d/timeline-1") == h.all);
      } else {
        REQUIRE(h.Open().ok());
      }
      const Manifest now = h.journal->manifest(), kept = LoadManifest(&h.fs, "d/timeline-1").value();
      RemoveKept(&h.fs, "d", now);
      for (const std::string& name : h.Names())
        if (kept.Lists(name)) REQUIRE(now.Lists(name));
      h.Write(100);
      REQUIRE(h.journal->Close().ok());
      h.journal.reset();
      REQUIRE(h.Stream("d").starts_with(h.all.substr(0, to)));
    }
  }
}

TEST_CASE("repair: a crash at every step loses no file, and the next try succeeds") {
  for (bool power : {false, true}) {
    bool more = true;
    for (uint64_t step = 0; more; ++step) {
      INFO("step " << step << " power cut " << power);
      Restored h(300 + step);
      const Manifest before = LoadManifest(&h.fs, "d").value();
      const SegmentEntry& bad = before.segments[1];
      const std::string path = SegmentPath("d", bad);
      std::string bytes = h.fs.Get(path);
      bytes[bytes.size() / 2] ^= 1;
      h.fs.Put(path, bytes);
      std::map<std::string, std::string> originals;
      for (const std::string& name : before.FileNames()) originals[name] = h.fs.Get("d/" + name);
      h.fs.FreezeAfter(step);
      std::string text;
      (void)RepairJournal(&h.fs, "d", true, nullptr, &text);
      more = h.fs.frozen();
      h.Die(power);
      for (const auto& [name, original] : originals) {
        INFO(name);
        bool there = h.fs.Get("d/" + name) == original;
        for (const std::string& folder : h.Names())
          if (folder.starts_with("damaged-") && h.fs.Exists("d/" + folder + "/manifest").value())
            there |= h.fs.Get("d/" + folder + "/" + name) == original;
        REQUIRE(there);
      }
      text.clear();
      const Status again = RepairJournal(&h.fs, "d", true, nullptr, &text);
      INFO(text << again.message());
      REQUIRE(again.ok());
      const std::string found = h.Stream("d");
      REQUIRE(found.size() >= bad.first_lsn);
      REQUIRE(found.size() < bad.end_lsn);
      REQUIRE(h.all.starts_with(found));
      REQUIRE(h.Open().ok());
      h.Write(100);
      REQUIRE(h.journal->Close().ok());
    }
  }
}

// A crash soon after the log went on in the next segment: the manifest knows no end of the one
// before, and takes this one for unused.
TEST_CASE("repair: damage behind segments whose end the manifest does not know") {
  for (bool known : {false, true}) {
    INFO("the manifest was saved since then: " << known);
    Restored h(known ? 601 : 602);
    Manifest m = LoadManifest(&h.fs, "d").value();
    SegmentEntry& before = m.segments[m.segments.size() - 2];
    SegmentEntry& last = m.segments.back();
    const SegmentEntry bad = last;
    before.state = SegmentState::kOpen;
    last.state = known ? SegmentState::kOpen : SegmentState::kNext;
    last.end_lsn = last.bytes = 0;
    if (!known) before.end_lsn = before.bytes = last.first_lsn = 0;
    m.clean = false;
    REQUIRE(SaveManifest(&h.fs, "d", m).ok());
    REQUIRE(h.Stream("d") == h.all);
    const std::string path = SegmentPath("d", bad);
    auto reader = SegmentReader::Open(&h.fs, path);
    REQUIRE(reader.ok());
    // The second block that says something, so that those behind it promise what was before.
    SegmentReader::Block block;
    for (int blocks = 0; blocks < 2;) {
      REQUIRE((*reader)->Next(&block) == SegmentReader::End::kNone);
      blocks += !block.header.is_mark();
    }
    std::string bytes = h.fs.Get(path);
    bytes[block.offset + kBlockHeaderBytes + 20] ^= 1;
    h.fs.Put(path, bytes);
    std::string text;
    REQUIRE(RepairJournal(&h.fs, "d", true, nullptr, &text).ok());
    INFO(text);
    REQUIRE(h.Stream("d") == h.all.substr(0, block.header.first_lsn));
    REQUIRE(h.Open().ok());
    h.Write(100);
    REQUIRE(h.journal->Close().ok());
    h.journal.reset();
    REQUIRE(h.Stream("d").starts_with(h.all.substr(0, block.header.first_lsn)));
  }
}

TEST_CASE("repair: a segment that nothing was written to is no damage") {
  JournalHarness h(1);
  REQUIRE(h.Open().ok());
  h.journal.reset();
  h.fs.Kill();
  std::string text;
  REQUIRE(RepairJournal(&h.fs, "d", false, nullptr, &text).ok());
  REQUIRE(text.find("nothing to repair") != std::string::npos);
}

TEST_CASE("repair: what only a start sees is mended behind what hides it") {
  Restored h(701);
  Manifest m = LoadManifest(&h.fs, "d").value();
  REQUIRE(m.segments.size() >= 3);
  // One of another length, and one that may have been in use, whose header is damaged.
  const std::string sealed = "d/" + SegmentName(1, m.segments[0].sequence);
  h.fs.Put(sealed, h.fs.Get(sealed) + "more");
  SegmentEntry& last = m.segments.back();
  last.state = SegmentState::kNext;
  last.first_lsn = last.end_lsn = last.bytes = 0;
  m.clean = false;
  const std::string next = "d/" + SegmentName(1, last.sequence);
  std::string bytes = h.fs.Get(next);
  bytes[20] = static_cast<char>(bytes[20] ^ 1);
  h.fs.Put(next, bytes);
  REQUIRE(SaveManifest(&h.fs, "d", m).ok());
  REQUIRE_FALSE(RecoverJournal(&h.fs, "d").ok());
  std::string text;
  REQUIRE(RepairJournal(&h.fs, "d", true, nullptr, &text).ok());
  INFO(text);
  REQUIRE(RecoverJournal(&h.fs, "d").ok());
}

}  // namespace cairn
