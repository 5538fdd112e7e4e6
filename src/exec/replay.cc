// SPDX-License-Identifier: BSD-3-Clause
#include "exec/replay.h"

#include <sys/uio.h>

#include <algorithm>
#include <optional>
#include <thread>

#include "base/futex.h"
#include "base/thread.h"
#include "exec/loading_report.h"
#include "exec/replay_dispatcher.h"

namespace cairn {
namespace {

constexpr size_t kPiecesAheadMax = 16;  // of at most 256 KiB each, read and decompressed
constexpr size_t kJobsMax = 8;          // waiting for an applier, each a share of a piece
constexpr size_t kReplyBytesMax = 8192;  // kept of replies nobody reads, before they are dropped

}  // namespace

struct Replayer::Piece {
  Lsn lsn = 0;
  std::string bytes;
  std::string file;
  uint32_t database = kNoDatabase;
};

// Runs the records of its group. The thread lives as long as one Run.
struct Replayer::Applier {
  explicit Applier(Engine* engine)
      : engine(*engine), executor(engine), session(std::make_shared<ClientRecord>()), out(&pool) {
    session.internal = session.authenticated = true;
  }

  void Main(BoundedQueue<ReplayJob>* queue, ReplayFailure* failure_in) {
    BeginThread("log-apply");
    failure = failure_in;
    ReplayJob job;
    while (queue->Pop(&job)) {
      RunJob(job);
      job = {};
    }
    out.Clear();
  }

  void RunJob(const ReplayJob& job) {
    const int64_t now_ms = engine.clock.WallMs();
    const std::vector<ReplayEntry>& entries = job.entries;
    for (size_t begin = 0; begin < entries.size(); begin += Executor::kChunk) {
      const size_t end = std::min(entries.size(), begin + Executor::kChunk);
      executor.EnterGate();
      Prefetch(entries, begin, end);
      for (size_t i = begin; i < end; ++i) {
        const ReplayEntry& entry = entries[i];
        if (entry.unit != nullptr) {
          executor.LeaveGate();
          Meet(entry, *job.batch, now_ms);
          executor.EnterGate();
        } else {
          Execute(entry.lsn, {&entry.command, 1}, *job.batch, now_ms);
        }
      }
      executor.LeaveGate();
    }
  }

  void Prefetch(const std::vector<ReplayEntry>& entries, size_t begin, size_t end) {
    const auto each = [&](const auto& visit) {
      for (size_t i = begin; i < end; ++i) {
        const AppliedCommand& c = entries[i].command;
        if (entries[i].unit != nullptr || c.command->single_key == 0) continue;
        if (KeyTable* table = engine.keyspace.PeekTable(ShardOf(c.hash), c.db))
          visit(table->entries, c.hash);
      }
    };
    each([](auto& entries_table, uint64_t hash) { entries_table.PrefetchBucket(hash); });
    each([](auto& entries_table, uint64_t hash) { entries_table.PrefetchItem(hash); });
  }

  // Outside the gate: the one who executes may need it closed.
  void Meet(const ReplayEntry& entry, const ReplayBatch& batch, int64_t now_ms) {
    ReplayUnit& unit = *entry.unit;
    if (unit.missing.fetch_sub(1, std::memory_order_acq_rel) != 1) {
      while (unit.done.load(std::memory_order_acquire) == 0) FutexWait(&unit.done, 0);
      return;
    }
    executor.EnterGate();
    Execute(entry.lsn, unit.commands, batch, now_ms);
    executor.LeaveGate();
    unit.done.store(1, std::memory_order_release);
    FutexWakeAll(&unit.done);
  }

  void Execute(Lsn lsn, std::span<const AppliedCommand> commands, const ReplayBatch& batch,
               int64_t now_ms) {
    // After a failure the queues only drain, so that nobody waits for ever.
    if (failure->any()) [[unlikely]]
      return;
    // Nobody looks on. One that fails must not take the rest of its MULTI with it.
    for (size_t i = 0; i < commands.size(); ++i)
      ApplyOne(lsn, commands.subspan(i, 1), batch, now_ms);
  }

  // What was answered may rest on what redis.set_repl kept out of the log, so that it does not apply:
  // as in Redis no reason to give up the rest.
  void ApplyOne(Lsn lsn, std::span<const AppliedCommand> command, const ReplayBatch& batch,
                int64_t now_ms) {
    const uint64_t start = out.end_position();
    if (!executor.ApplyUnit(session, command, now_ms, out))
      failure->NoteRefused(lsn, batch.file,
                           command.front().command->full_name + " failed: " + ErrorFrom(start));
    if (out.size() > kReplyBytesMax) out.Consume(out.size());
  }

  // The reply from position `start` on, up to its last error.
  std::string ErrorFrom(uint64_t start) {
    out.Consume(start - out.begin_position());
    std::string text;
    iovec piece;
    while (!out.empty() && out.Gather(&piece, 1, SIZE_MAX) == 1) {
      text.append(static_cast<char*>(piece.iov_base), piece.iov_len);
      out.Consume(piece.iov_len);
    }
    const size_t error = text.rfind("\n-");
    if (error != std::string::npos) text.erase(0, error + 1);
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
    return text;
  }

  Engine& engine;
  Executor executor;
  Session session;
  ChunkPool pool;
  OutputBuffer out;
  ReplayFailure* failure = nullptr;
};

Replayer::Replayer(Engine* engine, int appliers) : engine_(*engine) {
  for (int i = 0; i < std::clamp(appliers, 1, kAppliersMax); ++i)
    appliers_.push_back(std::make_unique<Applier>(engine));
}

Replayer::~Replayer() = default;

void Replayer::Read(const StreamSource& source, BoundedQueue<Piece>* pieces, Status* status) {
  StreamPiece piece;
  for (;;) {
    auto more = source(&piece);
    if (!more.ok()) *status = more.status();
    if (!more.ok() || !*more) break;
    Piece copy{piece.lsn, std::string(piece.bytes), std::string(piece.file),
               piece.first_record == 0 ? piece.database : kNoDatabase};
    if (!pieces->Push(std::move(copy))) break;
  }
  pieces->Close();
}

Status Replayer::Dispatch(Lsn from, int database, StreamKind kind, BoundedQueue<Piece>* pieces,
                          const std::function<bool()>& stop, ReplayReport* report) {
  const size_t groups = appliers_.size();
  ReplayFailure failure(kind == StreamKind::kJournal ? "LSN" : "offset");
  std::deque<BoundedQueue<ReplayJob>> queues;
  std::vector<std::thread> threads;
  for (size_t i = 0; i < groups; ++i) {
    queues.emplace_back(kJobsMax);
    threads.emplace_back(
        [this, i, &queues, &failure] { appliers_[i]->Main(&queues[i], &failure); });
  }
  std::unique_ptr<ReplayDispatcher> dispatcher;
  Status status;
  std::optional<LoadingReport> told(std::in_place, &engine_, "journal");
  Piece piece;
  while (!failure.any() && pieces->Pop(&piece)) {
    if (stop()) {
      status = Status::Unavailable("Shutdown asked for while loading");
      break;
    }
    if (dispatcher == nullptr) {
      int db = database;
      if (db < 0) db = piece.database == kNoDatabase ? 0 : static_cast<int>(piece.database);
      dispatcher = std::make_unique<ReplayDispatcher>(&engine_, static_cast<int>(groups), from, db,
                                                      kind, &failure);
    }
    auto batch = std::make_shared<ReplayBatch>();
    batch->bytes = std::move(piece.bytes);
    batch->file = std::move(piece.file);
    const size_t bytes = batch->bytes.size();
    std::vector<ReplayJob> jobs(groups);
    if (!dispatcher->Dispatch(batch, &jobs)) break;
    // All of them or none: those who meet at a record must all find it.
    for (size_t i = 0; i < groups; ++i) {
      if (jobs[i].entries.empty()) continue;
      jobs[i].batch = batch;
      queues[i].Push(std::move(jobs[i]));
    }
    told->Add(bytes);
  }
  told.reset();
  for (auto& queue : queues) queue.Close();
  for (std::thread& thread : threads) thread.join();
  if (failure.any()) return Status::Corrupt(failure.text());
  report->end_lsn = dispatcher == nullptr ? from : dispatcher->end_lsn();
  report->unfinished = dispatcher == nullptr ? "" : dispatcher->Unfinished();
  report->end_database = dispatcher == nullptr ? std::max(database, 0) : dispatcher->database();
  report->commands = dispatcher == nullptr ? 0 : dispatcher->commands();
  report->refused = failure.refused(&report->first_refused);
  return status;
}

Result<ReplayReport> Replayer::Run(Lsn from, const StreamSource& source,
                                   const std::function<bool()>& stop, StreamKind kind,
                                   int database) {
  const int64_t start_ms = engine_.clock.MonotonicMs();
  BoundedQueue<Piece> pieces(kPiecesAheadMax);
  Status read_status;
  std::thread reader([&] {
    BeginThread("log-reader");
    Read(source, &pieces, &read_status);
  });
  ReplayReport report;
  Status status = Dispatch(from, database, kind, &pieces, stop, &report);
  pieces.Close();
  reader.join();
  if (!status.ok()) return status;
  if (!read_status.ok()) return read_status;
  report.milliseconds = engine_.clock.MonotonicMs() - start_ms;
  return report;
}

}  // namespace cairn
