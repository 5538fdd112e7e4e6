// SPDX-License-Identifier: BSD-3-Clause
//
// What the journal's tests share: a journal in a FaultFs, records that name themselves, a reader
// of the whole stream.
#pragma once

#include <chrono>
#include <string>
#include <thread>

#include "base/log.h"
#include "journal/journal.h"
#include "journal/reader.h"
#include "tests/unit/support/fault_fs.h"

namespace cairn {

struct JournalHarness : JournalListener {
  explicit JournalHarness(uint64_t seed) : fs(seed) {
    log.set_level(LogLevel::kNothing);
    options.fs = &fs;
    options.clock = SystemClock();
    options.log = &log;
    options.listener = this;
    options.dir = "d";
    options.retry_interval_us = 2000;
    options.write_delay_us = 500;
  }

  Status Open() {
    auto recovered = RecoverJournal(&fs, options.dir, options.keys);
    if (!recovered.ok()) return recovered.status();
    report = recovered->report;
    auto opened = Journal::Open(options, std::move(*recovered));
    if (!opened.ok()) return opened.status();
    journal = std::move(*opened);
    return Status::Ok();
  }

  // "SET" of a value of `bytes` bytes; returns the record's end.
  static std::string Record(uint64_t number, size_t bytes) {
    std::string value = std::to_string(number) + ":";
    while (value.size() < bytes) value += static_cast<char>('a' + (number + value.size()) % 26);
    return "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$" + std::to_string(value.size()) + "\r\n" + value +
           "\r\n";
  }
  Lsn Append(std::string_view payload, uint32_t database = 0, unsigned slot = 0) {
    Reservation r = journal->Reserve(slot, database, payload.size());
    journal->Publish(r, payload);
    journal->WakeIfNeeded(slot);
    return r.end;
  }

  // All bytes of [from, limit) by the files; "ERROR: ..." if the reader refuses.
  std::string ReadAll(const Manifest& manifest, Lsn from, Lsn limit) {
    auto reader = JournalReader::Open(&fs, options.dir, manifest, from, limit, options.keys);
    if (!reader.ok()) return "ERROR: " + reader.status().message();
    std::string all;
    StreamPiece piece;
    for (;;) {
      auto more = (*reader)->Next(&piece);
      if (!more.ok()) return "ERROR: " + more.status().message();
      if (!*more) return all;
      if (piece.lsn != from + all.size()) return "ERROR: gap";
      all += piece.bytes;
    }
  }

  template <typename F>
  static bool Eventually(F condition) {
    for (int i = 0; i < 60'000; ++i) {  // however slow the machine is
      if (condition()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return false;
  }

  // Makes syncs fail, for good, with more unsynced than memory keeps (options.buffer_bytes_max of 1
  // MiB). write(i) appends some 300 KB. On a slow machine the first failure may come too early.
  template <typename Write>
  bool LoseBytes(Write write) {
    for (int attempt = 0; attempt < 50; ++attempt) {
      fs.FailSyncs(true);
      for (int i = 0; i < 10; ++i) {
        write(i);
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
      if (!Eventually([&] { return journal->state() != JournalState::kOk; })) return false;
      for (int i = 0; i < 200 && rebase_requests == 0; ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      if (rebase_requests > 0) return true;
      fs.FailSyncs(false);
      // It may have lost them all the same, and say so only now.
      if (!Eventually([&] { return journal->Admits() || rebase_requests > 0; })) return false;
      if (rebase_requests > 0) return true;
    }
    return false;
  }

  void OnDurable(Lsn lsn) override { durable_told = lsn; }
  void OnAdmissionOpen() override { ++openings; }
  void OnRebaseNeeded(Lsn) override { ++rebase_requests; }

  FaultFs fs;
  Log log;
  JournalOptions options;
  RecoveryReport report;
  std::unique_ptr<Journal> journal;
  std::atomic<Lsn> durable_told{0};
  std::atomic<int> openings{0}, rebase_requests{0};
};

}  // namespace cairn
