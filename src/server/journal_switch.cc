// SPDX-License-Identifier: BSD-3-Clause
//
// CONFIG SET appendonly: the log begins under keys that are there already, or ends while they stay.
//
// On: a journal is opened beside what the folder held, changes go into it from one instant on, and
// a rewrite makes the snapshot that it begins at. Only then is it the database: until then a start
// finds the former log, if there was one.
// Off: everything is written and synced, then nothing more is. The files stay as they are.
#include "journal/folder_lock.h"
#include "journal/recovery.h"
#include "repl/replication.h"
#include "server/persistence.h"
#include "server/server.h"

namespace cairn {

Status Server::SwitchJournal() {
  std::lock_guard guard(switch_mutex_);
  const bool on = config_.appendonly();
  if (on == logged_) return Status::Ok();
  CAIRN_RETURN_IF_ERROR(on ? BeginJournal() : EndJournal());
  logged_ = on;
  return Status::Ok();
}

Status Server::BeginJournal() {
  const std::string dir = JournalFolder();
  FileSystem* files = RealFileSystem();
  CAIRN_RETURN_IF_ERROR(files->MakeDirectory(dir));
  CAIRN_RETURN_IF_ERROR(files->SyncDirectory(config_.dir()));  // as LockJournal does
  auto lock = LockJournalFolder(dir);
  if (!lock.ok()) return lock.status();
  CAIRN_RETURN_IF_ERROR(RemoveTemporaryFiles(dir));
  auto recovered = RecoverJournal(files, dir, keys_.get());
  if (!recovered.ok())
    return Status::Corrupt("the journal in " + dir + ": " + recovered.status().message());
  JournalOptions options = JournalSettings(dir);
  options.keys = keys_.get();
  options.policy = FsyncPolicy::kEverySecond;
  options.awaits_base = true;
  auto journal = Journal::Open(std::move(options), std::move(*recovered));
  if (!journal.ok()) return journal.status();
  return replication_->WithoutFollowers("the log begins anew", [&] {
    RetireJournal([&] {
      journal_ = std::move(*journal);
      journal_lock_ = std::move(*lock);
      engine_->journal = engine_->open_journal = journal_.get();
      OnTimeline(kLsnMax);
    });
    persistence_->RequestFirstBase(true);
    log_.Notice("The log begins in %s, with a snapshot to come", dir.c_str());
  });
}

Status Server::EndJournal() {
  return replication_->WithoutFollowers("the log ends", [&] {
    persistence_->WithoutSnapshot([&] {
      persistence_->RequestFirstBase(false);
      RetireJournal([] {});
      // Its own: `dir` may name another folder by now.
      if (const Status status = RemoveTemporaryFiles(engine_->journal->dir()); !status.ok())
        log_.Warning("%s", status.message().c_str());
    });
    engine_->modes.Set(kModeLogRefused, false);
    OnDurable(kLsnMax);
    ResumeParked();
    log_.Notice("The log ends; its files stay");
  });
}

// With nobody inside the gate changes go where `next` says, and no longer into the journal there
// was, which is then closed. Nobody reads it any more but for its positions.
void Server::RetireJournal(const std::function<void()>& next) {
  std::unique_ptr<Journal> former;
  Gate& gate = keyspace_->gate();
  gate.Close();
  former = std::move(journal_);
  engine_->open_journal = nullptr;
  engine_->journal_kept = false;
  engine_->stripes = nullptr;
  next();
  gate.Open();
  if (former == nullptr) return;
  if (const Status status = former->Close(); !status.ok())
    log_.Warning("Error closing the journal: %s", status.message().c_str());
  former->Rest();
  if (journal_ == nullptr) journal_lock_ = {};
  retired_.push_back(std::move(former));
}

// The rewrite that RequestFirstBase asked for is in place.
void Server::OnFirstBase() {
  Gate& gate = keyspace_->gate();
  gate.Close();
  engine_->journal_kept = true;
  ApplyFsyncPolicy();
  gate.Open();
  // Whatever workers believe of a log before this one.
  for (auto& context : contexts_) {
    Worker* worker = &context->worker;
    worker->Post([worker, durable = journal_->durable()] { worker->SetDurable(durable); });
  }
  OnDurable(journal_->durable());
}

}  // namespace cairn
