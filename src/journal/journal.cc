// SPDX-License-Identifier: BSD-3-Clause
//
// Opening, closing, the admission gate, the manifest. The threads are in journal_writer.cc,
// journal_sync.cc and journal_failure.cc; what changes the chain is in journal_chain.cc.
#include "journal/journal.h"

#include <algorithm>
#include <utility>

namespace cairn {

Journal::Journal(JournalOptions options, Recovered recovered)
    : options_(std::move(options)),
      buffer_(options_.cpu_groups),
      policy_(options_.policy),
      manifest_(std::move(recovered.manifest)),
      next_sequence_(recovered.next_sequence),
      buffer_bytes_max_(options_.buffer_bytes_max),
      retained_bytes_min_(options_.retained_bytes_min),
      retention_ms_(options_.retention_ms),
      retention_bytes_(options_.retention_bytes),
      awaits_base_(options_.awaits_base) {
  position_ = written_point_ = durable_point_ = {recovered.tail_lsn, kNoDatabase};
  last_unit_lsn_ = marked_lsn_ = recovered.tail_lsn;
  written_ = durable_ = recovered.tail_lsn;
  if (options_.retained_on_disk > 0)
    retain_from_ = recovered.tail_lsn - std::min(recovered.tail_lsn, options_.retained_on_disk);
  buffer_.Reset(position_);
  for (const SegmentEntry& s : manifest_.segments) now_ms_ = std::max(now_ms_, s.last_ms);
  UpdateHorizons();
}

Result<std::unique_ptr<Journal>> Journal::Open(JournalOptions options, Recovered recovered) {
  CHECK(options.fs != nullptr && options.clock != nullptr && options.log != nullptr);
  const bool fresh = recovered.report.fresh;
  const bool clean = recovered.report.clean;
  const std::vector<SegmentEntry> unused = recovered.unused;
  for (const SegmentEntry& s : recovered.unsynced) {
    auto file = options.fs->Open(SegmentPath(options.dir, s), FileSystem::Mode::kReadWrite);
    if (!file.ok()) return file.status();
    CAIRN_RETURN_IF_ERROR((*file)->Sync());
  }
  const bool awaits_base = options.awaits_base;
  std::unique_ptr<Journal> journal(new Journal(std::move(options), std::move(recovered)));
  CAIRN_RETURN_IF_ERROR(journal->Start(fresh || !clean || awaits_base));
  if (awaits_base) {
    journal->Discard(unused);  // the manifest that stands may list them
  } else {
    journal->DeleteFiles(unused);
  }
  journal->StartThreads();
  return journal;
}

// Makes the first segment and the manifest that names it, without the clean mark.
Status Journal::Start(bool new_timeline) {
  Manifest& m = manifest_;
  if (awaits_base_) {
    CAIRN_RETURN_IF_ERROR(
        options_.fs->WriteFileAtomically(options_.dir + "/" + kAwaitsBaseName, ""));
    unbased_marked_ = true;
    BeginWithoutBase();
  }
  if (new_timeline) {
    // Other bytes may have been shipped under the old id behind our tail: it ends here. The data
    // that a log without a base begins under is not what the old id led to: nobody goes on.
    m.replid2 = awaits_base_ ? "" : m.replid;
    m.second_offset = m.replid2.empty() ? 0 : position_.lsn;
    m.replid = NewReplicationId();
    m.timelines.push_back({m.LastTimeline() + 1, m.replid, m.LastTimeline(), position_.lsn});
  }
  m.clean = false;
  auto created = CreateSegmentFile(m.LastTimeline());
  if (!created.ok()) return created.status();
  SegmentEntry entry;
  entry.state = SegmentState::kOpen;
  entry.sequence = created->sequence;
  entry.timeline = m.LastTimeline();
  entry.first_lsn = position_.lsn;
  m.segments.push_back(entry);
  m.DropUnusedTimelines();
  live_ = std::make_unique<SegmentWriter>(created->file, created->sequence, CurrentTimeline(),
                                          options_.keys);
  return awaits_base_ ? Status::Ok() : SaveManifest(options_.fs, options_.dir, m);
}

// Nothing of what was recovered belongs to the data that the log will begin with.
void Journal::BeginWithoutBase() {
  Manifest& m = manifest_;
  Lock lock(mutex_);
  Discard(std::move(m.segments));
  m.segments.clear();
  for (const SnapshotEntry& s : m.snapshots)
    if (!s.name.empty()) garbage_.push_back(s.name);
  m.snapshots.clear();
  if (!m.base_name.empty()) garbage_.push_back(m.base_name);
  m.base_name.clear();
  m.base_lsn = position_.lsn;
}

void Journal::StartThreads() {
  writer_thread_ = std::thread([this] { WriterMain(); });
  sync_thread_ = std::thread([this] { SyncMain(); });
  keeper_thread_ = std::thread([this] { KeeperMain(); });
  watch_thread_ = std::thread([this] { WatchMain(); });
}

void Journal::StopThreads() {
  {
    Lock lock(mutex_);
    stop_ = true;
  }
  writer_wake_.notify_all();
  sync_wake_.notify_all();
  keeper_wake_.notify_all();
  watch_wake_.notify_all();
  changed_.notify_all();
  for (std::thread* t : {&writer_thread_, &sync_thread_, &keeper_thread_, &watch_thread_})
    if (t->joinable()) t->join();
}

Journal::~Journal() {
  StopThreads();
}

Status Journal::Close() {
  SetGate(kGateClosed);
  CAIRN_RETURN_IF_ERROR(SyncTo(tail()));
  StopThreads();
  Lock lock(mutex_);
  CHECK(buffer_.Complete().lsn == tail());
  if (tail() != written_point_.lsn) return Status::Unavailable("appends during shutdown");
  // Behind the last durable byte: a mark, or room made ahead. What is being written anew is a file
  // that no manifest lists, and the one that is listed has an end that nobody knows.
  if (state() != JournalState::kOk) return Status::Io(failure_);
  CAIRN_RETURN_IF_ERROR(SealLiveSegment(&lock));
  std::vector<SegmentEntry> unused;
  std::erase_if(manifest_.segments, [&](const SegmentEntry& s) {
    if (s.ended()) return false;
    unused.push_back(s);
    return true;
  });
  manifest_.clean = true;
  manifest_.clean_lsn = tail();
  lock.unlock();
  CAIRN_RETURN_IF_ERROR(SaveCurrentManifest());
  DeleteFiles(unused);
  return Status::Ok();
}

void Journal::Rest() {
  StopThreads();
  buffer_.Reset(buffer_.tail());
  written_.store(tail(), std::memory_order_release);
  durable_.store(tail(), std::memory_order_release);
  state_.store(JournalState::kOk, std::memory_order_release);
  gate_.store(0);
}

// With the threads stopped and all bytes durable: the live segment gets its index and its final
// state. An unbegun one stays open; the caller drops it.
Status Journal::SealLiveSegment(Lock* lock) {
  // What was rolled after the last sync has durable bytes, but an index and a length that are not.
  const std::vector<UnsyncedFile> rolled = std::exchange(unsynced_, {});
  lock->unlock();
  Status status;
  for (const UnsyncedFile& f : rolled)
    if (status.ok() && f.sequence != live_->sequence()) status = f.file->Sync();
  if (status.ok() && live_->begun()) status = live_->Finish(position_.lsn);
  if (status.ok() && live_->begun()) status = live_->file()->Sync();
  lock->lock();
  CAIRN_RETURN_IF_ERROR(status);
  for (SegmentEntry& s : manifest_.segments) {
    if (s.state != SegmentState::kOpen) continue;
    if (s.sequence == live_->sequence()) {
      if (!live_->begun()) continue;
      s.end_lsn = position_.lsn;
      s.bytes = live_->bytes();
      s.first_ms = live_->first_ms();
      s.last_ms = live_->last_ms();
    }
    s.state = SegmentState::kSealed;
  }
  return Status::Ok();
}

Lsn Journal::AppendRaw(unsigned slot, std::string_view bytes, uint32_t database_after) {
  Reservation reservation = buffer_.ReserveRaw(slot, bytes.size(), database_after);
  Publish(reservation, bytes);
  return reservation.end;
}

void Journal::CloseGateFull() {
  if (gate_.load(std::memory_order_relaxed) & kGateBufferFull) return;
  SetGate(kGateBufferFull);
  // The writer decides when it opens again, so it must look at least once from now on.
  Lock lock(mutex_);
  wake_at_.store(~Lsn{0}, std::memory_order_relaxed);
  writer_wake_.notify_one();
}

// Under mutex_.
void Journal::ClearGate(uint32_t reasons) {
  const uint32_t before = gate_.fetch_and(~reasons);
  if (before != 0 && (before & ~reasons) == 0 && options_.listener != nullptr)
    options_.listener->OnAdmissionOpen();
}

// Under mutex_: gives memory back, moves the level at which the gate closes, opens the gate.
void Journal::UpdateHorizons() {
  const bool always = policy() == FsyncPolicy::kAlways;
  const Lsn tail = buffer_.tail().lsn;
  const Lsn floor = always ? durable_point_.lsn : written_point_.lsn;
  full_at_.store(floor + buffer_bytes_max_, std::memory_order_relaxed);
  if (tail - floor < buffer_bytes_max_ - buffer_bytes_max_ / 4 && (gate() & kGateBufferFull))
    ClearGate(kGateBufferFull);
  if (state() != JournalState::kOk) return;  // the rewrite will need the bytes
  Lsn release = floor;
  // Not durable yet under everysec: kept for a rewrite, which needs all of them, so none when they
  // take more than half the buffer. Few chunks in turn stay in the caches.
  if (!always && policy() != FsyncPolicy::kNo && tail - durable_point_.lsn <= buffer_bytes_max_ / 2)
    release = std::min(durable_point_.lsn, floor);
  release = std::min(release, tail - std::min<uint64_t>(tail, retained_bytes_min_));
  buffer_.Release(std::min(release, floor));
}

void Journal::WakeWriter() {
  Lock lock(mutex_);
  wake_at_.store(~Lsn{0}, std::memory_order_relaxed);
  writer_wake_.notify_one();
}

bool Journal::next_ready() const {
  Lock lock(mutex_);
  return next_ != nullptr;
}

bool Journal::awaits_base() const {
  Lock lock(mutex_);
  return awaits_base_;
}

std::string Journal::failure() const {
  Lock lock(mutex_);
  return failure_;
}

Manifest Journal::manifest() const {
  Lock lock(mutex_);
  return manifest_;
}

Timeline Journal::CurrentTimeline() const {
  return manifest_.timelines.back();
}

void Journal::SetPolicy(FsyncPolicy policy) {
  Lock lock(mutex_);
  // Nobody promised anything of what came under `no`: its second begins now.
  if (policy == FsyncPolicy::kEverySecond && this->policy() != policy)
    for (int64_t* since_us : {&pending_since_us_, &unsynced_since_us_, &syncing_since_us_,
                              &pass_since_us_})
      if (*since_us != 0) *since_us = options_.clock->MonotonicUs();
  policy_.store(policy, std::memory_order_relaxed);
  if (policy != FsyncPolicy::kEverySecond) ClearGate(kGateSyncLate);
  UpdateHorizons();
  writer_wake_.notify_all();
  sync_wake_.notify_all();
  watch_wake_.notify_all();
}

void Journal::SetBufferBytesMax(uint64_t bytes) {
  Lock lock(mutex_);
  buffer_bytes_max_ = bytes;
  UpdateHorizons();
}

void Journal::SetRetainedBytesMin(uint64_t bytes) {
  Lock lock(mutex_);
  retained_bytes_min_ = bytes;
}

SegmentEntry* Journal::FindSegment(uint64_t sequence) {
  for (SegmentEntry& s : manifest_.segments)
    if (s.sequence == sequence) return &s;
  return nullptr;
}

// The newest state wins: two threads may save one after the other, never an old copy last.
Status Journal::SaveCurrentManifest() {
  std::lock_guard<std::mutex> guard(manifest_file_mutex_);
  Manifest copy;
  {
    Lock lock(mutex_);
    if (awaits_base_) return Status::Ok();
    copy = manifest_;
    manifest_stale_ = false;
  }
  CAIRN_RETURN_IF_ERROR(SaveManifest(options_.fs, options_.dir, copy));
  if (unbased_marked_) RemoveUnbasedMark();
  CollectGarbage(copy);
  return Status::Ok();
}

// Under manifest_file_mutex_: a manifest that names the first base is durable, whoever saved it, at
// whichever attempt. A mark that stays does no harm as long as that is there.
void Journal::RemoveUnbasedMark() {
  const Status removed = options_.fs->Remove(options_.dir + "/" + kAwaitsBaseName);
  unbased_marked_ = !removed.ok() && removed.code() != StatusCode::kNotFound;
}

// Under mutex_.
void Journal::Discard(std::vector<SegmentEntry> segments) {
  for (const SegmentEntry& s : segments) garbage_.push_back(SegmentName(s.timeline, s.sequence));
}

// Deletion is always the last step; what fails to go away is named as unknown at the next start.
// What `saved` lists is not garbage yet, or was taken back.
void Journal::CollectGarbage(const Manifest& saved) {
  std::vector<std::string> names;
  {
    Lock lock(mutex_);
    const auto listed =
        std::stable_partition(garbage_.begin(), garbage_.end(),
                              [&](const std::string& name) { return saved.Lists(name); });
    names.assign(listed, garbage_.end());
    garbage_.erase(listed, garbage_.end());
    std::erase_if(garbage_, [&](const std::string& name) { return manifest_.Lists(name); });
  }
  std::lock_guard<std::mutex> guard(deletion_mutex_);
  for (const std::string& name : names) {
    const Status status = options_.fs->RemoveInSteps(options_.dir + "/" + name);
    if (!status.ok() && status.code() != StatusCode::kNotFound)
      options_.log->Warning("Cannot delete a file of the journal: %s", status.message().c_str());
  }
}

Result<Journal::NextSegment> Journal::CreateSegmentFile(uint32_t timeline) {
  NextSegment next;
  {
    Lock lock(mutex_);
    next.sequence = next_sequence_++;
  }
  const std::string path = options_.dir + "/" + SegmentName(timeline, next.sequence);
  auto file = options_.fs->Open(path, FileSystem::Mode::kCreate);
  if (!file.ok()) return file.status();
  next.file = std::move(*file);
  if (Status status = options_.fs->SyncDirectory(options_.dir); !status.ok()) {
    (void)options_.fs->Remove(path);
    return status;
  }
  return next;
}

// A file that was never listed, unless it took the name of one that is.
void Journal::RemoveUnlisted(const std::string& name) {
  if (!manifest().Lists(name)) (void)options_.fs->Remove(options_.dir + "/" + name);
}

// Of segments that no manifest on disk lists.
void Journal::DeleteFiles(const std::vector<SegmentEntry>& segments) {
  std::lock_guard<std::mutex> guard(deletion_mutex_);
  for (const SegmentEntry& s : segments) {
    Status status = options_.fs->RemoveInSteps(SegmentPath(options_.dir, s));
    if (!status.ok() && status.code() != StatusCode::kNotFound)
      options_.log->Warning("Cannot delete a journal segment: %s", status.message().c_str());
  }
}

}  // namespace cairn
