// SPDX-License-Identifier: BSD-3-Clause
//
// An engine without sockets: every family's commands, and rows of the tests' own that do one
// primitive thing each (T.SET, T.APPEND, T.EXPIREAT, ...), so that a test of the pipeline does not
// lean on a family.
#pragma once

#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/log.h"
#include "commands/families.h"
#include "config/store.h"
#include "exec/context.h"
#include "exec/executor.h"
#include "exec/refs.h"
#include "resp/request_parser.h"
#include "script/registry.h"
#include "types/list.h"

namespace cairn {

// What the T.HOLD command does while it holds its key's lock.
struct HoldPoint {
  std::atomic<bool> entered{false}, release{false};
};
inline HoldPoint& TheHoldPoint() {
  static HoldPoint point;
  return point;
}

namespace test_rows {

inline void Set(Context& ctx) {
  int64_t expiry = kNoExpiry;
  if (ctx.argc() > 3) (void)ParseInt64(ctx.arg(3), &expiry);
  ctx.PutString(ctx.Id(ctx.arg(1)), ctx.arg(2), expiry);
  ctx.Ok();
}
inline void Get(Context& ctx) {
  auto value = ctx.ReadString(ctx.arg(1));
  if (value.failed()) return;
  value ? value.ReplyBulk() : ctx.reply().Null();
}
inline void Append(Context& ctx) {
  auto value = ctx.WriteString(ctx.arg(1));
  if (value.failed()) return;
  value.Append(ctx.arg(2));
  ctx.reply().Integer(static_cast<int64_t>(value.size()));
}
// Two refs to one key: what is done through one is seen through the other.
inline void AppendTwice(Context& ctx) {
  auto first = ctx.WriteString(ctx.arg(1));
  auto second = ctx.WriteString(ctx.arg(2));
  if (first.failed() || second.failed()) return;
  first.Append(ctx.arg(3));
  second.Append(ctx.arg(3));
  ctx.reply().Bulk(first.view());
}
inline void PushTwice(Context& ctx) {
  const Thresholds thresholds = ctx.engine().ReadThresholds();
  auto first = ctx.Write<List>(ctx.arg(1));
  auto second = ctx.Write<List>(ctx.arg(2));
  if (first.failed() || second.failed()) return;
  first.Create().Push(ListEnd::kBack, ctx.arg(3), thresholds);
  first.Commit(kNotifyList, "rpush");
  second.Create().Push(ListEnd::kBack, ctx.arg(3), thresholds);
  second.Commit(kNotifyList, "rpush");
  ctx.reply().Integer(static_cast<int64_t>(first->Length()));
}
inline void ExpireAt(Context& ctx) {
  int64_t at = 0;
  (void)ParseInt64(ctx.arg(2), &at);
  if (ctx.Find(ctx.arg(1)) == nullptr) return ctx.reply().Integer(0);
  ctx.SetExpiry(ctx.Id(ctx.arg(1)), at);
  ctx.reply().Integer(1);
}
inline void Delete(Context& ctx) { ctx.reply().Integer(ctx.Delete(ctx.arg(1))); }
inline void Rename(Context& ctx) {
  ctx.MoveKey(ctx.Id(ctx.arg(1)), ctx.Id(ctx.arg(2)));
  ctx.Ok();
}
inline void Flush(Context& ctx) {
  ctx.unit().Flush(ctx.db());
  ctx.Dirty();
  ctx.Ok();
}
inline void Swap(Context& ctx) {
  ctx.unit().keyspace().Swap(0, 1);
  ctx.Ok();
}
inline void Now(Context& ctx) { ctx.reply().Integer(ctx.now_ms()); }
// Under scope All, as a change of role is.
inline void Follow(Context& ctx) {
  ctx.engine().modes.Set(kModeFollower, true);
  ctx.Ok();
}
inline void Hold(Context& ctx) {
  TheHoldPoint().entered = true;
  while (!TheHoldPoint().release) usleep(200);
  ctx.Ok();
}
// As a script that finds out that it needs All, at a moment when another thread wants the gate.
inline void Retreat(Context& ctx) {
  Unit& unit = ctx.unit();
  if (unit.all()) return ctx.Ok();
  while (!unit.keyspace().gate().wanted()) std::this_thread::yield();
  unit.Retreat();
}
// T.ALONE, under scope All, is to be alone; T.WITNESS, under a key's lock, notes if it met it.
struct Witness {
  std::atomic<bool> alone{false};
  std::atomic<uint64_t> ran{0}, met{0};
};
inline Witness& TheWitness() {
  static Witness witness;
  return witness;
}
inline void Alone(Context& ctx) {
  Witness& witness = TheWitness();
  witness.alone = true;
  for (int i = 0; i < 100; ++i) __builtin_ia32_pause();
  witness.alone = false;
  ctx.Ok();
}
inline void Bear(Context& ctx) {
  Witness& witness = TheWitness();
  for (int i = 0; i < 20; ++i) witness.met += witness.alone;
  ++witness.ran;
  ctx.Ok();
}
inline void Effects(Context& ctx) {
  ctx.Dirty(2);
  ctx.Effect({"SET", "x", "1"});
  ctx.Effect({"SET", "y", "2"});
  ctx.Ok();
}

inline constexpr CommandSpec kRows[] = {
    {"T.SET", -3, kWrite, Key(kOW), 0, &Set},
    {"T.GET", 2, kReadonly, Key(kRO), 0, &Get},
    {"T.APPEND", 3, kWrite, Key(kRW), 0, &Append},
    {"T.APPENDTWICE", 4, kWrite, KeyRange(kRW, 1, 2), 0, &AppendTwice},
    {"T.PUSHTWICE", 4, kWrite, KeyRange(kRW, 1, 2), 0, &PushTwice},
    {"T.EXPIREAT", 3, kWrite, Key(kRW), 0, &ExpireAt},
    {"T.DEL", 2, kWrite, Key(kRM), 0, &Delete},
    {"T.RENAME", 3, kWrite, KeyRange(kRW, 1, 2), 0, &Rename},
    {"T.FLUSH", 1, kWrite, {}, 0, &Flush, Scope::kAll},
    {"T.SWAP", 1, kWrite, {}, 0, &Swap, Scope::kAll},
    {"T.NOW", 2, kReadonly, Key(kRO), 0, &Now},
    {"T.GETALL", 2, kReadonly, {}, 0, &Get, Scope::kAll},
    {"T.NOWALL", 1, kReadonly, {}, 0, &Now, Scope::kAll},
    {"T.FOLLOW", 1, kAdmin, {}, 0, &Follow, Scope::kAll},
    {"T.HOLD", 2, kReadonly, Key(kRO), 0, &Hold},
    {"T.RETREAT", 2, kScripting | kSkipMonitor, Key(kRO), 0, &Retreat},
    {"T.HOLDALL", 1, kReadonly, {}, 0, &Hold, Scope::kAll},
    {"T.ALONE", 1, kReadonly, {}, 0, &Alone, Scope::kAll},
    {"T.WITNESS", 2, kReadonly, Key(kRO), 0, &Bear},
    {"T.EFFECTS", 2, kWrite, Key(kRW), 0, &Effects},
};

}  // namespace test_rows

struct TestEngine {
  TestEngine() : keyspace(16) {
    log.set_level(LogLevel::kNothing);
    RegisterAllCommands(&registry);
    registry.Add(test_rows::kRows);
    engine = std::make_unique<Engine>(SystemClock(), &log, &store, &registry, &keyspace);
    engine->scripts = std::make_shared<ScriptRegistry>();
  }

  // Returns once a thread waits for the lock of the key's shard, which another one holds.
  void AwaitWaiterFor(std::string_view key) {
    const ShardLock& lock = keyspace.shard(ShardOf(HashBytes(key))).lock;
    while (!lock.waited()) std::this_thread::yield();
  }

  Log log;
  ConfigStore store;
  Registry registry;
  Keyspace keyspace;
  std::unique_ptr<Engine> engine;
};

// A worker with one client. One thread at a time.
struct TestClient {
  explicit TestClient(TestEngine& test)
      : executor(test.engine.get()), session(std::make_shared<ClientRecord>()) {
    session.authenticated = true;
  }

  // The requests (inline, one a line) as one read; the bytes of all replies.
  std::string Send(std::string text) {
    RequestParser parser;
    RequestBatch batch;
    parser.Feed(text.data(), text.size());
    while (parser.Next({}, &batch) == ParseOutcome::kRequest) {
    }
    done = executor.Run(session, batch, 0, out, clock_ms);
    std::string reply;
    while (!out.empty()) {
      iovec piece;
      REQUIRE(out.Gather(&piece, 1, SIZE_MAX) == 1);
      reply.append(static_cast<char*>(piece.iov_base), piece.iov_len);
      out.Consume(piece.iov_len);
    }
    return reply;
  }

  Executor executor;
  Session session;
  OutputBuffer out;
  int64_t clock_ms = 1'000'000;
  size_t done = 0;
};

}  // namespace cairn
