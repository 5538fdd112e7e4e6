// SPDX-License-Identifier: BSD-3-Clause
//
// What happens when the disk fails. The failed segment is closed at the durable end; everything
// behind that is written again, from memory, into a new segment, synced, and then the manifest is
// switched. Only then do held replies go out and writes come in. No step is believed before it is
// durable, and each may fail: the next attempt starts over with another new file.
#include <algorithm>

#include "journal/journal.h"

namespace cairn {

// Without mutex_.
void Journal::Fail(const Status& status, bool in_write) {
  Lock lock(mutex_);
  if (state() != JournalState::kOk) return;
  failed_in_write_ = in_write;
  state_.store(JournalState::kFailed, std::memory_order_release);
  failure_ = status.message();
  rebase_asked_ = false;
  retry_at_us_ = options_.clock->MonotonicUs() + options_.retry_interval_us;
  SetGate(kGateFailed);
  options_.log->Warning("The journal failed, writes are refused: %s", failure_.c_str());
  if (options_.listener != nullptr)
    options_.listener->OnStateChange(JournalState::kFailed, failure_);
  writer_wake_.notify_all();
  changed_.notify_all();
}

// Under kNo nothing behind `written` was promised, and what the kernel took it keeps (SyncWritten
// makes sure); after a failed sync, though, that is exactly what is in doubt.
StreamPoint Journal::ResumePoint() const {
  return policy() == FsyncPolicy::kNo && failed_in_write_ ? written_point_ : durable_point_;
}

// The new segment will say that all before it is durable, so it has to be. The file whose write
// failed is whole up to `written`. False: it could not be synced, and is not to be believed.
bool Journal::SyncWritten(Lock* lock) {
  const std::vector<UnsyncedFile> files = std::exchange(unsynced_, {});
  const StreamPoint target = written_point_;
  lock->unlock();
  Status status;
  for (const UnsyncedFile& f : files)
    if (status.ok()) status = f.file->Sync();
  lock->lock();
  failed_in_write_ = status.ok();
  if (!status.ok()) return false;
  durable_point_ = target;
  durable_.store(target.lsn, std::memory_order_release);
  return true;
}

// Writer thread, with mutex_, while no sync runs.
void Journal::TryRecover(Lock* lock) {
  if (rebase_base_.empty() && !switch_pending_ && ResumePoint().lsn > durable_point_.lsn)
    (void)SyncWritten(lock);
  StreamPoint from = ResumePoint();
  const std::string base = rebase_base_;
  if (!base.empty()) from = {rebase_lsn_, kNoDatabase};
  if (!switch_pending_ && from.lsn < buffer_.released()) {
    retry_at_us_ = options_.clock->MonotonicUs() + options_.retry_interval_us;
    if (!rebase_asked_ && options_.listener != nullptr)
      options_.listener->OnRebaseNeeded(durable_point_.lsn);
    rebase_asked_ = true;
    return;
  }
  state_.store(JournalState::kRebasing, std::memory_order_release);
  const bool rewritten = switch_pending_;
  lock->unlock();
  Status status;
  if (!rewritten) status = RewriteFrom(from, base);
  if (status.ok()) status = SaveCurrentManifest();
  lock->lock();
  if (!status.ok()) {
    retry_at_us_ = options_.clock->MonotonicUs() + options_.retry_interval_us;
    state_.store(JournalState::kFailed, std::memory_order_release);
    failure_ = status.message();
    if (!base.empty()) ++rebase_failures_;
    changed_.notify_all();
    return;
  }
  options_.log->Warning("The journal works again, in a new segment");
  BackInOrder(lock);
}

// Everything up to position_ is durable in files that the manifest names.
void Journal::BackInOrder(Lock* lock) {
  written_point_ = durable_point_ = position_;
  buffer_.NoteWritten(written_point_);
  written_.store(position_.lsn, std::memory_order_release);
  durable_.store(position_.lsn, std::memory_order_release);
  unsynced_.clear();
  pending_since_us_ = unsynced_since_us_ = 0;
  rebase_base_.clear();
  switch_pending_ = false;
  failure_.clear();
  state_.store(JournalState::kOk, std::memory_order_release);
  UpdateHorizons();
  // Before the gate opens: who comes through it is to find a server whose log works.
  if (options_.listener != nullptr) options_.listener->OnStateChange(JournalState::kOk, "");
  ClearGate(kGateFailed | kGateSyncLate);
  changed_.notify_all();
  sync_wake_.notify_all();
  keeper_wake_.notify_one();
  if (options_.listener == nullptr) return;
  const Lsn durable = position_.lsn;
  lock->unlock();
  options_.listener->OnDurable(durable);
  lock->lock();
}

// Writes and syncs [from, complete) into a new file, and lists that.
Status Journal::RewriteFrom(StreamPoint from, const std::string& base_name) {
  Timeline timeline;
  {
    Lock lock(mutex_);
    timeline = CurrentTimeline();
  }
  auto created = CreateSegmentFile(timeline.number);
  if (!created.ok()) return created.status();
  SegmentEntry entry;
  entry.state = SegmentState::kOpen;
  entry.sequence = created->sequence;
  entry.timeline = timeline.number;
  entry.first_lsn = from.lsn;
  live_ = std::make_unique<SegmentWriter>(created->file, created->sequence, timeline,
                                          options_.keys);
  // Where the disk finds out only when it syncs that it is full, a tail may be what it has no room
  // for: the log would work until the next one is made, fail, work again, and so on.
  live_->RefuseTail();
  position_ = from;
  at_boundary_ = true;
  last_unit_lsn_ = from.lsn;
  ClampTime();
  const StreamPoint to = buffer_.Complete();
  live_->Begin(position_, now_ms_);
  Status status;
  while (status.ok() && position_.lsn < to.lsn) {
    SealBlock(to);
    if (live_->buffered() >= size_t{1} << 20) status = live_->Flush();
  }
  if (status.ok()) status = live_->Flush();
  if (status.ok()) status = live_->file()->Sync();
  if (!status.ok()) {
    DeleteFiles({entry});  // no manifest has ever listed it
    return status;
  }
  ListRewritten(entry, base_name);
  return Status::Ok();
}

void Journal::ListRewritten(const SegmentEntry& entry, const std::string& base_name) {
  std::lock_guard chain(chain_mutex_);
  std::vector<SegmentEntry> dropped;
  Lock lock(mutex_);
  if (base_name.empty()) {
    CutChain(&manifest_, entry.first_lsn, &dropped);
  } else {
    // The snapshot replaces everything before it.
    for (const SegmentEntry& s : manifest_.segments)
      if (s.state != SegmentState::kNext) dropped.push_back(s);
    std::erase_if(manifest_.segments, [](const auto& s) { return s.state != SegmentState::kNext; });
    if (!manifest_.base_name.empty()) garbage_.push_back(manifest_.base_name);
    // There is a hole in the stream: nothing before it can be replayed up to here.
    for (const SnapshotEntry& s : manifest_.snapshots)
      if (!s.name.empty()) garbage_.push_back(s.name);
    manifest_.snapshots.clear();
    manifest_.base_name = base_name;
    manifest_.base_lsn = entry.first_lsn;
    awaits_base_ = false;
  }
  Discard(dropped);
  // From here on a manifest on disk may list the new file: it stays, and what is tried again is
  // the manifest alone.
  switch_pending_ = true;
  // An unused next segment stays last.
  auto next = std::find_if(manifest_.segments.begin(), manifest_.segments.end(),
                           [](const auto& s) { return s.state == SegmentState::kNext; });
  manifest_.segments.insert(next, entry);
}

Status Journal::FinishRebase(const std::string& name, Lsn lsn) {
  constexpr uint64_t kRebaseAttemptsMax = 10;
  Lock lock(mutex_);
  Status status;
  if (state() == JournalState::kOk || switch_pending_) {
    status = Status::Unavailable("the journal needs no snapshot any more");
  } else if (lsn < buffer_.released() || lsn > tail()) {
    status = Status::Invalid("snapshot is too old");
  }
  if (status.ok()) {
    rebase_base_ = name;
    rebase_lsn_ = lsn;
    retry_at_us_ = 0;
    writer_wake_.notify_all();
    // Once the new segment is written only the manifest is retried, with this base.
    const uint64_t failures = rebase_failures_;
    while (!stop_ && !rebase_base_.empty() && rebase_failures_ < failures + kRebaseAttemptsMax &&
           (rebase_failures_ == failures || switch_pending_))
      changed_.wait(lock);
    if (rebase_base_.empty()) return Status::Ok();
    status = Status::Io(failure_);
    if (switch_pending_) return status;
    rebase_base_.clear();
  }
  lock.unlock();
  RemoveUnlisted(name);
  return status;
}

}  // namespace cairn
