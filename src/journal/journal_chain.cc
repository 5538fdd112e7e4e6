// SPDX-License-Identifier: BSD-3-Clause
//
// What changes the chain of segments while the journal runs: waiting for durability, snapshots,
// compaction, new timelines. Called by snapshot and replication threads and at role changes.
#include <algorithm>

#include "journal/journal.h"

namespace cairn {

Status Journal::SyncTo(Lsn lsn) {
  Lock lock(mutex_);
  const auto beyond = [this, lsn] { return lsn > tail(); };  // of a timeline that has ended
  if (beyond()) return Status::Invalid("the log does not reach this LSN");
  while (durable_point_.lsn < lsn) {
    if (stop_) return Status::Unavailable("the journal is closed");
    if (beyond()) {
      drain_ = false;
      return Status::Invalid("the log does not reach this LSN");
    }
    if (state() != JournalState::kOk) {
      drain_ = false;
      return Status::Io(failure_);
    }
    drain_ = true;
    writer_wake_.notify_all();
    sync_wake_.notify_all();
    changed_.wait(lock);
  }
  drain_ = false;
  return Status::Ok();
}

Lsn Journal::BeginSnapshot() {
  buffer_.ForgetDatabase();
  const Lsn lsn = tail();
  roll_at_.store(lsn, std::memory_order_release);
  return lsn;
}

void Journal::PrepareRoll() {
  Lock lock(mutex_);
  if (next_ != nullptr) return;
  next_wanted_ = true;
  keeper_wake_.notify_all();
}

Status Journal::InstallBase(const std::string& name, Lsn lsn, uint64_t bytes) {
  Status status = SyncTo(lsn);
  std::unique_lock chain(chain_mutex_);
  std::string old_name;
  Lsn old_lsn = 0;
  bool first = false, awaited = false;
  if (status.ok()) {
    Lock lock(mutex_);
    old_name = manifest_.base_name;
    old_lsn = manifest_.base_lsn;
    if (lsn < old_lsn) status = Status::Invalid("a newer base snapshot is in place");
  }
  if (!status.ok()) {
    RemoveUnlisted(name);
    return status;
  }
  {
    Lock lock(mutex_);
    installing_ = true;
    auto& snapshots = manifest_.snapshots;
    manifest_.base_name = name;
    manifest_.base_lsn = lsn;
    // What the log could be replayed from so far.
    awaited = std::exchange(awaits_base_, false);
    first = snapshots.empty();
    if (first && !awaited) snapshots.push_back({old_name, old_lsn, 0, 0});
    snapshots.push_back({name, lsn, static_cast<uint64_t>(options_.clock->WallMs()), bytes});
  }
  status = SaveCurrentManifest();
  Lock lock(mutex_);
  installing_ = false;
  // Not ours to take back where a rebase has put another one in its place.
  if (!status.ok() && manifest_.base_name == name) {
    // Either manifest may be on disk: both sets of files stay until the next one is.
    manifest_.base_name = old_name;
    manifest_.base_lsn = old_lsn;
    manifest_.snapshots.pop_back();
    if (old_name != name) garbage_.push_back(name);
    if (first) manifest_.snapshots.clear();
    awaits_base_ = awaited;
  }
  writer_wake_.notify_one();  // an idle one has not begun the segment yet that begins at `lsn`
  keeper_wake_.notify_one();  // what it replaced may have to go later
  lock.unlock();
  chain.unlock();
  CAIRN_RETURN_IF_ERROR(status);
  return Trim();
}

void Journal::SetRetention(uint64_t ms, uint64_t bytes) {
  Lock lock(mutex_);
  retention_ms_ = ms;
  retention_bytes_ = bytes;
  keeper_wake_.notify_all();
}

// Under mutex_: whether the oldest snapshot need not stay. What it alone makes reachable ends where
// the next one begins.
bool Journal::TrimDue() const {
  const auto& snapshots = manifest_.snapshots;
  if (installing_ || snapshots.size() < 2) return false;
  const auto now_ms = static_cast<uint64_t>(options_.clock->WallMs());
  if (retention_ms_ > 0 && now_ms >= snapshots[1].created_ms + retention_ms_) return true;
  if (retention_bytes_ > 0) return manifest_.ReplacedBytes() > retention_bytes_;
  return retention_ms_ == 0;
}

Status Journal::Trim() {
  std::lock_guard chain(chain_mutex_);
  Lsn from;
  bool changed = false;
  {
    Lock lock(mutex_);
    for (; TrimDue(); changed = true) {
      const std::string& name = manifest_.snapshots.front().name;
      if (!name.empty()) garbage_.push_back(name);
      manifest_.snapshots.erase(manifest_.snapshots.begin());
    }
    from = manifest_.RestorableFrom();
  }
  CAIRN_RETURN_IF_ERROR(DropSegments(from));
  return changed ? SaveCurrentManifest() : Status::Ok();
}

void Journal::ForgetBefore(Lsn lsn) {
  Lock lock(mutex_);
  if (lsn <= manifest_.base_lsn) return;
  manifest_.base_lsn = lsn;
  manifest_stale_ = true;
  keeper_wake_.notify_one();
}

Status Journal::DropBefore(Lsn lsn) {
  std::lock_guard chain(chain_mutex_);
  return DropSegments(lsn);
}

// Under chain_mutex_.
Status Journal::DropSegments(Lsn lsn) {
  lsn = std::min(lsn, retain_from_.load(std::memory_order_relaxed));
  std::vector<SegmentEntry> dropped;
  std::vector<Timeline> timelines;
  {
    Lock lock(mutex_);
    if (lsn > manifest_.base_lsn) return Status::Invalid("the base snapshot needs these segments");
    lsn = std::min(lsn, manifest_.RestorableFrom());
    timelines = manifest_.timelines;
    auto& segments = manifest_.segments;
    while (!segments.empty() && segments.front().ended() && segments.front().end_lsn <= lsn) {
      dropped.push_back(segments.front());
      segments.erase(segments.begin());
    }
    manifest_.DropUnusedTimelines();
  }
  if (dropped.empty()) return Status::Ok();
  Status status = SaveCurrentManifest();
  if (!status.ok()) {
    // The old manifest may stand, so the files must stay listed, and their timelines with them.
    Lock lock(mutex_);
    std::erase_if(timelines, [this](const Timeline& t) {
      return manifest_.FindTimeline(t.number) != nullptr;
    });
    manifest_.timelines.insert(manifest_.timelines.begin(), timelines.begin(), timelines.end());
    std::sort(manifest_.timelines.begin(), manifest_.timelines.end(),
              [](const Timeline& a, const Timeline& b) { return a.number < b.number; });
    manifest_.segments.insert(manifest_.segments.begin(), dropped.begin(), dropped.end());
    return status;
  }
  DeleteFiles(dropped);
  return Status::Ok();
}

// Afterwards no thread of the journal touches files or the writer's own fields.
void Journal::PauseThreads(Lock* lock) {
  paused_ = true;
  while (!stop_ && !(writer_waits_ && sync_waits_ && keeper_waits_)) {
    writer_wake_.notify_all();
    sync_wake_.notify_all();
    keeper_wake_.notify_all();
    changed_.wait_for(*lock, std::chrono::milliseconds(1));
  }
}

void Journal::ResumeThreads(Lock*) {
  paused_ = false;
  writer_wake_.notify_all();
  sync_wake_.notify_all();
  keeper_wake_.notify_all();
}

Status Journal::StartTimeline(const TimelineStart& start) {
  bool named = false;
  const Status status = BeginTimeline(start, &named);
  if (!named && !start.base_name.empty()) RemoveUnlisted(start.base_name);
  return status;
}

// `named`: a manifest on disk may list the base.
Status Journal::BeginTimeline(const TimelineStart& start, bool* named) {
  {
    Lock lock(mutex_);
    if (awaits_base_) return Status::Unavailable("the log has no base yet");
  }
  const bool jump = start.anew || !start.base_name.empty();
  // A new base needs nothing of the old chain, not even a working disk under its last segment.
  if (!jump) CAIRN_RETURN_IF_ERROR(SyncTo(tail()));
  Lock lock(mutex_);
  PauseThreads(&lock);
  if (stop_) return Status::Unavailable("the journal is closed");
  lock.unlock();
  std::unique_lock chain(chain_mutex_);
  lock.lock();
  const Lsn lsn = jump ? start.lsn : tail();
  Manifest m = manifest_;
  lock.unlock();
  m.replid = start.replid.empty() ? NewReplicationId() : start.replid;
  m.replid2 = start.replid2;
  m.second_offset = start.second_offset;
  m.timelines.push_back({m.LastTimeline() + 1, m.replid, m.LastTimeline(), lsn});
  const Timeline timeline = m.timelines.back();
  auto created = CreateSegmentFile(timeline.number);
  *named = created.ok();
  Status status = created.ok() ? Status::Ok() : created.status();
  std::vector<SegmentEntry> dropped;
  std::vector<std::string> old_snapshots;
  SegmentEntry entry;
  if (status.ok()) {
    if (jump) {
      dropped = std::move(m.segments);
      m.segments.clear();
      for (const SnapshotEntry& s : m.snapshots) old_snapshots.push_back(s.name);
      old_snapshots.push_back(m.base_name);  // not among them where a leader sent it
      std::erase(old_snapshots, "");
      m.base_name = start.base_name;
      m.base_lsn = lsn;
      m.snapshots.clear();
    } else {
      // The old segment is left without an index: closed at its durable end.
      CutChain(&m, lsn, &dropped);
      std::erase_if(m.segments, [&](const SegmentEntry& s) {
        if (s.state == SegmentState::kNext) dropped.push_back(s);
        return s.state == SegmentState::kNext;
      });
    }
    entry.state = SegmentState::kOpen;
    entry.sequence = created->sequence;
    entry.timeline = timeline.number;
    entry.first_lsn = lsn;
    m.segments.push_back(entry);
    m.DropUnusedTimelines();
    std::lock_guard<std::mutex> guard(manifest_file_mutex_);
    status = SaveManifest(options_.fs, options_.dir, m);
  }
  lock.lock();
  if (status.ok()) {
    manifest_ = std::move(m);
    next_.reset();
    next_wanted_ = false;
    unsynced_.clear();
    pending_since_us_ = unsynced_since_us_ = 0;
    live_ =
        std::make_unique<SegmentWriter>(created->file, created->sequence, timeline, options_.keys);
    position_ = written_point_ = durable_point_ = {lsn, kNoDatabase};
    last_unit_lsn_ = marked_lsn_ = lsn;
    at_boundary_ = true;
    roll_at_.store(kLsnMax);
    if (jump) {
      buffer_.Reset(position_);
    } else {
      buffer_.ForgetDatabase();
    }
    written_.store(lsn, std::memory_order_release);
    durable_.store(lsn, std::memory_order_release);
    switch_pending_ = false;
    if (state() != JournalState::kOk) {
      state_.store(JournalState::kOk, std::memory_order_release);
      failure_.clear();
      // Before the gate opens, as in BackInOrder.
      if (options_.listener != nullptr) options_.listener->OnStateChange(JournalState::kOk, "");
    }
    ClearGate(kGateFailed | kGateSyncLate);  // nothing is left to be synced
    UpdateHorizons();
  } else if (created.ok()) {
    Discard({entry});
    if (!start.base_name.empty()) garbage_.push_back(start.base_name);
  }
  ResumeThreads(&lock);
  lock.unlock();
  chain.unlock();
  // Either manifest may be on disk, and by the new one the log ends here: the old timeline goes on
  // only once its own is there for certain.
  if (!status.ok() && created.ok())
    if (const Status saved = SaveCurrentManifest(); !saved.ok()) Fail(saved, false);
  // A restore or full sync may be regretted: the segments of other timelines stay as files.
  if (status.ok() && (!jump || start.delete_old)) {
    DeleteFiles(dropped);
    for (const std::string& name : old_snapshots) RemoveUnlisted(name);
  }
  return status;
}

}  // namespace cairn
