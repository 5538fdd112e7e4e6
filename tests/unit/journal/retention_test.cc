// SPDX-License-Identifier: BSD-3-Clause
//
// Old bases and the segments behind them stay as long as retention wants, and every state in
// between can be begun again; at every step of their deletion a crash leaves a log that starts.
#include "journal/restore_point.h"
#include "tests/unit/journal/journal_harness.h"

namespace cairn {
namespace {

// A clock whose wall time the test moves.
class MovedClock final : public Clock {
 public:
  int64_t WallUs() override { return wall_ms * 1000; }
  int64_t MonotonicUs() override { return SystemClock()->MonotonicUs(); }
  std::atomic<int64_t> wall_ms{1'700'000'000'000};
};

struct Retained : JournalHarness {
  explicit Retained(uint64_t seed) : JournalHarness(seed) {
    options.clock = &clock;
    options.policy = FsyncPolicy::kAlways;
    options.segment_bytes_max = 2000;
  }
  ~Retained() override { journal.reset(); }
  // Writes some records, then makes their end the new base.
  Lsn Base() {
    for (int i = 0; i < 10; ++i) {
      Append(Record(number++, 500));
      REQUIRE(journal->SyncTo(journal->tail()).ok());
    }
    journal->PrepareRoll();
    // The keeper makes the next segment when it comes to it; without, the log goes on in this one,
    // and what a base replaces ends elsewhere than the base begins.
    REQUIRE(Eventually([this] { return journal->next_ready(); }));
    return Install();
  }
  Lsn Install() {
    const Lsn lsn = journal->BeginSnapshot();
    const std::string name = "base-" + std::to_string(lsn);
    fs.Put("d/" + name, name);
    status = journal->InstallBase(name, lsn, name.size());
    return lsn;
  }
  bool Has(Lsn base) { return fs.Exists("d/base-" + std::to_string(base)).value(); }

  MovedClock clock;
  uint64_t number = 0;
  Status status;
};

TEST_CASE("retention: by time, as it passes") {
  Retained h(1);
  h.options.retention_ms = 10'000;
  REQUIRE(h.Open().ok());
  const Lsn a = h.Base();
  h.clock.wall_ms += 4000;
  const Lsn b = h.Base();
  h.clock.wall_ms += 4000;
  const Lsn c = h.Base();
  REQUIRE(h.journal->manifest().RestorableFrom() == 0);
  const std::string all = h.ReadAll(h.journal->manifest(), 0, kLsnMax);
  REQUIRE(all.size() == c);
  // The empty beginning goes when `a` is ten seconds old, `a` when `b` is.
  h.clock.wall_ms += 3000;
  REQUIRE(h.Eventually([&] { return h.journal->manifest().RestorableFrom() == a; }));
  REQUIRE(h.Has(a));
  REQUIRE(h.ReadAll(h.journal->manifest(), a, kLsnMax) == all.substr(a));
  h.clock.wall_ms += 4000;
  REQUIRE(h.Eventually([&] { return h.journal->manifest().RestorableFrom() == b; }));
  REQUIRE(h.Eventually([&] { return !h.Has(a); }));
  // A restart keeps what is left.
  REQUIRE(h.journal->Close().ok());
  h.journal.reset();
  REQUIRE(h.Open().ok());
  REQUIRE(h.journal->manifest().RestorableFrom() == b);
  REQUIRE(h.Has(b));
  h.journal->SetRetention(0, 0);
  REQUIRE(h.Eventually([&] { return h.journal->manifest().RestorableFrom() == c; }));
  REQUIRE(h.Eventually([&] { return !h.Has(b); }));
  REQUIRE(h.Has(c));
}

TEST_CASE("retention: never more bytes than said") {
  Retained h(2);
  h.options.retention_bytes = 20'000;
  REQUIRE(h.Open().ok());
  for (int i = 0; i < 12; ++i) {
    h.Base();
    REQUIRE(h.status.ok());
    // The writer may come to end the segment before the base when this is in place and trimmed.
    REQUIRE(h.Eventually([&] { return h.journal->manifest().ReplacedBytes() <= 20'000; }));
  }
  const Manifest m = h.journal->manifest();
  REQUIRE(m.snapshots.size() > 2);
  REQUIRE(m.RestorableFrom() > 0);
  REQUIRE(m.RestorableFrom() < m.base_lsn);
}

TEST_CASE("retention: a restore begins at the newest snapshot before its target") {
  Retained h(3);
  h.options.retention_ms = 1'000'000;
  REQUIRE(h.Open().ok());
  const Lsn a = h.Base(), b = h.Base();
  const std::string all = h.ReadAll(h.journal->manifest(), 0, kLsnMax);
  REQUIRE(h.journal->Close().ok());
  h.journal.reset();
  const struct {
    Lsn target, base;
    std::string name;
  } kCases[] = {{b, b, "base-" + std::to_string(b)},
                {b - 1, a, "base-" + std::to_string(a)},
                {a, a, "base-" + std::to_string(a)},
                {a - 1, 0, ""},
                {0, 0, ""}};
  for (const auto& c : kCases) {
    INFO("to " << c.target);
    auto recovered = RecoverJournal(&h.fs, "d");
    REQUIRE(recovered.ok());
    auto lsn = FindRestorePoint(&h.fs, "d", &*recovered, "--restore-to", std::to_string(c.target),
                                nullptr);
    REQUIRE(lsn.ok());
    REQUIRE(recovered->manifest.base_name == c.name);
    REQUIRE(recovered->manifest.base_lsn == c.base);
    REQUIRE(h.ReadAll(recovered->manifest, c.base, c.target) ==
            all.substr(c.base, c.target - c.base));
    REQUIRE(recovered->CutAt(c.target).ok());
    REQUIRE(Manifest::Decode(recovered->manifest.Encode()).ok());
  }
}

TEST_CASE("retention: what is lost before the base costs what it led to, not the start") {
  Retained h(4);
  h.options.retention_ms = 1'000'000;
  REQUIRE(h.Open().ok());
  const Lsn a = h.Base(), b = h.Base(), c = h.Base();
  for (int i = 0; i < 10; ++i) {
    h.Append(h.Record(i, 500));
    REQUIRE(h.journal->SyncTo(h.journal->tail()).ok());
  }
  const std::string all = h.ReadAll(h.journal->manifest(), 0, kLsnMax);
  REQUIRE(h.journal->Close().ok());
  const Manifest m = h.journal->manifest();
  h.journal.reset();
  Lsn lost_end = 0;
  for (const SegmentEntry& s : m.segments) {
    const std::string path = SegmentPath("d", s), bytes = h.fs.Get(path);
    INFO(path << " from LSN " << s.first_lsn << " to " << s.end_lsn);
    // Behind the base even this is not passed over: its blocks are all there, the index is not.
    h.fs.Put(path, bytes.substr(0, bytes.size() - 1));
    if (auto odd = RecoverJournal(&h.fs, "d"); s.end_lsn <= c) {
      REQUIRE(odd.ok());
      REQUIRE(odd->report.lost.empty());
      REQUIRE(odd->report.odd.find(path) != std::string::npos);
      REQUIRE(odd->manifest.RestorableFrom() == m.RestorableFrom());
      REQUIRE(h.ReadAll(odd->manifest, 0, kLsnMax) == all);
    } else {
      REQUIRE_FALSE(odd.ok());
    }
    for (bool cut : {false, true}) {
      if (cut) {
        h.fs.Put(path, bytes.substr(0, bytes.size() / 2));
      } else {
        REQUIRE(h.fs.Remove(path).ok());
      }
      auto recovered = RecoverJournal(&h.fs, "d");
      REQUIRE(recovered.ok() == (s.end_lsn <= c));
      if (!recovered.ok()) continue;
      lost_end = s.end_lsn;
      const RecoveryReport& report = recovered->report;
      REQUIRE(report.lost.find(path) != std::string::npos);
      REQUIRE(recovered->tail_lsn == all.size());
      REQUIRE(recovered->manifest.base_lsn == c);
      REQUIRE(h.ReadAll(recovered->manifest, c, kLsnMax) == all.substr(c));
      REQUIRE(Manifest::Decode(recovered->manifest.Encode()).ok());
      // The first of the three that is behind what is lost.
      const Lsn from = s.end_lsn <= a ? a : s.end_lsn <= b ? b : c;
      REQUIRE(recovered->manifest.RestorableFrom() == from);
      REQUIRE_FALSE(FindRestorePoint(&h.fs, "d", &*recovered, "--restore-to",
                                     std::to_string(from - 1), nullptr).ok());
    }
    h.fs.Put(path, bytes);
  }
  REQUIRE(RecoverJournal(&h.fs, "d")->report.lost.empty());
  // Once it was started without, nobody misses it; what is left of it stays.
  REQUIRE(lost_end > b);
  REQUIRE(h.fs.Remove(SegmentPath("d", m.segments[1])).ok());
  REQUIRE(h.Open().ok());
  REQUIRE_FALSE(h.report.lost.empty());
  REQUIRE(h.journal->Close().ok());
  h.journal.reset();
  REQUIRE(h.Open().ok());
  REQUIRE(h.report.lost.empty());
  REQUIRE(h.fs.Exists(SegmentPath("d", m.segments[0])).value());
}

TEST_CASE("retention: a crash at every step of a base switch leaves all that is promised") {
  for (bool power : {false, true}) {
    for (uint64_t step = 0; step < 45; ++step) {
      INFO("step " << step << " power cut " << power);
      Retained h(100 + step);
      h.options.retention_ms = 5000;
      REQUIRE(h.Open().ok());
      const Lsn a = h.Base();
      h.clock.wall_ms += 3000;
      const Lsn b = h.Base();
      h.clock.wall_ms += 3000;
      const std::string all = h.ReadAll(h.journal->manifest(), a, kLsnMax);
      // What now is too old goes in the same stroke.
      h.fs.FreezeAfter(step);
      const Lsn c = h.Install();
      h.fs.FreezeAfter(0);
      h.journal.reset();
      power ? h.fs.PowerCut() : h.fs.Kill();
      auto recovered = RecoverJournal(&h.fs, "d");
      INFO(recovered.status().message());
      REQUIRE(recovered.ok());
      const Manifest& m = recovered->manifest;
      REQUIRE((m.base_lsn == b || m.base_lsn == c));
      REQUIRE(recovered->tail_lsn == c);
      for (const SnapshotEntry& s : m.snapshots) {
        INFO(s.name);
        REQUIRE((s.name.empty() || h.fs.Exists("d/" + s.name).value()));
      }
      REQUIRE(m.RestorableFrom() <= a);
      REQUIRE(h.ReadAll(m, a, kLsnMax) == all);
      REQUIRE(h.Open().ok());
      h.Base();
      REQUIRE(h.status.ok());
      REQUIRE(h.journal->Close().ok());
    }
  }
}

}  // namespace
}  // namespace cairn
