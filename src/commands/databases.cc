// SPDX-License-Identifier: BSD-3-Clause
//
// DBSIZE, FLUSHDB, FLUSHALL, SWAPDB: whole databases. Flushed tables are freed in the background,
// whatever SYNC or ASYNC says: nobody waits for it.
#include "commands/families.h"
#include "base/numbers.h"
#include "exec/context.h"

namespace cairn {
namespace {

// DBSIZE  O(shards)
void DbSize(Context& ctx) {
  ctx.reply().Integer(static_cast<int64_t>(ctx.unit().keyspace().Size(ctx.db())));
}

bool ReadMode(Context& ctx) {
  if (ctx.argc() == 1) return true;
  if (ctx.argc() == 2 &&
      (EqualsIgnoreCase(ctx.arg(1), "sync") || EqualsIgnoreCase(ctx.arg(1), "async")))
    return true;
  ctx.Error(errors::kSyntax);
  return false;
}

// FLUSHDB [ASYNC|SYNC]  O(shards)
void FlushDb(Context& ctx) {
  if (!ReadMode(ctx)) return;
  ctx.Dirty(static_cast<int64_t>(ctx.unit().keyspace().Size(ctx.db())) + 1);
  ctx.unit().Flush(ctx.db());
  ctx.Ok();
}

// FLUSHALL [ASYNC|SYNC]  O(shards * databases)
void FlushAll(Context& ctx) {
  if (!ReadMode(ctx)) return;
  for (int db = 0; db < ctx.unit().keyspace().databases(); ++db) {
    ctx.Dirty(static_cast<int64_t>(ctx.unit().keyspace().Size(db)));
    ctx.unit().Flush(db);
  }
  ctx.Dirty(1);
  ctx.Ok();
}

// Redis reads an index as a 32-bit number: beyond it is no index, not one out of range.
bool ParseIndex(std::string_view text, int64_t* index) {
  return ParseInt64(text, index) && *index >= INT32_MIN && *index <= INT32_MAX;
}

// SWAPDB index1 index2  O(shards)
void SwapDb(Context& ctx) {
  int64_t first, second;
  if (!ParseIndex(ctx.arg(1), &first)) return ctx.Error("ERR invalid first DB index");
  if (!ParseIndex(ctx.arg(2), &second)) return ctx.Error("ERR invalid second DB index");
  const int databases = ctx.unit().keyspace().databases();
  if (first < 0 || first >= databases || second < 0 || second >= databases)
    return ctx.Error(errors::kDbIndex);
  if (first != second)
    ctx.unit().Swap(static_cast<int>(first), static_cast<int>(second));
  ctx.Dirty();
  ctx.Ok();
}

constexpr CommandSpec kRows[] = {
    {"DBSIZE", 1, kReadonly | kFast, {}, kAclKeyspace, &DbSize},
    {"FLUSHDB", -1, kWrite, {}, kAclKeyspace | kAclDangerous, &FlushDb, Scope::kAll},
    {"FLUSHALL", -1, kWrite, {}, kAclKeyspace | kAclDangerous, &FlushAll, Scope::kAll},
    {"SWAPDB", 3, kWrite | kFast, {}, kAclKeyspace | kAclDangerous, &SwapDb, Scope::kAll},
};

}  // namespace

std::span<const CommandSpec> DatabaseCommands() { return kRows; }

}  // namespace cairn
