// SPDX-License-Identifier: BSD-3-Clause
//
// A full sync: the leader's snapshot into a file, the file in the dataset's place.
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "base/check.h"
#include "exec/snapshot_control.h"
#include "journal/journal.h"
#include "repl/link.h"
#include "repl/received_file.h"
#include "repl/sync_body.h"
#include "snapshot/sink.h"

namespace cairn {
namespace {

constexpr size_t kReadBytes = 256 << 10;
constexpr int64_t kKeepAliveMs = 1000;

// Keeps what is read in a file, if there is one.
class KeepingSource final : public ByteSource {
 public:
  KeepingSource(ByteSource* source, ReceivedFile* file) : source_(*source), file_(file) {}
  Result<size_t> Read(char* into, size_t size) override {
    auto n = source_.Read(into, size);
    if (n.ok() && file_ != nullptr) CAIRN_RETURN_IF_ERROR(file_->Add({into, *n}));
    return n;
  }

 private:
  ByteSource& source_;
  ReceivedFile* const file_;
};

}  // namespace

std::string Link::Folder() const {
  return engine_.journal->dir();
}

Status Link::FullSync(const std::string& id, uint64_t lsn) {
  SetState(State::kSync);
  engine_.log.Notice("Full resync from master: %s:%llu", id.c_str(),
                     static_cast<unsigned long long>(lsn));
  last_io_ms_.store(engine_.clock.MonotonicMs());
  std::string header;
  while (header.empty()) {
    auto line = socket_.ReadLine(timeout_ms());
    if (!line.ok()) return line.status();
    header = *line;
  }
  uint64_t got = 0;
  SyncBody body([&](char* into, size_t size) -> Result<size_t> {
    for (;;) {
      if (abandoned_.load()) return Status::Unavailable("the server ends");
      auto n = Read(into, size);
      if (!n.ok()) return n.status();
      sync_read_.store(got += *n);
      if (*n > 0) return n;
    }
  });
  CAIRN_RETURN_IF_ERROR(body.Begin(header));
  sync_total_.store(body.length());
  sync_read_.store(0);
  if (engine_.snapshots->Empty()) return LoadAsItComes(&body, id, lsn);
  auto file = Receive(&body, lsn);
  if (!file.ok()) return file.status();
  const bool kept = engine_.journal_kept;
  const Status status = LoadFile((*file)->path(), kept, id, lsn);
  if (!status.ok() || !kept) unlink((*file)->path().c_str());
  return status;
}

// The file is complete and durable.
Result<std::unique_ptr<ReceivedFile>> Link::Receive(SyncBody* body, uint64_t lsn) {
  auto file = ReceivedFile::Create(Folder(), engine_.journal->keys(), lsn);
  if (!file.ok()) return file.status();
  std::vector<char> buffer(kReadBytes);
  for (;;) {
    const auto n = body->Read(buffer.data(), buffer.size());
    if (!n.ok()) return n.status();
    if (*n == 0) break;
    CAIRN_RETURN_IF_ERROR((*file)->Add({buffer.data(), *n}));
  }
  CAIRN_RETURN_IF_ERROR((*file)->Finish());
  return file;
}

// Behind BeginLoading: the scripts of before have ended, as the gate was closed, and none begins in a
// server that loads. So no busy one keeps the unit from running, and old data never mixes with new.
void Link::EmptyAll() {
  LockPlan everything;
  everything.all = true;
  bool emptied = false;
  executor_.RunUnit(everything, engine_.clock.WallMs(), [this, &emptied](Unit& unit) {
    for (int db = 0; db < engine_.keyspace.databases(); ++db) unit.Flush(db);
    emptied = true;
  });
  CHECK(emptied);
}

void Link::BeginLoading() {
  Gate& gate = engine_.keyspace.gate();
  // From here on this server refuses followers: its link is not up.
  feeder_.DetachAll("a full resynchronization replaces the data").unlock();
  gate.Close();
  engine_.modes.Set(kModeLoading, true);
  gate.Open();
}

void Link::EndLoading() {
  Gate& gate = engine_.keyspace.gate();
  gate.Close();
  engine_.modes.Set(kModeLoading, false);
  gate.Open();
}

// The keyspace holds what the leader sent, and its file, if there is one (else `path` is empty), is
// durable: the log begins there.
Status Link::Settle(const std::string& path, const std::string& id, uint64_t lsn, int database) {
  Journal& journal = *engine_.journal;
  Gate& gate = engine_.keyspace.gate();
  TimelineStart start;
  start.replid = id;
  start.lsn = lsn;
  start.anew = start.delete_old = true;
  if (!path.empty()) {
    // The time, as the name of a file that is being deleted is never taken again.
    char name[80];
    snprintf(name, sizeof name, "%04u-%016llu-%lld.rdb", journal.manifest().LastTimeline() + 1,
             static_cast<unsigned long long>(lsn),
             static_cast<long long>(engine_.clock.WallMs()));
    start.base_name = name;
    if (rename(path.c_str(), (Folder() + "/" + name).c_str()) != 0)
      return Status::Io("naming the snapshot received: " + std::string(strerror(errno)));
    if (const Status named = RealFileSystem()->SyncDirectory(Folder()); !named.ok()) {
      unlink((Folder() + "/" + name).c_str());
      return named;
    }
  }
  const auto nobody_fed = feeder_.DetachAll("a full resynchronization replaces the data");
  gate.Close();
  const Status status = journal.StartTimeline(start);
  if (status.ok()) engine_.control->OnTimeline(lsn);
  gate.Open();
  CAIRN_RETURN_IF_ERROR(status);
  id_ = id;
  needs_file_ = false;
  applier_.Begin(database);
  return Status::Ok();
}

// `kept`: the file is what the log begins at, from then on. No start ever reads a log that only feeds
// followers.
Status Link::LoadFile(const std::string& path, bool kept, const std::string& id, uint64_t lsn) {
  Journal& journal = *engine_.journal;
  BeginLoading();
  // Whoever waits for the log to be durable is told before its positions change.
  (void)journal.SyncTo(journal.tail());
  std::atomic<int64_t> kept_alive_ms{0};
  SnapshotControl::SyncLoad load;
  load.path = path;
  load.lsn = lsn;
  // Asked by all loading threads; one of them writes.
  load.stopped = [&] {
    const int64_t now_ms = engine_.clock.MonotonicMs();
    int64_t before_ms = kept_alive_ms.load(std::memory_order_relaxed);
    if (now_ms - before_ms > kKeepAliveMs &&
        kept_alive_ms.compare_exchange_strong(before_ms, now_ms))
      (void)socket_.Write("\n", 0);
    return abandoned_.load();
  };
  load.clear = [this] { EmptyAll(); };
  load.settle = [&](int database) { return Settle(kept ? path : "", id, lsn, database); };
  engine_.log.Notice("MASTER <-> REPLICA sync: Loading DB in memory");
  Status status = engine_.snapshots->LoadSync(load);
  bool consistent = status.ok();
  if (!status.ok() && !abandoned_.load()) {
    engine_.log.Warning("The leader's snapshot cannot be loaded: %s", status.message().c_str());
    needs_file_ = true;
    // Half of it is no dataset. The log must not go on with the old one either.
    EmptyAll();
    const Status empty = StartEmpty();
    consistent = empty.ok();
    if (!consistent)
      engine_.log.Warning("And no empty dataset can be begun: %s", empty.message().c_str());
  }
  // What memory holds without its log is shown to nobody: LOADING until another try succeeds.
  if (consistent) EndLoading();
  if (status.ok()) engine_.log.Notice("MASTER <-> REPLICA sync: Finished with success");
  return status;
}

// There is no key here: what comes is loaded at once, and the file, which a log begins at, is
// written beside. If that fails the keys go, and the log, which knows of none, is right again.
Status Link::LoadAsItComes(SyncBody* body, const std::string& id, uint64_t lsn) {
  Journal& journal = *engine_.journal;
  std::unique_ptr<ReceivedFile> file;
  if (engine_.journal_kept) {
    auto created = ReceivedFile::Create(Folder(), journal.keys(), lsn);
    if (!created.ok()) return created.status();
    file = std::move(*created);
  }
  // The try before may have left memory without its log: then nothing is shown before they agree.
  const bool unsettled = engine_.modes.Has(kModeLoading);
  BeginLoading();
  loads_as_it_comes_.store(!unsettled);
  (void)journal.SyncTo(journal.tail());
  KeepingSource source(body, file.get());
  bool settling = false;
  SnapshotControl::SyncLoad load;
  load.source = &source;
  load.bytes = body->length();
  load.lsn = lsn;
  load.stopped = [this] { return abandoned_.load() || socket_.interrupted(); };
  load.settle = [&](int database) -> Status {
    CAIRN_RETURN_IF_ERROR(body->End());
    if (file != nullptr) CAIRN_RETURN_IF_ERROR(file->Finish());
    settling = true;
    loads_as_it_comes_.store(false);
    return Settle(file != nullptr ? file->path() : "", id, lsn, database);
  };
  engine_.log.Notice("MASTER <-> REPLICA sync: Loading DB in memory as it comes");
  const Status status = engine_.snapshots->LoadSync(load);
  bool consistent = true;
  if (!status.ok()) {
    if (status.code() == StatusCode::kCorrupt) needs_file_ = true;
    if (file != nullptr) unlink(file->path().c_str());
    EmptyAll();
    // The manifest may name what came, or what was here before, or not.
    if (settling || unsettled) consistent = StartEmpty().ok();
    if (!consistent) needs_file_ = true;
  }
  loads_as_it_comes_.store(false);
  if (consistent) EndLoading();
  if (status.ok()) engine_.log.Notice("MASTER <-> REPLICA sync: Finished with success");
  return status;
}

// What could not be applied is there in part, perhaps, and a snapshot may take that part along: from here
// on neither this server nor one that starts with its files goes on from here, and nobody from it. The
// log keeps its place, under an id that nobody knows.
void Link::Disown() {
  needs_file_ = true;
  id_.clear();
  const auto nobody_fed = feeder_.DetachAll("a full resynchronization is needed");
  if (const Status status = engine_.journal->StartTimeline({}); !status.ok())
    engine_.log.Warning("The log goes on under its leader's id: %s", status.message().c_str());
}

// The log of a dataset without keys, under an id that nobody knows.
Status Link::StartEmpty() {
  Journal& journal = *engine_.journal;
  SinkOptions options;
  options.fs = RealFileSystem();
  options.dir = Folder();
  options.name = "empty-" + std::to_string(journal.manifest().LastTimeline() + 1) + "-" +
                 std::to_string(engine_.clock.WallMs()) + ".rdb";
  TimelineStart start;
  start.base_name = options.name;
  start.delete_old = true;
  auto sink = SnapshotSink::Create(std::move(options));
  if (!sink.ok()) return sink.status();
  CAIRN_RETURN_IF_ERROR((*sink)->Commit());
  const auto nobody_fed = feeder_.DetachAll("the data is gone");
  Gate& gate = engine_.keyspace.gate();
  gate.Close();
  const Status status = journal.StartTimeline(start);
  if (status.ok()) engine_.control->OnTimeline(0);
  gate.Open();
  if (status.ok()) id_.clear();
  return status;
}

}  // namespace cairn
