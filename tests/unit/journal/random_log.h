// SPDX-License-Identifier: BSD-3-Clause
//
// Logs of several segments, bases and timelines, kept for restores or not, encrypted or not, shut down
// or killed: for tests that damage them.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/crc.h"
#include "base/random.h"
#include "tests/unit/journal/journal_harness.h"

namespace cairn {

// Content by path.
using Files = std::map<std::string, std::string>;

inline const KeyRing kRing = *KeyRing::Parse("k1 " + std::string(64, 'a'));

// The end of what is written becomes the base.
inline Lsn AddBase(JournalHarness* h) {
  const Lsn lsn = h->journal->BeginSnapshot();
  const std::string name = "base-" + std::to_string(lsn);
  // A plain RDB, as a leader sends it, is checked by its checksum alone.
  std::string rdb = "REDIS0010" + std::string(50, 'x');
  char crc[8];
  StoreLe<uint64_t>(crc, Crc64(0, rdb));
  h->fs.Put("d/" + name, rdb + std::string(crc, sizeof crc));
  REQUIRE(h->journal->InstallBase(name, lsn, rdb.size()).ok());
  return lsn;
}

// A log of several segments, bases and lives, as they were left by the last one.
struct RandomLog : JournalHarness {
  explicit RandomLog(uint64_t seed) : JournalHarness(seed), random(seed) {
    options.policy = FsyncPolicy::kAlways;
    options.segment_bytes_max = 1500 + random.Below(6000);
    if (random.Below(4) > 0) options.retention_ms = 1'000'000'000;
    if (random.Below(3) == 0) options.keys = &kRing;
    REQUIRE(fs.MakeDirectory("d").ok());
    REQUIRE(fs.SyncDirectory(".").ok());
    for (size_t lives = 1 + random.Below(3); lives > 0; --lives) Live();
    for (const std::string& name : Names("d")) files["d/" + name] = fs.Get("d/" + name);
  }
  ~RandomLog() override { journal.reset(); }

  // A server, until it is shut down or killed.
  void Live() {
    REQUIRE(Open().ok());
    for (size_t n = 4 + random.Below(14); n > 0; --n) {
      // What was ready may be taken for a base meanwhile.
      if (random.Below(2) == 0)
        REQUIRE(Eventually([this] {
          journal->PrepareRoll();
          return journal->next_ready();
        }));
      const uint32_t database = static_cast<uint32_t>(random.Below(3));
      Append(Record(++number, 1 + random.Below(900)), database);
      REQUIRE(journal->SyncTo(journal->tail()).ok());
      if (random.Below(6) == 0) AddBase(this);
    }
    const bool killed = random.Below(2) == 0;
    if (!killed) REQUIRE(journal->Close().ok());
    journal.reset();
    if (killed) fs.Kill();
  }
  std::vector<std::string> Names(const std::string& folder) {
    auto names = fs.List(folder);
    REQUIRE(names.ok());
    return std::move(*names);
  }
  // As they were before any damage.
  void Reset() {
    for (const std::string& name : Names("d"))
      if (name.starts_with("damaged-")) {
        for (const std::string& file : Names("d/" + name))
          REQUIRE(fs.Remove("d/" + name + "/" + file).ok());
      } else if (!files.contains("d/" + name)) {
        REQUIRE(fs.Remove("d/" + name).ok());
      }
    for (const auto& [path, bytes] : files) fs.Put(path, bytes);
  }
  Files Now() {
    Files now;
    for (const std::string& name : Names("d"))
      if (!name.starts_with("damaged-")) now["d/" + name] = fs.Get("d/" + name);
    return now;
  }

  Random random;
  Files files;
  uint64_t number = 0;
};

}  // namespace cairn
