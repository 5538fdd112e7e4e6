// SPDX-License-Identifier: BSD-3-Clause
//
// Context: what a command handler sees: its arguments, its reply, and the keys it locked.
//
//   // HSTRLEN key field  O(1)
//   void HStrlen(Context& ctx) {
//     auto hash = ctx.Read<Hash>(ctx.arg(1));
//     if (hash.failed()) return;                 // WRONGTYPE was replied
//     ctx.reply().Integer(hash ? hash->StrLen(ctx.arg(2), ctx.now_ms()) : 0);
//   }
//
// A handler reads its arguments, makes one call on a type and writes one reply. It never locks:
// its row's key specs, scope and functions say what the pipeline locks. Changes go through a
// WriteRef (refs.h) or the key operations here; what was changed is settled by the pipeline:
// a command that dirtied data and gave no Effect is journaled as it was sent.
//
// Thread rule: on the executor's thread, for the time of one call.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

#include "base/hash.h"
#include "config/config.h"
#include "exec/engine.h"
#include "exec/errors.h"
#include "exec/session.h"
#include "exec/unit.h"
#include "resp/reply_writer.h"

namespace cairn {

class Executor;
struct BlockRequest;
struct Waiter;
template <typename T>
class ReadRef;
template <typename T>
class WriteRef;
class StringRef;

struct KeyId {
  int db;
  uint64_t hash;
  std::string_view key;
};

class Context {
 public:
  Context(Executor& executor, Unit& unit, Session& session, const Command& command,
          Arguments arguments, std::string_view raw, ReplyWriter& reply)
      : executor_(executor),
        unit_(unit),
        session_(session),
        command_(command),
        arguments_(arguments),
        raw_(raw),
        reply_(reply) {}

  // -- the request --
  Arguments args() const { return arguments_; }
  size_t argc() const { return arguments_.size(); }
  std::string_view arg(size_t i) const { return arguments_[i]; }
  const Command& command() const { return command_; }
  std::string_view raw() const { return raw_; }

  // -- the reply --
  ReplyWriter& reply() { return reply_; }
  void Error(std::string_view text) { reply_.Error(text); }
  void Ok() { reply_.Ok(); }
  bool resp3() const { return reply_.resp3(); }
  // True once the client has more unsent output than it may. Whoever repeats itself as often as a
  // client likes stops then; the reply stays torn, so the connection ends with it.
  bool ReplyTooLong() {
    if (reply_.out().size() <= engine().output_bytes_max) [[likely]] return false;
    session_.close_after_reply = true;
    return true;
  }

  // -- surroundings --
  Session& session() { return session_; }
  Executor& executor() { return executor_; }
  Unit& unit() { return unit_; }
  Engine& engine() { return unit_.engine(); }
  const Config& config() { return engine().config; }
  int db() const { return session_.db; }
  // Milliseconds since the epoch, frozen for the whole unit.
  int64_t now_ms() const { return unit_.now_ms(); }
  // True inside EXEC or a script: blocking commands then act as if their time were up.
  bool in_exec() const { return in_exec_; }
  void set_in_exec(bool in_exec) { in_exec_ = in_exec; }

  // -- blocking (exec/blocking.h) --
  // False where a blocking command that finds nothing must answer at once.
  bool may_block() const { return !in_exec_ && !session_.internal; }
  // A blocking command asks this before its first change. False if it runs for a client whose wait
  // has just ended otherwise: then it changes and replies nothing.
  bool Claim() { return waiter_ == nullptr || ClaimSlow(); }
  bool claimed() const { return claimed_; }
  // It found nothing: the client waits. To be called last, without a reply, if may_block().
  void Block(const BlockRequest& request);
  void set_waiter(Waiter* waiter) { waiter_ = waiter; }

  // -- keys --
  KeyId Id(std::string_view key) const { return IdIn(session_.db, key); }
  KeyId IdIn(int db, std::string_view key) const {
    return {db, key.data() == hashed_key_ ? hash_ : HashBytes(key), key};
  }
  void set_hashed_key(std::string_view key, uint64_t hash) {
    hashed_key_ = key.data();
    hash_ = hash;
  }

  // The value of a key if it has type T. Another type: replies WRONGTYPE, failed() is true.
  // Read counts hits and misses and sets the access clock; Write is for commands that may change.
  template <typename T>
  ReadRef<T> Read(std::string_view key);
  template <typename T>
  WriteRef<T> Write(std::string_view key);
  StringRef ReadString(std::string_view key);
  StringRef WriteString(std::string_view key);

  // Any type: the live entry or nullptr. Valid until the next change.
  // kLook counts as a read, hit or miss, but leaves the access clock alone (TTL, TYPE); kWrite is
  // no read but sets the clock (RENAME); kNo does neither (OBJECT, most keys to be written).
  enum class Touch { kYes, kLook, kWrite, kNo };
  const Entry* Find(const KeyId& id, Touch touch = Touch::kYes);
  const Entry* Find(std::string_view key, Touch touch = Touch::kYes) {
    return Find(Id(key), touch);
  }

  // Creates or overwrites; `expiry_ms` is absolute or kNoExpiry. Marks the key changed and the
  // command dirty by one, and tells of what was overwritten; other events are the caller's
  // (Notify).
  void Put(const KeyId& id, Value value, int64_t expiry_ms = kNoExpiry);
  // As Put, where the command is one that edits a value, or tells of the overwriting itself.
  void Replace(const KeyId& id, Value value, int64_t expiry_ms = kNoExpiry);
  // Events of a key that has got another value altogether.
  void NotifyOverwritten(const KeyId& id, Type before, Type after) {
    unit_.Event(kNotifyOverwritten, "overwritten", id.db, id.key);
    if (before != after) unit_.Event(kNotifyTypeChanged, "type_changed", id.db, id.key);
  }
  void Put(std::string_view key, Value value, int64_t expiry_ms = kNoExpiry) {
    Put(Id(key), std::move(value), expiry_ms);
  }
  // A string value from bytes: the fast path of SET. A big argument is not copied: the value takes
  // over the memory that it came in.
  void PutString(const KeyId& id, std::string_view bytes, int64_t expiry_ms = kNoExpiry);
  // STORE commands: puts the value, or deletes the key if it is an empty container. With events
  // `event` (of class `type`) or "del". Returns whether the key now exists.
  bool Store(std::string_view key, Value value, int type, const char* event);
  // Deletes a live key with event "del"; dirty by one. False if there was none.
  bool Delete(const KeyId& id);
  bool Delete(std::string_view key) { return Delete(Id(key)); }
  // Gives the value of a live key, with its expiry and access clock, to another key, in place of
  // what that holds; no event, dirty by one. `from` must exist and differ from `to`.
  void MoveKey(const KeyId& from, const KeyId& to);
  // Sets or removes (kNoExpiry) the expiry of a live key; dirty by one, no event.
  void SetExpiry(const KeyId& id, int64_t expiry_ms);

  // -- the change set --
  void Dirty(int64_t n = 1) { unit_.Dirty(n); }
  // A keyspace event; `type` is one of config's NotifyBits (kNotifyString ...).
  void Notify(int type, const char* event, std::string_view key) {
    unit_.Event(type, event, session_.db, key);
  }
  void NotifyIn(int db, int type, const char* event, std::string_view key) {
    unit_.Event(type, event, db, key);
  }
  // What the journal records instead of the request, in Redis 7.0's vocabulary. May be called
  // several times; any call replaces the verbatim request.
  void Effect(std::initializer_list<std::string_view> parts) {
    has_effects_ = true;
    unit_.Effect(session_.db, {parts.begin(), parts.size()}, session_.incoming);
  }
  void Effect(Arguments parts) {
    has_effects_ = true;
    unit_.Effect(session_.db, parts, session_.incoming);
  }
  // The command changed nothing worth recording though it was dirty (its effects are its parts').
  void NoEffect() { has_effects_ = true; }
  bool has_effects() const { return has_effects_; }

 private:
  friend class StringRef;
  bool ClaimSlow();
  // A string entry; of a big argument, where it lies.
  Entry* MakeString(std::string_view key, std::string_view bytes, int64_t expiry_ms);

  Executor& executor_;
  Unit& unit_;
  Session& session_;
  const Command& command_;
  const Arguments arguments_;
  const std::string_view raw_;
  ReplyWriter& reply_;
  const char* hashed_key_ = nullptr;
  uint64_t hash_ = 0;
  bool has_effects_ = false;
  bool in_exec_ = false;
  bool claimed_ = false;
  Waiter* waiter_ = nullptr;  // the client's, when the command runs for one that waited
};

}  // namespace cairn
