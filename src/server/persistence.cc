// SPDX-License-Identifier: BSD-3-Clause
#include "server/persistence.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <thread>

#include "base/memory.h"
#include "base/numbers.h"
#include "base/version.h"
#include "exec/access_clock.h"
#include "exec/replication_control.h"
#include "journal/journal.h"

namespace cairn {
namespace {

constexpr int64_t kRetryAfterFailureS = 5;
constexpr int kLoadThreads = 2;
// A second walker is worth its core where clients keep two others.
constexpr unsigned kCoresForTwoWalkers = 4;
constexpr size_t kPreImageBytesMin = 64 << 20;
constexpr size_t kPreImageShare = 25;  // one part in so many of used memory: 4 %

// More than so many seconds have passed since then. A clock that was set back says nothing of that,
// and is no reason to wait: a log that needs a snapshot to work again refuses writes meanwhile.
bool Passed(int64_t now_s, int64_t then_s, int64_t seconds) {
  return now_s < then_s || now_s - then_s > seconds;
}

// Sorted by name they are sorted by position. The time keeps two at one position apart: the name of
// a file that is being deleted is never taken again.
std::string BaseName(uint32_t timeline, Lsn lsn, int64_t now_ms) {
  char name[80];
  snprintf(name, sizeof name, "%04u-%016llu-%lld.rdb.lz4", timeline,
           static_cast<unsigned long long>(lsn), static_cast<long long>(now_ms));
  return name;
}

}  // namespace

Persistence::Persistence(Engine* engine, std::vector<AuxSource*> aux_sources,
                         std::function<void()> resume_parked, FileSystem* fs)
    : engine_(*engine),
      config_(engine->config),
      aux_sources_(std::move(aux_sources)),
      resume_parked_(std::move(resume_parked)),
      fs_(fs),
      snapshotter_(&engine->keyspace, &engine->clock, aux_sources_),
      last_save_s_(engine->clock.WallMs() / 1000),
      backups_(engine, fs, [this](const std::string& dir, uint64_t* keys) {
        return SnapshotForBackup(dir, keys);
      }) {
  for (int i = 0; i < kLoadThreads; ++i) load_slots_.push_back(engine->keyspace.gate().AddThread());
}

Persistence::~Persistence() {
  Stop();
}

void Persistence::Stop() {
  backups_.RequestStop();
  {
    std::lock_guard guard(mutex_);
    changed_.notify_all();
  }
  snapshotter_.Cancel();
  // The workers are gone. A busy script of theirs ended in its middle: nothing of it was journaled
  // or told to anybody, and no snapshot will be made of it.
  Gate& gate = engine_.keyspace.gate();
  if (gate.held()) gate.Open();
  snapshotter_.Wait();
  backups_.Stop();
}

std::string Persistence::FileDir() const {
  return Logged() ? engine_.journal->dir() : config_.dir();
}

SnapshotRequest Persistence::MakeRequest() {
  SnapshotRequest request;
  request.fs = fs_;
  request.dir = FileDir();
  becomes_base_ = Logged();
  if (becomes_base_) {
    request.format = SnapshotFormat::kPacked;
    engine_.journal->PrepareRoll();
  } else {
    request.name = config_.dbfilename();
    if (keys_ != nullptr) request.format = SnapshotFormat::kPacked;
  }
  request.keys = keys_;
  request.compress = config_.rdbcompression();
  request.checksum = config_.rdbchecksum();
  const bool nobody_served = engine_.modes.Has(kModePausedAll) || engine_.modes.Has(kModeLoading);
  if (nobody_served || std::thread::hardware_concurrency() >= kCoresForTwoWalkers)
    request.threads = kLoadThreads;
  used_memory_ = MemoryMeter::Exact();
  request.preimage_bytes_max = std::max(kPreImageBytesMin, used_memory_ / kPreImageShare);
  request.pressure = this;
  request.at_instant = [this](SnapshotInstant* instant) { AtInstant(instant); };
  request.done = [this](const SnapshotResult& result) { Done(result); };
  return request;
}

void Persistence::AtInstant(SnapshotInstant* instant) {
  const int64_t now_ms = engine_.clock.WallMs();
  changes_at_instant_ = engine_.statistics.Changes();
  ReplicationControl::AuxRecords position;
  // None in cairn-check, which exports.
  if (engine_.replication != nullptr) instant->lsn = engine_.replication->AtSnapshot(&position);
  if (becomes_base_ && !sync_.has_value())
    instant->name = BaseName(engine_.journal->manifest().LastTimeline(), instant->lsn, now_ms);
  if (UsesLfu(config_)) {
    instant->access.kind = AccessRecord::Kind::kFrequency;
  } else if (config_.maxmemory_policy() == MaxmemoryPolicy::kAllkeysLru ||
             config_.maxmemory_policy() == MaxmemoryPolicy::kVolatileLru || UsesLrm(config_)) {
    instant->access = {AccessRecord::Kind::kIdle, LruClock(now_ms)};
  }
  instant->aux = {{"redis-ver", kRedisVersion},
                  {"redis-bits", "64"},
                  {"ctime", std::to_string(now_ms / 1000)},
                  {"used-mem", std::to_string(used_memory_)},
                  {"cairn-ver", kVersion},
                  {"aof-base", becomes_base_ && !sync_.has_value() ? "1" : "0"}};
  instant->aux.insert(instant->aux.begin() + 4, position.begin(), position.end());
  if (sync_.has_value()) sync_->at_instant(instant->lsn);
}

SnapshotControl::Claimed Persistence::Claim(Kind kind, bool may_schedule) {
  std::lock_guard guard(mutex_);
  return ClaimLocked(kind, may_schedule);
}

// Under mutex_.
SnapshotControl::Claimed Persistence::ClaimLocked(Kind kind, bool may_schedule) {
  if (kind == Kind::kRewrite) {
    if (claimed_ && kind_ == Kind::kRewrite) return Claimed::kRewriting;
    if (claimed_) {
      rewrite_scheduled_ = true;
      return Claimed::kScheduled;
    }
  } else if (claimed_ && kind_ == Kind::kRewrite) {
    if (!may_schedule) return Claimed::kRewriting;
    save_scheduled_ = true;
    return Claimed::kScheduled;
  } else if (claimed_) {
    return Claimed::kSaving;
  }
  claimed_ = true;
  cancel_at_start_ = false;
  kind_ = kind;
  for_others_ = false;
  figures_.saving = kind != Kind::kRewrite;
  figures_.rewriting = kind == Kind::kRewrite;
  last_try_s_ = engine_.clock.WallMs() / 1000;
  (kind == Kind::kRewrite ? rewrite_scheduled_ : save_scheduled_) = false;
  return Claimed::kStarted;
}

// Under mutex_.
void Persistence::Unclaim() {
  claimed_ = figures_.saving = figures_.rewriting = false;
  changed_.notify_all();
}

Status Persistence::Run() {
  Kind kind;
  {
    std::lock_guard guard(mutex_);
    kind = kind_;
  }
  if (kind == Kind::kBackgroundSave) engine_.log.Notice("Background saving started");
  if (kind == Kind::kRewrite) engine_.log.Notice("Background append only file rewriting started");
  // The one before has said that it is done, and may still be on its last line.
  snapshotter_.Wait();
  bool given_up;
  {
    std::lock_guard guard(mutex_);
    given_up = std::exchange(cancel_at_start_, false);
  }
  // A small one would have its file before it heard of it.
  Ending ending;
  if (kind == Kind::kSave) {
    std::lock_guard guard(mutex_);
    ending_ = &ending;
  }
  const Status status = given_up ? Status::Unavailable("the snapshot was cancelled")
                                 : snapshotter_.Start(MakeRequest());
  if (!status.ok() && !given_up && kind != Kind::kSave) {
    // A script that was let in meanwhile has all locks and may never end: Cron begins it behind it.
    PutOff(kind);
    return status;
  }
  if (!status.ok()) {
    // Claims are made one at a time, so nobody else can have started one.
    SnapshotResult result;
    result.status = status;
    result.cancelled = true;
    Done(result);
    return status;
  }
  if (kind != Kind::kSave) {
    std::lock_guard guard(mutex_);
    if (std::exchange(cancel_at_start_, false)) snapshotter_.Cancel();
    return Status::Ok();
  }
  // For this one only: another may begin as soon as its claim has ended.
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&ending] { return ending.over; });
  return ending.status;
}

// What was claimed and could not begin is scheduled, unless it was cancelled meanwhile.
void Persistence::PutOff(Kind kind) {
  std::lock_guard guard(mutex_);
  Unclaim();
  if (std::exchange(cancel_at_start_, false)) return;
  (kind == Kind::kRewrite ? rewrite_scheduled_ : save_scheduled_) = true;
}

// With a journal the file becomes its base, and what the log held before it may go.
Status Persistence::Install(const SnapshotResult& result) {
  if (!result.status.ok() || !becomes_base_) return result.status;
  Journal& journal = *engine_.journal;
  const bool rebase = rebase_wanted_ && journal.state() != JournalState::kOk;
  CAIRN_RETURN_IF_ERROR(rebase ? journal.FinishRebase(result.name, result.lsn)
                               : journal.InstallBase(result.name, result.lsn, result.file_bytes));
  base_bytes_ = result.plain_bytes;
  if (first_base_wanted_.exchange(false)) engine_.control->OnFirstBase();
  return Status::Ok();
}

void Persistence::LogResult(Kind kind, const SnapshotResult& result, const Status& status) {
  Log& log = engine_.log;
  if (!status.ok()) {
    const char* what = kind == Kind::kRewrite ? "Background AOF rewrite" : "Background saving";
    if (result.cancelled) {
      log.Warning("%s cancelled: %s", what, status.message().c_str());
    } else {
      log.Warning("%s error: %s", kind == Kind::kSave ? "Saving" : what, status.message().c_str());
    }
    return;
  }
  log.Notice("DB saved on disk: %llu keys, %llu bytes in %.3f seconds",
             static_cast<unsigned long long>(result.keys),
             static_cast<unsigned long long>(result.file_bytes),
             static_cast<double>(result.duration_ms) / 1000);
  if (kind == Kind::kBackgroundSave) log.Notice("Background saving terminated with success");
  if (kind == Kind::kRewrite) log.Notice("Background AOF rewrite terminated with success");
}

void Persistence::Done(const SnapshotResult& result) {
  const Status status = Install(result);
  Kind kind;
  {
    std::lock_guard guard(mutex_);
    kind = kind_;
  }
  LogResult(kind, result, status);
  Ending* ending;
  {
    std::lock_guard guard(mutex_);
    ending = std::exchange(ending_, nullptr);
    Unclaim();
    const int64_t seconds = result.duration_ms / 1000;
    if (kind == Kind::kRewrite) {
      figures_.last_rewrite_time_s = seconds;
      if (!result.cancelled) figures_.rewrite_ok = status.ok();
      figures_.rewrite_failures_in_a_row = status.ok() ? 0 : figures_.rewrite_failures_in_a_row + 1;
      figures_.rewrites += status.ok();
    } else {
      figures_.last_save_time_s = seconds;
      // Redis: a save that somebody cancelled says nothing about the disk.
      if (!result.cancelled) figures_.save_ok = status.ok();
      figures_.saves += status.ok();
    }
    if (status.ok()) {
      last_save_s_.store(engine_.clock.WallMs() / 1000, std::memory_order_relaxed);
      engine_.saved_changes.store(changes_at_instant_, std::memory_order_relaxed);
    }
  }
  UpdateMode();
  if (ending == nullptr) return;
  // Last, as what it stands in goes with the SAVE.
  std::lock_guard guard(mutex_);
  ending->status = status;
  ending->over = true;
  changed_.notify_all();
}

SnapshotControl::Cancelled Persistence::Cancel() {
  std::lock_guard guard(mutex_);
  if (claimed_ && kind_ == Kind::kBackgroundSave) {
    // Claimed, perhaps not begun: whoever claimed it begins it and gives it up at once.
    snapshotter_.Cancel();
    cancel_at_start_ = true;  // the next claim clears it
    return Cancelled::kRunning;
  }
  if (save_scheduled_) {
    save_scheduled_ = false;
    return Cancelled::kScheduled;
  }
  return Cancelled::kNothing;
}

void Persistence::OnPressure(bool high) {
  engine_.modes.Set(kModeSnapshotLag, high);
  if (!high) resume_parked_();
}

void Persistence::OnPostponedReady() {
  resume_parked_();
}

void Persistence::OnInPlace(int64_t duration_us) {
  engine_.latency.AddIfSlow("snapshot-in-place", duration_us, engine_.clock.WallMs() / 1000);
}

// Writes are refused only where `save` points promise snapshots that cannot be made.
void Persistence::UpdateMode() {
  bool failed;
  {
    std::lock_guard guard(mutex_);
    failed = !figures_.save_ok;
  }
  const bool refuse = failed && config_.stop_writes_on_bgsave_error() && !config_.save().empty();
  if (refuse != engine_.modes.Has(kModeSaveFailed)) engine_.modes.Set(kModeSaveFailed, refuse);
}

bool Persistence::SavePointReached(int64_t now_s) {
  std::lock_guard guard(mutex_);
  if (claimed_) return false;
  if (!figures_.save_ok && !Passed(now_s, last_try_s_, kRetryAfterFailureS)) return false;
  const int64_t dirty = engine_.UnsavedChanges();
  for (const SavePoint& point : config_.save()) {
    if (dirty < point.changes || !Passed(now_s, LastSaveSeconds(), point.seconds)) continue;
    engine_.log.Notice("%lld changes in %lld seconds. Saving...",
                       static_cast<long long>(point.changes),
                       static_cast<long long>(point.seconds));
    return true;
  }
  return false;
}

// What a rewrite would do away with.
uint64_t Persistence::LogBytes() const {
  if (!Logged()) return 0;
  const Manifest manifest = engine_.journal->manifest();
  const Lsn from = manifest.base_name.empty() && !manifest.segments.empty()
                       ? manifest.segments.front().first_lsn
                       : manifest.base_lsn;
  return engine_.journal->tail() - from;
}

// auto-aof-rewrite-*: the log is measured in bytes of its stream, its base in bytes of its RDB.
bool Persistence::LogGrew(int64_t now_s) {
  const int64_t percentage = config_.auto_aof_rewrite_percentage();
  if (!Logged() || percentage == 0 || engine_.journal->state() != JournalState::kOk) return false;
  {
    std::lock_guard guard(mutex_);
    if (claimed_ || rewrite_scheduled_) return false;
    if (!figures_.rewrite_ok && !Passed(now_s, last_try_s_, kRetryAfterFailureS)) return false;
  }
  const uint64_t base = base_bytes_, grown = LogBytes();
  if (base + grown < static_cast<uint64_t>(config_.auto_aof_rewrite_min_size())) return false;
  const double growth =
      100.0 * static_cast<double>(grown) / static_cast<double>(std::max<uint64_t>(base, 1));
  if (growth < static_cast<double>(percentage)) return false;
  engine_.log.Notice("Starting automatic rewriting of AOF on %.0f%% growth", growth);
  return true;
}

bool Persistence::RebaseDue(int64_t now_s) {
  if (!first_base_wanted_) {
    if (!rebase_wanted_ || !Logged()) return false;
    if (engine_.journal->state() == JournalState::kOk) {
      rebase_wanted_ = false;
      return false;
    }
  }
  std::lock_guard guard(mutex_);
  return !claimed_ && (figures_.rewrite_ok || Passed(now_s, last_try_s_, kRetryAfterFailureS));
}

void Persistence::StartScheduled() {
  {
    std::lock_guard guard(mutex_);
    if (claimed_ || withheld_ > 0 || (!rewrite_scheduled_ && !save_scheduled_)) return;
    const bool rewrite = std::exchange(rewrite_scheduled_, false);
    (void)ClaimLocked(rewrite ? Kind::kRewrite : Kind::kBackgroundSave, true);
  }
  (void)Run();
}

void Persistence::Cron(int64_t now_ms) {
  changed_.notify_all();
  UpdateMode();
  if (engine_.modes.Has(kModeLoading) || engine_.modes.Has(kModeShutdown)) return;
  // A save begins under All; a worker must not wait for that behind a script.
  if (engine_.keyspace.gate().wanted()) return;
  StartScheduled();
  const int64_t now_s = now_ms / 1000;
  if ((RebaseDue(now_s) || LogGrew(now_s)) && Claim(Kind::kRewrite, true) == Claimed::kStarted)
    (void)Run();
  if (SavePointReached(now_s) && Claim(Kind::kBackgroundSave, false) == Claimed::kStarted)
    (void)Run();
}

Status Persistence::SaveForShutdown(bool save, bool nosave) {
  // A journal is complete without a last snapshot; one is made only on request.
  if (engine_.modes.Has(kModeLoading)) return Status::Ok();
  {
    std::lock_guard guard(mutex_);
    departing_ = true;
    changed_.notify_all();
  }
  Status status = SaveAndPause(save, nosave);
  // A full sync that began meanwhile has cancelled it. What it loads need not be saved.
  while (status.code() == StatusCode::kUnavailable && engine_.modes.Has(kModeFollower))
    status = engine_.modes.Has(kModeLoading) ? Status::Ok() : SaveAndPause(save, nosave);
  std::lock_guard guard(mutex_);
  departing_ = status.ok();
  return status;
}

Status Persistence::SaveAndPause(bool save, bool nosave) {
  const bool wanted = !nosave && (save || (!config_.save().empty() && !engine_.journal_kept));
  // One under way is not waited for, as in Redis; its end comes soon, without a file. One that was
  // claimed and has not begun is not heard of yet, so this is said again. False: there is none.
  const auto give_up = [this] {
    std::lock_guard guard(mutex_);
    if (!claimed_ || (kind_ == Kind::kSave && !for_others_)) return false;
    snapshotter_.Cancel();
    return true;
  };
  // Until a claim ends, or it is time to look at what says nothing.
  const auto wait = [this] {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::milliseconds(kLookAgainMs));
  };
  // It cannot end while a busy script has the gate, and the script may never end. That is killed as
  // by SCRIPT KILL if a snapshot is wanted (one that has written what cannot be taken back is
  // waited for); else the workers leave it in its middle.
  const auto kill_script = [this] {
    if (!engine_.busy.Kill(/*is_function=*/false).empty())
      (void)engine_.busy.Kill(/*is_function=*/true);
  };
  do {
    give_up();
    if (!wanted && engine_.busy.running()) return Status::Ok();
    if (wanted) kill_script();
  } while (!snapshotter_.WaitFor(kLookAgainMs));
  if (!wanted) return Status::Ok();
  engine_.log.Notice("Saving the final RDB snapshot before exiting.");
  const bool paused = engine_.modes.Has(kModePausedAll);
  engine_.modes.Set(kModePausedAll, true);
  while (!engine_.keyspace.gate().CloseUnlessHeld()) {
    kill_script();
    wait();
  }
  engine_.keyspace.gate().Open();
  // A SAVE that began before is waited for.
  while (Claim(Kind::kSave, false) != Claimed::kStarted) {
    give_up();
    wait();
  }
  const Status status = Run();
  if (!status.ok() && !paused) {
    engine_.modes.Set(kModePausedAll, false);
    resume_parked_();
  }
  return status;
}

Persistence::Figures Persistence::figures() const {
  std::lock_guard guard(mutex_);
  Figures figures = figures_;
  figures.rewrite_scheduled = rewrite_scheduled_;
  figures.base_bytes = base_bytes_;
  figures.log_bytes = LogBytes();
  figures.progress = snapshotter_.progress();
  if (claimed_ && snapshotter_.busy())
    figures.current_s = (engine_.clock.MonotonicMs() - figures.progress.started_ms) / 1000;
  return figures;
}

}  // namespace cairn
