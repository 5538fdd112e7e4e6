// SPDX-License-Identifier: BSD-3-Clause
//
// Logs of several segments, bases and timelines, kept for restores or not, encrypted or not, shut down
// or killed; one or two random damages. What a start loads repair keeps, with every point that could be
// restored; behind it a start, verify and a second repair find a whole log, and it has lost what it said.
#include <stdlib.h>

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "journal/verify.h"
#include "snapshot/verify.h"
#include "tests/unit/journal/random_log.h"
#include "utils/cairn-check/repair.h"

namespace cairn {
namespace {

// What a start, or one that goes back, makes of the folder.
struct Started {
  std::string error;  // "" if it loads
  Lsn tail = 0;
  std::string torn;
  std::set<Lsn> points;  // snapshots that can be gone back to, and read on from up to the tail
};

std::string ReadFrom(RandomLog* h, const Manifest& m, const SnapshotEntry& s, Lsn tail) {
  if (!s.name.empty())
    if (auto base = VerifyBase(&h->fs, "d/" + s.name, s.lsn, h->options.keys); !base.ok())
      return "ERROR: " + base.status().message();
  Lsn from = s.lsn;
  const std::string read = h->ReadAll(m, from, tail);
  if (!read.starts_with("ERROR") && read.size() != tail - from) return "ERROR: it is short";
  return read;
}

Started Start(RandomLog* h, const std::string& all) {
  Started started;
  auto recovered = RecoverJournal(&h->fs, "d", h->options.keys);
  if (!recovered.ok()) return {recovered.status().message(), 0, {}, {}};
  const Manifest& m = recovered->manifest;
  started.tail = recovered->tail_lsn;
  if (recovered->report.bytes_cut > 0) started.torn = recovered->report.Text();
  std::vector<SnapshotEntry> snapshots = m.snapshots;
  if (snapshots.empty()) snapshots.push_back({m.base_name, m.base_lsn, 0, 0});
  for (const SnapshotEntry& s : snapshots) {
    const std::string read = ReadFrom(h, m, s, started.tail);
    if (!read.starts_with("ERROR")) {
      started.points.insert(s.lsn);
      // Never anything else than what was written.
      if (!all.empty()) REQUIRE(all.compare(s.lsn, read.size(), read) == 0);
    } else if (s.lsn == m.base_lsn) {
      started.error = read;
    }
  }
  return started;
}

// What cairn-check verify says; "" if all is whole.
std::string Verified(RandomLog* h) {
  auto recovered = RecoverJournal(&h->fs, "d", h->options.keys);
  if (!recovered.ok()) return recovered.status().message();
  const Manifest& m = recovered->manifest;
  const Status chain = VerifyChain(&h->fs, "d", m, recovered->tail_lsn, h->options.keys);
  if (!chain.ok()) return chain.message();
  for (const SnapshotEntry& s : m.snapshots)
    if (!s.name.empty())
      if (auto base = VerifyBase(&h->fs, "d/" + s.name, s.lsn, h->options.keys); !base.ok())
        return base.status().message();
  return recovered->report.lost + recovered->report.unread + recovered->report.odd;
}

std::string Damage(RandomLog* h, Random* random) {
  std::vector<std::string> names;
  const Manifest listed = LoadManifest(&h->fs, "d").value();
  for (const std::string& name : listed.FileNames())
    if (h->fs.Exists("d/" + name).value()) names.push_back(name);
  if (names.empty()) return "nothing is left";
  const std::string path = "d/" + names[random->Below(names.size())];
  std::string bytes = h->fs.Get(path);
  const size_t at = random->Below(bytes.size() + 1);
  const std::string where = " " + path + " at " + std::to_string(at);
  switch (random->Below(7)) {
    case 0:
      REQUIRE(h->fs.Remove(path).ok());
      return "delete " + path;
    case 1:
      h->fs.Put(path, bytes.substr(0, at));
      return "truncate" + where;
    case 2:
      bytes.append(1 + random->Below(100), static_cast<char>(random->Below(256)));
      h->fs.Put(path, bytes);
      return "extend" + where;
    case 3: {
      const size_t from = at / 512 * 512;
      for (size_t i = from; i < std::min(from + 512, bytes.size()); ++i) bytes[i] = '\0';
      h->fs.Put(path, bytes);
      return "zero" + where;
    }
    case 4: {
      const std::string other = "d/" + names[random->Below(names.size())];
      h->fs.Put(path, h->fs.Get(other));
      h->fs.Put(other, bytes);
      return "swap " + path + " with " + other;
    }
    default:
      if (at < bytes.size()) bytes[at] ^= static_cast<char>(1 << random->Below(8));
      h->fs.Put(path, bytes);
      return "flip" + where;
  }
}

// The number behind the last `what` in `text`.
std::optional<Lsn> Said(const std::string& text, const std::string& what) {
  const size_t at = text.rfind(what);
  if (at == std::string::npos) return std::nullopt;
  return strtoull(text.c_str() + at + what.size(), nullptr, 10);
}

void CheckKept(RandomLog* h, const Files& damaged) {
  for (const auto& [path, bytes] : damaged) {
    if (path == "d/cairn.lock") continue;
    INFO(path);
    bool there = h->fs.Get(path) == bytes;
    for (const std::string& folder : h->Names("d"))
      if (folder.starts_with("damaged-"))
        there |= h->fs.Get("d/" + folder + path.substr(1)) == bytes;
    REQUIRE(there);
  }
}

void Round(RandomLog* h, const std::string& all, Random* random) {
  h->Reset();
  std::string done;
  for (size_t n = 1 + random->Below(2); n > 0; --n) done += Damage(h, random) + "\n";
  const Files damaged = h->Now();
  const Started before = Start(h, all);
  const std::string verified = Verified(h);
  std::string manifest = h->fs.Get("d/manifest");
  INFO(manifest << done << "a start: " << before.error << before.torn << ", to LSN " << before.tail
                << "\nverify: " << verified);
  std::string dry, text, again;
  const Status would = RepairJournal(&h->fs, "d", false, h->options.keys, &dry);
  REQUIRE(h->Now() == damaged);
  const Status status = RepairJournal(&h->fs, "d", true, h->options.keys, &text);
  INFO(text << status.message());
  REQUIRE(would.ok() == status.ok());
  CheckKept(h, damaged);
  if (!status.ok()) {
    // Not even the snapshots are there that the log could begin with.
    REQUIRE(!before.error.empty());
    REQUIRE(status.message().find("from a backup") != std::string::npos);
    REQUIRE(h->Now() == damaged);
    return;
  }
  const std::string first = text.substr(0, text.find("originals are in"));
  REQUIRE(first == dry.substr(0, dry.find("nothing was changed")));
  const bool nothing = text.find("nothing to repair") != std::string::npos;
  if (nothing) REQUIRE(h->Now() == damaged);
  // A torn tail is no damage.
  REQUIRE(nothing == (verified.empty() && before.error.empty()));
  const Started after = Start(h, all);
  INFO("then: " << after.error << after.torn << ", to LSN " << after.tail);
  REQUIRE(after.error.empty());
  REQUIRE(Verified(h).empty());
  if (before.error.empty()) {
    REQUIRE(after.tail >= before.tail);
    for (Lsn point : before.points) {
      INFO("point " << point);
      REQUIRE(after.points.contains(point));
    }
  }
  if (auto end = Said(text, "the log ends at LSN ")) REQUIRE(*end == after.tail);
  if (auto from = Said(text, "that loses LSN ")) REQUIRE(*from == after.tail);
  REQUIRE(RepairJournal(&h->fs, "d", true, h->options.keys, &again).ok());
  INFO(again);
  REQUIRE(again.find("nothing to repair") != std::string::npos);
  if (random->Below(8) != 0) return;
  REQUIRE(h->Open().ok());
  const Lsn end = h->Append(JournalHarness::Record(1, 100));
  REQUIRE(h->journal->SyncTo(end).ok());
  REQUIRE(h->journal->Close().ok());
  h->journal.reset();
  REQUIRE(Verified(h).empty());
}

// Points begin in the first segment, at `point`; it ends at the base. Shut down.
struct PointInFirst : JournalHarness {
  PointInFirst() : JournalHarness(1) {
    options.policy = FsyncPolicy::kAlways;
    options.retention_ms = 1'000'000'000;
    REQUIRE(Open().ok());
    Write();
    point = AddBase(this);
    Write();
    REQUIRE(Eventually([this] {
      journal->PrepareRoll();
      return journal->next_ready();
    }));
    base = AddBase(this);
    Write();
    tail = journal->tail();
    REQUIRE(journal->Close().ok());
    journal.reset();
    Manifest m = LoadManifest(&fs, "d").value();
    std::erase_if(m.snapshots, [this](const SnapshotEntry& s) { return s.lsn < point; });
    REQUIRE(SaveManifest(&fs, "d", m).ok());
    const SegmentEntry& first = m.segments.front();
    REQUIRE((first.state == SegmentState::kSealed && first.end_lsn == base));
    REQUIRE((first.first_lsn < point && m.NeededFrom() == point));
    path = SegmentPath("d", first);
    fs.Put(path, fs.Get(path) + "more");
  }
  ~PointInFirst() override { journal.reset(); }

  void Write() {
    for (uint64_t i = 0; i < 5; ++i) {
      Append(Record(i, 500));
      REQUIRE(journal->SyncTo(journal->tail()).ok());
    }
  }

  Lsn point = 0, base = 0, tail = 0;
  std::string path;  // of the first segment, whose length is wrong
};

}  // namespace

TEST_CASE("repair: what it calls the end of a segment is on the disk, after kill -9 too") {
  for (uint64_t seed = 1; seed <= 8; ++seed) {
    INFO("seed " << seed);
    JournalHarness h(seed);
    h.options.policy = FsyncPolicy::kNo;
    REQUIRE(h.Open().ok());
    Lsn base = 0;
    for (uint64_t i = 0; i < 20; ++i) {
      h.Append(JournalHarness::Record(i, 500));
      if (i < 10) REQUIRE(h.journal->SyncTo(h.journal->tail()).ok());
      if (i == 9) base = AddBase(&h);
    }
    const Lsn tail = h.journal->tail();
    REQUIRE(h.Eventually([&] { return h.journal->written() == tail; }));
    const std::string path = SegmentPath("d", h.journal->manifest().segments.front());
    h.fs.FreezeAfter(0);
    h.journal.reset();
    h.fs.Kill();
    const std::string read = h.ReadAll(RecoverJournal(&h.fs, "d")->manifest, base, tail);
    REQUIRE(read.size() == tail - base);
    const size_t at = kSegmentHeaderBytes + 100;
    const char flipped = static_cast<char>(h.fs.Get(path)[at] ^ 1);
    auto file = h.fs.Open(path, FileSystem::Mode::kReadWrite);
    REQUIRE((*file)->WriteAt(at, {&flipped, 1}).ok());
    REQUIRE_FALSE(RecoverJournal(&h.fs, "d").ok());
    std::string text;
    REQUIRE(RepairJournal(&h.fs, "d", true, nullptr, &text).ok());
    INFO(text);
    REQUIRE(LoadManifest(&h.fs, "d")->segments.back().end_lsn == tail);
    h.fs.PowerCut();
    auto recovered = RecoverJournal(&h.fs, "d");
    REQUIRE(recovered.ok());
    REQUIRE(recovered->tail_lsn == tail);
    REQUIRE(h.ReadAll(recovered->manifest, base, tail) == read);
  }
}

TEST_CASE("repair: a start and it agree that what no point needs is not missed") {
  PointInFirst h;
  std::string bytes = h.fs.Get(h.path);
  bytes[kSegmentHeaderBytes + 100] ^= 1;
  h.fs.Put(h.path, bytes);
  for (bool repaired : {false, true}) {
    auto recovered = RecoverJournal(&h.fs, "d");
    REQUIRE(recovered.ok());
    INFO(recovered->report.lost);
    REQUIRE(recovered->report.lost.empty());
    REQUIRE(recovered->report.odd.empty() == repaired);
    REQUIRE(recovered->manifest.RestorableFrom() == h.point);
    REQUIRE(VerifyChain(&h.fs, "d", recovered->manifest, h.tail, nullptr).ok());
    std::string text;
    REQUIRE(RepairJournal(&h.fs, "d", true, nullptr, &text).ok());
  }
}

TEST_CASE("repair: a segment before the base that cannot be read stays, and a start goes on") {
  for (bool opens : {false, true}) {
    PointInFirst h;
    opens ? h.fs.FailReads(h.path) : h.fs.FailOpenOf(h.path);
    const std::string manifest = h.fs.Get("d/manifest");
    std::string text;
    const Status refused = RepairJournal(&h.fs, "d", true, nullptr, &text);
    REQUIRE(refused.code() == StatusCode::kIo);
    REQUIRE(h.fs.Get("d/manifest") == manifest);
    auto recovered = RecoverJournal(&h.fs, "d");
    REQUIRE(recovered.ok());
    REQUIRE(recovered->report.unread.find("cannot be read") != std::string::npos);
    REQUIRE((recovered->report.lost.empty() && recovered->report.odd.empty()));
    auto journal = Journal::Open(h.options, std::move(*recovered));
    REQUIRE(journal.ok());
    REQUIRE((*journal)->Close().ok());
    journal->reset();
    const Manifest m = LoadManifest(&h.fs, "d").value();
    REQUIRE(m.segments.front().state == SegmentState::kSealed);
    REQUIRE(m.RestorableFrom() == h.point);
    // And can be read again.
    h.fs.FailReads("");
    h.fs.FailOpenOf("");
    recovered = RecoverJournal(&h.fs, "d");
    REQUIRE(recovered.ok());
    REQUIRE((recovered->report.lost.empty() && recovered->report.unread.empty()));
    REQUIRE_FALSE(recovered->report.odd.empty());
  }
}

TEST_CASE("repair: damage before the base in the segment that holds it costs no data") {
  for (bool retained : {false, true}) {
    for (bool killed : {false, true}) {
      INFO("retained " << retained << " killed " << killed);
      JournalHarness h(1);
      h.options.policy = FsyncPolicy::kAlways;
      if (retained) h.options.retention_ms = 1'000'000'000;
      REQUIRE(h.Open().ok());
      Lsn base = 0;
      for (uint64_t i = 0; i < 20; ++i) {
        h.Append(JournalHarness::Record(i, 500));
        REQUIRE(h.journal->SyncTo(h.journal->tail()).ok());
        // No next segment is there: the log goes on in this one.
        if (i == 9) base = AddBase(&h);
      }
      const Lsn tail = h.journal->tail();
      if (!killed) REQUIRE(h.journal->Close().ok());
      const Manifest m = h.journal->manifest();
      REQUIRE(m.segments.front().first_lsn == 0);
      h.journal.reset();
      if (killed) h.fs.Kill();
      const std::string path = SegmentPath("d", m.segments.front());
      const std::string read = h.ReadAll(RecoverJournal(&h.fs, "d")->manifest, base, tail);
      REQUIRE(read.size() == tail - base);
      std::string bytes = h.fs.Get(path);
      bytes[kSegmentHeaderBytes + 300] ^= 1;
      h.fs.Put(path, bytes);
      // The end of one in use is found by reading all of it.
      REQUIRE(RecoverJournal(&h.fs, "d").ok() == !killed);
      for (bool again : {false, true}) {
        std::string text;
        REQUIRE(RepairJournal(&h.fs, "d", true, nullptr, &text).ok());
        INFO(text);
        REQUIRE((text.find("nothing to repair") != std::string::npos) ==
                (again || (!retained && !killed)));
        REQUIRE(text.find("that loses") == std::string::npos);
        auto recovered = RecoverJournal(&h.fs, "d");
        REQUIRE(recovered.ok());
        REQUIRE(recovered->tail_lsn == tail);
        REQUIRE(recovered->manifest.RestorableFrom() == base);
        REQUIRE(h.ReadAll(recovered->manifest, base, tail) == read);
        REQUIRE(VerifyChain(&h.fs, "d", recovered->manifest, tail, nullptr).ok());
      }
    }
  }
}

TEST_CASE("repair: the next segment may be missing unless the log had come to it") {
  for (bool begun : {false, true}) {
    INFO("begun " << begun);
    JournalHarness h(1);
    h.options.policy = FsyncPolicy::kAlways;
    REQUIRE(h.Open().ok());
    const Lsn first = h.Append(JournalHarness::Record(1, 500));
    REQUIRE(h.journal->SyncTo(first).ok());
    REQUIRE(h.Eventually([&] {
      h.journal->PrepareRoll();
      return h.journal->next_ready();
    }));
    h.fs.FailRenames(true);  // no later manifest
    if (begun) REQUIRE(h.journal->BeginSnapshot() == first);
    const Lsn tail = h.Append(JournalHarness::Record(2, 500));
    REQUIRE(h.journal->SyncTo(tail).ok());
    const Lsn kept = begun ? first : tail;
    h.fs.FreezeAfter(0);
    h.journal.reset();
    h.fs.Kill();
    const Manifest m = LoadManifest(&h.fs, "d").value();
    REQUIRE(m.segments.back().state == SegmentState::kNext);
    const std::string path = SegmentPath("d", m.segments.back());
    const std::string bytes = h.fs.Get(path);
    REQUIRE(bytes.empty() != begun);
    REQUIRE(h.fs.Remove(path).ok());
    for (bool in_use : {false, true}) {
      auto recovered = RecoverJournal(&h.fs, "d", nullptr, in_use);
      REQUIRE(recovered.ok() != begun);
      if (begun) {
        REQUIRE(recovered.status().code() == StatusCode::kCorrupt);
        REQUIRE(recovered.status().message().find(path + " is missing") != std::string::npos);
      } else {
        REQUIRE(recovered->tail_lsn == tail);
        REQUIRE(VerifyChain(&h.fs, "d", recovered->manifest, tail, nullptr).ok());
      }
    }
    if (begun) {
      h.fs.Put(path, bytes);
      REQUIRE(RecoverJournal(&h.fs, "d")->tail_lsn == tail);
      REQUIRE(h.fs.Remove(path).ok());
    }
    std::string text;
    REQUIRE(RepairJournal(&h.fs, "d", true, nullptr, &text).ok());
    INFO(text);
    REQUIRE((text.find("nothing to repair") == std::string::npos) == begun);
    REQUIRE(h.Open().ok());
    REQUIRE(h.journal->tail() == kept);
    const Lsn end = h.Append(JournalHarness::Record(3, 500));
    REQUIRE(h.journal->SyncTo(end).ok());
    // A backup has no next segment.
    REQUIRE(h.Eventually([&] {
      h.journal->PrepareRoll();
      return h.journal->next_ready();
    }));
    REQUIRE(h.fs.MakeDirectory("b").ok());
    auto copy = h.journal->CopyTo("b", h.journal->manifest().LastTimeline(), end,
                                  [] { return false; });
    REQUIRE(copy.ok());
    for (const SegmentEntry& s : copy->manifest.segments) REQUIRE(s.ended());
    REQUIRE(VerifyChain(&h.fs, "b", copy->manifest, end, nullptr).ok());
    REQUIRE(h.journal->Close().ok());
    h.journal.reset();
    REQUIRE(RecoverJournal(&h.fs, "d")->tail_lsn == end);
  }
}

TEST_CASE("repair: random damages of random logs") {
  // CAIRN_REPAIR_LOGS for more of them, CAIRN_REPAIR_SEED for others.
  const char* logs = getenv("CAIRN_REPAIR_LOGS");
  const char* seed = getenv("CAIRN_REPAIR_SEED");
  const uint64_t first = seed == nullptr ? 1 : strtoull(seed, nullptr, 10);
  const uint64_t count = logs == nullptr ? 12 : strtoull(logs, nullptr, 10);
  for (uint64_t log = first; log < first + count; ++log) {
    RandomLog h(log);
    Random random(log);
    auto recovered = RecoverJournal(&h.fs, "d", h.options.keys);
    REQUIRE(recovered.ok());
    const Manifest& m = recovered->manifest;
    const Lsn from = m.segments.empty() ? m.base_lsn : m.segments.front().first_lsn;
    // What was forgotten is never read.
    const std::string all =
        std::string(from, '?') + h.ReadAll(m, from, recovered->tail_lsn);
    REQUIRE(all.size() == recovered->tail_lsn);
    for (int round = 0; round < 25; ++round) {
      INFO("log " << log << " round " << round);
      Round(&h, all, &random);
    }
  }
}

}  // namespace cairn
