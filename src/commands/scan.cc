// SPDX-License-Identifier: BSD-3-Clause
//
// SCAN, KEYS, RANDOMKEY: commands over all keys of a database.
//
//   SCAN's cursor = bucket cursor (reverse binary) << kShardBits | shard: below 2^53 for every
//   table that fits in memory, and any number is a valid cursor. One call goes on through empty
//   buckets, within a bound, and through shards until COUNT keys were seen.
#include <optional>
#include <string>
#include <vector>

#include "base/glob.h"
#include "commands/families.h"
#include "commands/scan_options.h"
#include "exec/args.h"
#include "exec/context.h"
#include "exec/executor.h"

namespace cairn {
namespace {

// Holds one shard for the time of a step, unless the unit holds everything already.
class StepLock {
 public:
  StepLock(Unit& unit, int shard) : unit_(unit), shard_(shard) { unit_.LockShard(shard_); }
  ~StepLock() { unit_.UnlockShard(shard_); }

 private:
  Unit& unit_;
  const int shard_;
};

// SCAN cursor [MATCH pattern] [COUNT count] [TYPE type]  O(COUNT) a call
void Scan(Context& ctx) {
  ScanOptions options;
  std::optional<std::string> type;  // lower case; one that no type has matches nothing
  if (!options.ReadCursor(ctx, ctx.arg(1))) return;
  Args args(ctx, 2);
  while (args.More()) {
    if (options.Take(args)) continue;
    if (args.Take("TYPE", 1)) {
      type = ToLower(args.Next());
    } else {
      args.Fail(errors::kSyntax);
    }
  }
  if (!args.Done()) return;
  int shard = static_cast<int>(options.cursor & (kShards - 1));
  uint64_t bucket = options.cursor >> kShardBits;
  // How many empty buckets a call passes before it gives the cursor back.
  int64_t steps_left = options.count > INT64_MAX / 11 ? INT64_MAX : options.count * 10 + 100;
  int64_t seen = 0;
  std::vector<std::string> found;
  const int db = ctx.db();
  for (; shard < kShards; ++shard, bucket = 0) {
    StepLock lock(ctx.unit(), shard);
    KeyTable* table = ctx.unit().keyspace().PeekTable(shard, db);
    if (table == nullptr || table->size() == 0) continue;
    do {
      bucket = table->entries.Scan(bucket, [&](Entry* entry) {
        ++seen;
        if (ctx.unit().IsExpired(entry)) return;
        if (type && *type != TypeName(entry->type())) return;
        if (options.Matches(entry->key())) found.emplace_back(entry->key());
      });
      --steps_left;
    } while (bucket != 0 && seen < options.count && steps_left > 0);
    if (bucket != 0) break;
    if (seen >= options.count || steps_left <= 0) {
      ++shard;
      break;
    }
  }
  // What lies ahead may be nothing at all: ten keys are one page, as in Redis.
  const auto is_empty = [&](int index) {
    const KeyTable* table = ctx.unit().keyspace().PeekTable(index, db);
    return table == nullptr || table->size() == 0;
  };
  if (bucket == 0)
    while (shard < kShards && is_empty(shard)) ++shard;
  const uint64_t next =
      shard >= kShards ? 0 : bucket << kShardBits | static_cast<uint64_t>(shard);
  char digits[kInt64CharsMax];
  ctx.reply().Array(2);
  ctx.reply().Bulk({digits, FormatUint64(digits, next)});
  ctx.reply().Array(found.size());
  for (const std::string& key : found) ctx.reply().Bulk(key);
}

// KEYS pattern  O(N)
void Keys(Context& ctx) {
  const std::string_view pattern = ctx.arg(1);
  size_t count = 0;
  const auto gap = ctx.reply().StartDeferred();
  const int db = ctx.db();
  for (int shard = 0; shard < kShards; ++shard) {
    KeyTable* table = ctx.unit().keyspace().PeekTable(shard, db);
    if (table == nullptr) continue;
    table->entries.ForEach([&](const Entry* entry) {
      if (!ctx.unit().IsExpired(entry) && (pattern == "*" || GlobMatch(pattern, entry->key()))) {
        ctx.reply().Bulk(entry->key());
        ++count;
      }
      return true;
    });
  }
  ctx.reply().FinishArray(gap, count);
}

// RANDOMKEY  O(1)
void RandomKey(Context& ctx) {
  Keyspace& keyspace = ctx.unit().keyspace();
  const int db = ctx.db();
  // A shard is chosen in proportion to its keys; an expired key means another try.
  for (int tries = 0; tries < 100; ++tries) {
    const size_t total = keyspace.Size(db);
    if (total == 0) return ctx.reply().Null();
    size_t chosen = ctx.executor().random().Below(total);
    for (int shard = 0; shard < kShards; ++shard) {
      KeyTable* table = keyspace.PeekTable(shard, db);
      const size_t size = table == nullptr ? 0 : table->size();
      if (chosen >= size) {
        chosen -= size;
        continue;
      }
      StepLock lock(ctx.unit(), shard);
      table = keyspace.PeekTable(shard, db);
      const Entry* entry =
          table == nullptr ? nullptr : table->entries.RandomItem(ctx.executor().random());
      if (entry != nullptr && !ctx.unit().IsExpired(entry)) return ctx.reply().Bulk(entry->key());
      break;
    }
  }
  ctx.reply().Null();
}

constexpr CommandSpec kRows[] = {
    {"SCAN", -2, kReadonly, {}, kAclKeyspace, &Scan, Scope::kWalk},
    {"KEYS", 2, kReadonly, {}, kAclKeyspace | kAclDangerous, &Keys, Scope::kAll},
    {"RANDOMKEY", 1, kReadonly, {}, kAclKeyspace, &RandomKey, Scope::kWalk},
};

}  // namespace

std::span<const CommandSpec> ScanCommands() { return kRows; }

}  // namespace cairn
