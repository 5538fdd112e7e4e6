// SPDX-License-Identifier: BSD-3-Clause
//
// Executor: the pipeline that turns requests into replies. One a worker thread, plus
// those of replay. Each request passes, in this order:
//
//   look-up -> arity -> authentication -> gates by mode -> queue if in MULTI -> lock its scope ->
//   gates again if a mode changed meanwhile -> handler -> journal -> unlock -> statistics
//
// Requests of one read are run in chunks of kChunk inside one section of the gate; the keys of a
// chunk are hashed and their buckets, then entries, prefetched before the first of them runs.
//
// Thread rule: one thread; it owns the gate slot, the journal slot and the Unit of the same number.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "base/fiber.h"
#include "base/random.h"
#include "exec/context.h"
#include "exec/delivery.h"
#include "exec/engine.h"
#include "exec/eviction.h"
#include "exec/member_positions.h"
#include "exec/unit.h"
#include "resp/request_parser.h"

namespace cairn {

class ScriptHost;
struct BlockRequest;
struct Waiter;

// A command of the stream that replay has looked up already.
struct AppliedCommand {
  const Command* command = nullptr;
  Arguments args;
  int db = 0;
  uint64_t hash = 0;  // of the key at command->single_key, where there is one
};

// EVAL, FCALL and their kind.
inline bool RunsScripts(const Command& command) {
  constexpr uint64_t kRunsOthers = kScripting | kSkipMonitor;
  return (command.spec.flags & kRunsOthers) == kRunsOthers;
}

class Executor final : public ReadyServer {
 public:
  static constexpr size_t kChunk = 16;

  explicit Executor(Engine* engine);

  // Runs requests of `batch` from `first` on until all are done or the session stops (suspended,
  // closing). Returns how many were run. `clock_ms` is the worker's wall clock.
  size_t Run(Session& session, const RequestBatch& batch, size_t first, OutputBuffer& out,
             int64_t clock_ms);

  // Runs one command without a session's gates (a leader's stream): expiry mode kApply. MULTI and
  // EXEC are the session's. False, with the error reply in `out`, if it is unknown or fails.
  bool Apply(Session& session, Arguments arguments, OutputBuffer& out);
  // Runs the commands of one recorded unit, found before, under the locks of all of them. The
  // calling thread must be inside the gate. False, with the error reply in `out`, if one fails.
  bool ApplyUnit(Session& session, std::span<const AppliedCommand> commands, int64_t clock_ms,
                 OutputBuffer& out);
  // As ApplyUnit, for what a follower gets from its leader: `bytes`, which hold the commands among
  // others that concern no data, become the journal's next record, as they are.
  bool ApplyRecord(Session& session, std::span<const AppliedCommand> commands, int64_t clock_ms,
                   std::string_view bytes, uint32_t database_after, OutputBuffer& out);
  void EnterGate() { engine_.keyspace.gate().Enter(slot_); }
  // False, at once, while a busy script holds it.
  [[nodiscard]] bool EnterGateUnlessHeld() { return engine_.keyspace.gate().EnterUnlessHeld(slot_); }
  void LeaveGate() { engine_.keyspace.gate().Leave(slot_); }

  // Runs `body(unit)` as a unit of its own under `plan` (cron, expiry); enters and leaves the gate.
  // Does nothing while a busy script has it.
  template <typename Body>
  uint64_t RunUnit(const LockPlan& plan, int64_t clock_ms, const Body& body) {
    if (!engine_.keyspace.gate().EnterUnlessHeld(slot_)) return 0;
    if (!unit_.TryBegin(plan, clock_ms, CurrentExpiryMode())) return 0;
    body(unit_);
    const uint64_t end = unit_.End();
    // Who was served meanwhile may have written, too.
    if (engine_.journal != nullptr) WakeJournal();
    engine_.keyspace.gate().Leave(slot_);
    return end;
  }

  // From here on the journal's writer is woken by EndTurn, once for all that a turn of the thread's
  // loop has run: under `always` a group then holds the writes of all clients that were ready, not
  // the first one's alone.
  void WakeJournalAtTurnEnd() { wakes_at_turn_end_ = true; }
  void EndTurn() {
    if (wake_owed_) EndTurnWithWrites();
  }

  // One slice of the active expiry cycle over the shards of one worker (expire_cycle.cc). Deletes
  // about `limit` entries at most and returns how many. Where few of those that may expire are due
  // it looks at kLooksPerKey * limit of them and leaves the rest to the next slice; and it ends
  // after about `time_us`: a slice is short however many there are.
  size_t ExpireSlice(int first_shard, int step, size_t limit, int64_t clock_ms,
                     int64_t time_us = INT64_MAX);
  // The same for fields of hashes (exec/field_expiry.cc): at most about `limit` fields. Only
  // tables with a due field are locked.
  size_t ExpireFieldsSlice(int first_shard, int step, size_t limit, int64_t clock_ms);

  // Evicts keys for about `time_us` if memory is above maxmemory. True if more is to be done.
  bool EvictSlice(int64_t clock_ms, int64_t time_us);
  // Above maxmemory when the current command began, and nothing left to evict.
  bool out_of_memory() const { return evictor_.out_of_memory(); }

  enum class Caller : uint8_t { kClient, kExec, kScript };
  // Runs the command inside the open unit (EXEC, scripts): gates have passed, locks are held.
  // Returns the processor's ticks that it took.
  uint64_t Call(Session& session, const Command& command, Arguments arguments, std::string_view raw,
                ReplyWriter& reply, Caller caller);

  // See exec/late_reply.h.
  void ReplyLater(Context& ctx, std::function<void(ReplyWriter&)> answer);

  // -- blocked clients (serve.cc) --
  // The handler's way to wait: see Context::Block.
  void Block(Context& ctx, const BlockRequest& request);
  // Takes a wait that is over out of the queues. False if a lock was taken: to be tried again.
  bool TryForget(const Waiter& waiter);
  // Counts a call that waited, now that it is answered: `ticks` are those of the answer.
  void CountWaited(const Waiter& waiter, uint64_t ticks, size_t reply_bytes, bool failed);
  bool ServeReady() override;
  void ServeUnserved() override;

  // -- scripts in units that may not hold all locks (fast_form.cc) --
  // Whether a script's command may run in the open unit: it holds the locks of the command's keys,
  // and can undo what the command may change.
  bool FitsUnit(const Session& session, const Command& command, Arguments arguments);

  // -- scripts that take long (busy.cc) --
  // A request of this worker was put aside: its unit is open, its session suspended.
  bool aside() const { return aside_ != nullptr && aside_->fiber.suspended(); }
  bool IsAside(const Session& session) const { return aside() && aside_->session == &session; }
  // Called by what runs the script: puts the request that is running aside; returns when the worker
  // goes on with it. After it nothing may look at the arguments that the request came with.
  void PutAside();
  // The request runs on a stack of its own.
  bool CanPutAside() const { return aside_ != nullptr && aside_->session != nullptr; }
  // Goes on with it. True: it was put aside again; false: it has ended and its client goes on.
  bool ContinueAside(LocalClients& clients);

  Engine& engine() { return engine_; }
  Unit& unit() { return unit_; }
  Random& random() { return random_; }
  int slot() const { return slot_; }
  ThreadStatistics& statistics() { return *statistics_; }
  // What runs scripts on this thread; made by script/ on first use.
  std::shared_ptr<ScriptHost>& script_host() { return script_host_; }
  ExpiryMode CurrentExpiryMode() const { return ExpiryModeOf(engine_.modes.word()); }
  static ExpiryMode ExpiryModeOf(uint64_t mode);

 private:
  friend class TransactionRunner;

  struct Prepared {
    const Command* command;
    const Command* parent;
    std::string_view key;  // of single-key commands
    uint64_t hash;
    uint32_t row;  // of a row of commands on one collection the first: how many they are; else 0
  };

  static constexpr size_t kLocksAhead = 2;  // requests
  static constexpr uint64_t kNoLane = ~uint64_t{0};  // has flags that no lane has

  struct SliceBudget;
  static constexpr size_t kLooksPerKey = 5;

  void ExpireInTable(int shard, int db, int64_t clock_ms, SliceBudget* budget);
  void WakeJournal();
  void EndTurnWithWrites();
  // `before`: what was prepared of the request before it in the same batch, if that was.
  void Prepare(const Request& request, const Prepared* before, Prepared* prepared);
  // The word of modes while it has no flag and the session is in no state that a gate asks about,
  // else kNoLane. Commands that are in that lane have only their own gates to pass. It holds until
  // the word changes or a command with another scope than one key has run.
  uint64_t LaneOf(const Session& session) const;
  // The short way of single-key commands in the lane. False: nothing was done, RunOne is to.
  bool RunKeyed(Session& session, const Request& request, const Prepared& prepared, uint64_t lane,
                OutputBuffer& out);
  void Prefetch(const Session& session, std::span<const Prepared> chunk);
  void PrefetchLock(const Prepared& prepared) const;
  // Notes rows of commands that each look for something in the same collection.
  void FindRows(std::span<Prepared> chunk);
  // Under the lock of the first one's key.
  void PrefetchMembers(int db, const Request* requests, std::span<const Prepared> row);
  void RunOne(Session& session, const Request& request, const Prepared& prepared, uint64_t lane,
              OutputBuffer& out);
  // What comes behind every command that was run: its unit's end, its reply's hold, its figures.
  void Finish(Session& session, const Command& command, const Request& request, uint64_t start,
              ReplyWriter& reply);
  // Begins the unit of one key. False: it was refused.
  bool BeginKeyed(Session& session, const Command& command, Arguments arguments, uint64_t hash,
                  uint64_t mode, ReplyWriter& reply);
  // All but the gates and the end of a command that is not EXEC. False: it was refused meanwhile.
  bool RunSingle(Session& session, const Command& command, const Request& request,
                 const Prepared& prepared, uint64_t mode, ReplyWriter& reply);
  // Under the unit's locks: whether the command may run after all. False: there is no unit any more.
  bool StillAdmitted(Session& session, const Command& command, Arguments arguments, uint64_t mode,
                     ReplyWriter& reply);
  bool StillAdmittedSlow(Session& session, const Command& command, Arguments arguments,
                         uint64_t mode, ReplyWriter& reply);
  // Unit::TryBegin has failed: answers BUSY (false), or begins after all.
  bool BeginAfterBusy(Session& session, const Command& command, Arguments arguments,
                      const LockPlan& plan, ExpiryMode expiry, ReplyWriter& reply);
  static bool Stopped(const Session& session, const Command* command);
  // Whether the request may run a script: then it needs a stack of its own.
  bool MayRunScript(const Session& session, const Command& command) const;
  // Whether a transaction that holds scripts can be rolled back.
  bool CanRetreat(const Session& session) const;
  // False: it needs All after all.
  bool RunQueued(Session& session, const Transaction& transaction, ReplyWriter& reply);
  void RunOnFiber(Session& session, const Request& request, const Prepared& prepared,
                  OutputBuffer& out);
  // Answers a request while the gate is held. False: it is not any more, nothing was done.
  bool RunWhileBusy(Session& session, const Request& request, OutputBuffer& out);
  void RunAllowed(Session& session, const Command& command, const Request& request,
                  ReplyWriter& reply);
  // Whether no gate has anything to say of a command in the lane. PassGates knows the same at more
  // length.
  bool Unobstructed(const Command& command, Arguments arguments) const;
  // The gates. False: an error was replied (or the session was suspended).
  bool PassGates(Session& session, const Command& command, Arguments arguments, uint64_t mode,
                 ReplyWriter& reply);
  bool NeedsMemory(const Session& session, const Command& command) const;
  bool OnlyReads(const Session& session, const Command& command, Arguments arguments) const;
  void RefuseUnknown(Session& session, const Request& request, const Command* parent,
                     ReplyWriter& reply);
  void Reject(Session& session, const Command* command, std::string_view error, ReplyWriter& reply);
  void Queue(Session& session, const Command& command, Arguments arguments, ReplyWriter& reply);
  // `mode` is the word that EXEC's own gates saw.
  void RunExec(Session& session, const Command& exec, uint64_t mode, ReplyWriter& reply);
  bool NeedsAuth(const Session& session) const;
  // Under its locks: whether a command is better tried again later, since it would change a large
  // value that the snapshot under way still needs. The session is then parked.
  bool Postponed(Session& session, const Command& command, Arguments arguments) {
    return engine_.keyspace.observer() != nullptr && PostponedSlow(session, command, arguments);
  }
  bool PostponedSlow(Session& session, const Command& command, Arguments arguments);
  LockPlan PlanFor(const Session& session, const Command& command, Arguments arguments, int* db);
  // What others, or the client itself later, want to know of a command that was run.
  bool Observed() const {
    return outermost_->tracking != nullptr || engine_.pubsub.Topics(PubsubKind::kMonitor) != 0;
  }
  // To monitors, of one that runs others: it stands before them.
  void Announce(const Session& session, const Command& command, Arguments arguments);
  void Observe(Session& session, const Command& command, Arguments arguments, Caller caller);
  void RememberReads(const SessionTracking& tracking, const Command& command, Arguments arguments);
  bool WatchesStand(Session& session);
  bool ServeKey(const ReadyKey& key);
  void Serve(const std::shared_ptr<Waiter>& waiter);
  void ForgetHeld(const Waiter& waiter);
  void LeaveUnserved(const ReadyKey& key);
  bool StillAllowed(Session& session, const struct QueuedCommand& queued, ReplyWriter& reply);
  // The code of the last error that was replied since `before` were; "" if none was.
  static std::string_view LastError(const ReplyWriter& reply, uint64_t before) {
    return reply.error_count() == before ? std::string_view() : reply.last_error_code();
  }
  void CountReplyErrors(const Command& command, ReplyWriter& reply, uint64_t before);
  void Silence(Session& session, const Command* command, uint64_t start, OutputBuffer& out);
  // Decides what becomes of a reply (from position `start` on) that shows what is not durable yet.
  // False: the session was parked, the command is to run again.
  bool HoldReply(Session& session, const Command& command, bool wrote, uint64_t start,
                 ReplyWriter& reply);
  // A command has ended: once for each that was run, be it by a transaction or a script.
  void CountCall(const Command& command, uint64_t ticks) {
    statistics_->CountCall(command.id, ticks, engine_.config.latency_tracking());
  }
  // A client's command has ended (accounting.cc). `event`: of LATENCY, where it is a special one.
  void NoteCost(ClientRecord& record, const Command& command, Arguments arguments,
                const CallCost& cost, std::string_view error, const char* event = nullptr);
  // The audit log is on. What is refused, and what scripts call, goes into it as well.
  bool Audited() const { return engine_.audited.load(std::memory_order_relaxed); }
  void Audit(ClientRecord& record, const Command& command, Arguments arguments,
             const CallCost& cost, std::string_view error);
  // While HOTKEYS runs: of a client's command, what it cost and how large its keys are.
  void NoteHotKeys(const Command& command, Arguments arguments, const CallCost& cost);
  void NoteSize(int db, std::string_view key);

  Engine& engine_;
  const int slot_;
  Unit unit_;
  Random random_;
  Evictor evictor_{&engine_, &unit_, &random_};
  ThreadStatistics* statistics_;
  CommandMemo memo_;
  const MemberPositions members_;
  KeySink keys_;
  int64_t clock_ms_ = 0;
  uint64_t last_ticks_ = 0;
  const Command* exec_command_;
  Session* outermost_ = nullptr;  // whose request is being run, be it by a script of its
  // EXEC's reply, and where it goes on behind a reply that is still due (ReplyLater).
  ReplyWriter* exec_reply_ = nullptr;
  std::shared_ptr<OutputBuffer> exec_rest_;
  const double ticks_per_us_;
  bool wakes_at_turn_end_ = false, wake_owed_ = false;
  unsigned expire_turn_ = 0;  // shards that slices of the cycle have seen
  // The request that runs on a stack of its own, and may be put aside.
  struct Aside {
    static constexpr size_t kStackBytes = size_t{8} << 20;  // as a thread's: touched pages only
    Fiber fiber{kStackBytes};
    Session* session = nullptr;  // while it runs or lies aside
    Request request;
    Prepared prepared;
    OwnedArgs arguments;
    OutputBuffer out;
    uint64_t client = 0;
    uint64_t start_ticks = 0;
  };
  std::unique_ptr<Aside> aside_;  // made on first use
  Unit busy_unit_;                // of the commands that a busy server takes
  std::shared_ptr<ScriptHost> script_host_;
};

}  // namespace cairn
