// SPDX-License-Identifier: BSD-3-Clause
//
// Hashes, but for the commands about the expiry of fields (hash_expiry.cc).
#include <cmath>

#include "commands/hash_common.h"
#include "commands/repeated_replies.h"
#include "commands/scan_options.h"
#include "exec/args.h"
#include "exec/executor.h"

namespace cairn {
namespace {

// -- reading --

// HGET key field  O(1)
void HGet(Context& ctx) {
  auto hash = ReadHash(ctx, ctx.arg(1), ctx.args().subspan(2, 1));
  if (hash.failed()) return;
  if (!hash) return ctx.reply().Null();
  ReplyField(ctx, *hash, ctx.arg(2));
}

// HMGET key field [field ...]  O(N)
void HMGet(Context& ctx) {
  auto hash = ReadHash(ctx, ctx.arg(1), ctx.args().subspan(2));
  if (hash.failed()) return;
  ctx.reply().Array(ctx.argc() - 2);
  for (std::string_view field : ctx.args().subspan(2))
    hash ? ReplyField(ctx, *hash, field) : ctx.reply().Null();
}

// HEXISTS key field  O(1)
void HExists(Context& ctx) {
  auto hash = ReadHash(ctx, ctx.arg(1), ctx.args().subspan(2, 1));
  if (hash.failed()) return;
  ctx.reply().Integer(hash && hash->Exists(ctx.arg(2), FieldTime(ctx)));
}

// HSTRLEN key field  O(1)
void HStrLen(Context& ctx) {
  auto hash = ReadHash(ctx, ctx.arg(1), ctx.args().subspan(2, 1));
  if (hash.failed()) return;
  const size_t length = hash ? hash->StrLen(ctx.arg(2), FieldTime(ctx)) : 0;
  ctx.reply().Integer(static_cast<int64_t>(length));
}

// HLEN key  O(1); expired fields that are still there count, as in Redis
void HLen(Context& ctx) {
  auto hash = ctx.Read<Hash>(ctx.arg(1));
  if (hash.failed()) return;
  ctx.reply().Integer(hash ? static_cast<int64_t>(hash->Length()) : 0);
}

// HGETALL key  O(N)
void HGetAll(Context& ctx) {
  auto hash = ctx.Read<Hash>(ctx.arg(1));
  if (hash.failed()) return;
  if (!hash) return ctx.reply().Map(0);
  size_t pairs = 0;
  auto gap = ctx.reply().StartDeferred();
  hash->ForEach(FieldTime(ctx), [&](const HashField& entry) {
    ReplyValue(ctx, entry.field);
    ReplyValue(ctx, entry.value);
    ++pairs;
    return true;
  });
  ctx.reply().FinishMap(gap, pairs);
}

void ReplyColumn(Context& ctx, ListpackValue HashField::*column) {
  auto hash = ctx.Read<Hash>(ctx.arg(1));
  if (hash.failed()) return;
  if (!hash) return ctx.reply().EmptyArray();
  size_t items = 0;
  auto gap = ctx.reply().StartDeferred();
  hash->ForEach(FieldTime(ctx), [&](const HashField& entry) {
    ReplyValue(ctx, entry.*column);
    ++items;
    return true;
  });
  ctx.reply().FinishArray(gap, items);
}

// HKEYS key  O(N)
void HKeys(Context& ctx) { ReplyColumn(ctx, &HashField::field); }
// HVALS key  O(N)
void HVals(Context& ctx) { ReplyColumn(ctx, &HashField::value); }

// HRANDFIELD key [count [WITHVALUES]]  O(count)
void HRandField(Context& ctx) {
  const bool many = ctx.argc() >= 3, with_values = ctx.argc() == 4;
  int64_t count = 0;
  if (many) {
    if (!ParseInt64(ctx.arg(2), &count)) return ctx.Error(errors::kNotInteger);
    if (count == INT64_MIN) return ctx.Error(errors::kNegatable);
    if (ctx.argc() > 4 || (with_values && !EqualsIgnoreCase(ctx.arg(3), "withvalues")))
      return ctx.Error(errors::kSyntax);
    if (with_values && (count < -(INT64_MAX / 2) || count > INT64_MAX / 2))
      return ctx.Error(errors::kValueRange);
  }
  auto hash = ctx.Read<Hash>(ctx.arg(1));
  if (hash.failed()) return;
  ExpireSome(ctx, hash);
  Random& random = ctx.executor().random();
  if (!many) {
    const std::optional<HashField> entry =
        hash ? hash->RandomField(random, FieldTime(ctx)) : std::nullopt;
    return entry ? ReplyValue(ctx, entry->field) : ctx.reply().Null();
  }
  if (!hash || count == 0) return ctx.reply().EmptyArray();
  if (count < 0 && !RepeatsFit(ctx, static_cast<uint64_t>(-count))) return;
  size_t items = 0;
  auto visit = [&](const HashField& entry) {
    if (ctx.ReplyTooLong()) return;
    if (with_values && ctx.resp3()) ctx.reply().Array(2);
    ReplyValue(ctx, entry.field);
    if (with_values) ReplyValue(ctx, entry.value);
    items += with_values && !ctx.resp3() ? 2 : 1;
  };
  auto gap = ctx.reply().StartDeferred();
  if (count > 0) {
    hash->Sample(static_cast<size_t>(count), random, FieldTime(ctx), visit);
  } else {
    RepeatBounded(ctx, static_cast<uint64_t>(-count), [&](uint64_t n) {
      hash->SampleRepeating(n, random, FieldTime(ctx), visit);
    });
  }
  ctx.reply().FinishArray(gap, items);
}

// HSCAN key cursor [MATCH pattern] [COUNT count] [NOVALUES]  O(count) a call
void HScan(Context& ctx) {
  ScanOptions options;
  if (!options.ReadCursor(ctx, ctx.arg(2))) return;
  auto hash = ctx.Read<Hash>(ctx.arg(1));
  if (hash.failed()) return;
  bool values = true;
  const auto no_values = [&](Args& args) {
    if (!args.Take("NOVALUES")) return false;
    values = false;
    return true;
  };
  if (hash && !ReadScanOptions(ctx, &options, no_values)) return;
  ctx.reply().Array(2);
  std::vector<HashField> page;
  uint64_t cursor = 0;
  if (hash)
    cursor = hash->Scan(options.cursor, static_cast<size_t>(options.count), FieldTime(ctx),
                        [&](const HashField& entry) {
                          char digits[kInt64CharsMax];
                          if (options.Matches(entry.field.Text(digits))) page.push_back(entry);
                        });
  ctx.reply().Bulk(std::to_string(cursor));
  ctx.reply().Array(page.size() * (values ? 2 : 1));
  for (const HashField& entry : page) {
    ReplyValue(ctx, entry.field);
    if (values) ReplyValue(ctx, entry.value);
  }
}

// -- changing --

// Sets all pairs of the request; returns how many fields are new. False: an error was replied.
bool SetPairs(Context& ctx, int64_t* created) {
  if (ctx.argc() % 2 != 0) {
    ctx.Error("ERR wrong number of arguments for '" + ctx.command().full_name + "' command");
    return false;
  }
  auto hash = WriteHash(ctx, ctx.arg(1), ctx.args().subspan(2), 2);
  if (hash.failed()) return false;
  const Thresholds thresholds = ctx.engine().ReadThresholds();
  const Arguments pairs = ctx.args().subspan(2);
  size_t longest = 0;
  for (std::string_view text : pairs) longest = std::max(longest, text.size());
  Hash& target = hash.Create();
  target.Prepare(pairs.size() / 2, longest, thresholds);
  *created = 0;
  for (size_t i = 0; i < pairs.size(); i += 2)
    *created += target.Set(pairs[i], pairs[i + 1], FieldTime(ctx), thresholds) == HashSet::kCreated;
  target.Settle();
  hash.Commit(kNotifyHash, "hset", static_cast<int64_t>(pairs.size() / 2));
  return true;
}

// HSET key field value [field value ...]  O(N)
void HSet(Context& ctx) {
  int64_t created;
  if (SetPairs(ctx, &created)) ctx.reply().Integer(created);
}

// HMSET key field value [field value ...]  O(N)
void HMSet(Context& ctx) {
  int64_t created;
  if (SetPairs(ctx, &created)) ctx.Ok();
}

// HSETNX key field value  O(1)
void HSetNx(Context& ctx) {
  auto hash = WriteHash(ctx, ctx.arg(1), ctx.args().subspan(2, 1));
  if (hash.failed()) return;
  if (hash && hash->Exists(ctx.arg(2), FieldTime(ctx))) return ctx.reply().Integer(0);
  hash.Create().Set(ctx.arg(2), ctx.arg(3), FieldTime(ctx), ctx.engine().ReadThresholds());
  ctx.reply().Integer(1);
  hash.Commit(kNotifyHash, "hset");
}

// HDEL key field [field ...]  O(N)
void HDel(Context& ctx) {
  auto hash = ctx.Write<Hash>(ctx.arg(1));
  if (hash.failed()) return;
  if (!hash) return ctx.reply().Integer(0);
  Hash& target = hash.Mutable();
  int64_t deleted = 0;
  for (std::string_view field : ctx.args().subspan(2)) {
    // Redis counts fields that have expired but are still there.
    deleted += target.Delete(field, Hash::kNeverExpired);
    if (target.empty()) break;
  }
  ctx.reply().Integer(deleted);
  deleted > 0 ? hash.Commit(kNotifyHash, "hdel", deleted) : hash.Unchanged();
}

// HINCRBY key field increment  O(1)
void HIncrBy(Context& ctx) {
  int64_t increment, value = 0;
  if (!ParseInt64(ctx.arg(3), &increment)) return ctx.Error(errors::kNotInteger);
  auto hash = WriteHash(ctx, ctx.arg(1), ctx.args().subspan(2, 1));
  if (hash.failed()) return;
  const auto old = hash ? hash->Get(ctx.arg(2), FieldTime(ctx)) : std::nullopt;
  if (old && !old->ToInt(&value)) return ctx.Error("ERR hash value is not an integer");
  if (__builtin_add_overflow(value, increment, &value)) return ctx.Error(errors::kOverflow);
  hash.Create().Set(ctx.arg(2), ToString(value), FieldTime(ctx), ctx.engine().ReadThresholds(),
                    true);
  ctx.reply().Integer(value);
  hash.Commit(kNotifyHash, "hincrby");
}

// HINCRBYFLOAT key field increment  O(1)
void HIncrByFloat(Context& ctx) {
  long double increment, value = 0;
  if (!ParseLongDouble(ctx.arg(3), &increment)) return ctx.Error(errors::kNotFloat);
  if (!std::isfinite(increment)) return ctx.Error("ERR value is NaN or Infinity");
  auto hash = WriteHash(ctx, ctx.arg(1), ctx.args().subspan(2, 1));
  if (hash.failed()) return;
  const std::string_view field = ctx.arg(2);
  const int64_t now_ms = FieldTime(ctx);
  const auto old = hash ? hash->Get(field, now_ms) : std::nullopt;
  char digits[kInt64CharsMax];
  if (old && !ParseLongDouble(old->Text(digits), &value))
    return ctx.Error("ERR hash value is not a float");
  value += increment;
  if (!std::isfinite(value)) return ctx.Error(errors::kNanOrInfinity);
  char buffer[kLongDoubleCharsMax];
  const std::string_view text(buffer, FormatLongDouble(buffer, value));
  Hash& target = hash.Create();
  target.Set(field, text, now_ms, ctx.engine().ReadThresholds(), true);
  const int64_t expiry_ms = target.GetExpiry(field, now_ms).value_or(Hash::kNoExpiry);
  ctx.reply().Bulk(text);
  hash.Commit(kNotifyHash, "hincrbyfloat");
  // HSET would take the field's expiry away: it is given back.
  ctx.Effect({"HSET", ctx.arg(1), field, text});
  if (expiry_ms != Hash::kNoExpiry)
    ctx.Effect({"HPEXPIREAT", ctx.arg(1), ToString(expiry_ms), "FIELDS", "1", field});
}

constexpr uint64_t kReadFast = kReadonly | kFast;
constexpr uint64_t kGrow = kWrite | kDenyOom | kFast;
constexpr CommandSpec kRows[] = {
    {"HDEL", -3, kWrite | kFast, Key(kRW | kDelete), kAclHash, &HDel},
    {"HEXISTS", 3, kReadFast, Key(kRO), kAclHash, &HExists},
    {"HGET", 3, kReadFast, Key(kRO | kAccess), kAclHash, &HGet},
    {"HGETALL", 2, kReadonly, Key(kRO | kAccess), kAclHash, &HGetAll},
    {"HINCRBY", 4, kGrow, Key(kRW | kAccess | kUpdate), kAclHash, &HIncrBy},
    {"HINCRBYFLOAT", 4, kGrow, Key(kRW | kAccess | kUpdate), kAclHash, &HIncrByFloat},
    {"HKEYS", 2, kReadonly, Key(kRO | kAccess), kAclHash, &HKeys},
    {"HLEN", 2, kReadFast, Key(kRO), kAclHash, &HLen},
    {"HMGET", -3, kReadFast, Key(kRO | kAccess), kAclHash, &HMGet},
    {"HMSET", -4, kGrow, Key(kRW | kUpdate), kAclHash, &HMSet},
    {"HRANDFIELD", -2, kReadonly, Key(kRO | kAccess), kAclHash, &HRandField},
    {"HSCAN", -3, kReadonly, Key(kRO | kAccess), kAclHash, &HScan},
    {"HSET", -4, kGrow, Key(kRW | kUpdate), kAclHash, &HSet},
    {"HSETNX", 4, kGrow, Key(kRW | kInsert), kAclHash, &HSetNx},
    {"HSTRLEN", 3, kReadFast, Key(kRO), kAclHash, &HStrLen},
    {"HVALS", 2, kReadonly, Key(kRO | kAccess), kAclHash, &HVals},
};

}  // namespace

std::span<const CommandSpec> HashCommands() { return kRows; }

}  // namespace cairn
