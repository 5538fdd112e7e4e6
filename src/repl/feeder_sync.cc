// SPDX-License-Identifier: BSD-3-Clause
//
// The feeder's half of a full sync: whose snapshot a follower gets, and how it is sent while it
// grows.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "exec/replication_control.h"
#include "exec/snapshot_control.h"
#include "journal/journal.h"
#include "repl/feeder.h"

namespace cairn {
namespace {

// Which SYNC is not told.
std::string FullSyncHead(const Follower& follower, const std::string& id, Lsn lsn) {
  if (follower.request.old) return "";
  return "+FULLRESYNC " + id + " " + std::to_string(lsn) + "\r\n";
}

}  // namespace

void Feeder::StartSync() {
  SnapshotControl& snapshots = *engine_.snapshots;
  const std::string name = "sync-" + std::to_string(++syncs_) + ".rdb";
  // One that all who wait for it understand.
  bool packed = engine_.journal->keys() == nullptr;
  for (const auto& follower : followers())
    if (follower->state.load() == State::kWaiting && follower->file == nullptr)
      packed &= follower->packed_understood;
  auto file = std::make_shared<SyncFile>(snapshots.SyncFolder() + "/" + name, packed);
  SnapshotControl::SyncRequest request;
  request.name = name;
  request.packed = packed;
  request.at_instant = [this, file](uint64_t lsn) {
    file->lsn = lsn;
    file->id = engine_.replication->Stream().id;
    file->begun.store(true);
  };
  request.grown = [this, file](uint64_t bytes) {
    file->available.store(bytes);
    Notify();
  };
  request.done = [this, file](const Status& status, uint64_t bytes) {
    if (status.ok()) file->available.store(bytes);
    file->error = status.message();
    file->state.store(status.ok() ? SyncFile::State::kReady : SyncFile::State::kFailed);
    Notify();
  };
  // Another snapshot is under way, or a busy script: once more with the next step.
  if (!snapshots.StartSync(std::move(request)).ok()) return;
  sync_ = std::move(file);
}

// Whether the follower can have this one: what was written since its instant it gets from the log.
bool Feeder::Shared(const SyncFile& file, const Follower& follower) const {
  if (file.packed && !follower.packed_understood) return false;
  if (!file.begun.load()) return true;
  if (file.id != engine_.replication->Stream().id) return false;
  // Of one that is made, as long as it spares more than it costs.
  return file.state.load() == SyncFile::State::kMaking ||
         engine_.journal->tail() - file.lsn < file.available.load();
}

std::shared_ptr<SyncFile> Feeder::FileFor(const Follower& follower) {
  if (sync_ != nullptr && sync_->state.load() == SyncFile::State::kFailed) sync_.reset();
  if (sync_ != nullptr && Shared(*sync_, follower)) return sync_;
  // At most one is made at a time.
  if (sync_ != nullptr && sync_->state.load() == SyncFile::State::kMaking) return nullptr;
  sync_.reset();
  StartSync();
  return sync_;
}

void Feeder::WaitForFile(Follower& follower) {
  KeepAlive(follower);
  if (follower.content != SnapshotContent::kAll) return SendKeyless(follower);
  if (follower.file == nullptr) follower.file = FileFor(follower);
  if (follower.file == nullptr) return;
  const SyncFile& file = *follower.file;
  const SyncFile::State state = file.state.load();
  if (state == SyncFile::State::kFailed)
    return Drop(follower, "the snapshot failed: " + file.error);
  const bool early = follower.mark_understood && !follower.request.old &&
                     engine_.config.repl_diskless_sync() && engine_.journal->keys() == nullptr;
  if (state == SyncFile::State::kMaking && (!early || file.available.load() == 0)) return;
  // It may hold nothing that this server could lose.
  if (engine_.journal->policy() == FsyncPolicy::kAlways && engine_.journal->durable() < file.lsn)
    return;
  if (!OpenFile(follower)) return Drop(follower, "the snapshot cannot be read");
  if (early) follower.mark = NewReplicationId();
  BeginFile(follower);
}

// Small and made at once: it needs no file.
void Feeder::SendKeyless(Follower& follower) {
  uint64_t lsn;
  const bool functions = follower.content == SnapshotContent::kFunctions;
  const auto rdb = engine_.snapshots->KeylessRdb(functions, &lsn);
  if (!rdb.ok()) return;  // once more with the next step
  Send(follower, FullSyncHead(follower, engine_.replication->Stream().id, lsn) + "$" +
                     std::to_string(rdb->size()) + "\r\n" + *rdb);
  follower.next = lsn;
  follower.state.store(State::kSending);
}

void Feeder::BeginFile(Follower& follower) {
  const SyncFile& file = *follower.file;
  const std::string head = FullSyncHead(follower, file.id, file.lsn);
  const std::string end =
      follower.mark.empty() ? std::to_string(file.available.load()) : "EOF:" + follower.mark;
  Send(follower, head + "$" + end + "\r\n");
  follower.next = file.lsn;
  follower.moved_ms = engine_.clock.MonotonicMs();
  follower.state.store(State::kSending);
}

bool Feeder::OpenFile(Follower& follower) {
  const std::string& path = follower.file->path;
  const KeyRing* keys = engine_.journal->keys();
  if (keys == nullptr) {
    follower.file_fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    return follower.file_fd >= 0;
  }
  auto pipe = RdbPipe::Open(path, keys);
  if (!pipe.ok()) return false;
  follower.pipe = std::move(*pipe);
  follower.file_fd = follower.pipe->fd();
  return true;
}

bool Feeder::SendFile(Follower& follower) {
  if (follower.sent_all.load()) {
    if (follower.answered.load()) GoOnline(follower);
    return follower.answered.load();
  }
  if (follower.file == nullptr) return EndFile(follower);
  const SyncFile& file = *follower.file;
  // Before its size: when it is made it grows no more.
  const SyncFile::State state = file.state.load();
  if (state == SyncFile::State::kFailed) {
    Drop(follower, "the snapshot failed: " + file.error);
    return false;
  }
  const uint64_t available = file.available.load();
  for (int i = 0; i < kPiecesPerStep && follower.file_offset < available; ++i) {
    if (!HasRoom(follower)) return false;
    follower.moved_ms = engine_.clock.MonotonicMs();
    std::string bytes(std::min<uint64_t>(kPieceBytes, available - follower.file_offset), '\0');
    // What a pipe has not got yet comes in a moment.
    const ssize_t n = follower.pipe != nullptr ? read(follower.file_fd, bytes.data(), bytes.size())
                                               : pread(follower.file_fd, bytes.data(), bytes.size(),
                                                       static_cast<off_t>(follower.file_offset));
    if (n < 0 && errno == EAGAIN) {
      follower.probing = true;
      return false;
    }
    if (n <= 0) {
      Drop(follower, "the snapshot cannot be read");
      return false;
    }
    bytes.resize(static_cast<size_t>(n));
    follower.file_offset += static_cast<uint64_t>(n);
    Send(follower, std::move(bytes));
  }
  if (follower.file_offset < available) return true;
  follower.moved_ms = engine_.clock.MonotonicMs();
  return state == SyncFile::State::kReady && EndFile(follower);
}

// All of it is sent.
bool Feeder::EndFile(Follower& follower) {
  if (follower.file_fd >= 0) {
    if (follower.pipe == nullptr) close(follower.file_fd);
    follower.file_fd = -1;
    follower.pipe.reset();
    if (!follower.mark.empty()) {
      if (!follower.snapshot_only) {  // before it can answer
        follower.acknowledged_ms.store(engine_.clock.MonotonicMs(), std::memory_order_relaxed);
        follower.sent_all.store(true);
      }
      Send(follower, follower.mark);
    }
  }
  if (follower.snapshot_only) {
    // Redis closes such a connection once all of it is sent.
    if (follower.posted.load() == 0 && follower.buffered.load() == 0) {
      Drop(follower, "it wanted the snapshot only");
    } else {
      Probe(follower);
    }
    return false;
  }
  follower.file.reset();
  engine_.log.Notice("Synchronization with replica %s:%d succeeded", follower.address.c_str(),
                     follower.port);
  if (follower.mark.empty()) {
    GoOnline(follower);
    return true;
  }
  // What came right behind the mark it would take for a part of the snapshot: first it answers.
  return false;
}

}  // namespace cairn
