// SPDX-License-Identifier: BSD-3-Clause
//
// Journal: the running log. Appends go to memory (journal/buffer.h); a writer thread seals blocks
// and writes them, a sync thread makes them durable (a small group under kAlways the writer itself:
// one hand-over less), a keeper thread creates the next segment and keeps the manifest, a watch
// thread sees to it that nobody writes more than a disk that hangs will have. Workers never touch a
// file and never wait here.
//
//   exec: Admits()? -> lock shards -> Reserve -> unlock -> Publish ... -> WakeIfNeeded once a batch
//
//   released <= written <= Complete() <= tail          durable <= written
//
// Invariants
//  1. written, durable and every segment border are record ends.
//  2. Memory is kept until it is durable under kAlways, else at least until it is written.
//  3. A file in use is listed in a durable manifest and in a synced folder before its first byte.
//  4. A file whose write failed is never written again, one whose sync failed not synced either. (A
//     tail that could not be made is cut, and was nobody's write: see segment_writer.h.)
//  5. A file that leaves the manifest is deleted only once a manifest without it is durable.
//
// States: kOk -> kFailed (a write or sync failed; the gate closes) -> kRebasing (the bytes from
// the durable end on are rewritten into a new segment and synced, then the manifest says so)
// -> kOk. Retried every second. If memory no longer holds those bytes the listener is asked for a
// snapshot, see FinishRebase.
//
// Thread rule: Reserve/Publish/WakeIfNeeded/Admits and the accessors from any thread (a slot from
// its owner), BeginSnapshot under the keyspace's All; everything that returns a Status blocks on
// files: never from a worker that holds locks, StartTimeline excepted (role changes).
#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/file.h"
#include "base/latency_events.h"
#include "base/log.h"
#include "base/rare_warning.h"
#include "journal/buffer.h"
#include "journal/manifest.h"
#include "journal/recovery.h"
#include "journal/segment_writer.h"

namespace cairn {

enum class FsyncPolicy : unsigned char { kNo, kEverySecond, kAlways };
enum class JournalState : unsigned char { kOk, kFailed, kRebasing };

// Why appends are not admitted; bits.
enum GateReason : uint32_t {
  kGateBufferFull = 1,  // more than buffer_bytes_max waits for the disk
  kGateSyncLate = 2,    // everysec: the oldest unsynced byte is older than 1,000 ms
  kGateFailed = 4,      // writes answer MISCONF
  kGateClosed = 8       // shutting down
};

// Told by the journal's threads; must neither block nor call the journal back, except for its
// atomic accessors.
class JournalListener {
 public:
  virtual ~JournalListener() = default;
  // Once a commit, sync or writer thread: everything below `durable` is.
  virtual void OnDurable(Lsn durable) = 0;
  // Writer thread, after each write: bytes below can be read from files.
  virtual void OnWritten(Lsn) {}
  // The gate was closed and is open now: resume parked sessions.
  virtual void OnAdmissionOpen() {}
  virtual void OnStateChange(JournalState, const std::string& /*reason*/) {}
  // Bytes from `durable` on are lost to memory and disk: make a snapshot, then FinishRebase.
  virtual void OnRebaseNeeded(Lsn /*durable*/) {}
};

struct JournalOptions {
  FileSystem* fs = nullptr;
  Clock* clock = nullptr;
  Log* log = nullptr;
  LatencyEvents* latency = nullptr;     // may be null
  JournalListener* listener = nullptr;  // may be null
  std::string dir;                      // exists
  CpuGroups cpu_groups;                 // see buffer.h; none: each append for itself
  const KeyRing* keys = nullptr;        // encrypts what is written; null: does not
  FsyncPolicy policy = FsyncPolicy::kEverySecond;
  uint64_t buffer_bytes_max = 64 << 20;   // soft: the gate closes above it
  uint64_t retained_bytes_min = 1 << 20;  // kept in memory behind the tail, for followers
  uint64_t retained_on_disk = 0;  // behind the tail at the start, until RetainFrom is called
  uint64_t segment_bytes_max = 256 << 20;
  uint64_t tail_bytes = 256 << 10;  // made ahead under kAlways; 0: none, see segment_writer.h
  // kNo, kEverySecond: small writes are gathered for so long; the second while somebody follows,
  // who gets them when they are written.
  int64_t write_delay_us = 5000, followed_delay_us = 1000;
  int64_t retry_interval_us = 1'000'000;
  int acceleration = 8;  // of LZ4; 0 stores
  // A log that grows faster is stored as it is, unless the last sync took longer: half of the time
  // that everysec has for it. 0: always compressed.
  uint64_t store_bytes_per_ms = 0;
  int64_t slow_sync_us = 250'000;
  uint64_t retention_ms = 0, retention_bytes = 0;  // see SetRetention
  // The data was there before the log: until the first InstallBase the log is of no use to a start,
  // which finds what the folder holds now. A mark in the folder (kAwaitsBaseName) tells the
  // segments of that time from those of a lost manifest; what they replace goes with it.
  bool awaits_base = false;
};

// What a backup is of; see CopyTo.
struct JournalCopy {
  Manifest manifest;  // of the copy
  uint64_t bytes = 0;
  size_t files = 0;
};

// How StartTimeline begins.
struct TimelineStart {
  std::string replid;   // "" draws a new one
  std::string replid2;  // "" if none
  Lsn second_offset = 0;
  // Without a base the stream goes on where it is (promotion). With one the chain starts anew at
  // `lsn` on that snapshot file (full sync, restore), and older segments leave the manifest. So it
  // does with `anew`, whose base need have no file if nothing is ever recovered from this chain.
  // On an error the file is deleted, once no manifest on disk can name it.
  std::string base_name;
  bool anew = false;
  Lsn lsn = 0;
  bool delete_old = false;  // of a chain that starts anew: delete the old one's files, once safe
};

class Journal {
 public:
  // Creates the first segment, invalidates the clean mark (a new replication id unless the last
  // shutdown was clean), starts the threads.
  static Result<std::unique_ptr<Journal>> Open(JournalOptions options, Recovered recovered);
  // Without Close this is a crash: threads stop, nothing more is written.
  ~Journal();
  // Writes and syncs everything and leaves the clean mark. Nobody may append any more.
  Status Close();
  // After Close, failed or not: ends the threads and forgets the stream. Those who still hold a
  // pointer find a journal that admits everything, is durable to its end and never grows.
  void Rest();

  // Appending. `slot` < kJournalSlots is the calling thread's own.
  Reservation Reserve(unsigned slot, uint32_t database, size_t payload_bytes) {
    return buffer_.Reserve(slot, database, payload_bytes);
  }
  // `payload` is the record's bytes, or a span of their pieces.
  template <typename Payload>
  void Publish(const Reservation& reservation, const Payload& payload) {
    buffer_.Publish(reservation, payload);
    if (reservation.end > full_at_.load(std::memory_order_relaxed)) [[unlikely]]
      CloseGateFull();
  }
  // A leader's bytes, verbatim: whole top-level records which leave the stream in `database`. One
  // thread at a time. Returns the new tail.
  Lsn AppendRaw(unsigned slot, std::string_view bytes, uint32_t database_after);
  // Its first half; Publish is the second.
  Reservation ReserveRaw(unsigned slot, size_t bytes, uint32_t database_after) {
    return buffer_.ReserveRaw(slot, bytes, database_after);
  }
  // By each thread after it published, for its slot. By its own last record, not the tail, whose
  // cache line is on its way from core to core.
  void WakeIfNeeded(unsigned slot) {
    const Lsn end = buffer_.TakeNews(slot);
    if (end == 0) return;
    // Pairs with those in AskToBeWoken: either we see what it asks for or it sees our bytes.
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (end >= wake_at_.load(std::memory_order_relaxed)) WakeWriter();
  }

  bool Admits() const { return gate_.load(std::memory_order_relaxed) == 0; }
  uint32_t gate() const { return gate_.load(std::memory_order_relaxed); }
  Lsn tail() const { return buffer_.tail().lsn; }
  Lsn written() const { return written_.load(std::memory_order_acquire); }
  Lsn durable() const { return durable_.load(std::memory_order_acquire); }
  // Durable, and confirmed by whoever else has to have it before clients are told.
  Lsn committed() const { return std::min(durable(), confirmed()); }
  Lsn confirmed() const { return confirmed_.load(std::memory_order_acquire); }
  void SetConfirmed(Lsn lsn) { confirmed_.store(lsn, std::memory_order_release); }
  JournalState state() const { return state_.load(std::memory_order_acquire); }
  FsyncPolicy policy() const { return policy_.load(std::memory_order_relaxed); }
  // Heap bytes of what is kept in memory of the stream.
  size_t buffer_memory() const { return buffer_.memory_bytes(); }
  // How often writes had to wait under everysec because a sync took too long.
  uint64_t late_syncs() const { return late_syncs_.load(std::memory_order_relaxed); }
  bool awaits_base() const;
  // Whether a snapshot's instant would begin a segment now, see PrepareRoll.
  bool next_ready() const;
  std::string failure() const;  // why state() is not kOk, one line
  Manifest manifest() const;    // a copy; see JournalReader
  const std::string& dir() const { return options_.dir; }
  const KeyRing* keys() const { return options_.keys; }

  void SetPolicy(FsyncPolicy policy);
  void SetBufferBytesMax(uint64_t bytes);
  void SetRetainedBytesMin(uint64_t bytes);

  // Copies complete bytes that are still in memory, from `from` on; 0 if there are none there.
  size_t ReadMemory(Lsn from, char* buffer, size_t length) const {
    return buffer_.CopyOut(from, buffer, length);
  }

  // Blocks until `lsn` is durable (syncing now, whatever the policy), or the state is not kOk.
  Status SyncTo(Lsn lsn);
  // The instant of a snapshot, under All: forgets the database, so that the stream from here on
  // stands alone, and asks the writer to begin a segment here if one is ready (PrepareRoll).
  Lsn BeginSnapshot();
  // Has the next segment created, so that the roll at BeginSnapshot is exact. Returns at once.
  void PrepareRoll();
  // The snapshot file `name`, durable in the journal's folder, is the state at `lsn`: waits until
  // the log is durable up to there, switches the manifest, then deletes what was replaced longer
  // ago than SetRetention wants: old bases, and segments that end at or below what is left of
  // these and RetainFrom. On an error the file is deleted. `bytes` is its size.
  Status InstallBase(const std::string& name, Lsn lsn, uint64_t bytes = 0);
  // How long (0: no wish) and up to how many bytes (0: no bound, or no wish if `ms` is 0, too) old
  // bases and the segments behind them stay for restores. Also applied as time passes.
  void SetRetention(uint64_t ms, uint64_t bytes);
  // Deletes segments that end at or below min(lsn, RetainFrom). `lsn` is at most the base's.
  Status DropBefore(Lsn lsn);
  // Of a log that no start ever reads, and that so has no base file: it reaches back to `lsn` only.
  // What is before, RetainFrom permitting, goes soon. Returns at once.
  void ForgetBefore(Lsn lsn);
  // Segments with bytes from `lsn` on stay, for followers; kLsnMax (the start value): no wish.
  void RetainFrom(Lsn lsn) { retain_from_.store(lsn, std::memory_order_relaxed); }
  void SetFollowed(bool followed) { followed_.store(followed, std::memory_order_relaxed); }
  // Answers OnRebaseNeeded: snapshot `name` is the state at `lsn`, taken while kFailed. Waits for
  // the outcome, for at most kRebaseAttemptsMax attempts. On an error the file is the journal's to
  // delete or, if a manifest may name it already, to keep.
  Status FinishRebase(const std::string& name, Lsn lsn);
  // The files that hold the database as of `lsn`, a record end, in folder `to`: hard links where
  // the file system makes them, else copies; durable but for the manifest, which the caller saves
  // once it is content. The log goes on in a new segment, so that what is linked never changes
  // again. kNotFound if a newer base has replaced what led up to `lsn` meanwhile, or `timeline`, in
  // which it was read, has ended: ask for a later one.
  Result<JournalCopy> CopyTo(const std::string& to, uint32_t timeline, Lsn lsn,
                             const std::function<bool()>& stopped);
  // Nobody may append meanwhile. On error the old timeline goes on.
  Status StartTimeline(const TimelineStart& start);

 private:
  struct UnsyncedFile {
    std::shared_ptr<File> file;
    uint64_t sequence = 0;
    bool sealed = false;  // complete: once synced the manifest may say so
  };
  struct NextSegment {
    std::shared_ptr<File> file;
    uint64_t sequence = 0;
  };
  using Lock = std::unique_lock<std::mutex>;
  using UnlinkedFiles = std::vector<std::pair<std::string, std::unique_ptr<File>>>;

  Journal(JournalOptions options, Recovered recovered);
  Status Start(bool new_timeline);
  void StartThreads();
  void StopThreads();

  // journal.cc: gate and manifest.
  void CloseGateFull();
  void SetGate(uint32_t reasons) { gate_.fetch_or(reasons); }
  void ClearGate(uint32_t reasons);
  void UpdateHorizons();
  void WakeWriter();
  Status SaveCurrentManifest();
  void BeginWithoutBase();
  void RemoveUnbasedMark();
  void Discard(std::vector<SegmentEntry> segments);
  void CollectGarbage(const Manifest& saved);
  bool TrimDue() const;
  Status Trim();
  Status DropSegments(Lsn lsn);
  Result<NextSegment> CreateSegmentFile(uint32_t timeline);
  void DeleteFiles(const std::vector<SegmentEntry>& segments);
  void RemoveUnlisted(const std::string& name);
  Status BeginTimeline(const TimelineStart& start, bool* named);
  void PauseThreads(Lock* lock);
  void ResumeThreads(Lock* lock);
  Status SealLiveSegment(Lock* lock);
  SegmentEntry* FindSegment(uint64_t sequence);
  Timeline CurrentTimeline() const;

  // journal_backup.cc
  Status SealThrough(uint32_t timeline, Lsn lsn, const std::function<bool()>& stopped);
  Status LinkInto(const std::string& to, JournalCopy* copy, UnlinkedFiles* unlinked) const;

  // journal_writer.cc
  void WriterMain();
  void WaitForWork(Lock* lock);
  bool AskToBeWoken(Lsn at);
  uint64_t GatherBytes() const;
  bool MarkDue(int64_t now_us, int64_t* due_us) const;
  void ExpectMore(uint64_t released, int64_t sync_us);
  bool Expects(uint64_t pending, int64_t now_us);
  Status WritePass();
  void EndPass();
  void NotePass(uint64_t bytes);
  Status WriteRange(StreamPoint to);
  Status PrepareTail();
  void SealBlock(StreamPoint to, bool direct = false);
  int AccelerationFrom(Lsn from) const;
  void PublishWritten();
  bool RollWanted() const;
  Status Roll();
  Status WriteMark();
  void ClampTime();

  // journal_sync.cc
  void SyncMain();
  bool SyncDue(int64_t now_us, int64_t* due_us) const;
  bool WriterSyncs() const;
  void SyncOnce(Lock* lock);
  void KeeperMain();
  void WarnRarely(RareWarning* warning, const char* what, const Status& status);
  void CreateNext(Lock* lock);
  // What took from `start_us` till now, for LATENCY.
  void NoteLatency(const char* event, int64_t start_us);
  void WatchMain();
  int64_t OldestSince() const;
  bool CheckLateness(int64_t now_us) const;

  // journal_failure.cc
  void Fail(const Status& status, bool in_write);
  void TryRecover(Lock* lock);
  bool SyncWritten(Lock* lock);
  StreamPoint ResumePoint() const;
  Status RewriteFrom(StreamPoint from, const std::string& base_name);
  void ListRewritten(const SegmentEntry& entry, const std::string& base_name);
  void BackInOrder(Lock* lock);

  const JournalOptions options_;
  JournalBuffer buffer_;
  alignas(64) std::atomic<uint32_t> gate_{0};
  std::atomic<uint64_t> full_at_{0};  // the gate closes for a record that ends above
  alignas(64) std::atomic<Lsn> wake_at_{~Lsn{0}};
  alignas(64) std::atomic<Lsn> written_{0};
  std::atomic<Lsn> durable_{0};
  std::atomic<Lsn> confirmed_{kLsnMax};  // nobody else has to
  std::atomic<JournalState> state_{JournalState::kOk};
  std::atomic<FsyncPolicy> policy_;
  std::atomic<Lsn> roll_at_{kLsnMax};
  std::atomic<bool> roll_now_{false};  // begin a new segment at the next record end, even if idle
  std::atomic<bool> followed_{false};
  std::atomic<bool> sync_slow_{false};  // the last one
  std::atomic<uint64_t> late_syncs_{0};
  std::atomic<Lsn> retain_from_{kLsnMax};

  // mutex_ is never held across a file operation; the others are, and come first, in this order.
  // Held by whoever changes the chain, from the first look at manifest_ until it is saved or taken
  // back: a timeline that begins must not bring back what a new base has done away with.
  std::mutex chain_mutex_;
  std::mutex manifest_file_mutex_;
  bool unbased_marked_ = false;  // under it: kAwaitsBaseName is in the folder
  // Held while files are deleted, and by whoever needs that those of manifest_ stay for a moment.
  std::mutex deletion_mutex_;
  mutable std::mutex mutex_;
  std::condition_variable writer_wake_, sync_wake_, keeper_wake_, watch_wake_, changed_;
  Manifest manifest_;
  uint64_t next_sequence_ = 1;
  uint64_t buffer_bytes_max_;
  uint64_t retained_bytes_min_;
  uint64_t retention_ms_, retention_bytes_;
  bool stop_ = false;
  bool paused_ = false;
  bool drain_ = false;   // write without delay and sync whatever the policy
  bool writer_waits_ = false;
  bool sync_waits_ = false;
  bool keeper_waits_ = false;
  bool watch_sleeps_ = false;  // under kEverySecond, until a byte waits
  bool next_wanted_ = false;
  uint64_t next_failures_ = 0;  // attempts to create the next segment, and why the last one failed
  std::string next_failure_;
  RareWarning next_warning_, manifest_warning_, trim_warning_;  // the keeper's
  bool installing_ = false;      // the base in manifest_ may yet be taken back: nothing is trimmed
  bool manifest_stale_ = false;  // a segment was sealed since the last save
  bool awaits_base_;             // no manifest is saved
  // Files that no manifest needs, once one without them is durable.
  std::vector<std::string> garbage_;
  std::unique_ptr<NextSegment> next_;
  std::vector<UnsyncedFile> unsynced_;
  StreamPoint written_point_, durable_point_;
  int64_t pending_since_us_ = 0;   // bytes wait for the writer since then; 0 = none
  // Under kAlways: the next group waits for so many bytes until then; 0: for none. As many have to
  // have come by then for it not to have been in vain. Else so many groups begin at once before one
  // waits again, and so many did the last time. (It was in vain, too, if after the first ones that
  // were there none came.) The crowd is what all who write have sent, as far as the last groups tell.
  uint64_t expected_bytes_ = 0, worthwhile_bytes_ = 0, first_expected_bytes_ = 0, crowd_bytes_ = 0;
  int64_t expected_until_us_ = 0;
  unsigned unawaited_groups_ = 0, unawaited_groups_last_ = 0;
  int64_t pass_since_us_ = 0;      // the writer is at its files since then
  int64_t unsynced_since_us_ = 0;  // bytes wait for the sync thread since then; 0 = none
  int64_t syncing_since_us_ = 0;   // the same, of the sync under way
  bool syncing_ = false;
  int64_t last_sync_us_ = 0;
  std::string failure_;
  bool failed_in_write_ = false;
  bool rebase_asked_ = false;
  std::string rebase_base_;
  Lsn rebase_lsn_ = 0;
  uint64_t rebase_failures_ = 0;  // attempts with a base that failed
  bool switch_pending_ = false;   // the bytes are rewritten and synced, only the manifest is not
  int64_t retry_at_us_ = 0;

  // The writer thread's own (others touch them only while it is paused).
  std::unique_ptr<SegmentWriter> live_;
  StreamPoint position_;  // where the next block begins
  bool at_boundary_ = true;
  Lsn last_unit_lsn_ = 0;
  Lsn marked_lsn_ = 0;
  uint64_t now_ms_ = 0, block_first_ms_ = 0;
  int64_t last_pass_us_ = 0;
  bool grows_fast_ = false;  // as of the last pass
  std::string scratch_;

  std::thread writer_thread_, sync_thread_, keeper_thread_, watch_thread_;
};

}  // namespace cairn
