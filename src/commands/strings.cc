// SPDX-License-Identifier: BSD-3-Clause
//
// Strings: plain reads and writes, parts of strings, several strings at once, LCS.
#include "base/numbers.h"
#include "commands/families.h"
#include "commands/string_options.h"
#include "exec/args.h"
#include "exec/refs.h"
#include "types/lcs.h"

namespace cairn {
namespace {

// Redis's checkStringLength; replies the error. What was recorded once is replayed, also where the
// limit is lower now.
bool LengthFits(Context& ctx, uint64_t old_size, uint64_t more) {
  uint64_t total;
  if (!__builtin_add_overflow(old_size, more, &total) &&
      (ctx.session().internal || total <= static_cast<uint64_t>(ctx.config().proto_max_bulk_len())))
    return true;
  ctx.Error(errors::kStringTooLong);
  return false;
}

void ReplyOrNull(Context& ctx, const StringRef& string) {
  string ? string.ReplyBulk() : ctx.reply().Null();
}

// GET key  O(1)
void Get(Context& ctx) {
  const Entry* entry = ctx.Find(ctx.arg(1));
  if (entry == nullptr) return ctx.reply().Null();
  if (!entry->is_string()) [[unlikely]]
    return ctx.Error(errors::kWrongType);
  ReplyString(ctx.reply(), *entry);
}

// GETDEL key  O(1)
void GetDel(Context& ctx) {
  const StringRef string = ctx.ReadString(ctx.arg(1));
  if (string.failed()) return;
  ReplyOrNull(ctx, string);
  if (!string) return;
  ctx.Delete(string.id());
  ctx.Effect({"DEL", ctx.arg(1)});
}

// GETSET key value  O(1)
void GetSet(Context& ctx) {
  const StringRef string = ctx.ReadString(ctx.arg(1));
  if (string.failed()) return;
  ReplyOrNull(ctx, string);
  ctx.PutString(string.id(), ctx.arg(2));
  ctx.Notify(kNotifyString, "set", ctx.arg(1));
  ctx.Effect({"SET", ctx.arg(1), ctx.arg(2)});
}

// SETNX key value  O(1)
void SetNx(Context& ctx) {
  const KeyId id = ctx.Id(ctx.arg(1));
  if (ctx.Find(id, Context::Touch::kNo) != nullptr) return ctx.reply().Integer(0);
  ctx.PutString(id, ctx.arg(2));
  ctx.Notify(kNotifyString, "set", id.key);
  ctx.reply().Integer(1);
}

void SetWithTime(Context& ctx, ExpiryOption::Kind kind) {
  int64_t at_ms;
  if (!ExpiryOption{kind, ctx.arg(2)}.Resolve(ctx, &at_ms)) return;
  const KeyId id = ctx.Id(ctx.arg(1));
  ctx.PutString(id, ctx.arg(3), at_ms);
  ctx.Notify(kNotifyString, "set", id.key);
  ctx.Notify(kNotifyGeneric, "expire", id.key);
  ctx.Effect({"SET", id.key, ctx.arg(3), "PXAT", ToString(at_ms)});
  ctx.Ok();
}

// SETEX key seconds value  O(1)
void SetEx(Context& ctx) { SetWithTime(ctx, ExpiryOption::Kind::kEx); }

// PSETEX key milliseconds value  O(1)
void PSetEx(Context& ctx) { SetWithTime(ctx, ExpiryOption::Kind::kPx); }

// MGET key [key ...]  O(N)
void MGet(Context& ctx) {
  ctx.reply().Array(ctx.argc() - 1);
  for (size_t i = 1; i < ctx.argc(); ++i) {
    const Entry* entry = ctx.Find(ctx.arg(i), Context::Touch::kNo);
    if (entry != nullptr && !entry->is_string()) {
      // Redis answers nil for other types here, not WRONGTYPE.
      ctx.Find(ctx.arg(i));
      ctx.reply().Null();
    } else {
      ReplyOrNull(ctx, ctx.ReadString(ctx.arg(i)));
    }
  }
}

bool PairsComplete(Context& ctx) {
  if (ctx.argc() % 2 == 1) return true;
  ctx.Error("ERR wrong number of arguments for '" + ctx.command().full_name + "' command");
  return false;
}

void PutPairs(Context& ctx) {
  for (size_t i = 1; i < ctx.argc(); i += 2) {
    ctx.PutString(ctx.Id(ctx.arg(i)), ctx.arg(i + 1));
    ctx.Notify(kNotifyString, "set", ctx.arg(i));
  }
}

// MSET key value [key value ...]  O(N)
void MSet(Context& ctx) {
  if (!PairsComplete(ctx)) return;
  PutPairs(ctx);
  ctx.Ok();
}

// MSETNX key value [key value ...]  O(N)
void MSetNx(Context& ctx) {
  if (!PairsComplete(ctx)) return;
  for (size_t i = 1; i < ctx.argc(); i += 2)
    if (ctx.Find(ctx.arg(i), Context::Touch::kNo) != nullptr) return ctx.reply().Integer(0);
  PutPairs(ctx);
  ctx.reply().Integer(1);
}

// APPEND key value  O(1) amortised
void Append(Context& ctx) {
  StringRef string = ctx.WriteString(ctx.arg(1));
  if (string.failed()) return;
  if (!string) {
    string.SetBytes(ctx.arg(2));
  } else {
    if (!LengthFits(ctx, string.size(), ctx.arg(2).size())) return;
    string.Append(ctx.arg(2));
  }
  ctx.Notify(kNotifyString, "append", ctx.arg(1));
  ctx.reply().Integer(static_cast<int64_t>(string.size()));
}

// STRLEN key  O(1)
void StrLen(Context& ctx) {
  const StringRef string = ctx.ReadString(ctx.arg(1));
  if (string.failed()) return;
  ctx.reply().Integer(string ? static_cast<int64_t>(string.size()) : 0);
}

// SETRANGE key offset value  O(N) for N bytes
void SetRange(Context& ctx) {
  int64_t offset;
  if (!ParseInt64(ctx.arg(2), &offset)) return ctx.Error(errors::kNotInteger);
  if (offset < 0) return ctx.Error("ERR offset is out of range");
  const std::string_view bytes = ctx.arg(3);
  StringRef string = ctx.WriteString(ctx.arg(1));
  if (string.failed()) return;
  if (bytes.empty())
    return ctx.reply().Integer(string ? static_cast<int64_t>(string.size()) : 0);
  const uint64_t start = static_cast<uint64_t>(offset);
  if (!LengthFits(ctx, start, bytes.size())) return;
  memcpy(string.MutableBytes(start + bytes.size()) + start, bytes.data(), bytes.size());
  ctx.Notify(kNotifyString, "setrange", ctx.arg(1));
  ctx.reply().Integer(static_cast<int64_t>(string.size()));
}

// GETRANGE key start end  O(N) for N bytes answered
void GetRange(Context& ctx) {
  Args args(ctx, 2);
  int64_t start = args.Int();
  int64_t end = args.Int();
  if (!args.Done()) return;
  const StringRef string = ctx.ReadString(ctx.arg(1));
  if (string.failed()) return;
  if (!string || (start < 0 && end < 0 && start > end)) return ctx.reply().Bulk("");
  const std::string_view bytes = string.view();
  const int64_t size = static_cast<int64_t>(bytes.size());
  if (start < 0) start = std::max<int64_t>(start + size, 0);
  if (end < 0) end = std::max<int64_t>(end + size, 0);
  end = std::min(end, size - 1);
  if (start > end || size == 0) return ctx.reply().Bulk("");
  if (start == 0 && end == size - 1) return string.ReplyBulk();
  ctx.reply().Bulk(bytes.substr(static_cast<size_t>(start), static_cast<size_t>(end - start + 1)));
}

struct LcsOptions {
  bool length = false;
  bool index = false;
  bool with_match_length = false;
  int64_t match_length_min = 0;
};

bool ParseLcsOptions(Context& ctx, LcsOptions* options) {
  Args args(ctx, 3);
  while (args.More()) {
    if (args.Take("IDX")) {
      options->index = true;
    } else if (args.Take("LEN")) {
      options->length = true;
    } else if (args.Take("WITHMATCHLEN")) {
      options->with_match_length = true;
    } else if (args.Take("MINMATCHLEN", 1)) {
      options->match_length_min = std::max<int64_t>(args.Int(), 0);
    } else {
      args.Fail(errors::kSyntax);
    }
  }
  if (options->index && options->length)
    args.Fail("ERR If you want both the length and indexes, please just use IDX.");
  return args.Done();
}

void ReplyMatches(ReplyWriter& reply, const LcsResult& result, bool with_length) {
  reply.Map(2);
  reply.Bulk("matches");
  reply.Array(result.matches.size());
  for (const LcsMatch& match : result.matches) {
    reply.Array(with_length ? 3 : 2);
    reply.Array(2);
    reply.Integer(match.a_start);
    reply.Integer(match.a_end);
    reply.Array(2);
    reply.Integer(match.b_start);
    reply.Integer(match.b_end);
    if (with_length) reply.Integer(match.length());
  }
  reply.Bulk("len");
  reply.Integer(static_cast<int64_t>(result.text.size()));
}

// LCS key1 key2 [LEN] [IDX] [MINMATCHLEN length] [WITHMATCHLEN]  O(N*M)
void LongestCommonSubsequence(Context& ctx) {
  for (size_t i = 1; i <= 2; ++i) {
    const Entry* entry = ctx.Find(ctx.arg(i), Context::Touch::kNo);
    if (entry != nullptr && !entry->is_string())
      return ctx.Error("ERR The specified keys must contain string values");
  }
  LcsOptions options;
  const StringRef first = ctx.ReadString(ctx.arg(1));
  const StringRef second = ctx.ReadString(ctx.arg(2));
  if (!ParseLcsOptions(ctx, &options)) return;
  const std::string_view a = first ? first.view() : std::string_view();
  const std::string_view b = second ? second.view() : std::string_view();
  const uint64_t bytes_max = static_cast<uint64_t>(ctx.config().proto_max_bulk_len());
  constexpr std::string_view kTooLarge =
      "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len";
  if (options.length) {
    if (!LcsFits(a, b, bytes_max)) return ctx.Error(kTooLarge);
    return ctx.reply().Integer(static_cast<int64_t>(LcsLength(a, b)));
  }
  const Result<LcsResult> result =
      Lcs(a, b, static_cast<uint64_t>(options.match_length_min), bytes_max);
  if (!result.ok()) return ctx.Error(kTooLarge);
  if (!options.index) return ctx.reply().Bulk(result.value().text);
  ReplyMatches(ctx.reply(), result.value(), options.with_match_length);
}

constexpr CommandSpec kRows[] = {
    {"APPEND", 3, kWrite | kDenyOom | kFast, Key(kRW | kInsert), kAclString, &Append},
    {"GET", 2, kReadonly | kFast, Key(kRO | kAccess), kAclString, &Get},
    {"GETDEL", 2, kWrite | kFast, Key(kRW | kAccess | kDelete | kWhole), kAclString, &GetDel},
    {"GETRANGE", 4, kReadonly, Key(kRO | kAccess), kAclString, &GetRange},
    {"GETSET", 3, kWrite | kDenyOom | kFast, Key(kRW | kAccess | kUpdate | kWhole), kAclString,
     &GetSet},
    {"LCS", -3, kReadonly, KeyRange(kRO | kAccess, 1, 2), kAclString, &LongestCommonSubsequence},
    {"MGET", -2, kReadonly | kFast, KeyRange(kRO | kAccess, 1, -1), kAclString, &MGet},
    {"MSET", -3, kWrite | kDenyOom, KeyRange(kOW | kUpdate, 1, -1, 2), kAclString, &MSet},
    {"MSETNX", -3, kWrite | kDenyOom, KeyRange(kOW | kInsert, 1, -1, 2), kAclString, &MSetNx},
    {"PSETEX", 4, kWrite | kDenyOom, Key(kOW | kUpdate), kAclString, &PSetEx},
    {"SETEX", 4, kWrite | kDenyOom, Key(kOW | kUpdate), kAclString, &SetEx},
    {"SETNX", 3, kWrite | kDenyOom | kFast, Key(kOW | kInsert), kAclString, &SetNx},
    {"SETRANGE", 4, kWrite | kDenyOom, Key(kRW | kUpdate), kAclString, &SetRange},
    {"STRLEN", 2, kReadonly | kFast, Key(kRO), kAclString, &StrLen},
    {"SUBSTR", 4, kReadonly, Key(kRO | kAccess), kAclString, &GetRange},
};

}  // namespace

std::span<const CommandSpec> StringCommands() { return kRows; }

}  // namespace cairn
