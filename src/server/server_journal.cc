// SPDX-License-Identifier: BSD-3-Clause
//
// The half of the Server that belongs to the log: opening it at start, replaying it, its durability
// level, and what its threads tell.
#include <unistd.h>

#include <latch>

#include "journal/folder_lock.h"
#include "journal/reader.h"
#include "journal/recovery.h"
#include "journal/restore_point.h"
#include "repl/replication.h"
#include "script/registry.h"
#include "server/client.h"
#include "server/persistence.h"
#include "server/redis_import.h"
#include "server/server.h"
#include "snapshot/verify.h"

namespace cairn {
namespace {

// Of LZ4: 44 ns a SET of 100 bytes, half of them random, instead of 55 with 8; from here on it
// gains little. The files are a tenth longer.
constexpr int kJournalAcceleration = 12;
// 32 MB/s, some 220,000 such SETs a second: from there on LZ4's share is worth more to the writes
// than to the disk.
constexpr uint64_t kStoreBytesPerMs = 32 << 10;

FsyncPolicy PolicyOf(AppendFsync policy) {
  switch (policy) {
    case AppendFsync::kAlways: return FsyncPolicy::kAlways;
    case AppendFsync::kEverysec: return FsyncPolicy::kEverySecond;
    case AppendFsync::kNo: break;
  }
  return FsyncPolicy::kNo;
}

// So few do not keep the line of the log's tail busy, and to join a group costs 15 ns.
constexpr size_t kFewCpus = 8;

// Builds with DCHECKs have their threads take room together wherever they run, so that all tests of
// such a server test that, too.
CpuGroups GroupsOfCpus() {
#ifdef NDEBUG
  CpuGroups groups = CpuGroups::Detect();
  return groups.count() > 1 && groups.cpus() > kFewCpus ? groups : CpuGroups();
#else
  return CpuGroups::Single();
#endif
}

// What an operator whose log does not load does next.
Status Advise(const Status& status, const std::string& dir) {
  if (status.code() != StatusCode::kCorrupt && status.code() != StatusCode::kNotFound &&
      status.code() != StatusCode::kIo)
    return status;
  return Status::Corrupt(status.message() + "; run cairn-check verify " + dir +
                         ", and repair to see what can be done about it");
}

}  // namespace

std::string Server::JournalFolder() const {
  return config_.dir() + "/" + config_.appenddirname();
}

Status Server::LockJournal() {
  const std::string dir = JournalFolder();
  CAIRN_RETURN_IF_ERROR(RealFileSystem()->MakeDirectory(dir));
  // A folder whose own name was lost takes every durable byte in it along.
  CAIRN_RETURN_IF_ERROR(RealFileSystem()->SyncDirectory(config_.dir()));
  auto lock = LockJournalFolder(dir);
  if (!lock.ok()) return lock.status();
  journal_lock_ = std::move(*lock);
  return Status::Ok();
}

Status Server::LoadKeys() {
  const std::string path = config_.encryption_key_file();
  if (path.empty()) return Status::Ok();
  auto keys = KeyRing::Load(RealFileSystem(), path);
  if (!keys.ok()) return Status::Invalid("encryption-key-file: " + keys.status().message());
  keys_ = std::make_unique<KeyRing>(std::move(*keys));
  persistence_->set_keys(keys_.get());
  return Status::Ok();
}

Status Server::OpenJournal() {
  const std::string dir = JournalFolder();
  FileSystem* files = RealFileSystem();
  CAIRN_RETURN_IF_ERROR(RemoveTemporaryFiles(dir));
  auto recovered = RecoverJournal(files, dir, keys_.get());
  if (!recovered.ok()) return Advise(recovered.status(), dir);
  if (recovered->report.fresh && !restore_to_.empty())
    return Status::Invalid("--restore-to: there is no journal in " + dir);
  if (!recovered->report.fresh) {
    if (recovered->report.bytes_cut > 0 && !config_.aof_load_truncated())
      return Status::Corrupt(recovered->report.Text() + "; aof-load-truncated does not allow that");
    log_.Notice("%s", recovered->report.Text().c_str());
    if (!recovered->report.lost.empty())
      log_.Warning("A part of the journal is lost: %s", recovered->report.lost.c_str());
    if (!recovered->report.unread.empty())
      log_.Warning("A part of the journal cannot be read: %s", recovered->report.unread.c_str());
    if (!recovered->report.odd.empty())
      log_.Warning("Nothing of the journal is lost: %s", recovered->report.odd.c_str());
    TellPassedOver();
    const Manifest before = recovered->manifest;
    auto limit = RestoreLimit(&*recovered);
    if (!limit.ok()) return limit.status();
    auto end = Replay(recovered->manifest, *limit, [this] { return StopAsked(); });
    if (!end.ok()) return Advise(end.status(), dir);
    if (*end < recovered->tail_lsn) {
      if (!restore_to_.empty()) {
        auto kept = KeepTimeline(files, dir, before);
        if (!kept.ok()) return Advise(kept.status(), dir);
        log_.Warning("The timeline that was is kept in %s", kept->c_str());
      }
      CAIRN_RETURN_IF_ERROR(recovered->CutAt(*end));
      if (!restore_to_.empty()) restored_to_.store(*end, std::memory_order_relaxed);
    }
  }
  if (recovered->report.fresh) CAIRN_RETURN_IF_ERROR(ImportRedisFiles(&*recovered));
  JournalOptions options = JournalSettings(dir);
  options.keys = keys_.get();
  options.policy = PolicyOf(config_.appendfsync());
  const bool unclean = !recovered->report.fresh && !recovered->report.clean;
  auto journal = Journal::Open(std::move(options), std::move(*recovered));
  if (!journal.ok()) return journal.status();
  RemoveKept(files, dir, (*journal)->manifest());
  // Workers look at these pointers only inside the gate.
  Gate& gate = keyspace_->gate();
  gate.Close();
  journal_ = std::move(*journal);
  engine_->journal = engine_->open_journal = journal_.get();
  engine_->journal_kept = true;
  ApplyFsyncPolicy();
  gate.Open();
  replication_->SetRecovered(stream_database_, unclean ? journal_->manifest().replid : "");
  // From the first command on, replies that must wait for the log do.
  OnDurable(journal_->durable());
  return Status::Ok();
}

// What a snapshot left that was under way when the process died, what was made for followers or
// came from a leader, or a log without a base.
Status Server::RemoveTemporaryFiles(const std::string& dir) {
  auto names = RealFileSystem()->List(dir);
  if (!names.ok()) return names.status();
  for (const std::string& name : *names)
    if ((name.starts_with("temp-") && name.ends_with(".rdb.lz4")) ||
        ((name.starts_with("sync-") || name.starts_with("temp-sync") ||
          name.starts_with("temp-temp-sync")) && name.ends_with(".rdb")))
      (void)RealFileSystem()->Remove(dir + "/" + name);
  return RemoveUnbased(RealFileSystem(), dir);
}

void Server::MakeReplayer() {
  if (replayer_ == nullptr)
    replayer_ = std::make_unique<Replayer>(engine_.get(), static_cast<int>(contexts_.size()));
}

// A new journal beside files of Redis's begins with their data as its base. Until the journal's
// first manifest is written they are what a start finds, from then on they are not looked at.
Status Server::ImportRedisFiles(Recovered* recovered) {
  auto found = FindRedisFiles(RealFileSystem(), config_);
  if (!found.ok()) return found.status();
  if (found->empty()) return Status::Ok();
  MakeReplayer();
  CAIRN_RETURN_IF_ERROR(LoadRedisFiles(RealFileSystem(), *found, engine_.get(), persistence_.get(),
                                       replayer_.get(), [this] { return StopAsked(); }));
  CAIRN_RETURN_IF_ERROR(SaveFirstBase(persistence_.get(), JournalFolder(), recovered));
  log_.Notice("The journal in %s begins with what the files of Redis hold; they stay as they are",
              JournalFolder().c_str());
  return Status::Ok();
}

// Who puts a file of Redis into a folder that has a journal wants it loaded.
void Server::TellPassedOver() {
  const auto found = FindRedisFiles(RealFileSystem(), config_);
  if (!found.ok() || found->empty()) return;
  const std::string& path = found->aofs.empty() ? found->rdb : found->aofs.front();
  log_.Warning("%s is not loaded: the data is what the journal in %s says. To begin with that file "
               "instead, stop the server and move this folder away; once it is imported, the file "
               "may go", path.c_str(), JournalFolder().c_str());
}

// The same the other way round: appendonly was yes here before.
void Server::TellUnreadJournal() {
  const auto there = RealFileSystem()->Exists(ManifestPath(JournalFolder()));
  if (there.ok() && *there)
    log_.Warning("The journal in %s is not loaded, as appendonly is no: its data is there again after "
                 "a start with appendonly yes", JournalFolder().c_str());
}

void Server::ApplyFsyncPolicy() {
  const bool always = config_.appendfsync() == AppendFsync::kAlways;
  // Writes of the time before are not in the stripes: all keys wait for the log as it stands.
  // A journal that only feeds followers promises nothing to clients.
  const bool kept = engine_->journal_kept;
  if (always && kept) stripes_.RaiseFloor(journal_->tail());
  engine_->stripes = always && kept ? &stripes_ : nullptr;
  if (kept) journal_->SetPolicy(PolicyOf(config_.appendfsync()));
  // Whoever gives up `always` gives up waiting for what is held, but for no more than that: workers
  // that believed everything durable would hold nothing back once it is `always` again.
  if (!always) OnDurable(kept ? journal_->tail() : kLsnMax);
}

// Followers confirm what is durable here, to replies that wait for that anyway.
Status Server::CheckDurableFollowers() const {
  if (config_.min_replicas_durable() == 0) return Status::Ok();
  const bool begins = engine_->journal != nullptr && !engine_->journal_kept;
  if (config_.appendonly() && config_.appendfsync() == AppendFsync::kAlways && !begins)
    return Status::Ok();
  return Status::Invalid("min-replicas-durable needs appendonly yes and appendfsync always");
}

void Server::RegisterDurabilityHooks() {
  // First, as it may refuse.
  store_.OnChange({"min-replicas-durable", "appendfsync", "appendonly"}, [this](const Config&) {
    CAIRN_RETURN_IF_ERROR(CheckDurableFollowers());
    if (replication_->UpdateConfirmed()) OnAcknowledged();
    replication_->UpdateFewFollowers();
    return Status::Ok();
  });
  store_.OnChange({"appendfsync"}, [this](const Config&) {
    ApplyFsyncPolicy();
    return Status::Ok();
  });
}

// Workers start out holding nothing back. Before the first write is let in each has to know how far
// the journal is durable, or replies would leave unheld until the first sync has ended.
void Server::HoldFromNowOn() {
  std::latch told(static_cast<ptrdiff_t>(contexts_.size()));
  for (auto& context : contexts_) {
    Worker* worker = &context->worker;
    worker->Post([worker, &told, durable = journal_->durable()] {
      worker->SetDurable(durable);
      told.count_down();
    });
  }
  told.wait();
}

void Server::OnDurable(Lsn durable) {
  // What followers have to confirm waits for them, too.
  if (const cairn::Journal* journal = engine_->journal; journal != nullptr)
    durable = std::min(durable, journal->confirmed());
  for (auto& context : contexts_) {
    WorkerContext* c = context.get();
    c->worker.Post([c, durable] {
      // CONFIG SET appendfsync and the sync thread may come in either order. Who holds nothing back
      // (kLsnMax) learns where the log stands.
      const Lsn known = c->worker.durable();
      c->worker.SetDurable(known == kLsnMax ? durable : std::max(known, durable));
      if (!c->sync_waits.empty()) c->EndSyncWaits();
    });
  }
  replication_->OnDurable();
}

void Server::OnWritten(Lsn) { replication_->OnJournalProgress(); }

void Server::OnAcknowledged() {
  const cairn::Journal* journal = engine_->journal;
  const Lsn committed = journal == nullptr ? 0 : journal->committed();
  for (auto& context : contexts_) {
    WorkerContext* c = context.get();
    c->worker.Post([c, committed] {
      // Held replies go on as soon as followers have their writes. Whoever holds nothing back
      // (kLsnMax) stays so.
      if (committed > c->worker.durable()) c->worker.SetDurable(committed);
      if (!c->sync_waits.empty()) c->EndSyncWaits();
    });
  }
}

void Server::GiveUpHeld() {
  for (auto& context : contexts_) {
    WorkerContext* c = context.get();
    c->worker.Post([c] {
      for (auto& [id, client] : c->clients) client->GiveUpHeld();
    });
  }
}

// Reads and held replies speak of the new timeline from here on. Nobody has written to it yet.
void Server::OnTimeline(uint64_t lsn) {
  stripes_.Reset();
  for (auto& context : contexts_) {
    WorkerContext* c = context.get();
    c->worker.Post([c, lsn] {
      for (auto& [id, client] : c->clients) client->session().last_write_lsn = 0;
      c->worker.SetDurable(lsn);
    });
  }
}

JournalOptions Server::JournalSettings(const std::string& dir) {
  JournalOptions options;
  options.fs = RealFileSystem();
  options.clock = SystemClock();
  options.log = &log_;
  options.latency = &engine_->latency;
  options.listener = this;
  options.cpu_groups = GroupsOfCpus();
  options.acceleration = kJournalAcceleration;
  options.store_bytes_per_ms = kStoreBytesPerMs;
  options.dir = dir;
  options.buffer_bytes_max = static_cast<uint64_t>(config_.journal_buffer_size());
  options.retained_bytes_min = static_cast<uint64_t>(config_.repl_backlog_size());
  options.retained_on_disk = options.retained_bytes_min;
  options.segment_bytes_max = static_cast<uint64_t>(config_.journal_segment_size());
  options.retention_ms = static_cast<uint64_t>(config_.journal_retention_time()) * 1000;
  options.retention_bytes = static_cast<uint64_t>(config_.journal_retention_bytes());
  return options;
}

// With appendonly no the stream of a replication is a journal that no start ever reads, in a folder
// of its own: emptied here, never synced. kUnavailable while a busy script has all locks.
Status Server::EnsureJournal() {
  if (journal_ != nullptr) return Status::Ok();
  if (keyspace_->gate().held()) return Status::Unavailable("a busy script has all locks");
  FileSystem* files = RealFileSystem();
  const std::string dir = config_.dir() + "/replication-" + std::to_string(config_.port());
  CAIRN_RETURN_IF_ERROR(files->MakeDirectory(dir));
  auto lock = LockJournalFolder(dir);
  // Unlike a busy script, another server does not go away.
  if (!lock.ok()) return Status::Io(lock.status().message());
  auto names = files->List(dir);
  if (!names.ok()) return names.status();
  for (const std::string& name : *names)
    if (name != kFolderLockName) CAIRN_RETURN_IF_ERROR(files->Remove(dir + "/" + name));
  JournalOptions options = JournalSettings(dir);
  options.policy = FsyncPolicy::kNo;
  options.keys = keys_.get();
  auto recovered = RecoverJournal(files, dir, keys_.get());
  if (!recovered.ok()) return recovered.status();
  auto journal = Journal::Open(std::move(options), std::move(*recovered));
  if (!journal.ok()) return journal.status();
  Gate& gate = keyspace_->gate();
  if (!gate.CloseUnlessHeld()) {
    (void)(*journal)->Close();
    return Status::Unavailable("a busy script has all locks");
  }
  journal_ = std::move(*journal);
  journal_lock_ = std::move(*lock);
  engine_->journal = engine_->open_journal = journal_.get();
  gate.Open();
  return Status::Ok();
}

void Server::OnAdmissionOpen() { ResumeParked(); }

// The journal has logged it.
void Server::OnStateChange(JournalState state, const std::string&) {
  engine_->modes.Set(kModeLogRefused, state != JournalState::kOk);
  if (state == JournalState::kOk) ResumeParked();
}

void Server::OnRebaseNeeded(Lsn) { persistence_->RequestRebase(); }

// The snapshot that the log begins at.
Status Server::LoadBase(const Manifest& manifest, const std::function<bool()>& stop,
                        int* database) {
  if (manifest.base_name.empty()) return Status::Ok();
  auto report = persistence_->LoadFile(JournalFolder() + "/" + manifest.base_name, stop, database);
  if (!report.ok()) return report.status();
  // A plain RDB came from a leader; where it stands in the stream is the manifest's knowledge.
  if (report->packed && report->lsn != manifest.base_lsn)
    return Status::Corrupt("the base snapshot " + manifest.base_name + " is of LSN " +
                           std::to_string(report->lsn) + ", the manifest says " +
                           std::to_string(manifest.base_lsn));
  if (!report->packed) return Status::Ok();
  auto summary = ReadSnapshotSummary(RealFileSystem(), JournalFolder() + "/" + manifest.base_name);
  if (!summary.ok()) return summary.status();
  persistence_->NoteBase(summary->trailer.plain_bytes);
  return Status::Ok();
}

// Loads what the chain begins with, applies the stream up to `limit` and returns where the last
// whole record ends.
Result<Lsn> Server::Replay(const Manifest& manifest, Lsn limit,
                           const std::function<bool()>& stop) {
  Lsn from = manifest.base_lsn;
  if (manifest.base_name.empty() && !manifest.segments.empty())
    from = manifest.segments.front().first_lsn;
  int database = -1;
  CAIRN_RETURN_IF_ERROR(LoadBase(manifest, stop, &database));
  auto reader = JournalReader::Open(RealFileSystem(), JournalFolder(), manifest, from, limit,
                                    keys_.get());
  if (!reader.ok()) return reader.status();
  engine_->loading.Begin(limit - from, SystemClock()->WallMs());
  MakeReplayer();
  auto done =
      replayer_->Run(from, [&](StreamPiece* piece) { return (*reader)->Next(piece); }, stop, StreamKind::kJournal, database);
  if (!done.ok()) return done.status();
  stream_database_ = done->end_database;
  if (!done->unfinished.empty())
    log_.Warning("Dropped %llu bytes at the end of the journal, from LSN %llu on: %s",
                 static_cast<unsigned long long>(limit - done->end_lsn),
                 static_cast<unsigned long long>(done->end_lsn), done->unfinished.c_str());
  if (done->refused > 0)
    log_.Warning("%llu commands of the log failed and were passed over, as Redis does: %s",
                 static_cast<unsigned long long>(done->refused), done->first_refused.c_str());
  log_.Notice("DB loaded from the journal: %llu commands in %.3f seconds",
              static_cast<unsigned long long>(done->commands),
              static_cast<double>(done->milliseconds) / 1000);
  return done->end_lsn;
}

// No snapshot is under way meanwhile: one that ended would take away the base that is being loaded.
Status Server::ReloadJournal() {
  Status status;
  const Status alone = replication_->WithoutLink([&] {
    engine_->modes.Set(kModeLoading, true);
    persistence_->WithoutSnapshot([&] { status = LoadJournalAgain(); });
    engine_->modes.Set(kModeLoading, false);
  });
  return alone.ok() ? status : alone;
}

Status Server::LoadJournalAgain() {
  if (!engine_->journal_kept) return Status::Unavailable("the log has ended");
  // From here on nobody writes any more: commands are refused, expiry rests.
  Gate& gate = keyspace_->gate();
  gate.Close();
  gate.Open();
  CAIRN_RETURN_IF_ERROR(journal_->SyncTo(journal_->tail()));
  std::vector<Keyspace::Tables> old;
  gate.Close();
  for (int db = 0; db < keyspace_->databases(); ++db) old.push_back(keyspace_->Detach(db));
  engine_->scripts->functions().Install(std::make_shared<Libraries>());
  gate.Open();
  for (auto& tables : old) Keyspace::FreeTables(std::move(tables));
  // A shutdown waits for the end: half a dataset must never be taken for the whole.
  const Lsn end_lsn = journal_->written();
  auto end = Replay(journal_->manifest(), end_lsn, [] { return false; });
  if (end.ok() && *end == end_lsn) return Status::Ok();
  log_.Warning("DEBUG LOADAOF failed, the process ends; its data is in the journal: %s",
               end.ok() ? "the last record is incomplete" : end.status().message().c_str());
  _exit(1);
}

}  // namespace cairn
