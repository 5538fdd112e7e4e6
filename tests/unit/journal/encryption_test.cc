// SPDX-License-Identifier: BSD-3-Clause
//
// Encrypted journals: nothing readable on disk, wrong keys refused, old keys rotated out, damage
// told apart from a missing key.
#include "base/random.h"
#include "tests/unit/journal/journal_harness.h"

namespace cairn {
namespace {

const KeyRing kRing1 = *KeyRing::Parse("k1 " + std::string(64, 'a'));
const KeyRing kWrong = *KeyRing::Parse("k1 " + std::string(64, 'b'));
const KeyRing kOther = *KeyRing::Parse("k2 " + std::string(64, 'c'));
const KeyRing kBoth =
    *KeyRing::Parse("k2 " + std::string(64, 'c') + "\nk1 " + std::string(64, 'a'));

TEST_CASE("encrypted journal: reads back with its key only, in whatever state it was left") {
  for (bool clean : {true, false}) {
    JournalHarness h(1);
    h.options.keys = &kRing1;
    h.options.policy = FsyncPolicy::kAlways;
    h.options.segment_bytes_max = 3000;
    REQUIRE(h.Open().ok());
    for (int i = 0; i < 20; ++i) {
      h.Append("*1\r\n$12\r\nSECRETSECRET\r\n" + h.Record(i, 400), 3);
      REQUIRE(h.journal->SyncTo(h.journal->tail()).ok());
    }
    const Lsn tail = h.journal->tail();
    if (clean) REQUIRE(h.journal->Close().ok());
    h.journal.reset();
    const auto names = h.fs.List("d");
    for (const std::string& name : *names)
      REQUIRE(h.fs.Get("d/" + name).find("SECRET") == std::string::npos);
    auto recovered = RecoverJournal(&h.fs, "d", &kRing1);
    REQUIRE(recovered.ok());
    REQUIRE(recovered->tail_lsn == tail);
    const Manifest m = recovered->manifest;
    const std::string stream = h.ReadAll(m, 0, kLsnMax);
    REQUIRE(stream.size() == tail);
    REQUIRE(stream.find("SECRETSECRET") != std::string::npos);
    const struct {
      const KeyRing* ring;
      const char* text;
    } refusals[] = {{nullptr, "encrypted with key 'k1' and encryption-key-file is not set"},
                    {&kWrong, "is not the key this file was encrypted with"},
                    {&kOther, "key 'k1', which encryption-key-file does not list"}};
    for (const auto& refusal : refusals) {
      h.options.keys = refusal.ring;
      const std::string read = h.ReadAll(m, 0, kLsnMax);
      INFO(read);
      REQUIRE(read.find(refusal.text) != std::string::npos);
      // A missing key is never taken for a torn tail.
      auto refused = RecoverJournal(&h.fs, "d", refusal.ring);
      if (!clean) REQUIRE(refused.status().code() == StatusCode::kInvalid);
    }
  }
}

TEST_CASE("encrypted journal: keys rotate, plain and encrypted segments make one log") {
  JournalHarness h(2);
  std::string expected;
  const KeyRing* rings[] = {nullptr, &kRing1, &kBoth, &kBoth};
  for (int i = 0; i < 4; ++i) {
    h.options.keys = rings[i];
    REQUIRE(h.Open().ok());
    h.Append(h.Record(i, 50));
    expected += "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n" + h.Record(i, 50);
    REQUIRE(h.journal->Close().ok());
  }
  REQUIRE(h.ReadAll(h.journal->manifest(), 0, kLsnMax) == expected);
  // No two files share a data key, so no nonce is ever used twice with one.
  std::string key;
  for (uint64_t n = 2; n <= 4; ++n) {
    auto reader = SegmentReader::Open(&h.fs, "d/" + SegmentName(1, n), &kBoth);
    REQUIRE(reader.ok());
    REQUIRE((*reader)->header().key.key_id == (n == 2 ? "k1" : "k2"));
    REQUIRE((*reader)->header().key.wrapped != key);
    key = (*reader)->header().key.wrapped;
  }
}

TEST_CASE("encrypted journal: no forged block passes, though its checksum is right") {
  JournalHarness h(3);
  h.options.keys = &kRing1;
  REQUIRE(h.Open().ok());
  for (int i = 0; i < 5; ++i) {
    h.Append(h.Record(i, 500));
    REQUIRE(h.journal->SyncTo(h.journal->tail()).ok());
  }
  REQUIRE(h.journal->Close().ok());
  const std::string path = "d/" + SegmentName(1, 1);
  auto reader = SegmentReader::Open(&h.fs, path, &kRing1);
  SegmentReader::Block block;
  REQUIRE((*reader)->Next(&block) == SegmentReader::End::kNone);
  const std::string stored(block.stored);
  auto cipher = kRing1.OpenFile((*reader)->header().key);
  std::string plain;
  REQUIRE(DecodeBlock(stored, block.header, cipher->get(), &plain).ok());
  Random random(3);
  for (int i = 0; i < 500; ++i) {
    std::string bad = stored;
    const size_t at = 12 + random.Below(bad.size() - 12);
    bad[at] ^= static_cast<char>(1 << random.Below(8));
    BlockHeader header;
    if (!DecodeBlockHeader(bad, &header).ok() || bad.size() != 96 + header.stored_bytes) continue;
    INFO("byte " << at);
    // Whoever can write the file can mend the checksum, but not the tag.
    REQUIRE(DecodeBlock(bad, header, cipher->get(), &plain).code() == StatusCode::kCorrupt);
  }
}

}  // namespace
}  // namespace cairn
