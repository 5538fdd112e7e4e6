// SPDX-License-Identifier: BSD-3-Clause
//
// The tail that is made ahead of the blocks under always: its bytes, who reads them, and that a
// death at any byte or step of it loses nothing.
#include <lz4frame.h>

#include "base/random.h"
#include "journal/segment_reader.h"
#include "journal/segment_writer.h"
#include "tests/unit/journal/journal_harness.h"

namespace cairn {
namespace {

const std::string kPath = "d/" + SegmentName(1, 1);
const std::string kSelect0 = "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n";

// What `lz4 -dc` prints; the file ends behind a whole frame.
std::string StockDecode(std::string_view bytes) {
  LZ4F_dctx* context;
  REQUIRE_FALSE(LZ4F_isError(LZ4F_createDecompressionContext(&context, LZ4F_VERSION)));
  std::string out, buffer(1 << 20, '\0');
  size_t hint = 0;
  while (!bytes.empty()) {
    size_t in = bytes.size(), n = buffer.size();
    hint = LZ4F_decompress(context, buffer.data(), &n, bytes.data(), &in, nullptr);
    REQUIRE_FALSE(LZ4F_isError(hint));
    out.append(buffer, 0, n);
    bytes.remove_prefix(in);
  }
  REQUIRE(hint == 0);
  LZ4F_freeDecompressionContext(context);
  return out;
}

// A segment that is written by hand, one block of five bytes at a time.
struct Written {
  Written() {
    auto file = fs.Open("s", FileSystem::Mode::kCreate);
    writer = std::make_unique<SegmentWriter>(std::move(*file), 1,
                                             Timeline{1, std::string(40, 'a'), 0, 0}, nullptr);
    writer->Begin({0, 0}, 1);
    Add();
    REQUIRE(writer->Flush().ok());
  }
  void Add() {
    BlockHeader header;
    header.first_lsn = lsn;
    header.last_unit_lsn = lsn += 5;
    writer->AddBlock(header, "hello", 0);
    stream += "hello";
  }
  std::string Bytes() const { return fs.Get("s"); }

  FaultFs fs{1};
  std::unique_ptr<SegmentWriter> writer;
  Lsn lsn = 0;
  std::string stream;
};

constexpr size_t kBlock = 96 + 15 + 5;  // of Written

TEST_CASE("tail: its bytes, as long as there is room in it") {
  Written w;
  REQUIRE(w.Bytes().size() == 256 + kBlock);
  w.Add();
  REQUIRE(w.writer->PrepareTail(400).ok());
  // Made before the block is written, and a frame already.
  std::string bytes = w.Bytes();
  REQUIRE(bytes.size() == 256 + 2 * kBlock + 400);
  REQUIRE(bytes.substr(256 + kBlock) ==
          std::string("\x52\x2a\x4d\x18\xfc\x01\x00\x00", 8) + std::string(kBlock + 392, '\0'));
  REQUIRE(StockDecode(bytes) == "hello");
  REQUIRE(w.writer->Flush().ok());
  bytes = w.Bytes();
  REQUIRE(bytes.size() == 256 + 2 * kBlock + 400);
  REQUIRE(bytes.substr(256 + 2 * kBlock) ==
          std::string("\x52\x2a\x4d\x18\x88\x01\x00\x00", 8) + std::string(392, '\0'));
  REQUIRE(StockDecode(bytes) == w.stream);
  REQUIRE(w.writer->bytes() == 256 + 2 * kBlock);
  // Three more blocks fit: nothing is made, and the file stays as long as it is.
  for (int i = 0; i < 3; ++i) {
    w.Add();
    REQUIRE(w.writer->PrepareTail(400).ok());
    REQUIRE(w.writer->Flush().ok());
    REQUIRE(w.Bytes().size() == 256 + 2 * kBlock + 400);
    REQUIRE(StockDecode(w.Bytes()) == w.stream);
  }
  // The fourth does not; without a new tail it simply makes the file longer.
  w.Add();
  REQUIRE(w.writer->Flush().ok());
  REQUIRE(w.Bytes().size() == 256 + 6 * kBlock);
  REQUIRE(StockDecode(w.Bytes()) == w.stream);
}

TEST_CASE("tail: what is left of it is a frame at any length, and goes when the segment ends") {
  for (uint64_t left = 0; left < 20; ++left) {
    INFO(left);
    Written w;
    w.Add();
    REQUIRE(w.writer->PrepareTail(kBlock + left).ok());
    REQUIRE(w.writer->Flush().ok());
    w.Add();
    REQUIRE(w.writer->Flush().ok());
    const size_t used = 256 + 3 * kBlock;
    REQUIRE(w.Bytes().size() == used + (left == 0 ? 0 : std::max<uint64_t>(left, 8)));
    REQUIRE(StockDecode(w.Bytes()) == w.stream);
    w.Add();
    REQUIRE(w.writer->PrepareTail(100).ok());
    REQUIRE(StockDecode(w.Bytes()) == w.stream.substr(5));
    REQUIRE(w.writer->Flush().ok());
    REQUIRE(StockDecode(w.Bytes()) == w.stream);
    REQUIRE(w.writer->Finish(w.lsn).ok());
    REQUIRE(w.Bytes().size() == used + kBlock + kIndexFixedBytes + kIndexEntryBytes);
    REQUIRE(StockDecode(w.Bytes()) == w.stream);
    auto reader = SegmentReader::Open(&w.fs, "s");
    SegmentReader::Block block;
    while ((*reader)->Next(&block) == SegmentReader::End::kNone) {
    }
    REQUIRE((*reader)->has_index());
  }
}

TEST_CASE("tail: a block that was read while it was written over the pad is read again") {
  Written w;
  w.Add();
  REQUIRE(w.writer->PrepareTail(400).ok());
  const std::string before = w.Bytes();
  REQUIRE(w.writer->Flush().ok());
  const std::string after = w.Bytes();
  REQUIRE(before.size() == after.size());
  auto file = w.fs.Open("s", FileSystem::Mode::kReadWrite);
  REQUIRE(file.ok());
  const size_t begin = 256 + kBlock;
  for (size_t there = 0; there <= kBlock + kPadHeadBytes; ++there) {
    INFO(there);
    REQUIRE((*file)->WriteAt(0, after.substr(0, begin + there) + before.substr(begin + there)).ok());
    auto reader = SegmentReader::Open(&w.fs, "s");
    SegmentReader::Block block;
    REQUIRE((*reader)->Next(&block) == SegmentReader::End::kNone);  // reads ahead
    REQUIRE((*file)->WriteAt(0, after).ok());
    REQUIRE((*reader)->Next(&block) == SegmentReader::End::kNone);
    REQUIRE((*reader)->next_lsn() == 10);
    REQUIRE((*reader)->Next(&block) == SegmentReader::End::kClean);
    REQUIRE((*reader)->at_pads());
  }
}

TEST_CASE("tail: a disk without room for it only has none") {
  Written w;
  const size_t before = w.Bytes().size();
  w.Add();
  w.fs.SetSpace(300);
  REQUIRE(w.writer->PrepareTail(400).ok());
  REQUIRE(w.Bytes().size() == before);
  REQUIRE(w.writer->Flush().ok());
  REQUIRE(w.Bytes().size() == before + kBlock);
  REQUIRE(StockDecode(w.Bytes()) == w.stream);
  w.fs.SetSpace(~uint64_t{0});
  w.Add();
  REQUIRE(w.writer->PrepareTail(400).ok());
  REQUIRE(w.Bytes().size() == before + kBlock);  // not tried again
  // What could neither be made nor cut is an error.
  Written other;
  other.Add();
  other.fs.FreezeAfter(0);
  REQUIRE_FALSE(other.writer->PrepareTail(400).ok());
}

TEST_CASE("tail: a reader goes on where blocks have replaced it") {
  Written w;
  w.Add();
  REQUIRE(w.writer->PrepareTail(400).ok());
  REQUIRE(w.writer->Flush().ok());
  auto reader = SegmentReader::Open(&w.fs, "s");
  SegmentReader::Block block;
  for (Lsn lsn = 5;; lsn += 5) {
    INFO(lsn);
    while ((*reader)->next_lsn() < w.lsn) {
      REQUIRE((*reader)->Next(&block) == SegmentReader::End::kNone);
      REQUIRE_FALSE((*reader)->at_pads());
    }
    REQUIRE((*reader)->Next(&block) == SegmentReader::End::kClean);
    REQUIRE((*reader)->Next(&block) == SegmentReader::End::kClean);
    REQUIRE((*reader)->offset() == w.writer->bytes());
    if (lsn > 60) break;
    w.Add();
    if (lsn % 25 == 0) REQUIRE(w.writer->PrepareTail(400).ok());
    REQUIRE(w.writer->Flush().ok());
  }
  REQUIRE(w.writer->Finish(w.lsn).ok());
  REQUIRE((*reader)->Next(&block) == SegmentReader::End::kClean);
  REQUIRE((*reader)->has_index());
}

// A log that is never idle for long enough to write a mark, however slow the machine.
class StillClock final : public Clock {
 public:
  int64_t WallUs() override { return SystemClock()->WallUs(); }
  int64_t MonotonicUs() override { return 1'000'000; }
};

// A journal under `always` with a tail, and the file before and after its last group.
struct Grouped : JournalHarness {
  Grouped(uint64_t tail_bytes, const KeyRing* keys) : JournalHarness(1) {
    options.policy = FsyncPolicy::kAlways;
    options.clock = &clock;
    options.tail_bytes = tail_bytes;
    options.keys = keys;
    REQUIRE(Open().ok());
    Group();
    Group();
  }
  // A record that is durable.
  void Group() {
    before = fs.Get(kPath);
    before_lsn = journal->tail();
    const Lsn end = Append(Record(number++, 150));
    REQUIRE(journal->SyncTo(end).ok());
    after = fs.Get(kPath);
  }
  // The file is `bytes` after a crash: what a start would find there.
  Result<Recovered> Recover(std::string bytes) {
    fs.Put(kPath, std::move(bytes));
    return RecoverJournal(&fs, "d", options.keys);
  }

  ~Grouped() override { journal.reset(); }

  StillClock clock;
  uint64_t number = 0;
  std::string before, after;
  Lsn before_lsn = 0;
};

const KeyRing& Keys() {
  static const KeyRing keys = *KeyRing::Parse("k1 " + std::string(64, 'a'));
  return keys;
}

TEST_CASE("tail: a group torn at any byte is there or not, and no damage") {
  Random random(1);
  for (int i = 0; i < 24; ++i) {
    // Within the tail, at its end, with one that is made anew; four groups make it, then use it up.
    Grouped h(1400, i % 2 == 0 ? nullptr : &Keys());
    for (int n = i / 2 % 6; n > 0; --n) h.Group();
    const Lsn after_lsn = h.journal->tail();
    h.journal.reset();
    const auto recovers = [&](std::string bytes) {
      auto recovered = h.Recover(std::move(bytes));
      INFO(recovered.status().message());
      REQUIRE(recovered.ok());
      REQUIRE((recovered->tail_lsn == h.before_lsn || recovered->tail_lsn == after_lsn));
      REQUIRE(h.ReadAll(recovered->manifest, 0, kLsnMax).size() == recovered->tail_lsn);
      return *recovered;
    };
    size_t first = 0;
    while (h.before[first] == h.after[first]) ++first;
    for (size_t torn = first; torn < h.after.size(); torn += torn < first + 600 ? 1 : 17) {
      INFO("life " << i << ", torn at " << torn << ", begun at " << first);
      std::string bytes = h.after.substr(0, torn);
      if (torn < h.before.size()) bytes += h.before.substr(torn);
      const Recovered recovered = recovers(std::move(bytes));
      if (torn == first) REQUIRE(recovered.report.bytes_cut == 0);
      // The room that was not used is nothing that was cut.
      REQUIRE(recovered.report.bytes_cut < 1000);
    }
    REQUIRE(recovers(h.before).report.bytes_cut == 0);
    REQUIRE(recovers(h.after).report.bytes_cut == 0);
    for (int cut = 0; cut < 100; ++cut) {
      std::string bytes = h.before;
      for (size_t at = 0; at < h.after.size(); at += 512) {
        if (random.Below(2) == 0) continue;
        if (bytes.size() < at + 512) bytes.resize(std::min(at + 512, h.after.size()));
        bytes.replace(at, 512, h.after, at, 512);
      }
      INFO("life " << i << ", power cut " << cut);
      recovers(std::move(bytes));
    }
  }
}

TEST_CASE("tail: zeros where the next block would stand are no damage") {
  Grouped h(5000, nullptr);
  h.journal.reset();
  const Lsn tail = h.before_lsn + (h.Record(1, 150).size());
  std::string bytes = h.after;
  auto reader = SegmentReader::Open(&h.fs, kPath);
  SegmentReader::Block block;
  while ((*reader)->Next(&block) == SegmentReader::End::kNone) {
  }
  REQUIRE((*reader)->at_pads());
  const uint64_t used = (*reader)->offset();
  REQUIRE(bytes.size() > used + 4000);
  for (size_t n = 0; n <= 8; ++n) {
    INFO("the first " << n << " bytes of the pad's head");
    auto recovered = h.Recover(bytes.substr(0, used + n) + std::string(bytes.size() - used - n, '\0'));
    REQUIRE(recovered.ok());
    REQUIRE(recovered->tail_lsn == tail);
    REQUIRE(recovered->report.bytes_cut <= 8);
    if (n == 0) REQUIRE(recovered->report.bytes_cut == 0);
  }
  // A file that is shorter than its pad says: its room was not synced.
  for (size_t size : {used + 8, used + 9, used + 1000}) {
    auto recovered = h.Recover(bytes.substr(0, size));
    REQUIRE(recovered.ok());
    REQUIRE(recovered->tail_lsn == tail);
    REQUIRE(recovered->report.bytes_cut == 0);
  }
}

TEST_CASE("tail: a pad that the disk brings back over blocks is corruption") {
  Grouped h(20'000, nullptr);
  const std::string old = h.after;
  for (int i = 0; i < 5; ++i) h.Group();
  h.journal.reset();
  size_t pad = 0;
  while (old[pad] == h.after[pad]) ++pad;
  std::string bytes = h.after;
  bytes.replace(pad, 100, old, pad, 100);
  auto recovered = h.Recover(bytes);
  REQUIRE(recovered.status().code() == StatusCode::kCorrupt);
  REQUIRE(recovered.status().message().find("LSN") != std::string::npos);
  // Of the last group nobody knows that it was durable, as ever.
  bytes = h.after;
  size_t last = 0;
  while (h.before[last] == h.after[last]) ++last;
  bytes.replace(last, h.before.size() - last, h.before, last);
  recovered = h.Recover(bytes);
  REQUIRE(recovered.ok());
  REQUIRE(recovered->tail_lsn == h.before_lsn);
}

TEST_CASE("tail: segments that are complete have none") {
  JournalHarness h(3);
  h.options.policy = FsyncPolicy::kAlways;
  h.options.tail_bytes = 2000;
  h.options.segment_bytes_max = 5000;
  REQUIRE(h.Open().ok());
  std::string stream = kSelect0;
  bool seen = false;
  for (int i = 0; i < 60; ++i) {
    h.Append(h.Record(i, 150));
    stream += h.Record(i, 150);
    REQUIRE(h.journal->SyncTo(h.journal->tail()).ok());
    const Manifest m = h.journal->manifest();
    for (const SegmentEntry& s : m.segments) {
      const std::string bytes = h.fs.Get("d/" + SegmentName(s.timeline, s.sequence));
      if (s.state == SegmentState::kSealed) REQUIRE(bytes.size() == s.bytes);
      if (s.state == SegmentState::kOpen) seen = seen || bytes.ends_with(std::string(500, '\0'));
      // One that grows on, as the keeper has no next one ready yet, has none either.
      REQUIRE((bytes.size() <= 5000 + 1000 || !bytes.ends_with(std::string(100, '\0'))));
    }
    // Replay, followers and restores read what is written at any time.
    REQUIRE(h.ReadAll(m, 0, h.journal->written()) == stream);
  }
  REQUIRE(seen);
  // Another policy makes none, and uses up what is there.
  h.journal->SetPolicy(FsyncPolicy::kEverySecond);
  h.Append(h.Record(60, 150));
  stream += h.Record(60, 150);
  REQUIRE(h.journal->SyncTo(h.journal->tail()).ok());
  REQUIRE(h.ReadAll(h.journal->manifest(), 0, h.journal->written()) == stream);
  REQUIRE(h.journal->Close().ok());
  std::string stock;
  for (const SegmentEntry& s : h.journal->manifest().segments) {
    const std::string bytes = h.fs.Get(SegmentPath("d", s));
    REQUIRE(bytes.size() == s.bytes);
    REQUIRE(bytes.ends_with("CIDX"));
    stock += StockDecode(bytes);
  }
  REQUIRE(stock == stream);
}

}  // namespace
}  // namespace cairn
