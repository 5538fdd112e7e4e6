// SPDX-License-Identifier: BSD-3-Clause
//
// Unions, intersections and differences of sets, replied, stored or counted.
#include "types/set_algebra.h"

#include "commands/families.h"
#include "exec/args.h"
#include "exec/context.h"
#include "exec/refs.h"

namespace cairn {
namespace {

enum class Operation { kUnion, kIntersection, kDifference };

// The sets behind `keys`, nullptr for a key that does not exist. False: WRONGTYPE was replied.
bool ReadSets(Context& ctx, Arguments keys, std::vector<ReadRef<Set>>* refs,
              std::vector<const Set*>* sets) {
  refs->reserve(keys.size());
  for (std::string_view key : keys) {
    refs->push_back(ctx.Read<Set>(key));
    if (refs->back().failed()) return false;
  }
  // Only now: a look-up may have deleted an expired key.
  for (const ReadRef<Set>& ref : *refs) sets->push_back(ref ? &*ref : nullptr);
  return true;
}

Set Combine(Operation operation, SetSpan sets, const Thresholds& thresholds) {
  switch (operation) {
    case Operation::kUnion: return UnionOf(sets, thresholds);
    case Operation::kIntersection: return IntersectionOf(sets, thresholds);
    case Operation::kDifference: break;
  }
  return DifferenceOf(sets, thresholds);
}

void Reply(Context& ctx, Operation operation) {
  std::vector<ReadRef<Set>> refs;
  std::vector<const Set*> sets;
  if (!ReadSets(ctx, ctx.args().subspan(1), &refs, &sets)) return;
  size_t members = 0;
  auto gap = ctx.reply().StartDeferred();
  auto visit = [&](const ListpackValue& member) {
    member.is_int() ? ctx.reply().BulkInteger(member.integer()) : ctx.reply().Bulk(member.text());
    ++members;
  };
  if (operation == Operation::kIntersection) {
    Intersect(sets, 0, visit);
  } else if (operation == Operation::kDifference) {
    Subtract(sets, 0, visit);
  } else {
    UnionOf(sets, ctx.engine().ReadThresholds()).ForEach([&](const ListpackValue& member) {
      return visit(member), true;
    });
  }
  ctx.reply().FinishSet(gap, members);
}

void Store(Context& ctx, Operation operation, const char* event) {
  std::vector<ReadRef<Set>> refs;
  std::vector<const Set*> sets;
  if (!ReadSets(ctx, ctx.args().subspan(2), &refs, &sets)) return;
  Set result = Combine(operation, sets, ctx.engine().ReadThresholds());
  const size_t size = result.Size();
  ctx.Store(ctx.arg(1), Value::FromObject(std::move(result)), kNotifySet, event);
  ctx.reply().Integer(static_cast<int64_t>(size));
}

// SUNION key [key ...]  O(N)
void SUnion(Context& ctx) { Reply(ctx, Operation::kUnion); }
// SINTER key [key ...]  O(N*M)
void SInter(Context& ctx) { Reply(ctx, Operation::kIntersection); }
// SDIFF key [key ...]  O(N)
void SDiff(Context& ctx) { Reply(ctx, Operation::kDifference); }
// SUNIONSTORE destination key [key ...]  O(N)
void SUnionStore(Context& ctx) { Store(ctx, Operation::kUnion, "sunionstore"); }
// SINTERSTORE destination key [key ...]  O(N*M)
void SInterStore(Context& ctx) { Store(ctx, Operation::kIntersection, "sinterstore"); }
// SDIFFSTORE destination key [key ...]  O(N)
void SDiffStore(Context& ctx) { Store(ctx, Operation::kDifference, "sdiffstore"); }

void Count(Context& ctx, Operation operation) {
  int64_t keys, limit = 0;
  if (!ParseInt64(ctx.arg(1), &keys) || keys < 1)
    return ctx.Error("ERR numkeys should be greater than 0");
  if (keys > static_cast<int64_t>(ctx.argc()) - 2)
    return ctx.Error("ERR Number of keys can't be greater than number of args");
  Args args(ctx, 2 + static_cast<size_t>(keys));
  while (args.More()) {
    if (!args.Take("LIMIT", 1)) {
      args.Fail(errors::kSyntax);
    } else if (!ParseInt64(args.Next(), &limit) || limit < 0) {
      args.Fail("ERR LIMIT can't be negative");
    }
  }
  if (!args.Done()) return;
  std::vector<ReadRef<Set>> refs;
  std::vector<const Set*> sets;
  if (!ReadSets(ctx, ctx.args().subspan(2, static_cast<size_t>(keys)), &refs, &sets)) return;
  const auto bound = static_cast<size_t>(limit);
  size_t members = 0;
  if (operation == Operation::kIntersection) {
    members = Intersect(sets, bound, [](const ListpackValue&) {});
  } else if (operation == Operation::kDifference) {
    members = Subtract(sets, bound, [](const ListpackValue&) {});
  } else {
    members = CountUnion(sets, bound, ctx.engine().ReadThresholds());
  }
  ctx.reply().Integer(static_cast<int64_t>(members));
}

// SINTERCARD numkeys key [key ...] [LIMIT limit]  O(N*M)
void SInterCard(Context& ctx) { Count(ctx, Operation::kIntersection); }
// SUNIONCARD numkeys key [key ...] [LIMIT limit]  O(N)
void SUnionCard(Context& ctx) { Count(ctx, Operation::kUnion); }
// SDIFFCARD numkeys key [key ...] [LIMIT limit]  O(N)
void SDiffCard(Context& ctx) { Count(ctx, Operation::kDifference); }

constexpr KeySpecs kSources = KeyRange(kRO | kAccess, 1, -1);
constexpr KeySpecs kStored = Key(kOW | kUpdate) + KeyRange(kRO | kAccess, 2, -1);
constexpr KeySpecs kStoredInter = Key(kRW | kUpdate | kWhole) + KeyRange(kRO | kAccess, 2, -1);
constexpr KeySpecs kCounted = KeyNum(kRO | kAccess, 1);
constexpr CommandSpec kRows[] = {
    {"SDIFF", -2, kReadonly, kSources, kAclSet, &SDiff},
    {"SDIFFCARD", -3, kReadonly, kCounted, kAclSet, &SDiffCard},
    {"SDIFFSTORE", -3, kWrite | kDenyOom, kStored, kAclSet, &SDiffStore},
    {"SINTER", -2, kReadonly, kSources, kAclSet, &SInter},
    {"SINTERCARD", -3, kReadonly, kCounted, kAclSet, &SInterCard},
    {"SINTERSTORE", -3, kWrite | kDenyOom, kStoredInter, kAclSet, &SInterStore},
    {"SUNION", -2, kReadonly, kSources, kAclSet, &SUnion},
    {"SUNIONCARD", -3, kReadonly, kCounted, kAclSet, &SUnionCard},
    {"SUNIONSTORE", -3, kWrite | kDenyOom, kStored, kAclSet, &SUnionStore},
};

}  // namespace

std::span<const CommandSpec> SetAlgebraCommands() { return kRows; }

}  // namespace cairn
