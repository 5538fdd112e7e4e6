// SPDX-License-Identifier: BSD-3-Clause
//
// The half of the Server that belongs to the log: opening it at start, replaying it, its durability
// level, and what its threads tell.
#include <latch>

#include "journal/folder_lock.h"
#include "journal/reader.h"
#include "journal/recovery.h"
#include "server/server.h"

namespace cairn {
namespace {

FsyncPolicy PolicyOf(AppendFsync policy) {
  switch (policy) {
    case AppendFsync::kAlways: return FsyncPolicy::kAlways;
    case AppendFsync::kEverysec: return FsyncPolicy::kEverySecond;
    case AppendFsync::kNo: break;
  }
  return FsyncPolicy::kNo;
}

}  // namespace

Status Server::LockJournal() {
  const std::string dir = config_.dir() + "/" + config_.appenddirname();
  CAIRN_RETURN_IF_ERROR(RealFileSystem()->MakeDirectory(dir));
  auto lock = LockJournalFolder(dir);
  if (!lock.ok()) return lock.status();
  journal_lock_ = std::move(*lock);
  return Status::Ok();
}

Status Server::OpenJournal() {
  const std::string dir = config_.dir() + "/" + config_.appenddirname();
  FileSystem* files = RealFileSystem();
  auto recovered = RecoverJournal(files, dir);
  if (!recovered.ok())
    return Status::Corrupt(recovered.status().message() + "; run cairn-check verify " + dir);
  if (!recovered->report.fresh) {
    log_.Notice("%s", recovered->report.Text().c_str());
    CAIRN_RETURN_IF_ERROR(Replay(*recovered));
  }
  JournalOptions options;
  options.fs = files;
  options.clock = SystemClock();
  options.log = &log_;
  options.listener = this;
  options.dir = dir;
  options.policy = PolicyOf(config_.appendfsync());
  options.buffer_bytes_max = static_cast<uint64_t>(config_.journal_buffer_size());
  options.segment_bytes_max = static_cast<uint64_t>(config_.journal_segment_size());
  auto journal = Journal::Open(std::move(options), std::move(*recovered));
  if (!journal.ok()) return journal.status();
  // Workers look at these pointers only inside the gate.
  Gate& gate = keyspace_->gate();
  gate.Close();
  journal_ = std::move(*journal);
  engine_->journal = journal_.get();
  engine_->replication_id = journal_->manifest().replid;
  ApplyFsyncPolicy();
  gate.Open();
  // From the first command on, replies that must wait for the log do.
  OnDurable(journal_->durable());
  return Status::Ok();
}

void Server::ApplyFsyncPolicy() {
  const bool always = config_.appendfsync() == AppendFsync::kAlways;
  // Writes of the time before are not in the stripes: all keys wait for the log as it stands.
  if (always && journal_ != nullptr) stripes_.RaiseFloor(journal_->tail());
  engine_->stripes = always && journal_ != nullptr ? &stripes_ : nullptr;
  if (journal_ != nullptr) journal_->SetPolicy(PolicyOf(config_.appendfsync()));
  // Whoever gives up `always` gives up waiting for what is held.
  if (!always) OnDurable(kLsnMax);
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
  for (auto& context : contexts_) {
    Worker* worker = &context->worker;
    worker->Post([worker, durable] { worker->SetDurable(durable); });
  }
}

void Server::OnAdmissionOpen() { ResumeParked(); }

void Server::OnStateChange(JournalState state, const std::string& reason) {
  engine_->modes.Set(kModeLogRefused, state != JournalState::kOk);
  if (state == JournalState::kOk) {
    log_.Warning("The journal is writable again, writes are accepted");
    ResumeParked();
  } else {
    log_.Warning("The journal failed, writes are refused: %s", reason.c_str());
  }
}

void Server::OnRebaseNeeded(Lsn) {}

Status Server::Replay(const Recovered& recovered) {
  const int64_t start = SystemClock()->MonotonicMs();
  auto reader = JournalReader::Open(RealFileSystem(), config_.dir() + "/" + config_.appenddirname(),
                                    recovered.manifest, recovered.manifest.segments.empty()
                                        ? recovered.tail_lsn
                                        : recovered.manifest.segments.front().first_lsn,
                                    recovered.tail_lsn);
  if (!reader.ok()) return reader.status();
  Executor executor(engine_.get());
  auto record = std::make_shared<ClientRecord>();
  Session session(record);
  session.internal = session.authenticated = true;
  OutputBuffer out;
  RequestParser parser;
  RequestBatch batch;
  uint64_t commands = 0;
  StreamPiece piece;
  std::string copy;
  for (;;) {
    if (shutdown_.load()) return Status::Unavailable("Shutdown asked for while loading");
    auto more = (*reader)->Next(&piece);
    if (!more.ok()) return more.status();
    if (!*more) break;
    copy.assign(piece.bytes);
    parser.Feed(copy.data(), copy.size());
    ParseOutcome outcome = ParseOutcome::kRequest;
    while (outcome == ParseOutcome::kRequest) {
      batch.Clear();
      ParseLimits limits;
      limits.bulk_bytes_max = UINT64_MAX >> 1;
      while (batch.size() < 64 && outcome == ParseOutcome::kRequest)
        outcome = parser.Next(limits, &batch);
      for (size_t i = 0; i < batch.size(); ++i, ++commands) {
        if (!executor.Apply(session, batch[i].args, out)) {
          std::string reply(out.size(), '\0');
          iovec vector;
          if (out.Gather(&vector, 1, 200) == 1)
            reply.assign(static_cast<char*>(vector.iov_base), vector.iov_len);
          return Status::Corrupt("Replaying the journal near LSN " + std::to_string(piece.lsn) +
                                 ": " + std::string(batch[i].args[0]) + " failed: " + reply);
        }
        out.Clear();
      }
    }
    if (outcome == ParseOutcome::kError)
      return Status::Corrupt("Replaying the journal near LSN " + std::to_string(piece.lsn) + ": " +
                             parser.error());
    parser.EndRead();
  }
  log_.Notice("DB loaded from the journal: %llu commands in %.3f seconds",
              static_cast<unsigned long long>(commands),
              static_cast<double>(SystemClock()->MonotonicMs() - start) / 1000);
  return Status::Ok();
}

}  // namespace cairn
