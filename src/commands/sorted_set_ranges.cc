// SPDX-License-Identifier: BSD-3-Clause
//
// Ranges of sorted sets by rank, score and text: ZRANGE and the older commands it unites,
// ZRANGESTORE, the counts, and the removals.
#include <initializer_list>
#include <string>
#include <vector>

#include "base/numbers.h"
#include "commands/families.h"
#include "commands/sorted_set_replies.h"
#include "exec/args.h"
#include "exec/context.h"
#include "exec/refs.h"
#include "types/sorted_set.h"

namespace cairn {
namespace {

constexpr std::string_view kNotScore = "ERR min or max is not a float";
constexpr std::string_view kNotLex = "ERR min or max not valid string range item";

enum class By { kAuto, kRank, kScore, kLex };
enum class Direction { kAuto, kForward, kReverse };

struct RangeQuery {
  By by = By::kAuto;
  bool reverse = false;
  bool with_scores = false;
  int64_t offset = 0, limit = -1;
  int64_t start = 0, stop = 0;
  ScoreRange scores;
  LexRange lex;

  RankSpan SpanIn(const SortedSet& set) const {
    switch (by) {
      case By::kScore: return set.SpanOf(scores).Limit(offset, limit, reverse);
      case By::kLex: return set.SpanOf(lex).Limit(offset, limit, reverse);
      default: return RankSpan::OfIndexes(start, stop, set.Size(), reverse);
    }
  }
};

// Reads "min max [options]" from argument `first` on. False: the error was replied.
bool ReadQuery(Context& ctx, size_t first, By by, Direction direction, bool store,
               RangeQuery* query) {
  query->by = by;
  query->reverse = direction == Direction::kReverse;
  Args args(ctx, first + 2);
  while (args.More()) {
    if (!store && args.Take("WITHSCORES")) {
      query->with_scores = true;
    } else if (args.Take("LIMIT", 2)) {
      query->offset = args.Int();
      query->limit = args.Int();
    } else if (direction == Direction::kAuto && !query->reverse && args.Take("REV")) {
      query->reverse = true;
    } else if (query->by == By::kAuto && args.Take("BYLEX")) {
      query->by = By::kLex;
    } else if (query->by == By::kAuto && args.Take("BYSCORE")) {
      query->by = By::kScore;
    } else {
      args.Fail(errors::kSyntax);
    }
  }
  if (!args.Done()) return false;
  if (query->by == By::kAuto) query->by = By::kRank;
  if (query->by == By::kRank && query->limit != -1) {
    ctx.Error("ERR syntax error, LIMIT is only supported in combination with either BYSCORE or "
              "BYLEX");
    return false;
  }
  if (query->by == By::kLex && query->with_scores) {
    ctx.Error("ERR syntax error, WITHSCORES not supported in combination with BYLEX");
    return false;
  }
  std::string_view min = ctx.arg(first), max = ctx.arg(first + 1);
  std::string_view error;
  switch (query->by) {
    case By::kScore:
      if (query->reverse) std::swap(min, max);
      if (!ScoreRange::Parse(min, max, &query->scores)) error = kNotScore;
      break;
    case By::kLex:
      if (query->reverse) std::swap(min, max);
      if (!LexRange::Parse(min, max, &query->lex)) error = kNotLex;
      break;
    default:
      if (!ParseInt64(min, &query->start) || !ParseInt64(max, &query->stop))
        error = errors::kNotInteger;
  }
  if (!error.empty()) ctx.Error(error);
  return error.empty();
}

void ReplyRange(Context& ctx, By by, Direction direction) {
  RangeQuery query;
  if (!ReadQuery(ctx, 2, by, direction, false, &query)) return;
  auto set = ctx.Read<SortedSet>(ctx.arg(1));
  if (set.failed()) return;
  if (!set) return ctx.reply().EmptyArray();
  const RankSpan span = query.SpanIn(*set);
  ScoredReply reply(ctx.reply(), query.with_scores);
  reply.Begin(span.count);
  for (auto it = set->Iterate(span, query.reverse); it.Valid(); it.Next())
    reply.Add(it.member(), query.with_scores ? it.score() : 0);
}

// ZRANGE key start stop [BYSCORE|BYLEX] [REV] [LIMIT offset count] [WITHSCORES]  O(log N + M)
void ZRange(Context& ctx) { ReplyRange(ctx, By::kAuto, Direction::kAuto); }
// ZREVRANGE key start stop [WITHSCORES]  O(log N + M)
void ZRevRange(Context& ctx) { ReplyRange(ctx, By::kRank, Direction::kReverse); }
// ZRANGEBYSCORE key min max [WITHSCORES] [LIMIT offset count]  O(log N + M)
void ZRangeByScore(Context& ctx) { ReplyRange(ctx, By::kScore, Direction::kForward); }
// ZREVRANGEBYSCORE key max min [WITHSCORES] [LIMIT offset count]  O(log N + M)
void ZRevRangeByScore(Context& ctx) { ReplyRange(ctx, By::kScore, Direction::kReverse); }
// ZRANGEBYLEX key min max [LIMIT offset count]  O(log N + M)
void ZRangeByLex(Context& ctx) { ReplyRange(ctx, By::kLex, Direction::kForward); }
// ZREVRANGEBYLEX key max min [LIMIT offset count]  O(log N + M)
void ZRevRangeByLex(Context& ctx) { ReplyRange(ctx, By::kLex, Direction::kReverse); }

// A range by members is recorded by the ranks that it was found to be. Where scores differ it depends
// on how the tree has grown, and the tree of a follower, or after a restart, is another.
void SendRanks(Context& ctx, std::initializer_list<std::string_view> head, RankSpan span) {
  const std::string first = ToString(static_cast<int64_t>(span.first));
  const std::string last = ToString(static_cast<int64_t>(span.first + span.count - 1));
  std::vector<std::string_view> words(head);
  words.insert(words.end(), {first, last});
  ctx.Effect(Arguments(words));
}

// ZRANGESTORE dst src min max [BYSCORE|BYLEX] [REV] [LIMIT offset count]  O(log N + M)
void ZRangeStore(Context& ctx) {
  RangeQuery query;
  if (!ReadQuery(ctx, 3, By::kAuto, Direction::kAuto, true, &query)) return;
  const Thresholds thresholds = ctx.engine().ReadThresholds();
  SortedSet result;
  RankSpan span;
  {
    auto source = ctx.Read<SortedSet>(ctx.arg(2));
    if (source.failed()) return;
    if (source) {
      span = query.SpanIn(*source);
      for (auto it = source->Iterate(span, query.reverse); it.Valid(); it.Next())
        result.Add(it.score(), it.member(), {}, thresholds);
    }
  }
  const uint64_t size = result.Size();
  const int64_t dirty = ctx.unit().dirty();
  ctx.Store(ctx.arg(1), Value::FromObject(std::move(result)), kNotifyZset, "zrangestore");
  if (query.by == By::kLex && ctx.unit().dirty() != dirty) {
    if (size == 0) {
      ctx.Effect({"DEL", ctx.arg(1)});
    } else {
      SendRanks(ctx, {"ZRANGESTORE", ctx.arg(1), ctx.arg(2)}, span);
    }
  }
  ctx.reply().Integer(static_cast<int64_t>(size));
}

// ZCOUNT key min max  O(log N)
void ZCount(Context& ctx) {
  ScoreRange range;
  if (!ScoreRange::Parse(ctx.arg(2), ctx.arg(3), &range)) return ctx.Error(kNotScore);
  auto set = ctx.Read<SortedSet>(ctx.arg(1));
  if (set.failed()) return;
  ctx.reply().Integer(set ? static_cast<int64_t>(set->SpanOf(range).count) : 0);
}

// ZLEXCOUNT key min max  O(log N)
void ZLexCount(Context& ctx) {
  LexRange range;
  if (!LexRange::Parse(ctx.arg(2), ctx.arg(3), &range)) return ctx.Error(kNotLex);
  auto set = ctx.Read<SortedSet>(ctx.arg(1));
  if (set.failed()) return;
  ctx.reply().Integer(set ? static_cast<int64_t>(set->SpanOf(range).count) : 0);
}

void RemoveRange(Context& ctx, By by, const char* event) {
  RangeQuery query;
  if (!ReadQuery(ctx, 2, by, Direction::kForward, true, &query)) return;
  auto set = ctx.Write<SortedSet>(ctx.arg(1));
  if (set.failed()) return;
  if (!set) return ctx.reply().Integer(0);
  const RankSpan span = query.SpanIn(*set);
  const uint64_t removed = set.Mutable().RemoveSpan(span);
  ctx.reply().Integer(static_cast<int64_t>(removed));
  if (removed > 0) {
    if (by == By::kLex) SendRanks(ctx, {"ZREMRANGEBYRANK", ctx.arg(1)}, span);
    set.Commit(kNotifyZset, event, static_cast<int64_t>(removed));
  } else {
    set.Unchanged();
  }
}

// ZREMRANGEBYRANK key start stop  O(log N + M)
void ZRemRangeByRank(Context& ctx) { RemoveRange(ctx, By::kRank, "zremrangebyrank"); }
// ZREMRANGEBYSCORE key min max  O(log N + M)
void ZRemRangeByScore(Context& ctx) { RemoveRange(ctx, By::kScore, "zremrangebyscore"); }
// ZREMRANGEBYLEX key min max  O(log N + M)
void ZRemRangeByLex(Context& ctx) { RemoveRange(ctx, By::kLex, "zremrangebylex"); }

constexpr KeySpecs kRead = Key(kRO | kAccess);
constexpr CommandSpec kRows[] = {
    {"ZRANGE", -4, kReadonly, kRead, kAclSortedSet, &ZRange},
    {"ZREVRANGE", -4, kReadonly, kRead, kAclSortedSet, &ZRevRange},
    {"ZRANGEBYSCORE", -4, kReadonly, kRead, kAclSortedSet, &ZRangeByScore},
    {"ZREVRANGEBYSCORE", -4, kReadonly, kRead, kAclSortedSet, &ZRevRangeByScore},
    {"ZRANGEBYLEX", -4, kReadonly, kRead, kAclSortedSet, &ZRangeByLex},
    {"ZREVRANGEBYLEX", -4, kReadonly, kRead, kAclSortedSet, &ZRevRangeByLex},
    {"ZRANGESTORE", -5, kWrite | kDenyOom, Key(kOW | kUpdate) + Key(kRO | kAccess, 2),
     kAclSortedSet, &ZRangeStore},
    {"ZCOUNT", 4, kReadonly | kFast, kRead, kAclSortedSet, &ZCount},
    {"ZLEXCOUNT", 4, kReadonly | kFast, kRead, kAclSortedSet, &ZLexCount},
    {"ZREMRANGEBYRANK", 4, kWrite, Key(kRW | kDelete), kAclSortedSet, &ZRemRangeByRank},
    {"ZREMRANGEBYSCORE", 4, kWrite, Key(kRW | kDelete), kAclSortedSet, &ZRemRangeByScore},
    {"ZREMRANGEBYLEX", 4, kWrite, Key(kRW | kDelete), kAclSortedSet, &ZRemRangeByLex},
};

}  // namespace

std::span<const CommandSpec> SortedSetRangeCommands() { return kRows; }

}  // namespace cairn
