// SPDX-License-Identifier: BSD-3-Clause
//
// Unit: one atomic piece of work on the keyspace: a command, a whole EXEC, a script, a slice of
// the expiry cycle. It holds the locks, the frozen time, and the ChangeSet that its end settles
// once: one journal record, then the deliveries. One object a thread, reused.
//
//   unit.Begin(plan)  locks     -> Lookup, Insert, Replace, Remove, Event, Effect ... ->
//   unit.End()        reserves the journal record, serves the clients who waited for what it
//                     changed, unlocks, publishes the record, hands garbage over
//
// Everything that changes an Entry goes through the functions here (by way of the refs of
// exec/refs.h); they fire the pre-change hook, keep the counters and mark watchers, waiters and
// trackers. Pointers to entries stay good until `generation()` changes.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "exec/delivery.h"
#include "exec/effect_text.h"
#include "exec/statistics.h"
#include "exec/tracking.h"
#include "exec/undo_log.h"
#include "journal/buffer.h"
#include "keyspace/keyspace.h"
#include "keyspace/lazy_free.h"
#include "pubsub/message.h"
#include "spec/command.h"

namespace cairn {

struct Engine;
class Journal;
class LsnStripes;

struct LockPlan {
  bool all = false;
  bool walk = false;  // the handler locks shards itself, one at a time
  ShardSet shards;

  void AddHash(uint64_t hash) { shards.Add(ShardOf(hash)); }
  void Merge(const LockPlan& other) {
    all |= other.all;
    walk |= other.walk;
    shards.Merge(other.shards);
  }
};

// How look-ups treat keys whose time has come.
enum class ExpiryMode : uint8_t {
  kNormal,  // delete them, journal the DEL
  kHide,    // absent, but nothing changes
  kApply    // alive: replay, a leader's stream
};

// What subscribers are told when the unit ends, in order: a keyspace event, `type` being one of
// config's NotifyBits, or (name == nullptr) what EXEC or a script published.
struct KeyEvent {
  int type;
  int db;
  const char* name;
  std::string key;  // or the channel
  std::string payload = {};
  PubsubKind kind = PubsubKind::kChannel;
};

struct ReadyKey {
  int db;
  uint64_t hash;
  std::string key;
};

// Serves clients that wait for keys: the executor. Each client served is a unit of its own, run
// while the locks of the unit that served it are held.
class ReadyServer {
 public:
  virtual ~ReadyServer() = default;
  // Serves who waits for unit.ready(), in order. False if a lock could not be had; what is left
  // was noted in its shards, and scope All has to be taken for it.
  virtual bool ServeReady() = 0;
  // Under All: serves what was left.
  virtual void ServeUnserved() = 0;
};

class Unit {
 public:
  Unit(Engine* engine, int slot, ReadyServer* server);
  Unit(const Unit&) = delete;
  Unit& operator=(const Unit&) = delete;

  // -- locking --
  // The calling thread must be inside the gate (plan.all: it is taken out of it meanwhile).
  void Begin(const LockPlan& plan, int64_t clock_ms, ExpiryMode mode);
  // As Begin; but false, with nothing begun and outside the gate, where All is needed and a busy
  // script has it.
  [[nodiscard]] bool TryBegin(const LockPlan& plan, int64_t clock_ms, ExpiryMode mode);
  // The same for one shard, by far the commonest plan.
  [[nodiscard]] bool TryBeginInShard(int shard, int64_t clock_ms, ExpiryMode mode);
  // Begins a unit that will touch no key, outside the gate.
  void BeginDetached(int64_t clock_ms);
  // Adds a shard to a unit that has begun without locks (scope Walk): one at a time.
  void LockShard(int shard);
  void UnlockShard(int shard);
  // Adds shards to the locked ones without waiting. False, and nothing added, if one of them is
  // taken or has to be served first.
  bool TryLock(const ShardSet& shards);
  bool all() const { return all_; }
  bool Holds(int shard) const { return all_ || held_.Has(shard); }
  bool active() const { return active_; }
  // Settles everything. Returns the LSN behind the record it appended, or 0. After All the thread
  // is inside the gate again, unless a busy script has it by then (Gate::inside tells).
  uint64_t End() {
    DCHECK(active_ && !retreating_);
    return EndQuietly() ? 0 : EndWithNews();
  }
  // Settles what changed so far as a unit of its own and goes on with the same locks.
  uint64_t EndServed();

  // -- time --
  int64_t now_ms() const { return now_ms_; }
  ExpiryMode expiry_mode() const { return mode_; }
  // Locks may have been waited for while the server's mode changed.
  void set_expiry_mode(ExpiryMode mode) { mode_ = mode; }

  // -- undoing (undo_log.cc), for units that may find out that they need All --
  // To be called before the first change: from here on the unit can be rolled back.
  void RememberImages() {
    rare_used_ = true;
    undo_.Start(/*killable=*/false);
  }
  bool remembers_images() const { return undo_.on(); }
  // Whether the key's value is small enough, and the unit's images few enough, that a change of it
  // is worth being remembered. The key's shard is held.
  bool MayRemember(int db, std::string_view key, uint64_t hash);
  // The key has expired, but is still there: who looks it up may delete it. Its shard is held.
  bool IsDue(int db, std::string_view key, uint64_t hash);
  // It needs All after all. Whoever runs it stops soon; then it is rolled back and run again.
  void Retreat() { retreating_ = true; }
  bool retreating() const { return retreating_; }
  // Ends the unit as if it had never begun: every key is as it was, nothing is journaled or told.
  void Rollback();

  // -- the same for a part of a unit under All: a script that may be killed --
  // From here on, until the savepoint is dropped, changes can be taken back while little changes.
  void SetSavepoint();
  bool has_savepoint() const { return undo_.killable(); }
  void DropSavepoint() {
    if (undo_.killable()) StopImages();
  }
  // What changes from here on stays, and so does what has changed. False: it may not, because
  // whoever wants the script killed was promised otherwise; then everything is still remembered.
  bool GiveUpSavepoint();
  // Everything is as it was at the savepoint, which is no more.
  void ReturnToSavepoint();

  // -- look-up --
  // The live entry of a key, or nullptr. Expired entries are treated as the mode says.
  Entry* Lookup(int db, std::string_view key, uint64_t hash);
  // Sets the access clock (LRU or LFU).
  void Access(Entry* entry);
  uint32_t generation() const { return generation_; }
  bool IsExpired(const Entry* entry) const {
    return mode_ != ExpiryMode::kApply && entry->has_expiry() && entry->expiry_ms() < now_ms_ &&
           !IsKept(entry);
  }
  // Whether the fields of hashes stay whatever their time, see Engine::kept_until_ms.
  bool KeepsFields() const { return kept_until_ms_ != 0; }

  // -- changes; each fires what has to be fired before a change --
  // To be called before the value of an entry is changed in place.
  void BeforeChange(int db, Entry* entry, uint64_t hash) {
    if (undo_.on()) [[unlikely]]
      Remember(db, entry->key(), hash, entry);
    if (entry->epoch() != ShardFor(hash).epoch) [[unlikely]]
      BeforeChangeSlow(db, entry, hash);
  }
  // After the value of an entry changed in place: watchers, tracking.
  void Changed(int db, std::string_view key, uint64_t hash) {
    if (ShardFor(hash).watches != nullptr || tracking_.active()) [[unlikely]]
      ChangedSlow(db, key, hash);
  }
  // After a hash was changed in place: its earliest field expiry was `from`, is `to` (0: none).
  void FieldExpiryMoved(int db, uint64_t hash, int64_t from, int64_t to) {
    if (from != to) [[unlikely]]
      keyspace().Table(ShardOf(hash), db).field_expiries.Move(hash, from, to);
  }
  // Adds an entry for a key that has none. Takes it over.
  Entry* Insert(int db, uint64_t hash, Entry* entry);
  // `fresh`, a new value with or without expiry, takes the place of `old`, which is freed. It
  // inherits the access clock, as in Redis; a caller whose look-up did not set it does so before.
  Entry* Replace(int db, uint64_t hash, Entry* old, Entry* fresh);
  // The entry, which BeforeChange saw, was reallocated with its value (a longer string, another
  // expiry): `old` may be freed memory and is only compared.
  void Relocated(int db, uint64_t hash, const Entry* old, bool had_expiry, Entry* fresh);
  // Takes the entry out and gives its value back.
  Value Remove(int db, uint64_t hash, Entry* entry);
  // Takes the entry out and frees it, in the background if that takes long. A large one that a
  // snapshot has yet to write is handed to that.
  void Discard(int db, uint64_t hash, Entry* entry);
  // Deletes a key, if it is there and alive.
  bool Delete(int db, std::string_view key, uint64_t hash);
  // Deletes an entry whose time has come (the active cycle); false if it has not.
  bool ExpireIfDue(int db, uint64_t hash, Entry* entry);
  // Under All: empties a database, swaps two.
  void Flush(int db);
  void Swap(int db1, int db2);

  // -- the ChangeSet --
  void Dirty(int64_t n) { dirty_ += n; }
  int64_t dirty() const { return dirty_; }
  void Event(int type, const char* name, int db, std::string_view key) {
    if (notify_ & type) [[unlikely]]
      EventSlow(type, name, db, key);
  }
  // Publishes when the unit ends: what EXEC and scripts do.
  void PublishAtEnd(PubsubKind kind, std::string_view channel, std::string_view payload) {
    rare().events.push_back({0, 0, nullptr, std::string(channel), std::string(payload), kind});
  }
  // The key may now serve blocked clients (or wake them with an error).
  void Ready(int db, std::string_view key, uint64_t hash) {
    if (ShardFor(hash).waiters != nullptr) [[unlikely]]
      ReadySlow(db, key, hash);
  }
  std::vector<ReadyKey>& ready() { return rare().ready; }
  // A journal effect in database `db`, in the vocabulary of src/exec/README.md.
  // A big part that lies in `lender`, what holds the request that is running (may be nullptr, or
  // empty), is not copied.
  void Effect(int db, Arguments parts, const StringBlockRef* lender = nullptr);
  // As Effect, of what is gone because its time had come: recorded though the unit is quiet, since
  // replay takes nothing for expired by itself.
  void ExpiryEffect(int db, Arguments parts);
  void EffectRaw(int db, std::string_view resp, const StringBlockRef* lender = nullptr);
  int effect_count() const { return effect_count_; }
  // Closes the current command's bookkeeping: if it dirtied data without giving effects, its own
  // request is the effect. `resp` may be empty: then it is made from the arguments.
  void SettleCommand(int db, Arguments arguments, std::string_view resp, int64_t dirty_before,
                     bool has_effects, const StringBlockRef* lender);
  // The same for the only command of a unit, whose bytes stay where they are until End.
  void SettleRequest(int db, Arguments arguments, std::string_view resp, bool has_effects,
                     const StringBlockRef* lender) {
    if (dirty_ == 0 || has_effects) return;
    if (effect_count_ != 0 || resp.empty() || silent_) [[unlikely]]
      return SettleCommand(db, arguments, resp, 0, false, lender);
    EnterEffectDb(db);
    lent_effect_ = resp;
  }
  // Turns off journaling of the current unit (a follower applying its leader's bytes).
  void set_silent(bool silent) { silent_ = silent; }
  bool silent() const { return silent_; }
  // The same for what a script changes while it wants it so (redis.set_repl); what has expired
  // under it is recorded nevertheless.
  void set_quiet(bool quiet) { quiet_ = quiet; }
  // Whether effects are written anywhere: if not, their words do not matter.
  bool records() const;
  // The journal record of the current unit is these bytes, a leader's, which leave the stream in
  // `database_after`. To be called before End, until which the bytes must stay.
  void SetVerbatim(std::string_view bytes, uint32_t database_after) {
    rare_used_ = true;
    verbatim_ = bytes;
    verbatim_database_ = database_after;
  }
  // Remembers which key hashes the unit touched, for replies that must wait (always).
  void NoteHash(uint64_t hash) {
    if (track_hashes_) hashes_.push_back(hash);
  }
  // The greatest LSN that a reply of this unit reveals; valid after End.
  uint64_t hold_lsn() const { return hold_lsn_; }

  // Hands a task to a worker, in the order of the units' locks (exec/delivery.h). Runs unlocked
  // too; then the worker is woken at once.
  void Post(int worker, std::unique_ptr<WorkerTask> task);
  // Hands a message to the workers of its subscribers now; the number of receivers.
  int64_t Publish(PubsubKind kind, std::string_view channel, std::string_view payload,
                  uint64_t hold);
  // The LSN that whatever the unit tells others has to wait for, given the caller's last write;
  // 0 where nothing waits.
  uint64_t HoldFor(uint64_t last_write_lsn) const {
    return stripes_ == nullptr ? 0 : std::max(hold_lsn_, last_write_lsn);
  }
  // There is something to be told to others when the unit ends.
  bool has_news() const {
    return rare_used_ && (!rare_.events.empty() || !rare_.invalidations.empty() || rare_.flushed);
  }
  // Whose doing it is: the client, and the LSN behind its last record. Only where has_news.
  void SetAuthor(uint64_t client_id, uint64_t last_write_lsn) {
    author_ = client_id;
    author_lsn_ = last_write_lsn;
  }
  // A finished line for the monitors, now.
  void PublishMonitorLine(std::string line);
  // Everything that clients have cached is to be forgotten.
  void ForgetCached();
  // Invalidates up to `limit` keys of a shard that is held, though they did not change.
  void ForgetSomeCached(int shard, size_t limit);

  // Runs `task` after the unit ended, without locks (file work, pushes).
  template <typename F>
  void AfterUnit(F&& task) {
    rare().after.emplace_back(std::forward<F>(task));
  }

  Keyspace& keyspace() { return keyspace_; }
  Engine& engine() { return engine_; }
  int slot() const { return slot_; }
  ThreadStatistics& statistics() { return *statistics_; }

 private:
  // What most units have nothing of. Whoever adds something marks it, so that the end of a unit
  // looks at one flag.
  struct Rare {
    std::vector<KeyEvent> events;
    std::vector<Invalidation> invalidations;
    bool flushed = false;
    std::vector<ReadyKey> ready;
    std::vector<Value> garbage;
    std::vector<Keyspace::Tables> garbage_tables;
    std::vector<std::function<void()>> after;
    std::vector<int> wakes;  // workers whose mailbox this unit found empty
  };
  Rare& rare() {
    rare_used_ = true;
    return rare_;
  }

  // What ReturnToSavepoint goes back to, besides the values of keys.
  struct Savepoint {
    int64_t dirty = 0;
    int effect_count = 0, effect_db_first = -1, effect_db = -1;
    EffectText::Mark effects;
    size_t events = 0, invalidations = 0, ready = 0;
  };

  void Remember(int db, std::string_view key, uint64_t hash, const Entry* entry);
  bool TellsWatchersLater(int db, std::string_view key, uint64_t hash);
  void StopImages();
  void TellWatchers();
  void PutImagesBack();
  void ForgetNews(size_t events, size_t invalidations, size_t ready);
  Shard& ShardFor(uint64_t hash) { return keyspace().shard(ShardOf(hash)); }
  void BeforeChangeSlow(int db, Entry* entry, uint64_t hash);
  void TakeOut(int db, uint64_t hash, Entry* entry);
  void Free(KeyTable* table, Entry* entry, bool owed);
  void Dispose(Value value);
  void ChangedSlow(int db, std::string_view key, uint64_t hash);
  void ReadySlow(int db, std::string_view key, uint64_t hash);
  void ReadyAll(int db);
  void EventSlow(int type, const char* name, int db, std::string_view key);
  void TellOthers();
  void TellSubscribers(uint64_t hold);
  void Invalidate(std::string_view key, uint64_t hash);
  Entry* LookupExpiring(int db, uint64_t hash, Entry* entry);
  void Expire(int db, uint64_t hash, Entry* entry);
  void RemoveHidden(int db, uint64_t hash, std::string_view key);
  void AppendSelect(int db);
  void EnterEffectDb(int db) {
    if (effect_count_++ == 0) [[likely]] {
      effect_db_first_ = effect_db_ = db;
    } else {
      NextEffectDb(db);
    }
  }
  void NextEffectDb(int db);
  bool Logged() const;
  bool IsKept(const Entry* entry) const;
  void Start(int64_t clock_ms, ExpiryMode mode);
  void HandOver();
  // The short end of a unit that no log records, that nobody is told of and whose reply waits for
  // nothing. False: it is not such a one.
  bool EndQuietly() {
    if (rare_used_ || all_ || track_hashes_ || (logs_ && effect_count_ != 0)) return false;
    ReleaseShards();
    active_ = false;
    if (dirty_ != 0 && !silent_) statistics_->CountChanges(dirty_);
    if (dirty_ != 0 || effect_count_ != 0) ClearChanges();
    return true;
  }
  uint64_t EndWithNews();
  uint64_t EndSlow();
  void TakeShard(int shard);
  bool LockAll();
  bool LockUnserved();
  Entry* FindRaw(int db, std::string_view key, uint64_t hash);
  void ReleaseShards() {
    if (only_ == nullptr) [[unlikely]]
      return ReleaseAllShards();
    only_->last_now_ms = now_ms_;
    only_->lock.Unlock();
    only_ = nullptr;
    held_ = {};
    keyspace_.gate().NoteNow(slot_, now_ms_);
  }
  void ReleaseAllShards();
  void Unlock();
  // The bytes of the journal record, which are more where parts of the effects are lent.
  std::string_view Record() const {
    if (!verbatim_.empty()) [[unlikely]]
      return verbatim_;
    return lent_effect_.empty() ? effects_.text() : lent_effect_;
  }
  size_t RecordBytes() const {
    return lent_effect_.empty() ? effects_.bytes() : lent_effect_.size();
  }
  uint64_t CloseRecord();
  void PublishRecord(uint64_t end);
  void ClearChanges();
  uint64_t Journal();
  void ComputeHold(uint64_t end);

  Engine& engine_;
  Keyspace& keyspace_;
  const Tracking& tracking_;
  const int slot_;
  ReadyServer& ready_server_;
  ThreadStatistics* const statistics_;
  bool active_ = false;
  bool all_ = false;
  bool silent_ = false, quiet_ = false;
  bool retreating_ = false;
  bool rare_used_ = false;  // `rare_`, `undo_` or `verbatim_` may hold something
  bool putting_back_ = false;
  UndoLog undo_;
  Savepoint savepoint_;
  LsnStripes* stripes_ = nullptr;  // the engine's when the unit began
  bool track_hashes_ = false;
  bool logs_ = false;  // there is a log that records effects
  bool walked_ = false;
  ExpiryMode mode_ = ExpiryMode::kNormal;
  int64_t kept_until_ms_ = 0;  // Engine's, as it was when the unit began
  int notify_ = 0;
  Shard* only_ = nullptr;  // the one shard that is held, where it is one since TryBeginInShard
  ShardSet held_;
  int64_t now_ms_ = 0;
  uint32_t generation_ = 0;
  int64_t dirty_ = 0;
  int effect_count_ = 0;
  int effect_db_first_ = -1;      // database of the first effect
  int effect_db_ = -1;            // database that the effects so far end in
  EffectText effects_;            // with SELECTs between them where needed
  std::string_view lent_effect_;  // the only effect, where it is the request itself
  uint64_t hold_lsn_ = 0;
  uint64_t author_ = 0, author_lsn_ = 0;
  std::vector<uint64_t> hashes_;
  Rare rare_;
  cairn::Journal* log_ = nullptr;  // that reservation_ is in, to the record's last byte
  Reservation reservation_;
  std::string_view verbatim_;
  uint32_t verbatim_database_ = 0;
};

}  // namespace cairn
