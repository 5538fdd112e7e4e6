// SPDX-License-Identifier: BSD-3-Clause
//
// Sets, but for unions, intersections and differences (set_algebra.cc).
#include "types/set.h"

#include "commands/families.h"
#include "commands/repeated_replies.h"
#include "commands/scan_options.h"
#include "exec/args.h"
#include "exec/context.h"
#include "exec/executor.h"
#include "exec/refs.h"

namespace cairn {
namespace {

void ReplyMember(Context& ctx, const ListpackValue& member) {
  member.is_int() ? ctx.reply().BulkInteger(member.integer()) : ctx.reply().Bulk(member.text());
}

// SADD key member [member ...]  O(N)
void SAdd(Context& ctx) {
  auto set = ctx.Write<Set>(ctx.arg(1));
  if (set.failed()) return;
  const Arguments members = ctx.args().subspan(2);
  const Thresholds thresholds = ctx.engine().ReadThresholds();
  const bool fresh = !set;
  Set& target = set.Create();
  if (fresh) target = Set::ForMembers(members[0], members.size(), thresholds);
  int64_t added = 0;
  for (std::string_view member : members) added += target.Add(member, thresholds);
  if (fresh) target.Settle();
  ctx.reply().Integer(added);
  added > 0 ? set.Commit(kNotifySet, "sadd", added) : set.Unchanged();
}

// SREM key member [member ...]  O(N)
void SRem(Context& ctx) {
  auto set = ctx.Write<Set>(ctx.arg(1));
  if (set.failed()) return;
  if (!set) return ctx.reply().Integer(0);
  Set& target = set.Mutable();
  int64_t removed = 0;
  for (std::string_view member : ctx.args().subspan(2)) {
    removed += target.Remove(member);
    if (target.empty()) break;
  }
  ctx.reply().Integer(removed);
  removed > 0 ? set.Commit(kNotifySet, "srem", removed) : set.Unchanged();
}

// SMOVE source destination member  O(1)
void SMove(Context& ctx) {
  auto source = ctx.Write<Set>(ctx.arg(1));
  if (source.failed()) return;
  // Redis looks at the destination's type only if there is a source.
  if (!source) return ctx.reply().Integer(0);
  auto destination = ctx.Write<Set>(ctx.arg(2));
  if (destination.failed()) return;
  const std::string_view member = ctx.arg(3);
  if (ctx.arg(1) == ctx.arg(2)) return ctx.reply().Integer(source->Contains(member));
  if (!source.Mutable().Remove(member)) {
    source.Unchanged();
    return ctx.reply().Integer(0);
  }
  source.Commit(kNotifySet, "srem");
  const Thresholds thresholds = ctx.engine().ReadThresholds();
  const bool fresh = !destination;
  Set& target = destination.Create();
  if (fresh) target = Set::ForMembers(member, 1, thresholds);
  target.Add(member, thresholds) ? destination.Commit(kNotifySet, "sadd")
                                 : destination.Unchanged();
  ctx.reply().Integer(1);
}

// SISMEMBER key member  O(1)
void SIsMember(Context& ctx) {
  auto set = ctx.Read<Set>(ctx.arg(1));
  if (set.failed()) return;
  ctx.reply().Integer(set && set->Contains(ctx.arg(2)));
}

// SMISMEMBER key member [member ...]  O(N)
void SMIsMember(Context& ctx) {
  auto set = ctx.Read<Set>(ctx.arg(1));
  if (set.failed()) return;
  ctx.reply().Array(ctx.argc() - 2);
  for (std::string_view member : ctx.args().subspan(2))
    ctx.reply().Integer(set && set->Contains(member));
}

// SCARD key  O(1)
void SCard(Context& ctx) {
  auto set = ctx.Read<Set>(ctx.arg(1));
  if (set.failed()) return;
  ctx.reply().Integer(set ? static_cast<int64_t>(set->Size()) : 0);
}

// SMEMBERS key  O(N)
void SMembers(Context& ctx) {
  auto set = ctx.Read<Set>(ctx.arg(1));
  if (set.failed()) return;
  if (!set) return ctx.reply().Set(0);
  ctx.reply().Set(set->Size());
  set->ForEach([&](const ListpackValue& member) { return ReplyMember(ctx, member), true; });
}

// Journals what SPOP took out, in pieces that a reader can hold.
void PoppedEffects(Context& ctx, const std::vector<std::string>& members) {
  constexpr size_t kMembersPerEffect = 1024;
  std::vector<std::string_view> parts;
  for (size_t i = 0; i < members.size(); i += kMembersPerEffect) {
    const size_t end = std::min(members.size(), i + kMembersPerEffect);
    parts = {"SREM", ctx.arg(1)};
    parts.insert(parts.end(), members.begin() + static_cast<ptrdiff_t>(i),
                 members.begin() + static_cast<ptrdiff_t>(end));
    ctx.Effect(parts);
  }
}

// SPOP key [count]  O(count)
void SPop(Context& ctx) {
  if (ctx.argc() > 3) return ctx.Error(errors::kSyntax);
  const bool many = ctx.argc() == 3;
  int64_t count = 1;
  if (many && (!ParseInt64(ctx.arg(2), &count) || count < 0)) return ctx.Error(errors::kPositive);
  auto set = ctx.Write<Set>(ctx.arg(1));
  if (set.failed()) return;
  if (!set) return many ? ctx.reply().Set(0) : ctx.reply().Null();
  if (count == 0) return ctx.reply().Set(0);
  const size_t size = set->Size();
  const size_t popped = std::min(size, static_cast<size_t>(count));
  std::vector<std::string> members;
  const bool emptied = popped == size;
  const bool named = !emptied && ctx.unit().records();
  if (many) ctx.reply().Set(popped);
  set.Mutable().Pop(popped, ctx.executor().random(), [&](std::string_view member) {
    ctx.reply().Bulk(member);
    if (named) members.emplace_back(member);
  });
  set.Commit(kNotifySet, "spop", static_cast<int64_t>(popped));
  if (emptied) return ctx.Effect({"DEL", ctx.arg(1)});
  named ? PoppedEffects(ctx, members) : ctx.NoEffect();
}

// SRANDMEMBER key [count]  O(count)
void SRandMember(Context& ctx) {
  if (ctx.argc() > 3) return ctx.Error(errors::kSyntax);
  const bool many = ctx.argc() == 3;
  int64_t count = 0;
  if (many) {
    if (!ParseInt64(ctx.arg(2), &count)) return ctx.Error(errors::kNotInteger);
    if (count == INT64_MIN) return ctx.Error(errors::kNegatable);
  }
  auto set = ctx.Read<Set>(ctx.arg(1));
  if (set.failed()) return;
  Random& random = ctx.executor().random();
  if (!many) return set ? ReplyMember(ctx, set->RandomMember(random)) : ctx.reply().Null();
  if (!set || count == 0) return ctx.reply().EmptyArray();
  auto visit = [&](const ListpackValue& member) {
    if (!ctx.ReplyTooLong()) ReplyMember(ctx, member);
  };
  if (count > 0) {
    const size_t n = std::min(set->Size(), static_cast<size_t>(count));
    ctx.reply().Array(n);
    return set->Sample(n, random, visit);
  }
  const auto repeats = static_cast<uint64_t>(-count);
  if (!RepeatsFit(ctx, repeats)) return;
  ctx.reply().Array(repeats);
  RepeatBounded(ctx, repeats, [&](uint64_t n) { set->SampleRepeating(n, random, visit); });
}

// SSCAN key cursor [MATCH pattern] [COUNT count]  O(count) a call
void SScan(Context& ctx) {
  ScanOptions options;
  if (!options.ReadCursor(ctx, ctx.arg(2))) return;
  auto set = ctx.Read<Set>(ctx.arg(1));
  if (set.failed()) return;
  if (set && !ReadScanOptions(ctx, &options, [](Args&) { return false; })) return;
  std::vector<ListpackValue> page;
  uint64_t cursor = 0;
  if (set)
    cursor = set->Scan(options.cursor, static_cast<size_t>(options.count),
                       [&](const ListpackValue& member) {
                         char digits[kInt64CharsMax];
                         if (options.Matches(member.Text(digits))) page.push_back(member);
                       });
  ctx.reply().Array(2);
  ctx.reply().Bulk(std::to_string(cursor));
  ctx.reply().Array(page.size());
  for (const ListpackValue& member : page) ReplyMember(ctx, member);
}

constexpr uint64_t kReadFast = kReadonly | kFast;
constexpr CommandSpec kRows[] = {
    {"SADD", -3, kWrite | kDenyOom | kFast, Key(kRW | kInsert), kAclSet, &SAdd},
    {"SCARD", 2, kReadFast, Key(kRO), kAclSet, &SCard},
    {"SISMEMBER", 3, kReadFast, Key(kRO), kAclSet, &SIsMember},
    {"SMEMBERS", 2, kReadonly, Key(kRO | kAccess), kAclSet, &SMembers},
    {"SMISMEMBER", -3, kReadFast, Key(kRO | kAccess), kAclSet, &SMIsMember},
    {"SMOVE", 4, kWrite | kFast, Key(kRW | kAccess | kDelete) + Key(kRW | kInsert, 2), kAclSet,
     &SMove},
    {"SPOP", -2, kWrite | kFast, Key(kRW | kAccess | kDelete), kAclSet, &SPop},
    {"SRANDMEMBER", -2, kReadonly, Key(kRO | kAccess), kAclSet, &SRandMember},
    {"SREM", -3, kWrite | kFast, Key(kRW | kDelete), kAclSet, &SRem},
    {"SSCAN", -3, kReadonly, Key(kRO | kAccess), kAclSet, &SScan},
};

}  // namespace

std::span<const CommandSpec> SetCommands() { return kRows; }

}  // namespace cairn
