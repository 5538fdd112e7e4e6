// SPDX-License-Identifier: BSD-3-Clause
//
// Snapshot files: both forms there and back, damage of every kind refused, disks that fail.
#include "base/bytes.h"
#include "base/crc.h"
#include "rdb/string_pieces.h"
#include "snapshot/format.h"
#include "snapshot/loader.h"
#include "snapshot/snapshotter.h"
#include "snapshot/verify.h"
#include "tests/unit/exec/engine_harness.h"
#include "tests/unit/support/fault_fs.h"

namespace cairn {
namespace {

struct Files {
  Files() : fs(3), client(test), snapshotter(&test.keyspace, SystemClock(), {}) {}

  SnapshotResult Save(SnapshotFormat format, const KeyRing* keys = nullptr,
                      std::function<void(uint64_t)> followed = nullptr) {
    SnapshotResult result;
    SnapshotRequest request;
    request.fs = &fs;
    request.dir = "d";
    request.name = "s";
    request.format = format;
    request.keys = keys;
    request.followed = std::move(followed);
    request.at_instant = [this](SnapshotInstant* instant) {
      instant->lsn = 77;
      instant->aux = {{"redis-ver", "7.4.2"}};
      if (!aux.empty()) instant->aux.emplace_back("more", aux);
    };
    request.done = [&](const SnapshotResult& r) { result = r; };
    REQUIRE(snapshotter.Start(request).ok());
    snapshotter.Wait();
    return result;
  }
  Result<LoadReport> Load(uint64_t* keys = nullptr, const KeyRing* ring = nullptr,
                          bool checksum = true) {
    TestEngine loaded;
    LoadOptions options;
    options.checksum = checksum;
    options.keyspace = &loaded.keyspace;
    options.slots = {loaded.keyspace.gate().AddThread(), loaded.keyspace.gate().AddThread()};
    options.thresholds = loaded.engine->ReadThresholds();
    options.keys = ring;
    LoadTotals totals;
    auto report = LoadSnapshot(&fs, "d/s", options, &totals);
    if (keys != nullptr) *keys = totals.keys;
    return report;
  }

  FaultFs fs;
  TestEngine test;
  TestClient client;
  Snapshotter snapshotter;
  std::string aux;
};

}  // namespace

TEST_CASE("An empty keyspace is a file too", "[snapshot]") {
  for (SnapshotFormat format : {SnapshotFormat::kPlain, SnapshotFormat::kPacked}) {
    Files files;
    REQUIRE(files.Save(format).status.ok());
    uint64_t keys = 1;
    auto report = files.Load(&keys);
    INFO(report.status().message());
    REQUIRE(report.ok());
    REQUIRE(keys == 0);
    REQUIRE(report->version == kRdbVersionMin);
    REQUIRE(report->packed == (format == SnapshotFormat::kPacked));
    REQUIRE(report->lsn == (report->packed ? 77 : 0));
  }
}

TEST_CASE("Every truncation and every changed byte of a snapshot is refused", "[snapshot]") {
  for (SnapshotFormat format : {SnapshotFormat::kPlain, SnapshotFormat::kPacked}) {
    Files files;
    files.client.Send("SET a 1\r\nRPUSH l x y 100\r\nSADD s 1 2 3\r\nHSET h f v\r\nZADD z 1 m\r\n");
    REQUIRE(files.Save(format).status.ok());
    const std::string good = files.fs.Get("d/s");
    for (size_t size = 0; size < good.size(); ++size) {
      files.fs.Put("d/s", good.substr(0, size));
      INFO("cut at " << size << " of " << good.size());
      REQUIRE_FALSE(files.Load().ok());
    }
    for (size_t at = 0; at < good.size(); ++at) {
      std::string bad = good;
      bad[at] = static_cast<char>(bad[at] ^ 0x41);
      files.fs.Put("d/s", bad);
      auto report = files.Load();
      INFO("changed at " << at << " of " << good.size());
      REQUIRE_FALSE(report.ok());
      REQUIRE(report.status().code() == StatusCode::kCorrupt);
      REQUIRE(report.status().message().find("d/s: offset ") == 0);
    }
  }
}

TEST_CASE("Without rdbchecksum a plain RDB's checksum is not looked at, a packed one's is",
          "[snapshot]") {
  for (SnapshotFormat format : {SnapshotFormat::kPlain, SnapshotFormat::kPacked}) {
    Files files;
    files.client.Send("SET a 1\r\n");
    REQUIRE(files.Save(format).status.ok());
    std::string bad = files.fs.Get("d/s");
    bad.back() = static_cast<char>(bad.back() ^ 0x41);
    files.fs.Put("d/s", bad);
    REQUIRE_FALSE(files.Load().ok());
    uint64_t keys = 0;
    const bool loaded = files.Load(&keys, nullptr, /*checksum=*/false).ok();
    REQUIRE(loaded == (format == SnapshotFormat::kPlain));
    if (loaded) REQUIRE(keys == 1);
    files.fs.Put("d/s", bad.substr(0, bad.size() - 1));
    REQUIRE_FALSE(files.Load(&keys, nullptr, /*checksum=*/false).ok());
  }
}

TEST_CASE("A snapshot that fails leaves no file, the old one, and a next one that is exact",
          "[snapshot]") {
  Files files;
  for (int i = 0; i < 500; ++i) files.client.Send("SET k" + std::to_string(i) + " v\r\n");
  REQUIRE(files.Save(SnapshotFormat::kPacked).status.ok());
  const std::string old = files.fs.Get("d/s");
  files.client.Send("SET new 1\r\n");
  const auto require_failure = [&] {
    REQUIRE_FALSE(files.Save(SnapshotFormat::kPacked).status.ok());
    REQUIRE(files.fs.Get("d/s") == old);
  };
  files.fs.FailWrites(true);
  require_failure();
  files.fs.FailWrites(false);
  files.fs.FailSyncs(true);
  require_failure();
  files.fs.FailSyncs(false);
  files.fs.FailRenames(true);
  require_failure();
  files.fs.FailRenames(false);
  files.fs.SetSpace(100);
  require_failure();
  files.fs.SetSpace(~uint64_t{0});
  REQUIRE(files.fs.List("d").value() == std::vector<std::string>{"s"});
  const SnapshotResult result = files.Save(SnapshotFormat::kPacked);
  REQUIRE(result.status.ok());
  uint64_t keys;
  REQUIRE(files.Load(&keys).ok());
  REQUIRE(keys == 501);
}

TEST_CASE("A crash in mid-save leaves the old file or the new one, whole", "[snapshot]") {
  for (uint64_t operations = 0; operations < 12; ++operations) {
    Files files;
    files.client.Send("SET a 1\r\n");
    REQUIRE(files.Save(SnapshotFormat::kPacked).status.ok());
    files.client.Send("SET b 2\r\n");
    files.fs.FreezeAfter(operations);
    const bool saved = files.Save(SnapshotFormat::kPacked).status.ok();
    files.fs.PowerCut();
    uint64_t keys = 0;
    auto report = files.Load(&keys);
    INFO("after " << operations << " operations: " << report.status().message());
    REQUIRE(report.ok());
    REQUIRE((keys == 2 || (keys == 1 && !saved)));
  }
}

TEST_CASE("Encrypted snapshots open with their key only, and show nothing", "[snapshot]") {
  const KeyRing one = *KeyRing::Parse("k1 " + std::string(64, 'a'));
  const KeyRing wrong = *KeyRing::Parse("k1 " + std::string(64, 'b'));
  const KeyRing other = *KeyRing::Parse("k2 " + std::string(64, 'c'));
  const KeyRing both =
      *KeyRing::Parse("k2 " + std::string(64, 'c') + "\nk1 " + std::string(64, 'a'));
  Files files;
  files.client.Send("SET SECRETKEY SECRETVALUE\r\nRPUSH l SECRET 1 2\r\n");
  files.client.Send("SET long " + std::string(9 << 20, 'S') + "\r\n");
  REQUIRE(files.Save(SnapshotFormat::kPacked, &one).status.ok());
  const std::string good = files.fs.Get("d/s");
  REQUIRE(good.find("SECRET") == std::string::npos);
  for (const KeyRing* ring : {&one, &both}) {
    uint64_t keys = 0;
    auto report = files.Load(&keys, ring);
    INFO(report.status().message());
    REQUIRE(report.ok());
    REQUIRE(keys == 3);
    std::string rdb;
    auto scanned = ScanSnapshot(&files.fs, "d/s", ring, [&](std::string_view piece) {
      rdb += piece;
      return true;
    });
    REQUIRE(scanned.ok());
    REQUIRE(rdb.starts_with("REDIS00"));
    REQUIRE(rdb.find("SECRETVALUE") != std::string::npos);
    REQUIRE(rdb.size() == scanned->trailer.plain_bytes);
  }
  const struct {
    const KeyRing* ring;
    const char* text;
  } refusals[] = {{nullptr, "encrypted with key 'k1' and encryption-key-file is not set"},
                  {&wrong, "is not the key this file was encrypted with"},
                  {&other, "key 'k1', which encryption-key-file does not list"}};
  for (const auto& refusal : refusals) {
    const Status loaded = files.Load(nullptr, refusal.ring).status();
    INFO(loaded.message());
    REQUIRE(loaded.message().find(refusal.text) != std::string::npos);
    REQUIRE(ScanSnapshot(&files.fs, "d/s", refusal.ring).status().code() == StatusCode::kInvalid);
  }
  // A part of another file with the same key does not fit in.
  REQUIRE(files.Save(SnapshotFormat::kPacked, &one).status.ok());
  std::string mixed = files.fs.Get("d/s");
  REQUIRE(mixed.size() == good.size());
  mixed.replace(kSnapshotHeaderBytes, std::string::npos, good.substr(kSnapshotHeaderBytes));
  files.fs.Put("d/s", mixed);
  REQUIRE(files.Load(nullptr, &one).status().code() == StatusCode::kCorrupt);
}

TEST_CASE("A snapshot that is followed can be read as it grows", "[snapshot]") {
  for (SnapshotFormat format : {SnapshotFormat::kPlain, SnapshotFormat::kPacked}) {
    Files files;
    for (int i = 0; i < 3000; ++i)
      files.client.Send("SET k" + std::to_string(i) + " " + std::string(1000, 'v') + "\r\n");
    files.client.Send("HSET h f v\r\nHEXPIRE h 100 FIELDS 1 f\r\n");
    std::string seen;
    int growths = 0;
    const auto followed = [&](uint64_t bytes) {
      const std::string now = files.fs.Get("d/s");
      REQUIRE(now.size() == bytes);
      REQUIRE(now.starts_with(seen));
      seen = now;
      ++growths;
    };
    REQUIRE(files.Save(format, nullptr, followed).status.ok());
    REQUIRE(growths > 3);
    REQUIRE(files.fs.Get("d/s") == seen);
    uint64_t keys = 0;
    auto report = files.Load(&keys);
    REQUIRE(report.ok());
    REQUIRE(keys == 3001);
    REQUIRE(report->version == kRdbVersionFieldExpiry);
    // One that fails leaves nothing.
    files.fs.FailWrites(true);
    REQUIRE_FALSE(files.Save(format, nullptr, followed).status.ok());
    REQUIRE(files.fs.List("d").value().empty());
  }
}

TEST_CASE("What a file announces is believed as far as its size allows", "[snapshot]") {
  std::string rdb;
  RdbWriter writer(&rdb);
  writer.FileHeader(kRdbVersionMin);
  for (uint64_t db = 0; db < 16; ++db) {
    writer.SelectDb(db);
    writer.ResizeDb(uint64_t{1} << (20 + db * 2), uint64_t{1} << 63);
  }
  writer.Type(RdbType::kString);
  writer.String("k");
  writer.String("v");
  writer.EofOpcode();
  writer.Checksum(0);
  Files files;
  files.fs.Put("d/s", rdb);
  uint64_t keys = 0;
  REQUIRE(files.Load(&keys).ok());
  REQUIRE(keys == 1);
}

TEST_CASE("Long records are runs of parts, which damage cannot pull apart", "[snapshot]") {
  Files files;
  const std::string value(3 * RdbStringPieces::kPieceBytes + 5, 'v');
  files.client.Send("SET a 1\r\nSET long " + value + "\r\nSET z 1\r\n");
  REQUIRE(files.Save(SnapshotFormat::kPacked).status.ok());
  uint64_t keys = 0;
  REQUIRE(files.Load(&keys).ok());
  REQUIRE(keys == 3);
  const std::string good = files.fs.Get("d/s");
  REQUIRE(ScanSnapshot(&files.fs, "d/s", nullptr)->trailer.keys == 3);
  // Where the parts are.
  std::vector<size_t> starts;
  PartHeader header;
  size_t continued = 0;
  for (size_t at = kSnapshotHeaderBytes + FrameBytesStored(kRdbHeaderBytes);;) {
    if (!DecodePartHeader(std::string_view(good).substr(at), &header).ok()) break;
    starts.push_back(at);
    continued += (header.flags & kPartContinues) != 0;
    at += kPartHeaderBytes + header.stored_bytes;
  }
  REQUIRE(continued == 3);
  for (size_t i = 0; i + 1 < starts.size(); ++i) {
    INFO("without part " << i);
    files.fs.Put("d/s", good.substr(0, starts[i]) + good.substr(starts[i + 1]));
    REQUIRE_FALSE(files.Load().ok());
    REQUIRE_FALSE(ScanSnapshot(&files.fs, "d/s", nullptr).ok());
    files.fs.Put("d/s", good.substr(0, starts[i]));
    REQUIRE_FALSE(files.Load().ok());
    std::string bad = good;
    bad[starts[i] + kPartHeaderBytes + 20] ^= 1;
    files.fs.Put("d/s", bad);
    REQUIRE_FALSE(files.Load().ok());
    REQUIRE(ScanSnapshot(&files.fs, "d/s", nullptr).status().code() == StatusCode::kCorrupt);
  }
}

TEST_CASE("No part is longer than parts may be, and none is unpacked further than it says",
          "[snapshot]") {
  // What stands before the first key is a run, too, if it is long.
  Files files;
  files.client.Send("SET a 1\r\n");
  files.aux = std::string(2 * kPartPlainBytesMax, 'f');
  REQUIRE(files.Save(SnapshotFormat::kPacked).status.ok());
  uint64_t keys = 0;
  REQUIRE(files.Load(&keys).ok());
  REQUIRE(keys == 1);
  REQUIRE(ScanSnapshot(&files.fs, "d/s", nullptr).ok());

  // Checking a file takes no more memory than loading it, whatever it announces.
  std::string file = files.fs.Get("d/s");
  const size_t first = kSnapshotHeaderBytes + FrameBytesStored(kRdbHeaderBytes);
  StoreLe<uint64_t>(file.data() + first + 24, 2 * kPartStoredBytesMax);
  files.fs.Put("d/s", file.insert(first + kPartHeaderBytes, 2 * kPartStoredBytesMax, 'x'));
  REQUIRE(ScanSnapshot(&files.fs, "d/s", nullptr).status().message().find("longer than parts") !=
          std::string::npos);

  const auto decode = [](std::string part, std::string* plain) {
    StoreLe(part.data() + 8, Crc32c(0, std::string_view(part).substr(12)));
    PartHeader header;
    REQUIRE(DecodePartHeader(part, &header).ok());
    return DecodePart(part, header, nullptr, plain).code();
  };
  std::string part, plain;
  EncodePart({}, std::string(kPartPlainBytesMax, 'x'), 1, nullptr, &part);
  REQUIRE(decode(part, &plain) == StatusCode::kOk);
  REQUIRE(plain.size() == kPartPlainBytesMax);
  plain.clear();
  StoreLe<uint64_t>(part.data() + 16, 10);
  REQUIRE(decode(part, &plain) == StatusCode::kCorrupt);
  REQUIRE(plain.size() <= kPackedBlockBytesMax);
  part.clear();
  EncodePart({}, std::string(kPartPlainBytesMax + 1, 'x'), 1, nullptr, &part);
  REQUIRE(decode(part, &plain) == StatusCode::kCorrupt);
}

TEST_CASE("A packed snapshot's header and trailer are frozen", "[snapshot]") {
  std::string header, part, trailer;
  EncodeSnapshotHeader({0x1122334455667788, 99, {}}, &header);
  REQUIRE(header.size() == kSnapshotHeaderBytes);
  REQUIRE(header.substr(0, 8) == std::string("\x54\x2a\x4d\x18\xf8\0\0\0", 8));
  REQUIRE(header.substr(12, 2) == std::string("\x01\0", 2));
  REQUIRE(header.substr(16, 8) == "\x88\x77\x66\x55\x44\x33\x22\x11");
  PartHeader fields;
  fields.flags = kPartEnd;
  fields.keys = 5;
  EncodePart(fields, "plain", 0, nullptr, &part);
  REQUIRE(part.substr(0, 8) == std::string("\x55\x2a\x4d\x18\x28\0\0\0", 8));
  REQUIRE(part.substr(48, 11) == std::string("\x04\x22\x4d\x18\x60\x50\xfb\x05\0\0\x80", 11));
  REQUIRE(part.size() == kPartHeaderBytes + FrameBytesStored(5));
  EncodeSnapshotTrailer({1, 2, 3}, &trailer);
  REQUIRE(trailer.substr(0, 8) == std::string("\x56\x2a\x4d\x18\x20\0\0\0", 8));
  REQUIRE(trailer.size() == kSnapshotTrailerBytes);
}

}  // namespace cairn
