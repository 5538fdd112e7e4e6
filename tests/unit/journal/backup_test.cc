// SPDX-License-Identifier: BSD-3-Clause
//
// A copy of the running log is the log up to the LSN asked for, whatever is written, replaced or
// breaks meanwhile; the log itself goes on as if there had been none.
#include <atomic>

#include "journal/verify.h"
#include "tests/unit/journal/journal_harness.h"

namespace cairn {
namespace {

const auto kGoOn = [] { return false; };

struct Source : JournalHarness {
  explicit Source(uint64_t seed) : JournalHarness(seed) {
    options.policy = FsyncPolicy::kAlways;
    options.segment_bytes_max = 2000;
  }
  ~Source() override { journal.reset(); }
  void Write(int records) {
    for (int i = 0; i < records; ++i) Append(Record(number++, 300));
    REQUIRE(journal->SyncTo(journal->tail()).ok());
  }
  void Base() { REQUIRE(TryBase().ok()); }
  // For threads: Catch counts assertions without a lock.
  Status TryBase() {
    journal->PrepareRoll();
    const Lsn lsn = journal->BeginSnapshot();
    const std::string name = "base-" + std::to_string(lsn);
    fs.Put("d/" + name, name);
    return journal->InstallBase(name, lsn, name.size());
  }
  // The stream that folder `dir` holds after recovery, "ERROR: ..." if it holds none.
  std::string Recover(const std::string& dir, Lsn* from) {
    auto recovered = RecoverJournal(&fs, dir, options.keys);
    if (!recovered.ok()) return "ERROR: " + recovered.status().message();
    if (recovered->report.fresh) return "ERROR: fresh";
    const Manifest& m = recovered->manifest;
    *from = m.segments.empty() ? m.base_lsn : m.segments.front().first_lsn;
    auto reader = JournalReader::Open(&fs, dir, m, *from, recovered->tail_lsn);
    if (!reader.ok()) return "ERROR: " + reader.status().message();
    std::string all;
    StreamPiece piece;
    for (auto more = (*reader)->Next(&piece);; more = (*reader)->Next(&piece)) {
      if (!more.ok()) return "ERROR: " + more.status().message();
      if (!*more) return all;
      all += piece.bytes;
    }
  }

  uint64_t number = 0;
};

}  // namespace

TEST_CASE("backup: the copy ends at the LSN asked for and stays so") {
  Source h(1);
  REQUIRE(h.Open().ok());
  h.Write(20);
  const Lsn lsn = h.journal->tail();
  h.Write(3);
  auto copy = h.journal->CopyTo("copy", 1, lsn, kGoOn);
  REQUIRE(copy.ok());
  REQUIRE(SaveManifest(&h.fs, "copy", copy->manifest).ok());
  const std::string wanted = h.ReadAll(h.journal->manifest(), 0, lsn);
  REQUIRE(wanted.size() == lsn);
  h.Write(30);
  h.Base();
  h.Write(1);
  Lsn from = 1;
  REQUIRE(h.Recover("copy", &from) == wanted);
  REQUIRE(from == 0);
  REQUIRE(VerifyChain(&h.fs, "copy", copy->manifest, lsn, nullptr).ok());
  // Whatever the copy's owner does, it shares no file that is still written to.
  const uint64_t bytes = copy->bytes;
  uint64_t found = 0;
  for (const std::string& name : copy->manifest.FileNames())
    found += h.fs.Get("copy/" + name).size();
  REQUIRE(found == bytes);
}

TEST_CASE("backup: an idle log is sealed for it, and an empty one has nothing to copy") {
  Source h(2);
  REQUIRE(h.Open().ok());
  auto empty = h.journal->CopyTo("empty", 1, 0, kGoOn);
  REQUIRE(empty.ok());
  REQUIRE(empty->files == 0);
  REQUIRE(SaveManifest(&h.fs, "empty", empty->manifest).ok());
  REQUIRE(RecoverJournal(&h.fs, "empty").ok());
  h.Write(1);
  for (const char* dir : {"one", "two"}) {
    auto copy = h.journal->CopyTo(dir, 1, h.journal->tail(), kGoOn);
    REQUIRE(copy.ok());
    REQUIRE(copy->files == 1);
  }
  // With a base and nothing behind it.
  h.Base();
  auto based = h.journal->CopyTo("based", 1, h.journal->tail(), kGoOn);
  REQUIRE(based.ok());
  REQUIRE(based->manifest.segments.empty());
  REQUIRE(SaveManifest(&h.fs, "based", based->manifest).ok());
  auto recovered = RecoverJournal(&h.fs, "based");
  REQUIRE(recovered.ok());
  REQUIRE(recovered->tail_lsn == h.journal->tail());
}

TEST_CASE("backup: where no segment can be created it fails, and the log goes on") {
  Source h(6);
  h.options.segment_bytes_max = 1 << 20;  // no next segment is made ready
  REQUIRE(h.Open().ok());
  h.Write(3);
  // The manifest that lists a new segment cannot be saved.
  h.fs.FailRenames(true);
  const int64_t begin_ms = SystemClock()->MonotonicMs();
  const auto for_a_minute = [&] { return SystemClock()->MonotonicMs() - begin_ms > 60'000; };
  auto copy = h.journal->CopyTo("copy", 1, h.journal->tail(), for_a_minute);
  REQUIRE(copy.status().code() == StatusCode::kIo);
  REQUIRE(copy.status().message().starts_with("the log cannot begin a new segment: "));
  REQUIRE(h.fs.List("copy")->empty());
  h.Write(3);
  h.fs.FailRenames(false);
  REQUIRE(h.journal->CopyTo("copy", 1, h.journal->tail(), for_a_minute).ok());
}

TEST_CASE("backup: a base that overtakes it asks for another LSN") {
  Source h(3);
  REQUIRE(h.Open().ok());
  h.Write(5);
  const Lsn lsn = h.journal->tail();
  h.Write(1);
  h.Base();
  REQUIRE(h.journal->CopyTo("copy", 1, lsn, kGoOn).status().code() == StatusCode::kNotFound);
}

TEST_CASE("backup: a timeline that ends meanwhile asks for another LSN") {
  Source h(5);
  REQUIRE(h.Open().ok());
  h.Write(5);
  const Lsn lsn = h.journal->tail();
  TimelineStart full_sync;
  full_sync.anew = true;
  full_sync.lsn = 3;
  REQUIRE(h.journal->StartTimeline(full_sync).ok());
  REQUIRE(h.journal->CopyTo("copy", 1, lsn, kGoOn).status().code() == StatusCode::kNotFound);
  // The new one may have got there, too.
  h.Write(10);
  REQUIRE(h.journal->tail() > lsn);
  REQUIRE(h.journal->CopyTo("copy", 1, lsn, kGoOn).status().code() == StatusCode::kNotFound);
  REQUIRE(h.journal->CopyTo("copy", 2, h.journal->tail(), kGoOn).ok());
}

TEST_CASE("backup: two bases of one LSN are one file") {
  Source h(6);
  REQUIRE(h.Open().ok());
  h.journal->SetRetention(1000000000, 0);
  h.Write(3);
  h.Base();
  h.Base();
  REQUIRE(h.journal->manifest().snapshots.size() == 3);
  const auto copy = h.journal->CopyTo("copy", 1, h.journal->tail(), kGoOn);
  INFO(copy.status().message());
  REQUIRE(copy.ok());
  REQUIRE(VerifyChain(&h.fs, "copy", copy->manifest, h.journal->tail(), nullptr).ok());
}

TEST_CASE("backup: copies while others write and compact are whole") {
  Source h(4);
  REQUIRE(h.Open().ok());
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    while (!stop) {
      h.Append(JournalHarness::Record(h.number++, 300));
      std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
  });
  Status compacted;
  std::thread compactor([&] {
    for (int i = 0; i < 20 && compacted.ok(); ++i) compacted = h.TryBase();
  });
  for (int i = 0; i < 20; ++i) {
    const std::string dir = "copy" + std::to_string(i);
    const Lsn lsn = h.journal->tail();
    auto copy = h.journal->CopyTo(dir, 1, lsn, kGoOn);
    if (copy.status().code() == StatusCode::kNotFound) continue;
    INFO(copy.status().message());
    REQUIRE(copy.ok());
    REQUIRE(VerifyChain(&h.fs, dir, copy->manifest, lsn, nullptr).ok());
    REQUIRE(h.fs.Get(dir + "/" + copy->manifest.base_name) == copy->manifest.base_name);
  }
  compactor.join();
  stop = true;
  writer.join();
  INFO(compacted.message());
  REQUIRE(compacted.ok());
}

TEST_CASE("backup: at every step a crash leaves the log whole and the copy whole or refused") {
  for (uint64_t step = 0; step < 40; ++step) {
    Source h(100 + step);
    REQUIRE(h.Open().ok());
    h.Write(4);
    h.Base();
    h.Write(12);
    const Lsn lsn = h.journal->tail();
    const Lsn base = h.journal->manifest().base_lsn;
    const std::string wanted = h.ReadAll(h.journal->manifest(), base, lsn);
    h.fs.FreezeAfter(step);
    auto copy = h.journal->CopyTo("copy", 1, lsn, [&] { return h.fs.frozen(); });
    if (copy.ok()) (void)SaveManifest(&h.fs, "copy", copy->manifest);
    const bool done = copy.ok() && !h.fs.frozen();
    h.journal.reset();
    step % 2 == 0 ? h.fs.PowerCut() : h.fs.Kill();
    Lsn from = 0;
    const std::string there = h.Recover("copy", &from);
    const bool refused = there.starts_with("ERROR");
    REQUIRE((refused || (from <= base && there.substr(base - from) == wanted)));
    if (done) REQUIRE_FALSE(refused);
    const std::string source = h.Recover("d", &from);
    REQUIRE(from <= base);
    REQUIRE(source.substr(base - from) == wanted);
  }
}

}  // namespace cairn
