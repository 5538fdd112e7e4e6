// SPDX-License-Identifier: BSD-3-Clause
//
// Lists, but for their blocking forms.
#include "types/list.h"

#include "commands/families.h"
#include "commands/list_common.h"
#include "exec/args.h"
#include "exec/context.h"
#include "exec/refs.h"

namespace cairn {
namespace {

void Push(Context& ctx, ListEnd end, bool must_exist) {
  auto list = ctx.Write<List>(ctx.arg(1));
  if (list.failed()) return;
  if (must_exist && !list) return ctx.reply().Integer(0);
  const Arguments elements = ctx.args().subspan(2);
  list.Create().Push(end, elements, ctx.engine().ReadThresholds());
  ctx.reply().Integer(static_cast<int64_t>(list->Length()));
  list.Commit(kNotifyList, PushEvent(end), static_cast<int64_t>(elements.size()));
}

// LPUSH key element [element ...]  O(N)
void LPush(Context& ctx) { Push(ctx, ListEnd::kFront, false); }
// RPUSH key element [element ...]  O(N)
void RPush(Context& ctx) { Push(ctx, ListEnd::kBack, false); }
// LPUSHX key element [element ...]  O(N)
void LPushX(Context& ctx) { Push(ctx, ListEnd::kFront, true); }
// RPUSHX key element [element ...]  O(N)
void RPushX(Context& ctx) { Push(ctx, ListEnd::kBack, true); }

void Pop(Context& ctx, ListEnd end) {
  if (ctx.argc() > 3)
    return ctx.Error("ERR wrong number of arguments for '" + ctx.command().full_name +
                     "' command");
  const bool many = ctx.argc() == 3;
  int64_t count = 0;
  if (many && (!ParseInt64(ctx.arg(2), &count) || count < 0)) return ctx.Error(errors::kPositive);
  auto list = ctx.Write<List>(ctx.arg(1));
  if (list.failed()) return;
  if (!list) return many ? ctx.reply().NullArray() : ctx.reply().Null();
  if (many && count == 0) return ctx.reply().EmptyArray();
  if (many) return PopElements(ctx, list, end, static_cast<uint64_t>(count));
  std::string element;
  list.Mutable().Pop(end, &element, ctx.engine().ReadThresholds());
  ctx.reply().Bulk(element);
  list.Commit(kNotifyList, PopEvent(end));
}

// LPOP key [count]  O(N)
void LPop(Context& ctx) { Pop(ctx, ListEnd::kFront); }
// RPOP key [count]  O(N)
void RPop(Context& ctx) { Pop(ctx, ListEnd::kBack); }

// LLEN key  O(1)
void LLen(Context& ctx) {
  auto list = ctx.Read<List>(ctx.arg(1));
  if (list.failed()) return;
  ctx.reply().Integer(list ? static_cast<int64_t>(list->Length()) : 0);
}

// LINDEX key index  O(chunks)
void LIndex(Context& ctx) {
  auto list = ctx.Read<List>(ctx.arg(1));
  if (list.failed()) return;
  if (!list) return ctx.reply().Null();
  int64_t index;
  if (!ParseInt64(ctx.arg(2), &index)) return ctx.Error(errors::kNotInteger);
  ListIterator it = list->From(index);
  it.Valid() ? ctx.reply().Bulk(it.Value()) : ctx.reply().Null();
}

// LSET key index element  O(chunks)
void LSet(Context& ctx) {
  auto list = ctx.Write<List>(ctx.arg(1));
  if (list.failed()) return;
  if (!list) return ctx.Error(errors::kNoSuchKey);
  int64_t index;
  if (!ParseInt64(ctx.arg(2), &index)) return ctx.Error(errors::kNotInteger);
  if (!list.Mutable().Set(index, ctx.arg(3), ctx.engine().ReadThresholds())) {
    list.Unchanged();
    return ctx.Error(errors::kOutOfRange);
  }
  list.Commit(kNotifyList, "lset");
  ctx.Ok();
}

// LINSERT key BEFORE|AFTER pivot element  O(N)
void LInsert(Context& ctx) {
  const bool before = EqualsIgnoreCase(ctx.arg(2), "before");
  if (!before && !EqualsIgnoreCase(ctx.arg(2), "after")) return ctx.Error(errors::kSyntax);
  auto list = ctx.Write<List>(ctx.arg(1));
  if (list.failed()) return;
  if (!list) return ctx.reply().Integer(0);
  if (!list.Mutable().Insert(before, ctx.arg(3), ctx.arg(4), ctx.engine().ReadThresholds())) {
    list.Unchanged();
    return ctx.reply().Integer(-1);
  }
  ctx.reply().Integer(static_cast<int64_t>(list->Length()));
  list.Commit(kNotifyList, "linsert");
}

bool ReadRange(Context& ctx, size_t first, int64_t* start, int64_t* stop) {
  if (ParseInt64(ctx.arg(first), start) && ParseInt64(ctx.arg(first + 1), stop)) return true;
  ctx.Error(errors::kNotInteger);
  return false;
}

// LRANGE key start stop  O(S+N)
void LRange(Context& ctx) {
  int64_t start, stop;
  if (!ReadRange(ctx, 2, &start, &stop)) return;
  auto list = ctx.Read<List>(ctx.arg(1));
  if (list.failed()) return;
  if (!list) return ctx.reply().EmptyArray();
  uint64_t first;
  ctx.reply().Array(list->CountInRange(start, stop, &first));
  list->Range(start, stop, [&](std::string_view element) { ctx.reply().Bulk(element); });
}

// LTRIM key start stop  O(N) of what goes
void LTrim(Context& ctx) {
  int64_t start, stop;
  if (!ReadRange(ctx, 2, &start, &stop)) return;
  auto list = ctx.Write<List>(ctx.arg(1));
  if (list.failed()) return;
  if (!list) return ctx.Ok();
  const uint64_t removed = list.Mutable().Trim(start, stop, ctx.engine().ReadThresholds());
  // Redis announces the trim even where nothing went.
  list.Commit(kNotifyList, "ltrim", static_cast<int64_t>(removed));
  ctx.Ok();
}

// LREM key count element  O(N)
void LRem(Context& ctx) {
  int64_t count;
  if (!ParseInt64(ctx.arg(2), &count)) return ctx.Error(errors::kNotInteger);
  auto list = ctx.Write<List>(ctx.arg(1));
  if (list.failed()) return;
  if (!list) return ctx.reply().Integer(0);
  const uint64_t removed = list.Mutable().Remove(count, ctx.arg(3), ctx.engine().ReadThresholds());
  ctx.reply().Integer(static_cast<int64_t>(removed));
  if (removed > 0) {
    list.Commit(kNotifyList, "lrem", static_cast<int64_t>(removed));
  } else {
    list.Unchanged();
  }
}

// LPOS key element [RANK rank] [COUNT num] [MAXLEN len]  O(N)
void LPos(Context& ctx) {
  int64_t rank = 1, count = -1, max_compared = 0;
  Args args(ctx, 3);
  while (args.More()) {
    if (args.Take("RANK", 1)) {
      rank = args.Int();
      if (!args.failed() && rank == INT64_MIN) args.Fail(errors::kNegatable);
      if (!args.failed() && rank == 0)
        args.Fail("ERR RANK can't be zero: use 1 to start from the first match, 2 from the second "
                  "... or use negative to start from the end of the list");
    } else if (args.Take("COUNT", 1)) {
      count = args.Int("ERR COUNT can't be negative");
      if (!args.failed() && count < 0) args.Fail("ERR COUNT can't be negative");
    } else if (args.Take("MAXLEN", 1)) {
      max_compared = args.Int("ERR MAXLEN can't be negative");
      if (!args.failed() && max_compared < 0) args.Fail("ERR MAXLEN can't be negative");
    } else {
      args.Fail(errors::kSyntax);
    }
  }
  if (!args.Done()) return;
  auto list = ctx.Read<List>(ctx.arg(1));
  if (list.failed()) return;
  const bool many = count >= 0;
  if (!list) return many ? ctx.reply().EmptyArray() : ctx.reply().Null();
  std::vector<uint64_t> found;
  list->Find(ctx.arg(2), rank, many ? static_cast<uint64_t>(count) : 1,
             static_cast<uint64_t>(max_compared), [&](uint64_t index) { found.push_back(index); });
  if (many) {
    ctx.reply().Array(found.size());
    for (uint64_t index : found) ctx.reply().Integer(static_cast<int64_t>(index));
  } else {
    found.empty() ? ctx.reply().Null() : ctx.reply().Integer(static_cast<int64_t>(found[0]));
  }
}

// LMOVE source destination LEFT|RIGHT LEFT|RIGHT  O(1)
void LMove(Context& ctx) {
  ListEnd from, to;
  if (!ReadListEnd(ctx.arg(3), &from) || !ReadListEnd(ctx.arg(4), &to))
    return ctx.Error(errors::kSyntax);
  if (!MoveElement(ctx, from, to)) ctx.reply().Null();
}

// RPOPLPUSH source destination  O(1)
void RPopLPush(Context& ctx) {
  if (!MoveElement(ctx, ListEnd::kBack, ListEnd::kFront)) ctx.reply().Null();
}

// LMPOP numkeys key [key ...] LEFT|RIGHT [COUNT count]  O(N+M)
void LMPop(Context& ctx) {
  ListMultiPop request;
  if (request.Read(ctx, 1) && !request.Run(ctx)) ctx.reply().NullArray();
}

constexpr KeySpecs kPopPush = Key(kRW | kAccess | kDelete, 1) + Key(kRW | kInsert, 2);
constexpr CommandSpec kRows[] = {
    {"LPUSH", -3, kWrite | kDenyOom | kFast, Key(kRW | kInsert), kAclList, &LPush},
    {"RPUSH", -3, kWrite | kDenyOom | kFast, Key(kRW | kInsert), kAclList, &RPush},
    {"LPUSHX", -3, kWrite | kDenyOom | kFast, Key(kRW | kInsert), kAclList, &LPushX},
    {"RPUSHX", -3, kWrite | kDenyOom | kFast, Key(kRW | kInsert), kAclList, &RPushX},
    {"LPOP", -2, kWrite | kFast, Key(kRW | kAccess | kDelete), kAclList, &LPop},
    {"RPOP", -2, kWrite | kFast, Key(kRW | kAccess | kDelete), kAclList, &RPop},
    {"LLEN", 2, kReadonly | kFast, Key(kRO), kAclList, &LLen},
    {"LINDEX", 3, kReadonly, Key(kRO | kAccess), kAclList, &LIndex},
    {"LSET", 4, kWrite | kDenyOom, Key(kRW | kUpdate), kAclList, &LSet},
    {"LINSERT", 5, kWrite | kDenyOom, Key(kRW | kInsert), kAclList, &LInsert},
    {"LRANGE", 4, kReadonly, Key(kRO | kAccess), kAclList, &LRange},
    {"LTRIM", 4, kWrite, Key(kRW | kDelete), kAclList, &LTrim},
    {"LREM", 4, kWrite, Key(kRW | kDelete), kAclList, &LRem},
    {"LPOS", -3, kReadonly, Key(kRO | kAccess), kAclList, &LPos},
    {"LMOVE", 5, kWrite | kDenyOom, kPopPush, kAclList, &LMove},
    {"RPOPLPUSH", 3, kWrite | kDenyOom, kPopPush, kAclList, &RPopLPush},
    {"LMPOP", -4, kWrite, KeyNum(kRW | kAccess | kDelete, 1), kAclList, &LMPop},
};

}  // namespace

std::span<const CommandSpec> ListCommands() { return kRows; }

}  // namespace cairn
