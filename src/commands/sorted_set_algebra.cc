// SPDX-License-Identifier: BSD-3-Clause
//
// ZUNION, ZINTER, ZDIFF, their STORE forms, ZINTERCARD. Inputs may be sorted sets or sets.
#include "commands/families.h"
#include "commands/sorted_set_effects.h"
#include "commands/sorted_set_replies.h"
#include "exec/args.h"
#include "exec/context.h"
#include "exec/refs.h"
#include "types/set.h"
#include "types/sorted_set.h"
#include "types/zset_algebra.h"

namespace cairn {
namespace {

enum class Operation { kUnion, kIntersection, kDifference };

struct Query {
  std::vector<ZsetInput> inputs;
  Aggregate aggregate = Aggregate::kSum;
  bool with_scores = false;
  int64_t limit = 0;
};

// Reads "numkeys key [key ...] [options]" from argument `first` on and looks the inputs up.
bool ReadQuery(Context& ctx, size_t first, Operation operation, bool store, bool cardinality,
               Query* query) {
  int64_t keys;
  if (!ParseInt64(ctx.arg(first), &keys)) {
    ctx.Error(errors::kNotInteger);
    return false;
  }
  if (keys < 1) {
    ctx.Error("ERR at least 1 input key is needed for '" + ctx.command().full_name + "' command");
    return false;
  }
  if (static_cast<uint64_t>(keys) > ctx.argc() - first - 1) {
    ctx.Error(errors::kSyntax);
    return false;
  }
  const auto count = static_cast<size_t>(keys);
  for (size_t i = 0; i < count; ++i) {
    auto* entry = const_cast<Entry*>(ctx.Find(ctx.arg(first + 1 + i)));
    ZsetInput input;
    if (entry != nullptr) {
      if (entry->type() == Type::kSortedSet) {
        input.sorted_set = &entry->object<SortedSet>();
      } else if (entry->type() == Type::kSet) {
        input.set = &entry->object<Set>();
      } else {
        ctx.Error(errors::kWrongType);
        return false;
      }
    }
    query->inputs.push_back(input);
  }
  const bool weighted = operation != Operation::kDifference && !cardinality;
  Args args(ctx, first + 1 + count);
  while (args.More()) {
    if (weighted && args.Take("WEIGHTS", count)) {
      for (ZsetInput& input : query->inputs) input.weight = args.Float("ERR weight value is not a float");
    } else if (weighted && args.Take("AGGREGATE", 1)) {
      if (args.Take("SUM")) {
        query->aggregate = Aggregate::kSum;
      } else if (args.Take("MIN")) {
        query->aggregate = Aggregate::kMin;
      } else if (args.Take("MAX")) {
        query->aggregate = Aggregate::kMax;
      } else if (args.Take("COUNT")) {
        query->aggregate = Aggregate::kCount;
      } else {
        args.Fail(errors::kSyntax);
      }
    } else if (!store && !cardinality && args.Take("WITHSCORES")) {
      query->with_scores = true;
    } else if (cardinality && args.Take("LIMIT", 1)) {
      query->limit = args.Int("ERR LIMIT can't be negative");
      if (!args.failed() && query->limit < 0) args.Fail("ERR LIMIT can't be negative");
    } else {
      args.Fail(errors::kSyntax);
    }
  }
  return args.Done();
}

SortedSet Compute(Context& ctx, Operation operation, const Query& query) {
  const Thresholds thresholds = ctx.engine().ReadThresholds();
  switch (operation) {
    case Operation::kUnion: return ZsetUnion(query.inputs, query.aggregate, thresholds);
    case Operation::kIntersection:
      return ZsetIntersection(query.inputs, query.aggregate, thresholds);
    case Operation::kDifference: break;
  }
  return ZsetDifference(query.inputs, thresholds);
}

void Reply(Context& ctx, Operation operation) {
  Query query;
  if (!ReadQuery(ctx, 1, operation, false, false, &query)) return;
  const SortedSet result = Compute(ctx, operation, query);
  ScoredReply reply(ctx.reply(), query.with_scores);
  reply.Begin(result.Size());
  for (auto it = result.Iterate(); it.Valid(); it.Next())
    reply.Add(it.member(), query.with_scores ? it.score() : 0);
}

void Store(Context& ctx, Operation operation, const char* event) {
  Query query;
  if (!ReadQuery(ctx, 2, operation, true, false, &query)) return;
  SortedSet result = Compute(ctx, operation, query);
  const uint64_t size = result.Size();
  const int64_t dirty = ctx.unit().dirty();
  ctx.Store(ctx.arg(1), Value::FromObject(std::move(result)), kNotifyZset, event);
  // AGGREGATE COUNT is newer than 7.0: the result itself is recorded.
  if (query.aggregate == Aggregate::kCount && ctx.unit().dirty() != dirty)
    SendStoredSortedSet(ctx, ctx.arg(1));
  ctx.reply().Integer(static_cast<int64_t>(size));
}

// ZUNION numkeys key [key ...] [WEIGHTS w ...] [AGGREGATE SUM|MIN|MAX|COUNT] [WITHSCORES]
void ZUnion(Context& ctx) { Reply(ctx, Operation::kUnion); }
// ZINTER numkeys key [key ...] [WEIGHTS w ...] [AGGREGATE SUM|MIN|MAX|COUNT] [WITHSCORES]
void ZInter(Context& ctx) { Reply(ctx, Operation::kIntersection); }
// ZDIFF numkeys key [key ...] [WITHSCORES]
void ZDiff(Context& ctx) { Reply(ctx, Operation::kDifference); }
// ZUNIONSTORE destination numkeys key [key ...] [WEIGHTS w ...] [AGGREGATE ...]
void ZUnionStore(Context& ctx) { Store(ctx, Operation::kUnion, "zunionstore"); }
// ZINTERSTORE destination numkeys key [key ...] [WEIGHTS w ...] [AGGREGATE ...]
void ZInterStore(Context& ctx) { Store(ctx, Operation::kIntersection, "zinterstore"); }
// ZDIFFSTORE destination numkeys key [key ...]
void ZDiffStore(Context& ctx) { Store(ctx, Operation::kDifference, "zdiffstore"); }

// ZINTERCARD numkeys key [key ...] [LIMIT limit]
void ZInterCard(Context& ctx) {
  Query query;
  if (!ReadQuery(ctx, 1, Operation::kIntersection, false, true, &query)) return;
  ctx.reply().Integer(static_cast<int64_t>(
      ZsetIntersectionCount(query.inputs, static_cast<uint64_t>(query.limit))));
}

constexpr KeySpecs kInputs = KeyNum(kRO | kAccess, 1);
constexpr KeySpecs kStore = Key(kOW | kUpdate) + KeyNum(kRO | kAccess, 2);
constexpr CommandSpec kRows[] = {
    {"ZUNION", -3, kReadonly, kInputs, kAclSortedSet, &ZUnion},
    {"ZINTER", -3, kReadonly, kInputs, kAclSortedSet, &ZInter},
    {"ZDIFF", -3, kReadonly, kInputs, kAclSortedSet, &ZDiff},
    {"ZUNIONSTORE", -4, kWrite | kDenyOom, kStore, kAclSortedSet, &ZUnionStore},
    {"ZINTERSTORE", -4, kWrite | kDenyOom, kStore, kAclSortedSet, &ZInterStore},
    {"ZDIFFSTORE", -4, kWrite | kDenyOom, kStore, kAclSortedSet, &ZDiffStore},
    {"ZINTERCARD", -3, kReadonly, kInputs, kAclSortedSet, &ZInterCard},
};

}  // namespace

std::span<const CommandSpec> SortedSetAlgebraCommands() { return kRows; }

}  // namespace cairn
