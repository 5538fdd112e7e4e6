// SPDX-License-Identifier: BSD-3-Clause
//
// MULTI, EXEC, DISCARD, WATCH, UNWATCH. EXEC itself is run by the pipeline (exec/transaction.cc).
#include "commands/families.h"
#include "exec/context.h"
#include "exec/transaction.h"

namespace cairn {
namespace {

// MULTI  O(1)
void Multi(Context& ctx) {
  Transaction& transaction = ctx.session().transaction;
  if (transaction.active) return ctx.Error("ERR MULTI calls can not be nested");
  transaction.active = true;
  ctx.session().record->multi.store(0, std::memory_order_relaxed);
  ctx.Ok();
}

// The pipeline runs EXEC; this is reached only where a transaction cannot be (a script).
void Exec(Context& ctx) { ctx.Error("ERR EXEC without MULTI"); }

// DISCARD  O(N)
void Discard(Context& ctx) {
  if (!ctx.session().transaction.active) return ctx.Error("ERR DISCARD without MULTI");
  DiscardTransaction(ctx.session());
  ctx.Ok();
}

// WATCH key [key ...]  O(1) a key
void Watch(Context& ctx) {
  Session& session = ctx.session();
  if (session.transaction.active) return ctx.Error("ERR WATCH inside MULTI is not allowed");
  if (session.watch_state == nullptr) session.watch_state = std::make_shared<WatchState>();
  for (size_t i = 1; i < ctx.argc(); ++i) {
    const KeyId id = ctx.Id(ctx.arg(i));
    bool watched = false;
    for (const WatchedKey& w : session.watched) watched |= w.db == id.db && w.key == id.key;
    if (watched) continue;
    Shard& shard = ctx.unit().keyspace().shard(ShardOf(id.hash));
    // One whose time has come counts as absent, now and at EXEC: it goes first, or its deletion by
    // somebody else would look like a change. Where nothing may change it is noted instead.
    if (ctx.unit().expiry_mode() == ExpiryMode::kNormal) ctx.Find(id, Context::Touch::kNo);
    KeyTable* table = ctx.unit().keyspace().PeekTable(ShardOf(id.hash), id.db);
    const Entry* entry = table == nullptr ? nullptr : table->entries.Find(id.hash, [&](const Entry* e) {
      return e->key() == id.key;
    });
    const bool expired = entry != nullptr && ctx.unit().IsExpired(entry);
    if (shard.watches == nullptr) shard.watches = std::make_unique<WatchTable>();
    shard.watches->Add(id.db, id.key, session.watch_state);
    session.watched.push_back({id.db, std::string(id.key), id.hash, expired});
  }
  session.record->watches.store(static_cast<int>(session.watched.size()),
                                std::memory_order_relaxed);
  ctx.Ok();
}

// UNWATCH  O(1)
void Unwatch(Context& ctx) {
  ForgetWatches(ctx.session());
  ctx.Ok();
}

constexpr uint64_t kTransactionFlags = kNoScript | kLoading | kStale | kFast | kAllowBusy;
constexpr CommandSpec kRows[] = {
    {"MULTI", 1, kTransactionFlags, {}, kAclTransaction, &Multi},
    {"EXEC", 1, kNoScript | kLoading | kStale | kSkipSlowlog, {}, kAclTransaction, &Exec},
    {"DISCARD", 1, kTransactionFlags, {}, kAclTransaction, &Discard},
    {"WATCH", -2, kTransactionFlags, KeyRange(kRO, 1, -1), kAclTransaction, &Watch},
    {"UNWATCH", 1, kTransactionFlags, {}, kAclTransaction, &Unwatch},
};

}  // namespace

std::span<const CommandSpec> TransactionCommands() { return kRows; }

}  // namespace cairn
