// SPDX-License-Identifier: BSD-3-Clause
#include "exec/unit.h"

#include <utility>

#include "base/numbers.h"
#include "exec/engine.h"
#include "journal/journal.h"
#include "journal/stripes.h"

namespace cairn {

Unit::Unit(Engine* engine, int slot, ReadyServer* server)
    : engine_(*engine),
      keyspace_(engine->keyspace),
      tracking_(engine->tracking),
      slot_(slot),
      ready_server_(*server),
      statistics_(engine->thread_statistics(slot)) {
  CHECK(statistics_ != nullptr);
}

void Unit::Begin(const LockPlan& plan, int64_t clock_ms, ExpiryMode mode) {
  // The thread's last unit may have left it outside: one under All, which a busy script followed.
  if (!keyspace().gate().inside(slot_)) keyspace().gate().Enter(slot_);
  while (!TryBegin(plan, clock_ms, mode)) keyspace().gate().Enter(slot_);
}

void Unit::Start(int64_t clock_ms, ExpiryMode mode) {
  DCHECK(!active_);
  active_ = true;
  mode_ = mode;
  now_ms_ = clock_ms;
  kept_until_ms_ = engine_.kept_until_ms.load(std::memory_order_relaxed);
  notify_ = static_cast<int>(engine_.config.notify_keyspace_events());
  stripes_ = engine_.stripes;
  track_hashes_ = stripes_ != nullptr;
  logs_ = engine_.open_journal != nullptr;
  walked_ = false;
  hold_lsn_ = 0;
}

bool Unit::TryBeginInShard(int index, int64_t clock_ms, ExpiryMode mode) {
  Start(clock_ms, mode);
  now_ms_ = std::max(now_ms_, keyspace_.gate().closed_now_ms());
  Shard& shard = keyspace_.shard(index);
  shard.lock.Lock();
  held_.Add(index);
  only_ = &shard;
  TakeShard(index);
  if (shard.unserved) [[unlikely]]
    return LockUnserved();
  return true;
}

bool Unit::TryBegin(const LockPlan& plan, int64_t clock_ms, ExpiryMode mode) {
  Start(clock_ms, mode);
  if (plan.all) return LockAll();
  bool unserved = false;
  now_ms_ = std::max(now_ms_, keyspace().gate().closed_now_ms());
  plan.shards.ForEach([this, &unserved](int shard) {
    keyspace().shard(shard).lock.Lock();
    held_.Add(shard);
    TakeShard(shard);
    unserved |= keyspace().shard(shard).unserved;
  });
  if (unserved) [[unlikely]]
    return LockUnserved();
  return true;
}

// Whoever waited comes before us, and may need locks that we have not.
bool Unit::LockUnserved() {
  ReleaseShards();
  return LockAll();
}

void Unit::BeginDetached(int64_t clock_ms) {
  Start(clock_ms, ExpiryMode::kHide);
  notify_ = 0;
  stripes_ = nullptr;
  track_hashes_ = false;
  logs_ = true;  // outside the gate nobody knows
}

// Serves what others could not; so nobody runs under All before those who waited longer.
bool Unit::LockAll() {
  Gate& gate = keyspace().gate();
  gate.Leave(slot_);
  if (!gate.CloseUnlessHeld()) {
    active_ = false;
    return false;
  }
  all_ = true;
  // Whoever held the gate before may have changed what Begin saw.
  stripes_ = engine_.stripes;
  track_hashes_ = stripes_ != nullptr;
  logs_ = engine_.open_journal != nullptr;
  now_ms_ = std::max(now_ms_, gate.LatestNow());
  if (keyspace().wait_counters().unserved_shards.load(std::memory_order_relaxed) == 0) [[likely]]
    return true;
  ready_server_.ServeUnserved();
  hold_lsn_ = 0;
  return true;
}

void Unit::ReleaseAllShards() {
  if (held_.empty()) return;
  held_.ForEach([this](int shard) {
    keyspace().shard(shard).last_now_ms = now_ms_;
    keyspace().shard(shard).lock.Unlock();
  });
  keyspace().gate().NoteNow(slot_, now_ms_);
  held_ = {};
}

bool Unit::TryLock(const ShardSet& shards) {
  if (all_) return true;
  ShardSet taken;
  bool all_taken = true;
  shards.ForEach([&](int index) {
    if (!all_taken || held_.Has(index)) return;
    Shard& shard = keyspace().shard(index);
    all_taken = shard.lock.TryLock();
    if (!all_taken) return;
    taken.Add(index);
    all_taken = !shard.unserved;
  });
  taken.ForEach([&](int index) {
    if (all_taken) return TakeShard(index);
    keyspace().shard(index).lock.Unlock();
  });
  if (all_taken) {
    held_.Merge(taken);
    only_ = nullptr;
  }
  return all_taken;
}

void Unit::TakeShard(int index) {
  // One clock for everybody who met in a shard: time never runs backwards along the serial order.
  const Shard& shard = keyspace().shard(index);
  if (shard.last_now_ms > now_ms_) now_ms_ = shard.last_now_ms;
}

void Unit::LockShard(int shard) {
  walked_ = true;
  if (all_) return;
  keyspace().shard(shard).lock.Lock();
  held_.Add(shard);
  only_ = nullptr;
  TakeShard(shard);
}

void Unit::UnlockShard(int shard) {
  if (all_) return;
  only_ = nullptr;
  keyspace().shard(shard).last_now_ms = now_ms_;
  keyspace().gate().NoteNow(slot_, now_ms_);
  held_.words[shard >> 6] &= ~(uint64_t{1} << (shard & 63));
  keyspace().shard(shard).lock.Unlock();
}

void Unit::EventSlow(int type, const char* name, int db, std::string_view key) {
  // Whoever subscribes from here on has no claim to what is under way already.
  if (engine_.pubsub.any()) rare().events.push_back({type, db, name, std::string(key)});
}

void Unit::AppendSelect(int db) {
  char text[kInt64CharsMax];
  const std::string_view parts[] = {"SELECT", {text, FormatInt64(text, db)}};
  effects_.Append(parts);
}

// A further effect: the one before has to be ours now.
void Unit::NextEffectDb(int db) {
  if (!lent_effect_.empty()) effects_.AppendRaw(std::exchange(lent_effect_, {}));
  if (effect_db_ != db && Logged()) AppendSelect(db);
  effect_db_ = db;
}

bool Unit::Logged() const {
  return !silent_ && engine_.open_journal != nullptr;
}

bool Unit::records() const {
  return !quiet_ && Logged();
}

void Unit::ExpiryEffect(int db, Arguments parts) {
  if (silent_) return;
  EnterEffectDb(db);
  if (Logged()) effects_.Append(parts);
}

void Unit::Effect(int db, Arguments parts, const StringBlockRef* lender) {
  if (silent_ || quiet_) return;
  EnterEffectDb(db);
  if (Logged()) effects_.Append(parts, lender == nullptr ? nullptr : lender->get());
}

void Unit::EffectRaw(int db, std::string_view resp, const StringBlockRef* lender) {
  if (silent_ || quiet_) return;
  EnterEffectDb(db);
  if (Logged()) effects_.AppendRaw(resp, lender == nullptr ? nullptr : lender->get());
}

void Unit::SettleCommand(int db, Arguments arguments, std::string_view resp, int64_t dirty_before,
                         bool has_effects, const StringBlockRef* lender) {
  if (dirty_ == dirty_before || has_effects) return;
  if (!resp.empty()) {
    EffectRaw(db, resp, lender);
  } else {
    Effect(db, arguments, lender);
  }
}

uint64_t Unit::Journal() {
  log_ = engine_.open_journal;
  if (!verbatim_.empty()) [[unlikely]] {
    reservation_ =
        log_->ReserveRaw(static_cast<unsigned>(slot_), verbatim_.size(), verbatim_database_);
    return reservation_.end;
  }
  if (log_ == nullptr || RecordBytes() == 0) return 0;
  // What a follower does by itself (PFCOUNT's cached count) is nobody else's affair: its stream is
  // its leader's. The role changes only while nobody is inside the gate.
  if (engine_.modes.Has(kModeFollower)) [[unlikely]]
    return 0;
  if (effect_db_ != effect_db_first_) AppendSelect(effect_db_first_);
  if (effect_count_ > 1) {
    // Several effects are one unit: all or none of them after a crash and on followers.
    effects_.Wrap("*1\r\n$5\r\nMULTI\r\n", "*1\r\n$4\r\nEXEC\r\n");
  }
  // Between Reserve and Publish nothing is set aside but the log's own chunks.
  if (!effects_.whole()) [[unlikely]]
    effects_.Cut();
  reservation_ = log_->Reserve(static_cast<unsigned>(slot_),
                               static_cast<uint32_t>(effect_db_first_), RecordBytes());
  return reservation_.end;
}

// Everything of the record but its bytes: the locks are still held.
uint64_t Unit::CloseRecord() {
  const uint64_t end = Journal();
  if (track_hashes_) ComputeHold(end);
  if (has_news()) [[unlikely]]
    TellOthers();
  return end;
}

void Unit::PublishRecord(uint64_t end) {
  if (end != 0) {
    if (effects_.whole()) [[likely]] {
      log_->Publish(reservation_, Record());
    } else {
      log_->Publish(reservation_, effects_.pieces());
    }
  }
  // What is replayed is saved already.
  if (dirty_ != 0 && (!silent_ || !verbatim_.empty())) statistics_->CountChanges(dirty_);
}

uint64_t Unit::EndServed() {
  const uint64_t end = CloseRecord();
  PublishRecord(end);
  ClearChanges();
  return end;
}

void Unit::Unlock() {
  if (all_) {
    keyspace().gate().NoteClosedNow(now_ms_);
    all_ = false;
    keyspace().gate().Open();
    (void)keyspace().gate().EnterUnlessHeld(slot_);
  } else {
    ReleaseShards();
  }
  active_ = false;
}

uint64_t Unit::EndWithNews() {
  if (rare_used_ || all_) [[unlikely]]
    return EndSlow();
  const uint64_t end = CloseRecord();
  ReleaseShards();
  active_ = false;
  PublishRecord(end);
  ClearChanges();
  return end;
}

uint64_t Unit::EndSlow() {
  StopImages();
  const uint64_t end = CloseRecord();
  if (rare_.ready.empty()) [[likely]] {
    Unlock();
    PublishRecord(end);
    ClearChanges();
    HandOver();
    return end;
  }
  const uint64_t hold = hold_lsn_;
  PublishRecord(end);
  ClearChanges();
  const bool served = ready_server_.ServeReady();
  Unlock();
  if (served) {
    ClearChanges();
    HandOver();
  } else {
    LockPlan everything;
    everything.all = true;
    // A busy script that came between has served them before it began.
    if (TryBegin(everything, now_ms_, mode_)) {
      End();
    } else {
      ClearChanges();
      HandOver();
    }
  }
  hold_lsn_ = hold;
  return end;
}

void Unit::Post(int worker, std::unique_ptr<WorkerTask> task) {
  if (engine_.control == nullptr || !engine_.control->Put(worker, std::move(task))) return;
  if (active_) {
    rare().wakes.push_back(worker);
  } else {
    engine_.control->Wake(worker);
  }
}

void Unit::ClearChanges() {
  dirty_ = 0;
  if (effect_count_ != 0) {
    effect_count_ = 0;
    lent_effect_ = {};
    if (!effects_.empty()) effects_.Clear();
  }
  if (track_hashes_) hashes_.clear();
  if (!rare_used_) [[likely]]
    return;
  verbatim_ = {};
  rare_.events.clear();
  rare_.invalidations.clear();
  rare_.flushed = false;
  author_ = author_lsn_ = 0;
}

// What is to be done without locks.
void Unit::HandOver() {
  for (Value& value : rare_.garbage) engine_.lazy_free.Post(std::move(value));
  rare_.garbage.clear();
  for (auto& tables : rare_.garbage_tables) engine_.lazy_free.Post(std::move(tables));
  rare_.garbage_tables.clear();
  for (int worker : rare_.wakes) engine_.control->Wake(worker);
  rare_.wakes.clear();
  rare_used_ = false;
  if (!rare_.after.empty()) {
    std::vector<std::function<void()>> tasks;
    tasks.swap(rare_.after);
    // They may take long (files) or close the gate themselves.
    Gate& gate = keyspace().gate();
    const bool inside = gate.inside(slot_);
    if (inside) gate.Leave(slot_);
    for (auto& task : tasks) task();
    if (inside) (void)gate.EnterUnlessHeld(slot_);
  }
}

void Unit::ComputeHold(uint64_t end) {
  // A record that concerns no key is a message for followers' subscribers: whether that is lost
  // shows in no data.
  const bool data = all_ || walked_ || !hashes_.empty();
  hold_lsn_ = data ? end : 0;
  if (all_ || walked_) {
    // Whoever saw the whole keyspace saw every write so far.
    hold_lsn_ = std::max<uint64_t>(end, engine_.journal->tail());
  } else {
    for (uint64_t hash : hashes_) hold_lsn_ = std::max<uint64_t>(hold_lsn_, stripes_->Max(hash));
  }
  if (end == 0) return;
  if (all_) {
    stripes_->RaiseFloor(end);
  } else {
    for (uint64_t hash : hashes_) stripes_->Note(hash, end);
  }
}

void Unit::ReadySlow(int db, std::string_view key, uint64_t hash) {
  WaitQueue* queue = ShardFor(hash).waiters->Find(db, key);
  if (queue == nullptr || queue->ready) return;
  queue->ready = true;
  rare().ready.push_back({db, hash, std::string(key)});
}

// A whole database changed: whoever waits for a key of it is looked at.
void Unit::ReadyAll(int db) {
  for (int i = 0; i < kShards; ++i) {
    Shard& shard = keyspace().shard(i);
    if (shard.waiters == nullptr) continue;
    for (const std::string& key : shard.waiters->KeysOf(db)) ReadySlow(db, key, HashBytes(key));
  }
}

}  // namespace cairn
