// SPDX-License-Identifier: BSD-3-Clause
//
// appendfsync everysec, measured: what a power cut takes. Time stands still until the test moves
// it, and it is not moved before the journal has done what is due by now; so the second is one by
// this clock, however slow the machine is.
//
//   - What was acknowledged is being made durable when it is half a second old: a disk that keeps
//     up loses nothing older than that and what a sync takes.
//   - Nothing is acknowledged while something acknowledged a second ago is not durable: a disk that
//     hangs loses at most what was acknowledged within one second, however long it hangs.
#include <algorithm>
#include <atomic>
#include <string>
#include <vector>

#include "base/random.h"
#include "tests/unit/journal/journal_harness.h"

namespace cairn {
namespace {

constexpr int64_t kSyncUs = 500'000, kPromiseUs = 1'000'000;
// By so much less is old what came while the writer was at something shorter than that.
constexpr int64_t kUnnoticedUs = 5000;

class StillClock final : public Clock {
 public:
  int64_t WallUs() override { return 1'700'000'000'000'000 + now_us; }
  int64_t MonotonicUs() override { return now_us; }
  std::atomic<int64_t> now_us{1'000'000};
};

class Second : public JournalHarness {
 public:
  explicit Second(uint64_t seed) : JournalHarness(seed), random(seed) {
    options.clock = &clock_;
    options.policy = FsyncPolicy::kEverySecond;
    options.write_delay_us = 0;
  }
  ~Second() override {
    fs.HoldWrites(false);
    fs.HoldSyncs(false);
    journal.reset();
  }

  // A client writes, if it may, and has its answer at once.
  void Write(size_t bytes) {
    if (!journal->Admits()) return;
    const std::string payload = Record(number_++, bytes);
    if (model_.empty()) model_ = "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n";
    model_ += payload;
    const Lsn end = Append(payload);
    REQUIRE(end == model_.size());
    acknowledged_.push_back({end, clock_.now_us});
  }

  // One of the two at a time.
  void HoldWrites(bool hold) { Hold(hold, false); }
  void HoldSyncs(bool hold) { Hold(false, hold); }
  bool held() const { return writes_held_ || syncs_held_; }

  // Time passes, once all is done that is due, and then what is due by then.
  void Pass(int64_t us) {
    Settle();
    clock_.now_us += us;
    journal->SetPolicy(FsyncPolicy::kEverySecond);  // everybody looks at the clock
    Settle();
  }

  void Settle() {
    // The writer has noted what came, or is at its file.
    REQUIRE(Eventually([&] {
      return journal->written() == journal->tail() || (writes_held_ && fs.held() > 0);
    }));
    const auto age_us = [this] {
      const Acknowledged* oldest = FirstBehind(journal->durable());
      return oldest == nullptr ? 0 : clock_.now_us - oldest->at_us - kUnnoticedUs;
    };
    INFO("the oldest that is not durable was acknowledged " << age_us() << " us ago");
    if (!held()) REQUIRE(Eventually([&] { return age_us() < kSyncUs; }));
    REQUIRE(Eventually([&] { return age_us() < kPromiseUs || !journal->Admits(); }));
  }

  // Returns since when what is lost was acknowledged; 0: nothing is.
  int64_t CutPower() {
    if (!held()) Settle();
    fs.FreezeAfter(0);
    const Lsn durable = journal->durable();
    fs.HoldWrites(false);
    fs.HoldSyncs(false);
    journal.reset();
    fs.PowerCut();
    auto recovered = RecoverJournal(&fs, "d");
    INFO(recovered.status().message());
    REQUIRE(recovered.ok());
    const Lsn tail = recovered->tail_lsn;
    REQUIRE(tail >= durable);
    const bool equal = ReadAll(recovered->manifest, 0, kLsnMax) == model_.substr(0, tail);
    REQUIRE(equal);
    const Acknowledged* lost = FirstBehind(tail);
    if (lost == nullptr) return 0;
    INFO("acknowledged at " << lost->at_us << " and lost, the last one at "
                            << acknowledged_.back().at_us << ", cut at " << clock_.now_us);
    REQUIRE(acknowledged_.back().at_us - lost->at_us < kPromiseUs + kUnnoticedUs);
    if (!held()) REQUIRE(clock_.now_us - lost->at_us < kSyncUs + kUnnoticedUs);
    return lost->at_us;
  }

  Random random;

 private:
  void Hold(bool writes, bool syncs) {
    fs.HoldWrites(writes_held_ = false);
    fs.HoldSyncs(syncs_held_ = false);
    REQUIRE(Eventually([this] { return fs.held() == 0; }));
    Settle();
    fs.HoldWrites(writes_held_ = writes);
    fs.HoldSyncs(syncs_held_ = syncs);
  }

  struct Acknowledged {
    Lsn end;
    int64_t at_us;
  };
  // The first that does not end at or before `lsn`.
  const Acknowledged* FirstBehind(Lsn lsn) const {
    const auto at = std::partition_point(acknowledged_.begin(), acknowledged_.end(),
                                         [&](const Acknowledged& a) { return a.end <= lsn; });
    return at == acknowledged_.end() ? nullptr : &*at;
  }

  StillClock clock_;
  std::string model_;
  std::vector<Acknowledged> acknowledged_;
  uint64_t number_ = 0;
  bool writes_held_ = false, syncs_held_ = false;
};

}  // namespace

TEST_CASE("everysec: a power cut takes less than a second, from a disk that keeps up or hangs") {
  int lost = 0, lost_by_hanging = 0;
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    INFO("seed " << seed);
    Second h(seed);
    Random& random = h.random;
    h.options.segment_bytes_max = 600 + random.Below(20'000);
    // Where the disk never hangs, the second is half a one.
    const bool hangs = seed % 3 != 0;
    REQUIRE(h.Open().ok());
    for (uint64_t n = 10 + random.Below(60); n > 0; --n) {
      h.Pass(static_cast<int64_t>(random.Below(100'000)));
      for (uint64_t writes = random.Below(4); writes > 0; --writes) h.Write(random.Below(900));
      if (!hangs || random.Below(12) != 0) continue;
      random.Below(2) == 0 ? h.HoldWrites(random.Below(2) == 0) : h.HoldSyncs(random.Below(2) == 0);
    }
    const bool held = h.held();
    const int64_t since_us = h.CutPower();
    lost += since_us != 0;
    lost_by_hanging += since_us != 0 && held;
  }
  // Else nothing was measured.
  REQUIRE(lost > 20);
  REQUIRE(lost_by_hanging > 5);
}

TEST_CASE("everysec: writes wait for a disk that hangs, whoever of the journal waits for it, too") {
  Second h(1);
  h.options.segment_bytes_max = 1000;
  REQUIRE(h.Open().ok());
  h.HoldSyncs(true);
  // The next segment's name is to be made durable, and the live one's end.
  for (int i = 0; i < 5; ++i) h.Write(400);
  REQUIRE(h.Eventually([&] { return h.fs.held() >= 1; }));
  for (int i = 0; i < 9; ++i) {
    h.Pass(100'000);
    REQUIRE(h.journal->Admits());
    h.Write(10);
  }
  h.Pass(110'000);
  REQUIRE(h.journal->gate() == kGateSyncLate);
  REQUIRE(h.journal->late_syncs() == 1);
  for (int i = 0; i < 20; ++i) h.Pass(1'000'000);
  REQUIRE(h.journal->gate() == kGateSyncLate);
  h.HoldSyncs(false);
  REQUIRE(h.Eventually([&] { return h.journal->Admits(); }));
  h.Settle();
  h.HoldSyncs(true);
  for (int i = 0; i < 20; ++i) h.Write(400);
  h.Pass(30'000'000);
  REQUIRE(h.CutPower() != 0);
}

TEST_CASE("everysec: writes wait also where a write hangs that none of them is in") {
  Second h(1);
  REQUIRE(h.Open().ok());
  h.Write(10);
  h.Pass(506'000);
  REQUIRE(h.journal->durable() == h.journal->tail());
  // The mark behind a sync that left the log idle.
  h.HoldWrites(true);
  h.Pass(20'000);
  REQUIRE(h.Eventually([&] { return h.fs.held() == 1; }));
  h.Write(10);
  h.Pass(900'000);
  REQUIRE(h.journal->Admits());
  h.Pass(110'000);
  REQUIRE_FALSE(h.journal->Admits());
}

TEST_CASE("everysec: what came while a write hung is as old as it is") {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    Second h(seed);
    REQUIRE(h.Open().ok());
    h.HoldWrites(true);
    h.Write(10);
    REQUIRE(h.Eventually([&] { return h.fs.held() == 1; }));
    h.Pass(50'000);
    h.Write(10);
    h.Pass(900'000);
    REQUIRE(h.journal->Admits());
    // Both are long due.
    h.HoldWrites(false);
    h.Settle();
    REQUIRE(h.journal->durable() == h.journal->tail());
  }
}

}  // namespace cairn
