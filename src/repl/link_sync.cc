// SPDX-License-Identifier: BSD-3-Clause
//
// A full sync: the leader's snapshot into a file, the file in the dataset's place.
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "base/numbers.h"
#include "exec/snapshot_control.h"
#include "journal/journal.h"
#include "repl/link.h"
#include "repl/received_file.h"
#include "snapshot/sink.h"

namespace cairn {
namespace {

constexpr size_t kReadBytes = 256 << 10;
constexpr size_t kMarkBytes = 40;  // of the form that ends with a mark

}  // namespace

std::string Link::Folder() const {
  return engine_.journal->dir();
}

Status Link::FullSync(const std::string& id, uint64_t lsn) {
  SetState(State::kSync);
  engine_.log.Notice("Full resync from master: %s:%llu", id.c_str(),
                     static_cast<unsigned long long>(lsn));
  auto path = Receive(lsn);
  if (!path.ok()) return path.status();
  const Status status = Load(*path, id, lsn);
  if (!status.ok()) unlink(path->c_str());
  return status;
}

// The file's path. It is complete and durable.
Result<std::string> Link::Receive(uint64_t lsn) {
  last_io_ms_.store(engine_.clock.MonotonicMs());
  std::string header;
  while (header.empty()) {
    auto line = socket_.ReadLine(timeout_ms());
    if (!line.ok()) return line.status();
    header = *line;
  }
  auto file = ReceivedFile::Create(Folder(), engine_.journal->keys(), lsn);
  if (!file.ok()) return file.status();
  CAIRN_RETURN_IF_ERROR(ReceiveBody(file->get(), header));
  CAIRN_RETURN_IF_ERROR((*file)->Finish());
  return (*file)->path();
}

// "$LENGTH", or "$EOF:MARK" and then bytes up to that mark.
Status Link::ReceiveBody(ReceivedFile* file, std::string_view header) {
  int64_t length = -1;
  std::string mark;
  if (header.starts_with("$EOF:") && header.size() == 5 + kMarkBytes) {
    mark = header.substr(5);
  } else if (!header.starts_with("$") || !ParseInt64(header.substr(1), &length) || length < 0) {
    return Status::Io("the leader sent no snapshot: " + std::string(header));
  }
  sync_total_.store(length < 0 ? 0 : static_cast<uint64_t>(length));
  sync_read_.store(0);
  std::vector<char> buffer(kReadBytes);
  std::string held;  // perhaps the mark: not written yet
  uint64_t got = 0;
  while (length < 0 || got < static_cast<uint64_t>(length)) {
    size_t wanted = buffer.size();
    if (length >= 0) wanted = std::min<uint64_t>(wanted, static_cast<uint64_t>(length) - got);
    const auto n = Read(buffer.data(), wanted);
    if (!n.ok()) return n.status();
    got += *n;
    sync_read_.store(got);
    if (length >= 0) {
      CAIRN_RETURN_IF_ERROR(file->Add({buffer.data(), *n}));
    } else {
      held.append(buffer.data(), *n);
      // Nothing follows the mark before we have answered, so it can only be at the end.
      if (held.ends_with(mark)) return file->Add({held.data(), held.size() - kMarkBytes});
      if (held.size() > kMarkBytes) {
        CAIRN_RETURN_IF_ERROR(file->Add({held.data(), held.size() - kMarkBytes}));
        held.erase(0, held.size() - kMarkBytes);
      }
    }
  }
  return Status::Ok();
}

void Link::EmptyAll() {
  LockPlan everything;
  everything.all = true;
  executor_.RunUnit(everything, engine_.clock.WallMs(), [this](Unit& unit) {
    for (int db = 0; db < engine_.keyspace.databases(); ++db) unit.Flush(db);
  });
}

Status Link::Load(const std::string& path, const std::string& id, uint64_t lsn) {
  Gate& gate = engine_.keyspace.gate();
  Journal& journal = *engine_.journal;
  // From here on this server refuses followers: its link is not up.
  feeder_.DetachAll("a full resynchronization replaces the data").unlock();
  gate.Close();
  engine_.modes.Set(kModeLoading, true);
  gate.Open();
  // Whoever waits for the log to be durable is told before its positions change.
  (void)journal.SyncTo(journal.tail());
  EmptyAll();
  const auto settle = [&](int database) -> Status {
    const Manifest old = journal.manifest();
    TimelineStart start;
    start.replid = id;
    char name[64];
    snprintf(name, sizeof name, "%04u-%016llu.rdb", old.LastTimeline() + 1,
             static_cast<unsigned long long>(lsn));
    start.base_name = name;
    start.lsn = lsn;
    start.delete_old = true;
    const std::string base = Folder() + "/" + start.base_name;
    if (rename(path.c_str(), base.c_str()) != 0)
      return Status::Io("naming the snapshot received: " + std::string(strerror(errno)));
    CAIRN_RETURN_IF_ERROR(RealFileSystem()->SyncDirectory(Folder()));
    const auto nobody_fed = feeder_.DetachAll("a full resynchronization replaces the data");
    gate.Close();
    const Status status = journal.StartTimeline(start);
    if (status.ok()) engine_.control->OnTimeline(lsn);
    gate.Open();
    CAIRN_RETURN_IF_ERROR(status);
    if (!old.base_name.empty() && old.base_name != start.base_name)
      unlink((Folder() + "/" + old.base_name).c_str());
    id_ = id;
    needs_file_ = false;
    applier_.Begin(database);
    return Status::Ok();
  };
  int64_t kept_alive_ms = 0;
  const auto stopped = [&] {
    const int64_t now_ms = engine_.clock.MonotonicMs();
    if (now_ms - kept_alive_ms > 1000) {
      kept_alive_ms = now_ms;
      (void)socket_.Write("\n", 0);
    }
    return abandoned_.load();
  };
  engine_.log.Notice("MASTER <-> REPLICA sync: Loading DB in memory");
  Status status = engine_.snapshots->LoadSync(path, stopped, settle);
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
  if (consistent) {
    gate.Close();
    engine_.modes.Set(kModeLoading, false);
    gate.Open();
  }
  if (status.ok()) engine_.log.Notice("MASTER <-> REPLICA sync: Finished with success");
  return status;
}

// The log of a dataset without keys, under an id that nobody knows.
Status Link::StartEmpty() {
  Journal& journal = *engine_.journal;
  SinkOptions options;
  options.fs = RealFileSystem();
  options.dir = Folder();
  options.name = "empty-" + std::to_string(journal.manifest().LastTimeline() + 1) + ".rdb";
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
