// SPDX-License-Identifier: BSD-3-Clause
//
// Snapshotter: one snapshot at a time, from its instant to its file, on threads that exist while
// it is under way. What to do with the file (a dump.rdb, the log's new base, a full sync) and when
// to ask for one is its callers' affair.
//
// Thread rule: Start, Cancel, Wait and the figures from any thread that holds no lock and is not
// inside the gate; StartUnderAll by whoever holds scope All.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/file.h"
#include "snapshot/aux_source.h"
#include "snapshot/sink.h"
#include "snapshot/walk.h"

namespace cairn {

// What the caller says under All about the instant of the snapshot.
struct SnapshotInstant {
  uint64_t lsn = 0;
  std::string name;  // of the file, if it is to say something of the instant
  AccessRecord access;
  std::vector<std::pair<std::string, std::string>> aux;  // AUX records, in this order
};

struct SnapshotResult {
  Status status;
  std::string name;
  bool cancelled = false;
  uint64_t lsn = 0;
  uint64_t keys = 0;
  uint64_t file_bytes = 0;
  uint64_t plain_bytes = 0;
  int64_t duration_ms = 0;
};

struct SnapshotRequest {
  FileSystem* fs = nullptr;
  std::string dir, name;
  SnapshotFormat format = SnapshotFormat::kPlain;
  bool compress = true;
  int acceleration = 1;  // of LZ4, for kPacked
  bool checksum = true;
  std::function<void(uint64_t bytes)> followed;  // as SinkOptions
  const KeyRing* keys = nullptr;                 // kPacked: encrypts with the first of them
  int threads = 1;                               // at most Snapshotter::kThreadsMax
  size_t preimage_bytes_max = 64 << 20;
  PressureListener* pressure = nullptr;
  std::function<void(SnapshotInstant*)> at_instant;  // under All
  // On the snapshot's thread when its file is durable or has failed, while busy() still holds.
  std::function<void(const SnapshotResult&)> done;
};

class Snapshotter {
 public:
  static constexpr int kThreadsMax = 4;

  Snapshotter(Keyspace* keyspace, Clock* clock, std::vector<AuxSource*> aux_sources);
  // Gives a snapshot under way up.
  ~Snapshotter();

  // kUnavailable if one is under way (also one that was cancelled and still sets bits), or while a
  // busy script has all locks: that one may never end.
  Status Start(SnapshotRequest request);
  Status StartUnderAll(SnapshotRequest request);
  // False if none is under way.
  bool Cancel();
  // Returns when none is under way.
  void Wait();
  // The same, but after so many milliseconds at the latest. True: none is.
  bool WaitFor(int64_t milliseconds);

  bool busy() const { return busy_.load(std::memory_order_acquire); }
  struct Progress {
    uint64_t keys_done = 0, keys_total = 0, file_bytes = 0, preimage_bytes = 0;
    uint64_t detached_bytes = 0;  // of databases that were emptied, kept until they are written
    int64_t started_ms = 0;  // monotonic
  };
  Progress progress() const;

 private:
  bool Claim();
  void Release();
  void Instant();
  void Launch();
  void Main();
  Status WriteFile();
  SinkOptions MakeSinkOptions() const;
  void AddHead();

  Keyspace& keyspace_;
  Clock& clock_;
  const std::vector<AuxSource*> aux_sources_;
  SnapshotWalk walk_;
  int slots_[kThreadsMax];
  std::atomic<bool> busy_{false};
  mutable std::mutex mutex_;  // guards thread_ and sink_'s life
  std::condition_variable idle_;
  std::thread thread_;
  SnapshotRequest request_;
  SnapshotInstant instant_;
  int version_ = kRdbVersionMin;  // the lowest that holds what there was at the instant
  std::unique_ptr<SnapshotSink> sink_;
  std::atomic<bool> cancelled_{false};
  std::atomic<int64_t> started_ms_{0};
  std::atomic<uint64_t> keys_total_{0};
};

}  // namespace cairn
