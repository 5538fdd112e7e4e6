// SPDX-License-Identifier: BSD-3-Clause
//
// What the disk does not give back (EIO) is neither the log's end nor damage: it says nothing of the
// bytes. A start, verify and repair say that it is so and change nothing, or need none of it; and once
// the disk gives it back all is as it was.
#include <algorithm>
#include <string>
#include <vector>

#include "journal/verify.h"
#include "snapshot/verify.h"
#include "tests/unit/journal/random_log.h"
#include "utils/cairn-check/repair.h"

namespace cairn {
namespace {

// What a start makes of the folder, or says instead.
struct Told {
  Status status;
  Lsn tail = 0;
  std::string read;  // from the base on
};

Told Start(JournalHarness* h) {
  Told told;
  auto recovered = RecoverJournal(&h->fs, "d", h->options.keys);
  told.status = recovered.status();
  if (!recovered.ok()) return told;
  const Manifest& m = recovered->manifest;
  told.tail = recovered->tail_lsn;
  if (!m.base_name.empty())
    told.status = VerifyBase(&h->fs, "d/" + m.base_name, m.base_lsn, h->options.keys).status();
  if (!told.status.ok()) return told;
  auto reader =
      JournalReader::Open(&h->fs, "d", m, m.base_lsn, recovered->tail_lsn, h->options.keys);
  told.status = reader.status();
  StreamPiece piece;
  while (told.status.ok()) {
    auto more = (*reader)->Next(&piece);
    told.status = more.status();
    if (!more.ok() || !*more) break;
    told.read += piece.bytes;
  }
  if (told.status.ok() && told.read.size() != told.tail - m.base_lsn)
    told.status = Status::Corrupt("the log is short");
  return told;
}

Status Verify(JournalHarness* h) {
  auto recovered = RecoverJournal(&h->fs, "d", h->options.keys, /*in_use=*/true);
  if (!recovered.ok()) return recovered.status();
  const Manifest& m = recovered->manifest;
  CAIRN_RETURN_IF_ERROR(VerifyChain(&h->fs, "d", m, recovered->tail_lsn, h->options.keys));
  for (const SnapshotEntry& s : m.snapshots)
    if (!s.name.empty())
      CAIRN_RETURN_IF_ERROR(
          VerifyBase(&h->fs, "d/" + s.name, s.lsn, h->options.keys).status());
  if (!recovered->report.unread.empty()) return Status::Io(recovered->report.unread);
  const std::string said = recovered->report.lost + recovered->report.odd;
  return said.empty() ? Status::Ok() : Status::Corrupt(said);
}

void RequireSame(const Told& now, const Told& before) {
  INFO(now.status.message());
  REQUIRE(now.status.code() == before.status.code());
  REQUIRE(now.status.message() == before.status.message());
  REQUIRE(now.tail == before.tail);
  REQUIRE(now.read == before.read);
}

// Several blocks that promise nothing of each other, and a mark that promises all: killed then.
struct LargeGroup : JournalHarness {
  LargeGroup() : JournalHarness(1) {
    options.policy = FsyncPolicy::kAlways;
    options.acceleration = 0;  // of LZ4: stored, so longer than what is read at a time
    REQUIRE(Open().ok());
    small = Append(Record(1, 40));
    REQUIRE(journal->SyncTo(small).ok());
    const Lsn end = Append(Record(2, 1'500'000));
    REQUIRE(journal->SyncTo(end).ok());
    REQUIRE(Eventually([&] { return Blocks(end); }));
    journal.reset();
    fs.Kill();
    bytes = fs.Get(path);
    REQUIRE(offsets.size() > 6);
  }
  ~LargeGroup() override { journal.reset(); }

  // Whether the mark is there, which is the last of `offsets` then.
  bool Blocks(Lsn end) {
    offsets.clear();
    auto reader = SegmentReader::Open(&fs, path);
    SegmentReader::Block block;
    bool mark = false;
    while (reader.ok() && (*reader)->Next(&block) == SegmentReader::End::kNone) {
      offsets.push_back(block.offset);
      mark = block.header.is_mark() && block.header.synced_lsn == end;
    }
    return mark;
  }

  const std::string path = "d/" + SegmentName(1, 1);
  Lsn small = 0;
  std::string bytes;
  std::vector<uint64_t> offsets;
};

}  // namespace

TEST_CASE("unreadable: behind a bad block it may be what says that this was durable") {
  LargeGroup h;
  const std::string manifest = h.fs.Get("d/manifest");
  std::string bad = h.bytes;
  bad[h.offsets[2] + 200] ^= 1;
  h.fs.Put(h.path, bad);
  const Told damaged = Start(&h);
  REQUIRE(damaged.status.code() == StatusCode::kCorrupt);
  for (size_t b = 3; b < h.offsets.size(); ++b) {
    INFO("block " << b << " of " << h.offsets.size());
    h.fs.FailReads(h.path, h.offsets[b], 512);
    const Told told = Start(&h);
    INFO(told.status.message());
    REQUIRE(told.status.code() == StatusCode::kIo);
    REQUIRE(told.status.message().find(h.path) != std::string::npos);
    REQUIRE(Verify(&h).code() == StatusCode::kIo);
    std::string text;
    REQUIRE(RepairJournal(&h.fs, "d", true, nullptr, &text).code() == StatusCode::kIo);
    REQUIRE(h.fs.Get(h.path) == bad);
    REQUIRE(h.fs.Get("d/manifest") == manifest);
    h.fs.FailReads("");
    RequireSame(Start(&h), damaged);
  }
  // The same log, whole: nothing was taken from it.
  h.fs.Put(h.path, h.bytes);
  REQUIRE(Start(&h).status.ok());
}

TEST_CASE("unreadable: a segment behind a bad block, or what it stands in") {
  for (bool missing : {false, true}) {
    LargeGroup h;
    // As if the next segment had just been begun.
    Manifest m = LoadManifest(&h.fs, "d").value();
    SegmentEntry next = m.segments.back();
    next.sequence = 2;
    m.segments.push_back(next);
    REQUIRE(SaveManifest(&h.fs, "d", m).ok());
    const std::string second = SegmentPath("d", next);
    if (!missing) h.fs.Put(second, h.bytes);
    std::string bad = h.bytes;
    bad[h.offsets[2] + 200] ^= 1;
    // No mark: whatever promises something is in the second file.
    h.fs.Put(h.path, bad.substr(0, h.offsets.back()));
    const StatusCode before = Start(&h).status.code();
    REQUIRE(before == StatusCode::kCorrupt);
    if (missing) continue;
    for (int fault = 0; fault < 3; ++fault) {
      if (fault == 0) h.fs.FailOpenOf(second);
      if (fault == 1) h.fs.FailReads(second, 0, kSegmentHeaderBytes);
      if (fault == 2) h.fs.FailReads(second, h.offsets.back(), 512);
      const Told told = Start(&h);
      INFO(fault << told.status.message());
      REQUIRE(told.status.code() == StatusCode::kIo);
      h.fs.FailOpenOf("");
      h.fs.FailReads("");
    }
    REQUIRE(Start(&h).status.code() == before);
  }
}

TEST_CASE("unreadable: what is behind the end of a closed segment is asked of nobody") {
  LargeGroup h;
  h.fs.Put(h.path, h.bytes.substr(0, h.offsets[1]));
  const Told torn = Start(&h);
  REQUIRE(torn.status.ok());
  REQUIRE(h.Open().ok());
  REQUIRE(h.journal->Close().ok());
  h.journal.reset();
  REQUIRE(LoadManifest(&h.fs, "d")->segments.front().state == SegmentState::kClosed);
  // What a failed write hit cannot be read afterwards either.
  h.fs.Put(h.path, h.bytes);
  h.fs.FailReads(h.path, h.offsets[1], 512);
  const Told told = Start(&h);
  INFO(told.status.message());
  REQUIRE(told.status.ok());
  REQUIRE(told.tail >= torn.tail);
  REQUIRE(told.read.compare(0, torn.read.size(), torn.read) == 0);
  auto reader = SegmentReader::Open(&h.fs, h.path);
  REQUIRE(reader.ok());
  (*reader)->Seek(h.small - 1);
  SegmentReader::Block block;
  REQUIRE((*reader)->Next(&block) == SegmentReader::End::kNone);
}

TEST_CASE("unreadable: segments that no manifest lists are not taken for empty ones") {
  LargeGroup h;
  REQUIRE(h.fs.Remove("d/manifest").ok());
  REQUIRE(RecoverJournal(&h.fs, "d").status().code() == StatusCode::kCorrupt);
  h.fs.FailOpenOf(h.path);
  REQUIRE(RecoverJournal(&h.fs, "d").status().code() == StatusCode::kIo);
}

TEST_CASE("unreadable: any sector of random logs") {
  Random random(1);
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    RandomLog h(seed);
    for (int round = 0; round < 4; ++round) {
      h.Reset();
      std::string done = "whole";
      if (round > 0) {
        const std::vector<SegmentEntry> segments = LoadManifest(&h.fs, "d")->segments;
        const std::string path = SegmentPath("d", segments[random.Below(segments.size())]);
        std::string bytes = h.fs.Get(path);
        if (bytes.empty()) continue;
        // One in three where the torn tail of a log would be.
        size_t at = random.Below(bytes.size());
        const uint64_t used = bytes.find_last_not_of('\0');
        if (round == 1) at = used - std::min<uint64_t>(used, random.Below(400));
        bytes[at] ^= 1;
        h.fs.Put(path, bytes);
        done = path + " flipped at " + std::to_string(at);
      }
      const Files files = h.Now();
      const Told before = Start(&h);
      const Status verified = Verify(&h);
      std::string text;
      const Status repaired = RepairJournal(&h.fs, "d", true, h.options.keys, &text);
      const Told after = Start(&h);
      h.Reset();
      for (const auto& [path, bytes] : files) h.fs.Put(path, bytes);
      const Manifest m = LoadManifest(&h.fs, "d").value();
      std::vector<std::string> paths = {"d/manifest"};
      for (const std::string& name : m.FileNames()) paths.push_back("d/" + name);
      for (const std::string& path : paths) {
        for (uint64_t at = 0; at < h.fs.Get(path).size(); at += 512) {
          h.fs.FailReads(path, at, 512);
          const Told now = Start(&h);
          const Status said = Verify(&h);
          std::string why;
          const Status tried = RepairJournal(&h.fs, "d", true, h.options.keys, &why);
          INFO("log " << seed << " " << done << "\n" << files.at("d/manifest") << path << " at " << at
                      << "\na start: " << now.status.message() << ", else "
                      << before.status.message() << "\nverify: " << said.message() << ", else "
                      << verified.message() << "\nrepair: " << tried.message() << why << ", else "
                      << repaired.message() << text);
          if (now.status.code() != StatusCode::kIo) RequireSame(now, before);
          if (said.code() != StatusCode::kIo) REQUIRE(said.code() == verified.code());
          h.fs.FailReads("");
          if (tried.code() != StatusCode::kIo) {
            REQUIRE(tried.code() == repaired.code());
            // It says what it could not look at.
            if (why.substr(0, why.find("originals")) != text.substr(0, text.find("originals")))
              REQUIRE(why.find("Input/output error") != std::string::npos);
            RequireSame(Start(&h), after);
            h.Reset();
            for (const auto& [name, bytes] : files) h.fs.Put(name, bytes);
          }
          REQUIRE(h.Now() == files);
          RequireSame(Start(&h), before);
        }
      }
    }
  }
}

}  // namespace cairn
