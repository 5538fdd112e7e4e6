// SPDX-License-Identifier: BSD-3-Clause
//
// The writer thread: seals what is complete into blocks and writes them.
//
// When it writes: under kAlways when the previous sync has ended and those whose writes it released
// are back with their next ones (see Expects), or once kGroupBytes wait, else write_delay_us
// (followed_delay_us) after the first byte or once GatherBytes() wait. Between passes it sleeps;
// `wake_at_` holds the end of a record at which who made it must wake it.
//
// What it compresses: everything, but where the log grows by more than store_bytes_per_ms. There LZ4
// would be the largest part of what the log costs a write, to spare a disk that keeps up: the last
// sync took at most slow_sync_us, and at most kLagBytes wait.
//
// What goes past the page cache: large passes, whose blocks are padded for that. Not where the disk lags
// behind: in the page cache there is more room than in this buffer.
#include <algorithm>
#include <utility>

#include "journal/journal.h"

#include "base/thread.h"

namespace cairn {
namespace {

constexpr uint64_t kGroupBytes = 256 * 1024;   // waits for no sync, under kAlways
constexpr uint64_t kGatherBytes = 1 << 20;     // waits for no delay, else
constexpr uint64_t kStoreBytesMin = 64 << 10;  // less in a pass says nothing of the rate
constexpr size_t kFlushBytes = 2 << 20;        // encoded bytes a pwrite
constexpr int64_t kMarkDelayUs = 10'000;       // idle for so long after a sync: write a mark
constexpr int64_t kSlowPassUs = 5000;          // a pass that everysec must not forget the time of
constexpr int64_t kExpectUsMax = 2000;
constexpr int64_t kExpectSyncUsMin = 50;  // a shorter sync costs less than a thread's sleep
constexpr int64_t kMergeSyncUsMin = 400;  // shorter, and the disk is not what is scarce
constexpr unsigned kUnawaitedGroupsMax = 64;
constexpr uint64_t kCrowdFades = 32;  // groups after which two thirds of who went away are forgotten
constexpr int64_t kUnfilledUs = 200;
constexpr uint64_t kLagBytes = 8 << 20;        // behind by so much: compress, but less
constexpr int kLagAcceleration = 32;
constexpr uint64_t kTailGroups = 4;  // what a tail costs is worth it for so many groups

}  // namespace

void Journal::WriterMain() {
  BeginThread("journal-write");
  Lock lock(mutex_);
  for (;;) {
    WaitForWork(&lock);
    if (stop_) return;
    if (state() != JournalState::kOk) {
      TryRecover(&lock);
      continue;
    }
    pass_since_us_ = options_.clock->MonotonicUs();
    if (watch_sleeps_) watch_wake_.notify_one();
    lock.unlock();
    Status status = WritePass();
    if (!status.ok()) Fail(status, true);
    lock.lock();
    EndPass();
    if (status.ok() && WriterSyncs()) SyncOnce(&lock);
  }
}

// Returns when there is something to do: bytes to write now, a mark, a recovery attempt, stop.
void Journal::WaitForWork(Lock* lock) {
  for (;;) {
    UpdateHorizons();
    if (stop_) return;
    const int64_t now_us = options_.clock->MonotonicUs();
    const bool always = policy() == FsyncPolicy::kAlways;
    const bool syncing = syncing_;
    const bool ok = state() == JournalState::kOk;
    const Lsn complete = buffer_.Complete().lsn;
    const uint64_t pending = complete - written_point_.lsn;
    int64_t due_us = -1;  // of a timer; -1 = none
    Lsn wake_at = ~Lsn{0};
    if (WriterSyncs()) return;
    // Without more to write: a backup waits for the segment's end, a new base to be rid of it.
    const bool roll = roll_now_ || roll_at_.load(std::memory_order_relaxed) == position_.lsn;
    if (ok && !paused_ && next_ != nullptr && at_boundary_ && roll && live_->begun()) return;
    if (!ok && !paused_) {
      if (now_us >= retry_at_us_ && !syncing) return;
      due_us = retry_at_us_;
    } else if (!paused_ && pending > 0) {
      if (pending_since_us_ == 0) {
        pending_since_us_ = now_us;
        ClampTime();
        block_first_ms_ = now_ms_;
        if (watch_sleeps_) watch_wake_.notify_one();
      }
      const bool followed = followed_.load(std::memory_order_relaxed);
      const int64_t delay_us = followed ? options_.followed_delay_us : options_.write_delay_us;
      due_us = always ? -1 : pending_since_us_ + delay_us;
      if (drain_ || pending >= GatherBytes()) return;
      const bool expects = always && !syncing && Expects(pending, now_us);
      if (expects) {
        due_us = expected_until_us_;
      } else if (always ? !syncing : now_us >= due_us) {
        return;
      }
      wake_at = written_point_.lsn + (expects ? expected_bytes_ : GatherBytes());
    } else if (!paused_) {
      if (MarkDue(now_us, &due_us)) return;
      const bool expects = always && !syncing && Expects(0, now_us);
      if (expects) due_us = expected_until_us_;
      // While a sync runs its end wakes us, so single records need not.
      wake_at = written_point_.lsn + (expects            ? expected_bytes_
                                      : always && syncing ? GatherBytes()
                                                          : 1);
    }
    // Somebody has taken room and not filled it yet. Others behind may have, and said so in vain.
    if (due_us < 0 && ok && !paused_ && !syncing && buffer_.tail().lsn > written_point_.lsn)
      due_us = now_us + kUnfilledUs;
    if (AskToBeWoken(wake_at)) {
      writer_waits_ = true;
      changed_.notify_all();
      if (due_us < 0) {
        writer_wake_.wait(*lock);
      } else {
        writer_wake_.wait_for(*lock,
                              std::chrono::microseconds(std::max<int64_t>(due_us - now_us, 100)));
      }
      writer_waits_ = false;
    }
    wake_at_.store(~Lsn{0}, std::memory_order_relaxed);
  }
}

// Under mutex_: whether the writer may sleep until somebody wakes it, or its timer. Not if all up to
// `at` is complete; else whoever makes it so will wake it. That is who ends last of those with a
// record below, and each knows only where its own ends:
//  - Nobody has taken room up to `at` yet: who does ends there, and later than this.
//  - Somebody has, and may have been here. Before it there is a hole, whose owner ends below `at`.
bool Journal::AskToBeWoken(Lsn at) {
  wake_at_.store(at, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_seq_cst);
  const Lsn complete = buffer_.Complete().lsn;
  if (complete >= at) return false;
  if (buffer_.tail().lsn < at) return true;
  // Whatever is not complete ends above what is.
  wake_at_.store(complete + 1, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_seq_cst);
  return buffer_.Complete().lsn < at;
}

// Under mutex_: waiting bytes that are written at once. In a small buffer a part of it: its gate
// would else close before the delay is over.
uint64_t Journal::GatherBytes() const {
  if (policy() == FsyncPolicy::kAlways) return kGroupBytes;
  return std::min(kGatherBytes, buffer_bytes_max_ / 4);
}

// Under mutex_, behind a sync of a group under kAlways. Clients that wait for each write come back
// together when it releases them, and fall into rows, each of which waits for the others' syncs and then
// for its own. How many rows are best is a question of what is scarce:
//  - The disk: those who wait here were all back before the sync ended. The next group waits for those
//    just released, too: one row, and half of the syncs.
//  - The cores: they were not. Two rows, of which one is served while the other is synced, keep them at
//    work, and more would only be more groups, each of which costs as much as several writes. So the
//    next group waits until it is as large as the last one, and as half of all who come: a group
//    that was small once, for want of a core, would else be what the next ones are measured by.
// For less time than a sync takes. Where they do not come (they think for long, or went away) ever more
// groups begin at once before one waits again, up to kUnawaitedGroupsMax.
void Journal::ExpectMore(uint64_t released, int64_t sync_us) {
  expected_until_us_ = 0;
  const uint64_t there = buffer_.Complete().lsn - written_point_.lsn;
  crowd_bytes_ = std::max(released + there, crowd_bytes_ - crowd_bytes_ / kCrowdFades);
  if (unawaited_groups_ > 0) {
    --unawaited_groups_;
    return;
  }
  if (sync_us < kExpectSyncUsMin) return;
  const uint64_t most = released - released / 8;
  const bool disk_is_scarce = there >= most && sync_us >= kMergeSyncUsMin;
  const uint64_t row = std::max(most, crowd_bytes_ / 2);
  expected_bytes_ = std::min(disk_is_scarce ? there + most : row, GatherBytes());
  // More than those who were just released, or nearly all who are expected.
  worthwhile_bytes_ =
      std::min(expected_bytes_ / 4 * 3, std::max(there, most) + crowd_bytes_ / 8);
  expected_until_us_ = last_sync_us_ + std::min(sync_us / 4 * 3, kExpectUsMax);
  first_expected_bytes_ = 0;
}

// Under mutex_: whether the next group, of `pending` bytes so far, waits for more.
bool Journal::Expects(uint64_t pending, int64_t now_us) {
  if (expected_until_us_ == 0) return false;
  if (first_expected_bytes_ == 0) first_expected_bytes_ = pending;
  const bool there = pending >= expected_bytes_;
  if (!there && now_us < expected_until_us_) return true;
  expected_until_us_ = 0;
  const bool none_came = !there && pending == first_expected_bytes_;
  const bool in_vain = pending < worthwhile_bytes_ || none_came;
  unawaited_groups_last_ =
      in_vain ? std::min(2 * unawaited_groups_last_ + 1, kUnawaitedGroupsMax) : 0;
  unawaited_groups_ = unawaited_groups_last_;
  return false;
}

bool Journal::MarkDue(int64_t now_us, int64_t* due_us) const {
  if (marked_lsn_ >= durable_point_.lsn || durable_point_.lsn != written_point_.lsn ||
      !live_->begun() || policy() == FsyncPolicy::kNo)
    return false;
  *due_us = last_sync_us_ + kMarkDelayUs;
  return now_us >= *due_us;
}

void Journal::ClampTime() {
  now_ms_ = std::max(now_ms_, static_cast<uint64_t>(options_.clock->WallMs()));
}

Status Journal::WritePass() {
  const StreamPoint complete = buffer_.Complete();
  if (complete.lsn == position_.lsn) {
    const bool roll = roll_now_ || roll_at_.load(std::memory_order_relaxed) == position_.lsn;
    if (at_boundary_ && roll && RollWanted()) CAIRN_RETURN_IF_ERROR(Roll());
    return WriteMark();
  }
  ClampTime();
  NotePass(complete.lsn - position_.lsn);
  Status status = WriteRange(complete);
  Lock lock(mutex_);
  block_first_ms_ = now_ms_;
  pending_since_us_ = 0;
  return status;
}

// Under mutex_. Where the disk took its time, what came meanwhile may be as old as that.
void Journal::EndPass() {
  const int64_t since_us = std::exchange(pass_since_us_, 0);
  const bool slow = options_.clock->MonotonicUs() - since_us > kSlowPassUs;
  if (!slow || pending_since_us_ != 0 || buffer_.tail().lsn <= written_point_.lsn) return;
  pending_since_us_ = since_us;
  block_first_ms_ = now_ms_;
}

// `bytes` came since the last pass.
void Journal::NotePass(uint64_t bytes) {
  const int64_t now_us = options_.clock->MonotonicUs();
  const auto elapsed_us = static_cast<uint64_t>(std::max<int64_t>(now_us - last_pass_us_, 0));
  last_pass_us_ = now_us;
  grows_fast_ = options_.store_bytes_per_ms > 0 && bytes >= kStoreBytesMin &&
                bytes >= elapsed_us * options_.store_bytes_per_ms / 1000;
}

Status Journal::WriteRange(StreamPoint to) {
  const bool direct = to.lsn - position_.lsn >= kDirectBytesMin &&
                      buffer_.tail().lsn - position_.lsn <= kLagBytes;
  while (position_.lsn < to.lsn) {
    if (at_boundary_ && RollWanted()) CAIRN_RETURN_IF_ERROR(Roll());
    if (!live_->begun()) live_->Begin(position_, now_ms_);
    // A snapshot's instant is a record end at which the database is forgotten.
    const Lsn roll_at = roll_at_.load(std::memory_order_acquire);
    const bool split = roll_at > position_.lsn && roll_at < to.lsn;
    SealBlock(split ? StreamPoint{roll_at, kNoDatabase} : to, direct);
    if (live_->buffered() >= kFlushBytes || position_.lsn == to.lsn) {
      const int64_t start_us = options_.clock->MonotonicUs();
      CAIRN_RETURN_IF_ERROR(PrepareTail());
      CAIRN_RETURN_IF_ERROR(live_->Flush());
      NoteLatency("aof-write", start_us);
      if (at_boundary_) PublishWritten();
    }
  }
  return Status::Ok();
}

// Each small group under kAlways has a sync of its own, which a tail makes cheap. Large ones wait
// for their bytes to be written, and with a tail these would be twice as many.
Status Journal::PrepareTail() {
  if (policy() != FsyncPolicy::kAlways) return Status::Ok();
  const uint64_t used = live_->bytes();
  const uint64_t room = options_.segment_bytes_max - std::min(used, options_.segment_bytes_max);
  const uint64_t bytes = std::min(options_.tail_bytes, room);
  if (live_->buffered() > bytes / kTailGroups) return Status::Ok();
  return live_->PrepareTail(bytes);
}

// One block from position_ on, up to `to` or to the last record end that a block can reach; a
// record longer than a block is cut wherever the block is full.
void Journal::SealBlock(StreamPoint to, bool direct) {
  const Lsn from = position_.lsn;
  StreamPoint end = to;
  bool boundary = true;
  if (to.lsn - from > kBlockPlainBytesMax &&
      !buffer_.LastBoundary(from, from + kBlockPlainBytesMax, &end)) {
    end = {from + kBlockPlainBytesMax, kNoDatabase};
    boundary = false;
  }
  BlockHeader header;
  header.first_lsn = from;
  StreamPoint first = position_;
  if (at_boundary_ || (buffer_.FirstBoundary(from, end.lsn, &first) && first.lsn < end.lsn)) {
    header.first_record = static_cast<uint32_t>(first.lsn - from);
    header.database = first.database;
  }
  if (boundary) last_unit_lsn_ = end.lsn;
  header.last_unit_lsn = last_unit_lsn_;
  header.first_ms = block_first_ms_;
  header.last_ms = now_ms_;
  header.synced_lsn = durable();
  live_->AddBlock(header, buffer_.View(from, end.lsn, &scratch_), AccelerationFrom(from), direct);
  position_ = end;
  at_boundary_ = boundary;
}

// Of LZ4, for a block at `from`.
int Journal::AccelerationFrom(Lsn from) const {
  if (options_.acceleration == 0) return 0;
  if (buffer_.tail().lsn - from > kLagBytes) return std::max(kLagAcceleration, options_.acceleration);
  // Under kNo only whole segments are synced, which takes long on any disk.
  const bool slow = sync_slow_.load(std::memory_order_relaxed) && policy() != FsyncPolicy::kNo;
  if (grows_fast_ && !slow) return 0;
  return options_.acceleration;
}

void Journal::PublishWritten() {
  Lsn written;
  {
    Lock lock(mutex_);
    written_point_ = position_;
    buffer_.NoteWritten(written_point_);
    written = position_.lsn;
    written_.store(written, std::memory_order_release);
    // Under everysec it knows already when the next sync is due.
    const bool wakes_sync = unsynced_since_us_ == 0 || drain_ || policy() == FsyncPolicy::kAlways;
    // A pass for a mark or a roll finds what came since that was due; nobody has noted its time.
    if (unsynced_since_us_ == 0)
      unsynced_since_us_ = pending_since_us_ != 0 ? pending_since_us_ : pass_since_us_;
    if (unsynced_.empty() || unsynced_.back().sequence != live_->sequence())
      unsynced_.push_back({live_->file(), live_->sequence(), false});
    if (wakes_sync && !WriterSyncs()) sync_wake_.notify_one();
    const bool half_full = live_->bytes() > options_.segment_bytes_max / 2;
    if (half_full && next_ == nullptr && !next_wanted_) {
      next_wanted_ = true;
      keeper_wake_.notify_one();
    }
  }
  if (options_.listener != nullptr) options_.listener->OnWritten(written);
}

bool Journal::RollWanted() const {
  return live_->begun() && (live_->bytes() >= options_.segment_bytes_max || roll_now_ ||
                            roll_at_.load(std::memory_order_relaxed) == position_.lsn);
}

// Goes on in the next segment if the keeper has one ready; else the live one simply grows on.
Status Journal::Roll() {
  {
    Lock lock(mutex_);
    if (next_ == nullptr) {
      next_wanted_ = true;
      keeper_wake_.notify_one();
      return Status::Ok();
    }
  }
  CAIRN_RETURN_IF_ERROR(live_->Finish(position_.lsn));
  Lock lock(mutex_);
  const NextSegment next = std::move(*next_);
  next_.reset();
  SegmentEntry* old = FindSegment(live_->sequence());
  SegmentEntry* entry = FindSegment(next.sequence);
  CHECK(old != nullptr && entry != nullptr);
  old->end_lsn = position_.lsn;
  old->bytes = live_->bytes();
  old->first_ms = live_->first_ms();
  old->last_ms = live_->last_ms();
  entry->state = SegmentState::kOpen;
  entry->first_lsn = position_.lsn;
  if (unsynced_.empty() || unsynced_.back().sequence != live_->sequence())
    unsynced_.push_back({live_->file(), live_->sequence(), false});
  unsynced_.back().sealed = true;
  live_ =
      std::make_unique<SegmentWriter>(next.file, next.sequence, CurrentTimeline(), options_.keys);
  roll_at_.store(kLsnMax, std::memory_order_relaxed);
  roll_now_ = false;
  sync_wake_.notify_one();
  return Status::Ok();
}

Status Journal::WriteMark() {
  if (!live_->begun() || marked_lsn_ >= durable()) return Status::Ok();
  ClampTime();
  BlockHeader header;
  header.first_lsn = position_.lsn;
  header.last_unit_lsn = last_unit_lsn_;
  header.first_ms = header.last_ms = now_ms_;
  header.synced_lsn = durable();
  live_->AddBlock(header, {}, 0);
  CAIRN_RETURN_IF_ERROR(live_->Flush());
  Lock lock(mutex_);
  marked_lsn_ = header.synced_lsn;
  return Status::Ok();
}

}  // namespace cairn
