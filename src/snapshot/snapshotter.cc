// SPDX-License-Identifier: BSD-3-Clause
#include "snapshot/snapshotter.h"

#include <algorithm>
#include <chrono>

#include "base/scheduling.h"
#include "base/thread.h"

namespace cairn {
namespace {

// A tenth of a core that a worker wants all of, and the whole of one that nobody wants.
constexpr int kNicer = 10;

}  // namespace

Snapshotter::Snapshotter(Keyspace* keyspace, Clock* clock, std::vector<AuxSource*> aux_sources)
    : keyspace_(*keyspace), clock_(*clock), aux_sources_(std::move(aux_sources)), walk_(keyspace) {
  for (int& slot : slots_) slot = keyspace_.gate().AddThread();
}

Snapshotter::~Snapshotter() {
  Cancel();
  Wait();
  if (thread_.joinable()) thread_.join();
}

bool Snapshotter::Claim() {
  bool idle = false;
  return busy_.compare_exchange_strong(idle, true);
}

void Snapshotter::Release() {
  std::lock_guard guard(mutex_);
  busy_.store(false, std::memory_order_release);
  idle_.notify_all();
}

Status Snapshotter::Start(SnapshotRequest request) {
  if (!Claim()) return Status::Unavailable("a snapshot is under way");
  if (!keyspace_.gate().CloseUnlessHeld()) {
    Release();
    return Status::Unavailable("a busy script has all locks");
  }
  request_ = std::move(request);
  Instant();
  keyspace_.gate().Open();
  Launch();
  return Status::Ok();
}

Status Snapshotter::StartUnderAll(SnapshotRequest request) {
  if (!Claim()) return Status::Unavailable("a snapshot is under way");
  request_ = std::move(request);
  Instant();
  Launch();
  return Status::Ok();
}

void Snapshotter::Instant() {
  cancelled_ = false;
  instant_ = {};
  started_ms_ = clock_.MonotonicMs();
  if (request_.at_instant != nullptr) request_.at_instant(&instant_);
  if (!instant_.name.empty()) request_.name = instant_.name;
  for (AuxSource* source : aux_sources_) source->AtInstant();
  WalkOptions options;
  options.access = instant_.access;
  options.compress_strings = request_.compress && request_.format == SnapshotFormat::kPlain;
  options.preimage_bytes_max = request_.preimage_bytes_max;
  options.pressure = request_.pressure;
  walk_.Begin(options);
  keys_total_ = walk_.keys_total();
  version_ = kRdbVersionMin;
  for (int db = 0; db < keyspace_.databases(); ++db)
    if (keyspace_.FieldExpiriesSize(db) > 0) version_ = kRdbVersionFieldExpiry;
}

void Snapshotter::Launch() {
  std::lock_guard guard(mutex_);
  // The thread of the last snapshot is at its very end.
  if (thread_.joinable()) thread_.join();
  thread_ = std::thread([this] { Main(); });
}

bool Snapshotter::Cancel() {
  if (!busy()) return false;
  cancelled_ = true;
  walk_.Abandon();
  return true;
}

void Snapshotter::Wait() {
  std::unique_lock lock(mutex_);
  idle_.wait(lock, [this] { return !busy(); });
}

bool Snapshotter::WaitFor(int64_t milliseconds) {
  std::unique_lock lock(mutex_);
  return idle_.wait_for(lock, std::chrono::milliseconds(milliseconds), [this] { return !busy(); });
}

Snapshotter::Progress Snapshotter::progress() const {
  Progress progress;
  if (!busy()) return progress;
  std::lock_guard guard(mutex_);
  progress.keys_done = walk_.keys_done();
  progress.keys_total = keys_total_;
  progress.preimage_bytes = walk_.preimage_bytes();
  progress.detached_bytes = walk_.detached_bytes();
  progress.started_ms = started_ms_;
  if (sink_ != nullptr) progress.file_bytes = sink_->file_bytes();
  return progress;
}

void Snapshotter::Main() {
  BeginThread("snapshot");
  LetOthersGoFirst(kNicer);
  SnapshotResult result;
  result.status = WriteFile();
  result.cancelled = cancelled_ && !result.status.ok();
  result.name = request_.name;
  result.lsn = instant_.lsn;
  if (sink_ != nullptr) {
    result.keys = sink_->keys();
    result.file_bytes = sink_->file_bytes();
    result.plain_bytes = sink_->plain_bytes();
  }
  result.duration_ms = clock_.MonotonicMs() - started_ms_;
  std::unique_ptr<SnapshotSink> ended;  // removes a file that came to nothing: not under mutex_
  {
    std::lock_guard guard(mutex_);
    ended = std::move(sink_);
  }
  ended.reset();
  SnapshotRequest request = std::exchange(request_, {});
  if (request.done != nullptr) request.done(result);
  Release();
}

void Snapshotter::AddHead() {
  std::string records;
  RdbWriter writer(&records);
  for (const auto& [name, value] : instant_.aux) writer.Aux(name, value);
  for (AuxSource* source : aux_sources_) source->Write(&writer);
  for (const SnapshotWalk::DbSize& size : walk_.sizes()) {
    writer.SelectDb(static_cast<uint64_t>(size.db));
    writer.ResizeDb(size.keys, size.volatile_keys);
  }
  sink_->AddHead(records);
}

SinkOptions Snapshotter::MakeSinkOptions() const {
  SinkOptions options;
  options.fs = request_.fs;
  options.dir = request_.dir;
  options.name = request_.name;
  options.format = request_.format;
  options.acceleration = request_.compress ? request_.acceleration : 0;
  options.checksum = request_.checksum;
  options.header.lsn = instant_.lsn;
  options.header.created_ms = static_cast<uint64_t>(clock_.WallMs());
  options.keys = request_.keys;
  options.followed = request_.followed;
  options.version = version_;
  return options;
}

// The walk is run to its end whatever happens to the file: bits must not stay mixed.
Status Snapshotter::WriteFile() {
  auto created = SnapshotSink::Create(MakeSinkOptions());
  Status status = created.status();
  if (created.ok()) {
    std::lock_guard guard(mutex_);
    sink_ = std::move(*created);
  }
  if (status.ok()) {
    AddHead();
  } else {
    walk_.Abandon();
  }
  std::vector<std::thread> helpers;
  for (int i = 1; i < std::min(request_.threads, kThreadsMax); ++i) {
    helpers.emplace_back([this, i] {
      BeginThread("snapshot");
      LetOthersGoFirst(kNicer);
      walk_.Run(slots_[i], sink_.get());
    });
  }
  walk_.Run(slots_[0], sink_.get());
  for (std::thread& helper : helpers) helper.join();
  const Status exact = walk_.Finish(sink_.get());
  CAIRN_RETURN_IF_ERROR(status);
  CAIRN_RETURN_IF_ERROR(sink_->status());
  CAIRN_RETURN_IF_ERROR(exact);
  if (walk_.abandoned()) return Status::Unavailable("the snapshot was cancelled");
  return sink_->Commit();
}

}  // namespace cairn
