// SPDX-License-Identifier: BSD-3-Clause
//
// The sync thread makes written bytes durable; the keeper creates the next segment and saves the
// manifest after segments were sealed; the watch closes the gate when everysec is late. It is a
// thread of its own because each of the others may be in a file operation for as long as a disk
// hangs: under everysec the gate is all that bounds what a power cut then takes.
#include <algorithm>

#include "journal/journal.h"

#include "base/thread.h"

namespace cairn {
namespace {

constexpr int64_t kEverySecondSyncUs = 500'000;    // age of the oldest unsynced byte: sync
constexpr int64_t kEverySecondLateUs = 1'000'000;  // ... and admit no more writes
constexpr int64_t kLookAgainUs = 50'000;           // while it is late
constexpr uint64_t kWriterSyncBytes = 256 * 1024;

// Whether the first segment ends before all that a restore could begin at.
bool FirstIsReplaced(const Manifest& manifest) {
  if (manifest.segments.empty()) return false;
  const SegmentEntry& first = manifest.segments.front();
  return first.ended() && first.end_lsn <= manifest.RestorableFrom();
}

}  // namespace

bool Journal::SyncDue(int64_t now_us, int64_t* due_us) const {
  if (paused_ || syncing_ || state() != JournalState::kOk || unsynced_.empty()) return false;
  if (WriterSyncs()) return false;
  // A sealed segment is synced at once, so that the manifest can say so.
  if (drain_ || policy() == FsyncPolicy::kAlways || unsynced_.front().sealed) return true;
  if (policy() == FsyncPolicy::kNo) return false;
  *due_us = unsynced_since_us_ + kEverySecondSyncUs;
  return now_us >= *due_us;
}

// Under mutex_: whether what is written is for the writer to sync. More than it may gather while a
// sync runs is for the sync thread, beside which it goes on writing.
bool Journal::WriterSyncs() const {
  return policy() == FsyncPolicy::kAlways && !paused_ && !syncing_ && !stop_ &&
         state() == JournalState::kOk && !unsynced_.empty() &&
         written_point_.lsn - durable_point_.lsn < kWriterSyncBytes;
}

void Journal::SyncMain() {
  BeginThread("journal-sync");
  Lock lock(mutex_);
  while (!stop_) {
    const int64_t now_us = options_.clock->MonotonicUs();
    int64_t due_us = -1;
    if (SyncDue(now_us, &due_us)) {
      SyncOnce(&lock);
      continue;
    }
    sync_waits_ = true;
    changed_.notify_all();
    if (due_us < 0) {
      sync_wake_.wait(lock);
    } else {
      sync_wake_.wait_for(lock, std::chrono::microseconds(std::max<int64_t>(due_us - now_us, 100)));
    }
    sync_waits_ = false;
  }
}

void Journal::SyncOnce(Lock* lock) {
  std::vector<UnsyncedFile> files = std::move(unsynced_);
  unsynced_.clear();
  const StreamPoint target = written_point_;
  syncing_since_us_ = unsynced_since_us_;
  unsynced_since_us_ = 0;
  syncing_ = true;
  const bool always = policy() == FsyncPolicy::kAlways;
  lock->unlock();
  Status status;
  const int64_t start_us = options_.clock->MonotonicUs();
  for (const UnsyncedFile& f : files)
    if (status.ok()) status = f.file->Sync();
  if (always) NoteLatency("aof-fsync-always", start_us);
  if (!status.ok()) Fail(status, false);
  lock->lock();
  syncing_ = false;
  syncing_since_us_ = 0;
  // Under kAlways the writer waits for this to start the next group.
  writer_wake_.notify_one();
  if (!status.ok()) {
    // A write may have failed first: what it follows is in doubt now, too.
    failed_in_write_ = false;
    return;
  }
  last_sync_us_ = options_.clock->MonotonicUs();
  sync_slow_.store(last_sync_us_ - start_us > options_.slow_sync_us, std::memory_order_relaxed);
  if (always) ExpectMore(target.lsn - durable_point_.lsn, last_sync_us_ - start_us);
  durable_point_ = target;
  durable_.store(target.lsn, std::memory_order_release);
  for (const UnsyncedFile& f : files) {
    SegmentEntry* entry = FindSegment(f.sequence);
    if (!f.sealed || entry == nullptr || entry->state != SegmentState::kOpen) continue;
    entry->state = SegmentState::kSealed;
    manifest_stale_ = true;
    keeper_wake_.notify_one();
  }
  if (policy() == FsyncPolicy::kEverySecond && !CheckLateness(last_sync_us_))
    ClearGate(kGateSyncLate);
  changed_.notify_all();
  if (options_.listener == nullptr) return;
  lock->unlock();
  options_.listener->OnDurable(target.lsn);
  lock->lock();
}

void Journal::NoteLatency(const char* event, int64_t start_us) {
  if (options_.latency == nullptr) return;
  Clock& clock = *options_.clock;
  options_.latency->AddIfSlow(event, clock.MonotonicUs() - start_us, clock.WallMs() / 1000);
}

// Under mutex_: since when the oldest byte that is not durable waits, or waits at most; 0: there is
// none. While the writer is at its files nobody notes when bytes come.
int64_t Journal::OldestSince() const {
  const bool unnoted = buffer_.tail().lsn > written_point_.lsn;
  int64_t oldest_us = 0;
  for (int64_t since_us : {pending_since_us_, unsynced_since_us_, syncing_since_us_,
                           unnoted ? pass_since_us_ : 0})
    if (since_us != 0 && (oldest_us == 0 || since_us < oldest_us)) oldest_us = since_us;
  return oldest_us;
}

// Under mutex_: whether that is too old.
bool Journal::CheckLateness(int64_t now_us) const {
  const int64_t since_us = OldestSince();
  return since_us != 0 && now_us - since_us >= kEverySecondLateUs;
}

void Journal::WatchMain() {
  BeginThread("journal-watch");
  Lock lock(mutex_);
  while (!stop_) {
    const bool everysec = policy() == FsyncPolicy::kEverySecond;
    const int64_t oldest_us = OldestSince();
    const int64_t since_us = oldest_us != 0 ? oldest_us : pass_since_us_;
    if (!everysec || since_us == 0) {
      watch_sleeps_ = everysec;  // whoever sets the policy wakes it in any case
      watch_wake_.wait(lock);
      watch_sleeps_ = false;
      continue;
    }
    const int64_t left_us = since_us + kEverySecondLateUs - options_.clock->MonotonicUs();
    if (left_us <= 0 && oldest_us != 0 && !(gate() & kGateSyncLate)) {
      late_syncs_.fetch_add(1, std::memory_order_relaxed);
      SetGate(kGateSyncLate);
      lock.unlock();
      options_.log->Warning(
          "The disk is slow: writes wait until the journal is synced (appendfsync everysec)");
      lock.lock();
      continue;
    }
    watch_wake_.wait_for(lock, std::chrono::microseconds(left_us > 0 ? left_us : kLookAgainUs));
  }
}

// The keeper tries everything once a second until it succeeds.
void Journal::WarnRarely(RareWarning* warning, const char* what, const Status& status) {
  if (status.ok()) {
    warning->Over();
  } else if (warning->Due(options_.clock->MonotonicUs())) {
    options_.log->Warning("%s: %s", what, status.message().c_str());
  }
}

void Journal::KeeperMain() {
  BeginThread("journal-keep");
  Lock lock(mutex_);
  while (!stop_) {
    if (next_wanted_ && next_ == nullptr && !paused_ && state() == JournalState::kOk) {
      CreateNext(&lock);
      continue;
    }
    if (manifest_stale_ && !paused_) {
      lock.unlock();
      Status status = SaveCurrentManifest();
      WarnRarely(&manifest_warning_, "Cannot write the journal's manifest", status);
      lock.lock();
      if (status.ok()) continue;
      manifest_stale_ = true;
      keeper_wake_.wait_for(lock, std::chrono::seconds(1));
      continue;
    }
    // What followers kept, or was not sealed yet when its base came, goes when it can.
    const bool replaced = !awaits_base_ && !installing_ && FirstIsReplaced(manifest_);
    const bool drop = replaced && manifest_.segments.front().end_lsn <=
                                      retain_from_.load(std::memory_order_relaxed);
    if (!paused_ && state() == JournalState::kOk && (drop || TrimDue())) {
      lock.unlock();
      const Status status = Trim();
      WarnRarely(&trim_warning_, "Cannot delete old journal files", status);
      lock.lock();
      if (status.ok()) continue;
      keeper_wake_.wait_for(lock, std::chrono::seconds(1));
      continue;
    }
    keeper_waits_ = true;
    changed_.notify_all();
    // What is kept for restores ages; what is kept for followers, they may leave.
    if (replaced || (manifest_.snapshots.size() > 1 && retention_ms_ > 0)) {
      keeper_wake_.wait_for(lock, std::chrono::seconds(1));
    } else {
      keeper_wake_.wait(lock);
    }
    keeper_waits_ = false;
  }
}

// The file, its directory entry and the manifest that lists it, all durable before it is used.
void Journal::CreateNext(Lock* lock) {
  const uint32_t timeline = manifest_.LastTimeline();
  lock->unlock();
  auto created = CreateSegmentFile(timeline);
  Status status = created.ok() ? Status::Ok() : created.status();
  SegmentEntry entry;
  if (status.ok()) {
    entry.sequence = created->sequence;
    entry.timeline = timeline;
    lock->lock();
    manifest_.segments.push_back(entry);
    lock->unlock();
    status = SaveCurrentManifest();
  }
  lock->lock();
  WarnRarely(&next_warning_, "Cannot create the next journal segment", status);
  if (status.ok()) {
    next_ = std::make_unique<NextSegment>(std::move(*created));
    next_wanted_ = false;
    changed_.notify_all();
    writer_wake_.notify_one();  // a snapshot's instant may wait for it
    return;
  }
  // The manifest on disk may list it: the file stays, unused. The live segment grows meanwhile.
  if (created.ok()) {
    std::erase_if(manifest_.segments,
                  [&](const SegmentEntry& s) { return s.sequence == entry.sequence; });
    Discard({entry});
  }
  ++next_failures_;
  next_failure_ = status.message();
  changed_.notify_all();
  if (!stop_) keeper_wake_.wait_for(*lock, std::chrono::seconds(1));
}

}  // namespace cairn
