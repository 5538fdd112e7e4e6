// SPDX-License-Identifier: BSD-3-Clause
//
// Strings that hold numbers: INCR and its kin. Results with fractions are journaled as SET, since
// another machine's arithmetic might round otherwise.
#include <cfloat>
#include <cmath>

#include "base/numbers.h"
#include "commands/families.h"
#include "commands/string_options.h"
#include "exec/refs.h"

namespace cairn {
namespace {

// The number in a string, 0 if the key does not exist. False: the error was replied.
bool ReadInteger(Context& ctx, const StringRef& string, int64_t* value) {
  *value = 0;
  if (!string) return true;
  if (string.is_integer()) {
    *value = string.integer();
    return true;
  }
  if (ParseInt64(string.view(), value)) return true;
  ctx.Error(errors::kNotInteger);
  return false;
}

bool ReadFloat(Context& ctx, const StringRef& string, long double* value) {
  *value = 0;
  if (!string || ParseLongDouble(string.view(), value)) return true;
  ctx.Error(errors::kNotFloat);
  return false;
}

std::string FloatText(long double value) {
  char text[kLongDoubleCharsMax];
  return std::string(text, FormatLongDouble(text, value));
}

void PutFloat(Context& ctx, const KeyId& id, std::string text, int64_t expiry_ms) {
  // Redis keeps the text, even where it spells an integer (OBJECT ENCODING embstr).
  Value value = Value::FromRawString(std::move(text));
  value.clear_raw();
  ctx.Replace(id, std::move(value), expiry_ms);
}

void IncrementBy(Context& ctx, int64_t increment) {
  StringRef string = ctx.WriteString(ctx.arg(1));
  int64_t value;
  if (string.failed() || !ReadInteger(ctx, string, &value)) return;
  if (__builtin_add_overflow(value, increment, &value)) return ctx.Error(errors::kOverflow);
  string.SetInteger(value);
  ctx.Notify(kNotifyString, "incrby", ctx.arg(1));
  ctx.reply().Integer(value);
}

// INCR key  O(1)
void Incr(Context& ctx) { IncrementBy(ctx, 1); }

// DECR key  O(1)
void Decr(Context& ctx) { IncrementBy(ctx, -1); }

// INCRBY key increment  O(1)
void IncrBy(Context& ctx) {
  int64_t increment;
  if (!ParseInt64(ctx.arg(2), &increment)) return ctx.Error(errors::kNotInteger);
  IncrementBy(ctx, increment);
}

// DECRBY key decrement  O(1)
void DecrBy(Context& ctx) {
  int64_t decrement;
  if (!ParseInt64(ctx.arg(2), &decrement)) return ctx.Error(errors::kNotInteger);
  if (decrement == INT64_MIN) return ctx.Error("ERR decrement would overflow");
  IncrementBy(ctx, -decrement);
}

// INCRBYFLOAT key increment  O(1)
void IncrByFloat(Context& ctx) {
  const StringRef string = ctx.WriteString(ctx.arg(1));
  long double value, increment;
  if (string.failed() || !ReadFloat(ctx, string, &value)) return;
  if (!ParseLongDouble(ctx.arg(2), &increment)) return ctx.Error(errors::kNotFloat);
  value += increment;
  if (std::isnan(value) || std::isinf(value)) return ctx.Error(errors::kNanOrInfinity);
  const std::string text = FloatText(value);
  PutFloat(ctx, string.id(), text, string ? string.expiry_ms() : kNoExpiry);
  ctx.Notify(kNotifyString, "incrbyfloat", ctx.arg(1));
  ctx.Effect({"SET", ctx.arg(1), text, "KEEPTTL"});
  ctx.reply().Bulk(text);
}

// -- INCREX --

struct IncrExOptions {
  bool is_float = false;
  bool saturate = false;
  bool enx = false;
  bool by_given = false;
  std::string_view by, low, high;
  bool low_given = false, high_given = false;
  ExpiryOption expiry;
};

// Takes `keyword value` once.
bool TakeOnce(const Context& ctx, size_t* at, std::string_view keyword, bool* given,
              std::string_view* value) {
  if (*given || *at + 1 >= ctx.argc() || !EqualsIgnoreCase(ctx.arg(*at), keyword)) return false;
  *given = true;
  *value = ctx.arg(*at + 1);
  *at += 2;
  return true;
}

bool TakeFlag(const Context& ctx, size_t* at, std::string_view keyword, bool* flag) {
  if (*flag || !EqualsIgnoreCase(ctx.arg(*at), keyword)) return false;
  *flag = true;
  ++*at;
  return true;
}

bool ParseIncrExOptions(Context& ctx, IncrExOptions* o) {
  bool good = true;
  for (size_t at = 2; good && at < ctx.argc();) {
    if (TakeOnce(ctx, &at, "BYINT", &o->by_given, &o->by)) continue;
    if (TakeOnce(ctx, &at, "BYFLOAT", &o->by_given, &o->by)) {
      o->is_float = true;
      continue;
    }
    if (TakeOnce(ctx, &at, "LBOUND", &o->low_given, &o->low)) continue;
    if (TakeOnce(ctx, &at, "UBOUND", &o->high_given, &o->high)) continue;
    if (TakeFlag(ctx, &at, "SATURATE", &o->saturate)) continue;
    if (TakeFlag(ctx, &at, "ENX", &o->enx)) continue;
    // Unlike in SET, no time may stand twice here.
    good = o->expiry.kind == ExpiryOption::Kind::kNone && o->expiry.Take(ctx, &at) &&
           !o->expiry.keep();
  }
  if (o->enx && o->expiry.kind == ExpiryOption::Kind::kPersist) good = false;
  if (!good) {
    ctx.Error(errors::kSyntax);
  } else if (o->enx && !o->expiry.has_time()) {
    ctx.Error("ERR ENX flag requires an expiration");
    good = false;
  }
  return good;
}

// Stores the result with the expiry that the options ask for, and journals it as Redis does.
void StoreIncrEx(Context& ctx, const StringRef& string, const IncrExOptions& o, int64_t at_ms,
                 const std::string& text) {
  const KeyId id = string.id();
  const int64_t old_ms = string ? string.expiry_ms() : kNoExpiry;
  const bool set_time = o.expiry.has_time() && !(o.enx && old_ms != kNoExpiry);
  const bool persist = o.expiry.kind == ExpiryOption::Kind::kPersist;
  if (set_time && at_ms < ctx.now_ms()) {
    if (ctx.Delete(id)) ctx.Effect({"DEL", id.key});
    return;
  }
  const int64_t expiry_ms = set_time ? at_ms : persist ? kNoExpiry : old_ms;
  if (o.is_float) {
    PutFloat(ctx, id, text, expiry_ms);
  } else {
    ctx.Replace(id, Value::FromString(text), expiry_ms);
  }
  ctx.Notify(kNotifyString, o.is_float ? "incrbyfloat" : "incrby", id.key);
  if (set_time) {
    ctx.Notify(kNotifyGeneric, "expire", id.key);
    ctx.Effect({"SET", id.key, text, "PXAT", ToString(at_ms)});
  } else if (persist) {
    if (old_ms != kNoExpiry) ctx.Notify(kNotifyGeneric, "persist", id.key);
    ctx.Effect({"SET", id.key, text});
  } else {
    ctx.Effect({"SET", id.key, text, "KEEPTTL"});
  }
}

void IncrExInteger(Context& ctx, const IncrExOptions& o) {
  int64_t by = 1, low = INT64_MIN, high = INT64_MAX, at_ms, value;
  if (o.by_given && !ParseInt64(o.by, &by))
    return ctx.Error("ERR Increment is not an integer or out of range");
  if (o.low_given && !ParseInt64(o.low, &low))
    return ctx.Error("ERR LBOUND is not an integer or out of range");
  if (o.high_given && !ParseInt64(o.high, &high))
    return ctx.Error("ERR UBOUND is not an integer or out of range");
  if (low > high) return ctx.Error("ERR LBOUND can't be greater than UBOUND");
  if (!o.expiry.Resolve(ctx, &at_ms)) return;
  const StringRef string = ctx.WriteString(ctx.arg(1));
  if (string.failed() || !ReadInteger(ctx, string, &value)) return;
  const __int128 sum = static_cast<__int128>(value) + by;
  int64_t result = value, applied = 0;
  bool store = true;
  if (sum >= low && sum <= high) {
    result = static_cast<int64_t>(sum);
    applied = by;
  } else if (o.saturate) {
    result = sum < low ? low : high;
    applied = static_cast<int64_t>(static_cast<uint64_t>(result) - static_cast<uint64_t>(value));
  } else {
    store = false;
  }
  if (store) StoreIncrEx(ctx, string, o, at_ms, ToString(result));
  ctx.reply().Array(2);
  ctx.reply().Integer(result);
  ctx.reply().Integer(applied);
}

// A double in RESP3, with the digits of INCRBYFLOAT.
void ReplyFloat(ReplyWriter& reply, long double value) {
  const std::string text = FloatText(value);
  if (!reply.resp3()) return reply.Bulk(text);
  reply.Raw(",");
  reply.Raw(text);
  reply.Raw("\r\n");
}

void IncrExFloat(Context& ctx, const IncrExOptions& o) {
  long double by = 1, low = -LDBL_MAX, high = LDBL_MAX, value;
  int64_t at_ms;
  if (!ParseLongDouble(o.by, &by)) return ctx.Error("ERR Increment is not a valid float");
  if (o.low_given && !ParseLongDouble(o.low, &low))
    return ctx.Error("ERR LBOUND is not a valid float");
  if (o.high_given && !ParseLongDouble(o.high, &high))
    return ctx.Error("ERR UBOUND is not a valid float");
  if (low > high) return ctx.Error("ERR LBOUND can't be greater than UBOUND");
  if (!o.expiry.Resolve(ctx, &at_ms)) return;
  const StringRef string = ctx.WriteString(ctx.arg(1));
  if (string.failed() || !ReadFloat(ctx, string, &value)) return;
  long double result = value + by;
  if (std::isnan(result)) return ctx.Error(errors::kNanOrInfinity);
  long double applied = by;
  bool store = true;
  if (result < low || result > high) {
    result = !o.saturate ? value : result < low ? low : high;
    if (std::isinf(result)) return ctx.Error(errors::kNanOrInfinity);
    applied = result - value;
    store = o.saturate;
  }
  if (store) StoreIncrEx(ctx, string, o, at_ms, FloatText(result));
  ctx.reply().Array(2);
  ReplyFloat(ctx.reply(), result);
  ReplyFloat(ctx.reply(), applied);
}

// INCREX key [BYINT increment | BYFLOAT increment] [LBOUND bound] [UBOUND bound] [SATURATE]
//     [EX seconds | PX ms | EXAT unix-seconds | PXAT unix-ms | PERSIST] [ENX]  O(1)
void IncrEx(Context& ctx) {
  IncrExOptions options;
  if (!ParseIncrExOptions(ctx, &options)) return;
  options.is_float ? IncrExFloat(ctx, options) : IncrExInteger(ctx, options);
}

constexpr uint64_t kNumberFlags = kWrite | kDenyOom | kFast;
constexpr CommandSpec kRows[] = {
    {"DECR", 2, kNumberFlags, Key(kRW | kAccess | kUpdate), kAclString, &Decr},
    {"DECRBY", 3, kNumberFlags, Key(kRW | kAccess | kUpdate), kAclString, &DecrBy},
    {"INCR", 2, kNumberFlags, Key(kRW | kAccess | kUpdate), kAclString, &Incr},
    {"INCRBY", 3, kNumberFlags, Key(kRW | kAccess | kUpdate), kAclString, &IncrBy},
    {"INCRBYFLOAT", 3, kNumberFlags, Key(kRW | kAccess | kUpdate), kAclString, &IncrByFloat},
    {"INCREX", -2, kNumberFlags, Key(kRW | kAccess | kUpdate), kAclString, &IncrEx},
};

}  // namespace

std::span<const CommandSpec> StringNumberCommands() { return kRows; }

}  // namespace cairn
