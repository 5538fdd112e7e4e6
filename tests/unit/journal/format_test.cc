// SPDX-License-Identifier: BSD-3-Clause
//
// The golden numbers of the format: a failure here means that existing files cannot be read.
#include "journal/format.h"

#include <lz4frame.h>

#include "base/crc.h"
#include "base/random.h"
#include "journal/manifest.h"
#include "journal/segment_writer.h"
#include "tests/unit/support/fault_fs.h"

namespace cairn {
namespace {

// What `lz4 -dc` prints: the stock frame decoder over the whole text, skippable frames included.
std::string StockDecode(std::string_view bytes) {
  LZ4F_dctx* context;
  REQUIRE_FALSE(LZ4F_isError(LZ4F_createDecompressionContext(&context, LZ4F_VERSION)));
  std::string out, buffer(1 << 20, '\0');
  while (!bytes.empty()) {
    size_t in = bytes.size(), n = buffer.size();
    size_t hint = LZ4F_decompress(context, buffer.data(), &n, bytes.data(), &in, nullptr);
    REQUIRE_FALSE(LZ4F_isError(hint));
    out.append(buffer, 0, n);
    bytes.remove_prefix(in);
  }
  LZ4F_freeDecompressionContext(context);
  return out;
}

TEST_CASE("format: blocks of every size and kind decode, also by stock LZ4") {
  Random random(1);
  for (size_t bytes : {1, 2, 100, 1023, 1024, 5000, 65536, 262143, 262144}) {
    for (int i = 0; i < 8; ++i) {
      const bool compressible = i & 1, aligned = i & 2;
      const uint64_t ahead = i & 4 ? random.Below(1 << 20) : 0;
      std::string plain;
      while (plain.size() < bytes)
        plain += compressible ? 'x' : static_cast<char>(random.Next());
      BlockHeader header;
      header.first_lsn = 77;
      header.last_unit_lsn = 77 + bytes;
      header.first_ms = 1;
      header.last_ms = 2;
      header.synced_lsn = 50;
      header.timeline = 3;
      header.first_record = 0;
      header.database = 9;
      DirectString block;
      EncodeBlock(&header, plain, 8, &block, nullptr, aligned ? 4096 : 0, ahead);
      if (aligned) REQUIRE((ahead + block.size()) % 4096 == 0);
      REQUIRE(StockDecode(block) == plain);
      BlockHeader read;
      REQUIRE(DecodeBlockHeader(block, &read).ok());
      REQUIRE(CheckBlock(block, read).ok());
      REQUIRE(read.first_lsn == 77);
      REQUIRE(read.synced_lsn == 50);
      REQUIRE(read.database == 9);
      REQUIRE(read.crc == header.crc);
      std::string back;
      REQUIRE(DecodeFrame(std::string_view(block).substr(kBlockHeaderBytes), bytes, &back).ok());
      REQUIRE(back == plain);
      if (!aligned) continue;
      // Behind the frame nothing but a pad, and of it all.
      for (const std::string& broken : {std::string(block) + '\0', std::string(block, 0, block.size() - 1)})
        REQUIRE_FALSE(
            DecodeFrame(std::string_view(broken).substr(kBlockHeaderBytes), bytes, &back).ok());
    }
  }
}

TEST_CASE("format: one whole segment, byte for byte") {
  FaultFs fs(1);
  auto file = fs.Open("s", FileSystem::Mode::kCreate);
  SegmentWriter writer(std::move(*file), 7, {2, std::string(40, 'b'), 1, 1000}, nullptr);
  writer.Begin({1234, 5}, 1'700'000'000'000);
  BlockHeader header;
  header.first_lsn = 1234;
  header.first_record = 0;
  header.database = 5;
  header.last_unit_lsn = 1239;
  header.first_ms = header.last_ms = 1'700'000'000'001;
  header.synced_lsn = 1234;
  writer.AddBlock(header, "hello", 8);
  REQUIRE(writer.Finish(1239).ok());
  const std::string bytes = fs.Get("s");
  REQUIRE(StockDecode(bytes) == "*2\r\n$6\r\nSELECT\r\n$1\r\n5\r\nhello");
  REQUIRE(bytes.size() == 256 + (96 + 15 + 23) + (96 + 15 + 5) + 56);
  std::string hex;
  for (unsigned char c : bytes) {
    hex += "0123456789abcdef"[c >> 4];
    hex += "0123456789abcdef"[c & 15];
  }
  // Segment header up to the replication id.
  REQUIRE(hex.substr(0, 16) == "502a4d18f8000000");
  REQUIRE(hex.substr(24, 88) ==
          "0100000002000000" "01000000d204000000000000" "e803000000000000" "0700000000000000"
          "0068e5cf8b010000");
  const std::string block = hex.substr(2 * (256 + 134));
  REQUIRE(block.substr(0, 16) == "512a4d1858000000");
  REQUIRE(block.substr(24, 2 * (96 - 12 - 24)) ==
          "01000000" "d204000000000000" "05000000" "14000000" "00000000" "05000000"
          "d704000000000000" "0168e5cf8b010000" "0168e5cf8b010000" "d204000000000000");
  // The segment's salt, in every block of it.
  const std::string salt = hex.substr(2 * 192, 16);
  REQUIRE(salt != std::string(16, '0'));
  REQUIRE(hex.substr(2 * 200, 2 * 56) == std::string(2 * 56, '0'));
  REQUIRE(block.substr(2 * 80, 16) == std::string(16, '0'));
  REQUIRE(block.substr(2 * 88, 16) == salt);
  REQUIRE(block.substr(2 * 96, 2 * 20) == "04224d186050fb" "05000080" "68656c6c6f" "00000000");
  REQUIRE(hex.substr(hex.size() - 16) == "3800000043494458");
}

TEST_CASE("manifest: text round trip, damage and contradictions are refused") {
  Manifest m;
  m.replid.assign(40, '1');
  m.replid2.assign(40, '2');
  m.second_offset = 12;
  m.timelines = {{1, std::string(40, '2'), 0, 0}, {2, m.replid, 1, 12}};
  m.base_name = "base-5.rdb.lz4";
  m.base_lsn = 5;
  m.segments = {{SegmentState::kSealed, 1, 1, 0, 12, 600, 10, 20},
                {SegmentState::kOpen, 2, 2, 12, 0, 0, 0, 0},
                {SegmentState::kNext, 3, 2, 0, 0, 0, 0, 0}};
  const std::string text = m.Encode();
  REQUIRE(text ==
          "cairn-journal 1\n"
          "ids 1111111111111111111111111111111111111111 "
          "2222222222222222222222222222222222222222 12\n"
          "timeline 1 2222222222222222222222222222222222222222 0 0\n"
          "timeline 2 1111111111111111111111111111111111111111 1 12\n"
          "base base-5.rdb.lz4 5\n"
          "segment sealed 1 1 0 12 600 10 20\n"
          "segment open 2 2 12 0 0 0 0\n"
          "segment next 3 2 0 0 0 0 0\n"
          "crc " + text.substr(text.size() - 9));
  auto back = Manifest::Decode(text);
  REQUIRE(back.ok());
  REQUIRE(back->Encode() == text);
  for (size_t i = 0; i < text.size(); ++i) {
    std::string bad = text;
    bad[i] ^= 1;
    REQUIRE_FALSE(Manifest::Decode(bad).ok());
    REQUIRE_FALSE(Manifest::Decode(text.substr(0, i)).ok());
  }
  m.segments[1].first_lsn = 13;
  REQUIRE_FALSE(Manifest::Decode(m.Encode()).ok());
  m.segments.clear();
  REQUIRE(Manifest::Decode(m.Encode()).ok());
  m.replid2 = "../x";
  REQUIRE_FALSE(Manifest::Decode(m.Encode()).ok());
  uint32_t timeline;
  uint64_t sequence;
  REQUIRE(ParseSegmentName("0002-00000007.aof.lz4", &timeline, &sequence));
  REQUIRE(timeline == 2);
  REQUIRE(sequence == 7);
  REQUIRE_FALSE(ParseSegmentName("0002-00000007.aof.lz4.tmp", &timeline, &sequence));
}

TEST_CASE("manifest: names of files lie in its folder, whoever wrote it") {
  const auto with = [](const std::string& lines) {
    const std::string id(40, '1');
    const std::string body =
        "cairn-journal 1\nids " + id + " - 0\ntimeline 1 " + id + " 0 0\n" + lines;
    char crc[32];
    snprintf(crc, sizeof crc, "crc %08x\n", Crc32c(0, body));
    return Manifest::Decode(body + crc);
  };
  REQUIRE(with("base b 5\nsnapshot - 0 0 0\nsnapshot b 5 0 0\n").ok());
  for (const std::string name : {"../b", "/etc/b", "..", ".", "x/b"}) {
    INFO(name);
    REQUIRE_FALSE(with("base " + name + " 5\n").ok());
    REQUIRE_FALSE(with("base b 5\nsnapshot " + name + " 0 0 0\nsnapshot b 5 0 0\n").ok());
  }
}

}  // namespace
}  // namespace cairn
