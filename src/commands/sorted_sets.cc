// SPDX-License-Identifier: BSD-3-Clause
//
// Sorted sets: adding, removing, looking up, popping, sampling. Ranges are in
// sorted_set_ranges.cc, unions and intersections in sorted_set_algebra.cc.
#include "types/sorted_set.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "commands/families.h"
#include "commands/repeated_replies.h"
#include "commands/scan_options.h"
#include "commands/sorted_set_add.h"
#include "commands/sorted_set_pops.h"
#include "commands/sorted_set_replies.h"
#include "exec/args.h"
#include "exec/context.h"
#include "exec/executor.h"
#include "exec/refs.h"

namespace cairn {

void AddScored(Context& ctx, const std::vector<double>& scores, size_t member, size_t stride,
               SortedSet::AddFlags flags, bool change_count) {
  auto set = ctx.Write<SortedSet>(ctx.arg(1));
  if (set.failed()) return;
  if (!set && flags.xx) return flags.incr ? ctx.reply().Null() : ctx.reply().Integer(0);
  const Thresholds thresholds = ctx.engine().ReadThresholds();
  const bool fresh = !set;
  SortedSet& value = set.Create();
  if (fresh) {
    size_t longest = 0;
    for (size_t i = 0; i < scores.size(); ++i)
      longest = std::max(longest, ctx.arg(member + i * stride).size());
    value = SortedSet(scores.size(), longest, thresholds);
  }
  int64_t added = 0, updated = 0;
  SortedSet::AddResult result;
  for (size_t i = 0; i < scores.size(); ++i) {
    result = value.Add(scores[i], ctx.arg(member + i * stride), flags, thresholds);
    if (result.nan) break;
    added += result.added;
    updated += result.updated;
  }
  if (fresh) value.Settle();
  if (result.nan) {
    ctx.Error("ERR resulting score is not a number (NaN)");
  } else if (flags.incr) {
    result.nop ? ctx.reply().Null() : ctx.reply().Double(result.score);
  } else {
    ctx.reply().Integer(change_count ? added + updated : added);
  }
  if (added + updated > 0) {
    set.Commit(kNotifyZset, flags.incr ? "zincr" : "zadd", added + updated);
  } else {
    set.Unchanged();
  }
}

namespace {

// ZADD key [NX|XX] [GT|LT] [CH] [INCR] score member [score member ...]  O(log N) each
void AddMembers(Context& ctx, SortedSet::AddFlags flags, bool change_count, size_t first) {
  const size_t words = ctx.argc() - first;
  if (words == 0 || words % 2 != 0) return ctx.Error(errors::kSyntax);
  if (flags.nx && flags.xx)
    return ctx.Error("ERR XX and NX options at the same time are not compatible");
  if ((flags.gt && flags.nx) || (flags.lt && flags.nx) || (flags.gt && flags.lt))
    return ctx.Error("ERR GT, LT, and/or NX options at the same time are not compatible");
  if (flags.incr && words > 2)
    return ctx.Error("ERR INCR option supports a single increment-element pair");
  std::vector<double> scores(words / 2);
  for (size_t i = 0; i < scores.size(); ++i)
    if (!ParseDouble(ctx.arg(first + 2 * i), &scores[i])) return ctx.Error(errors::kNotFloat);
  AddScored(ctx, scores, first + 1, 2, flags, change_count);
}

// ZINCRBY is ZADD INCR to Redis, and takes its options too: `ZINCRBY k NX m` is a syntax error,
// not a bad float.
void AddWithOptions(Context& ctx, SortedSet::AddFlags flags) {
  bool change_count = false;
  Args args(ctx, 2);
  for (;;) {
    if (args.Take("NX")) {
      flags.nx = true;
    } else if (args.Take("XX")) {
      flags.xx = true;
    } else if (args.Take("CH")) {
      change_count = true;
    } else if (args.Take("INCR")) {
      flags.incr = true;
    } else if (args.Take("GT")) {
      flags.gt = true;
    } else if (args.Take("LT")) {
      flags.lt = true;
    } else {
      break;
    }
  }
  AddMembers(ctx, flags, change_count, args.position());
}

void ZAdd(Context& ctx) { AddWithOptions(ctx, {}); }

// ZINCRBY key increment member  O(log N)
void ZIncrBy(Context& ctx) { AddWithOptions(ctx, {.incr = true}); }

// ZREM key member [member ...]  O(M log N)
void ZRem(Context& ctx) {
  auto set = ctx.Write<SortedSet>(ctx.arg(1));
  if (set.failed()) return;
  if (!set) return ctx.reply().Integer(0);
  int64_t removed = 0;
  SortedSet& value = set.Mutable();
  for (size_t i = 2; i < ctx.argc(); ++i) removed += value.Remove(ctx.arg(i));
  ctx.reply().Integer(removed);
  if (removed > 0) {
    set.Commit(kNotifyZset, "zrem", removed);
  } else {
    set.Unchanged();
  }
}

// ZCARD key  O(1)
void ZCard(Context& ctx) {
  auto set = ctx.Read<SortedSet>(ctx.arg(1));
  if (set.failed()) return;
  ctx.reply().Integer(set ? static_cast<int64_t>(set->Size()) : 0);
}

// ZSCORE key member  O(1)
void ZScore(Context& ctx) {
  auto set = ctx.Read<SortedSet>(ctx.arg(1));
  if (set.failed()) return;
  double score;
  set && set->Score(ctx.arg(2), &score) ? ctx.reply().Double(score) : ctx.reply().Null();
}

// ZMSCORE key member [member ...]  O(M)
void ZMScore(Context& ctx) {
  auto set = ctx.Read<SortedSet>(ctx.arg(1));
  if (set.failed()) return;
  ctx.reply().Array(ctx.argc() - 2);
  for (size_t i = 2; i < ctx.argc(); ++i) {
    double score;
    set && set->Score(ctx.arg(i), &score) ? ctx.reply().Double(score) : ctx.reply().Null();
  }
}

void ReplyRank(Context& ctx, bool reverse) {
  if (ctx.argc() > 4)
    return ctx.Error("ERR wrong number of arguments for '" + ctx.command().full_name +
                     "' command");
  const bool with_score = ctx.argc() == 4;
  if (with_score && !EqualsIgnoreCase(ctx.arg(3), "withscore")) return ctx.Error(errors::kSyntax);
  auto set = ctx.Read<SortedSet>(ctx.arg(1));
  if (set.failed()) return;
  uint64_t rank;
  double score;
  if (!set || !set->Rank(ctx.arg(2), reverse, &rank, &score))
    return with_score ? ctx.reply().NullArray() : ctx.reply().Null();
  if (with_score) ctx.reply().Array(2);
  ctx.reply().Integer(static_cast<int64_t>(rank));
  if (with_score) ctx.reply().Double(score);
}

// ZRANK key member [WITHSCORE]  O(log N)
void ZRank(Context& ctx) { ReplyRank(ctx, false); }
// ZREVRANK key member [WITHSCORE]  O(log N)
void ZRevRank(Context& ctx) { ReplyRank(ctx, true); }

void Pop(Context& ctx, bool highest) {
  if (ctx.argc() > 3) return ctx.Error(errors::kSyntax);
  const bool many = ctx.argc() == 3;
  int64_t count = 1;
  if (many && (!ParseInt64(ctx.arg(2), &count) || count < 0)) return ctx.Error(errors::kPositive);
  auto set = ctx.Write<SortedSet>(ctx.arg(1));
  if (set.failed()) return;
  if (!set || count == 0) return ctx.reply().EmptyArray();
  PopMembers(ctx, set, highest, static_cast<uint64_t>(count), many && ctx.resp3());
}

// ZPOPMIN key [count]  O(log N * M)
void ZPopMin(Context& ctx) { Pop(ctx, false); }
// ZPOPMAX key [count]  O(log N * M)
void ZPopMax(Context& ctx) { Pop(ctx, true); }

// ZMPOP numkeys key [key ...] MIN|MAX [COUNT count]  O(K + M log N)
void ZMPop(Context& ctx) {
  SortedSetMultiPop request;
  if (request.Read(ctx, 1) && !request.Run(ctx)) ctx.reply().NullArray();
}

// ZRANDMEMBER key [count [WITHSCORES]]  O(M)
void ZRandMember(Context& ctx) {
  const bool many = ctx.argc() > 2;
  const bool with_scores = ctx.argc() > 3;
  int64_t count = 1;
  if (many && !ParseInt64(ctx.arg(2), &count)) return ctx.Error(errors::kNotInteger);
  if (count == INT64_MIN) return ctx.Error(errors::kNegatable);
  if (ctx.argc() > 4 || (with_scores && !EqualsIgnoreCase(ctx.arg(3), "withscores")))
    return ctx.Error(errors::kSyntax);
  if (with_scores && (count < -(INT64_MAX / 2) || count > INT64_MAX / 2))
    return ctx.Error(errors::kValueRange);
  auto set = ctx.Read<SortedSet>(ctx.arg(1));
  if (set.failed()) return;
  if (!set) return many ? ctx.reply().EmptyArray() : ctx.reply().Null();
  Random& random = ctx.executor().random();
  if (!many) {
    const auto it = set->RandomMember(random);
    return ctx.reply().Bulk(it.member());
  }
  ScoredReply reply(ctx.reply(), with_scores);
  if (count < 0) {
    // Negative: that many, with repetitions.
    const auto repeats = static_cast<uint64_t>(-count);
    if (!RepeatsFit(ctx, repeats)) return;
    reply.Begin(repeats);
    return RepeatBounded(ctx, repeats, [&](uint64_t n) {
      for (; n > 0 && !ctx.ReplyTooLong(); --n) {
        const auto it = set->RandomMember(random);
        reply.Add(it.member(), it.score());
      }
    });
  }
  const uint64_t n = std::min<uint64_t>(static_cast<uint64_t>(count), set->Size());
  const auto ranks = set->RandomRanks(random, n);
  reply.Begin(ranks.size());
  for (uint64_t rank : ranks) {
    const auto it = set->Iterate({rank, 1});
    reply.Add(it.member(), it.score());
  }
}

// ZSCAN key cursor [MATCH pattern] [COUNT count]  O(1) a call
void ZScan(Context& ctx) {
  ScanOptions options;
  if (!options.ReadCursor(ctx, ctx.arg(2))) return;
  auto set = ctx.Read<SortedSet>(ctx.arg(1));
  if (set.failed()) return;
  if (set && !ReadScanOptions(ctx, &options, [](Args&) { return false; })) return;
  ctx.reply().Array(2);
  if (!set) {
    ctx.reply().Bulk("0");
    return ctx.reply().EmptyArray();
  }
  std::vector<std::pair<std::string, double>> found;
  const uint64_t cursor = set->Scan(options.cursor, static_cast<uint64_t>(options.count),
                                    [&](std::string_view member, double score) {
                                      if (options.Matches(member)) found.emplace_back(member, score);
                                    });
  char digits[kInt64CharsMax];
  ctx.reply().Bulk({digits, FormatUint64(digits, cursor)});
  ctx.reply().Array(found.size() * 2);
  for (const auto& [member, score] : found) {
    ctx.reply().Bulk(member);
    ctx.reply().Bulk(ToString(score));
  }
}

constexpr CommandSpec kRows[] = {
    {"ZADD", -4, kWrite | kDenyOom | kFast, Key(kRW | kUpdate), kAclSortedSet, &ZAdd},
    {"ZINCRBY", 4, kWrite | kDenyOom | kFast, Key(kRW | kAccess | kUpdate), kAclSortedSet,
     &ZIncrBy},
    {"ZREM", -3, kWrite | kFast, Key(kRW | kDelete), kAclSortedSet, &ZRem},
    {"ZCARD", 2, kReadonly | kFast, Key(kRO), kAclSortedSet, &ZCard},
    {"ZSCORE", 3, kReadonly | kFast, Key(kRO | kAccess), kAclSortedSet, &ZScore},
    {"ZMSCORE", -3, kReadonly | kFast, Key(kRO | kAccess), kAclSortedSet, &ZMScore},
    {"ZRANK", -3, kReadonly | kFast, Key(kRO | kAccess), kAclSortedSet, &ZRank},
    {"ZREVRANK", -3, kReadonly | kFast, Key(kRO | kAccess), kAclSortedSet, &ZRevRank},
    {"ZPOPMIN", -2, kWrite | kFast, Key(kRW | kAccess | kDelete), kAclSortedSet, &ZPopMin},
    {"ZPOPMAX", -2, kWrite | kFast, Key(kRW | kAccess | kDelete), kAclSortedSet, &ZPopMax},
    {"ZMPOP", -4, kWrite, KeyNum(kRW | kAccess | kDelete, 1), kAclSortedSet, &ZMPop},
    {"ZRANDMEMBER", -2, kReadonly, Key(kRO | kAccess), kAclSortedSet, &ZRandMember},
    {"ZSCAN", -3, kReadonly, Key(kRO | kAccess), kAclSortedSet, &ZScan},
};

}  // namespace

std::span<const CommandSpec> SortedSetCommands() { return kRows; }

}  // namespace cairn
