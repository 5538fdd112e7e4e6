// SPDX-License-Identifier: BSD-3-Clause
//
// EXPIRE and its kin. What is recorded is always absolute: PEXPIREAT, or DEL where the time has
// passed already.
#include "commands/families.h"
#include "exec/args.h"
#include "exec/context.h"

namespace cairn {
namespace {

struct Conditions {
  bool nx = false, xx = false, gt = false, lt = false;
};

bool ReadConditions(Context& ctx, Conditions* conditions) {
  for (size_t i = 3; i < ctx.argc(); ++i) {
    const std::string_view word = ctx.arg(i);
    if (EqualsIgnoreCase(word, "nx")) {
      conditions->nx = true;
    } else if (EqualsIgnoreCase(word, "xx")) {
      conditions->xx = true;
    } else if (EqualsIgnoreCase(word, "gt")) {
      conditions->gt = true;
    } else if (EqualsIgnoreCase(word, "lt")) {
      conditions->lt = true;
    } else {
      ctx.Error("ERR Unsupported option " + std::string(word.substr(0, word.find('\0'))));
      return false;
    }
  }
  if (conditions->nx && (conditions->xx || conditions->gt || conditions->lt)) {
    ctx.Error("ERR NX and XX, GT or LT options at the same time are not compatible");
    return false;
  }
  if (conditions->gt && conditions->lt) {
    ctx.Error("ERR GT and LT options at the same time are not compatible");
    return false;
  }
  return true;
}

// `base_ms` is added to the argument after it was brought to milliseconds.
void Expire(Context& ctx, int64_t base_ms, bool seconds) {
  int64_t when;
  Conditions conditions;
  if (!ReadConditions(ctx, &conditions)) return;
  if (!ParseInt64(ctx.arg(2), &when)) return ctx.Error(errors::kNotInteger);
  const bool overflow = (seconds && __builtin_mul_overflow(when, int64_t{1000}, &when)) ||
                        __builtin_add_overflow(when, base_ms, &when);
  if (overflow)
    return ctx.Error("ERR invalid expire time in '" + ctx.command().full_name + "' command");
  const KeyId id = ctx.Id(ctx.arg(1));
  const Entry* entry = ctx.Find(id, Context::Touch::kNo);
  if (entry == nullptr) return ctx.reply().Integer(0);
  const int64_t current = entry->expiry_ms();
  // A key without expiry lives for ever: nothing is greater, everything is less.
  if ((conditions.nx && current != kNoExpiry) || (conditions.xx && current == kNoExpiry) ||
      (conditions.gt && (current == kNoExpiry || when <= current)) ||
      (conditions.lt && current != kNoExpiry && when >= current))
    return ctx.reply().Integer(0);
  if (when <= ctx.now_ms() && ctx.unit().expiry_mode() != ExpiryMode::kApply) {
    ctx.Delete(id);
    ctx.Effect({"DEL", id.key});
    return ctx.reply().Integer(1);
  }
  ctx.SetExpiry(id, when);
  ctx.Notify(kNotifyGeneric, "expire", id.key);
  char digits[kInt64CharsMax];
  ctx.Effect({"PEXPIREAT", id.key, {digits, FormatInt64(digits, when)}});
  ctx.reply().Integer(1);
}

// EXPIRE key seconds [NX|XX|GT|LT]  O(1)
void ExpireSeconds(Context& ctx) { Expire(ctx, ctx.now_ms(), true); }
// PEXPIRE key milliseconds [NX|XX|GT|LT]  O(1)
void PExpire(Context& ctx) { Expire(ctx, ctx.now_ms(), false); }
// EXPIREAT key unix-time-seconds [NX|XX|GT|LT]  O(1)
void ExpireAt(Context& ctx) { Expire(ctx, 0, true); }
// PEXPIREAT key unix-time-milliseconds [NX|XX|GT|LT]  O(1)
void PExpireAt(Context& ctx) { Expire(ctx, 0, false); }

// Replies -2 without key, -1 without expiry, else `convert` of the expiry.
template <typename Convert>
void ReplyExpiry(Context& ctx, const Convert& convert) {
  const Entry* entry = ctx.Find(ctx.arg(1), Context::Touch::kLook);
  if (entry == nullptr) return ctx.reply().Integer(-2);
  if (!entry->has_expiry()) return ctx.reply().Integer(-1);
  ctx.reply().Integer(convert(entry->expiry_ms()));
}

int64_t Left(Context& ctx, int64_t expiry_ms) {
  const int64_t left = expiry_ms - ctx.now_ms();
  return left < 0 ? 0 : left;
}

// TTL key  O(1)
void Ttl(Context& ctx) {
  ReplyExpiry(ctx, [&](int64_t expiry) { return (Left(ctx, expiry) + 500) / 1000; });
}
// PTTL key  O(1)
void PTtl(Context& ctx) {
  ReplyExpiry(ctx, [&](int64_t expiry) { return Left(ctx, expiry); });
}
// EXPIRETIME key  O(1)
void ExpireTime(Context& ctx) {
  // Rounded without a sum that would overflow: PXAT takes deadlines up to the largest integer.
  ReplyExpiry(ctx, [](int64_t expiry) { return expiry / 1000 + (expiry % 1000 >= 500); });
}
// PEXPIRETIME key  O(1)
void PExpireTime(Context& ctx) {
  ReplyExpiry(ctx, [](int64_t expiry) { return expiry; });
}

// PERSIST key  O(1)
void Persist(Context& ctx) {
  const KeyId id = ctx.Id(ctx.arg(1));
  const Entry* entry = ctx.Find(id, Context::Touch::kNo);
  if (entry == nullptr || !entry->has_expiry()) return ctx.reply().Integer(0);
  ctx.SetExpiry(id, kNoExpiry);
  ctx.Notify(kNotifyGeneric, "persist", id.key);
  ctx.reply().Integer(1);
}

constexpr uint64_t kWriteFast = kWrite | kFast;
constexpr uint64_t kReadFast = kReadonly | kFast;
constexpr CommandSpec kRows[] = {
    {"EXPIRE", -3, kWriteFast, Key(kRW | kUpdate), kAclKeyspace, &ExpireSeconds},
    {"PEXPIRE", -3, kWriteFast, Key(kRW | kUpdate), kAclKeyspace, &PExpire},
    {"EXPIREAT", -3, kWriteFast, Key(kRW | kUpdate), kAclKeyspace, &ExpireAt},
    {"PEXPIREAT", -3, kWriteFast, Key(kRW | kUpdate), kAclKeyspace, &PExpireAt},
    {"TTL", 2, kReadFast, Key(kRO | kAccess), kAclKeyspace, &Ttl},
    {"PTTL", 2, kReadFast, Key(kRO | kAccess), kAclKeyspace, &PTtl},
    {"EXPIRETIME", 2, kReadFast, Key(kRO | kAccess), kAclKeyspace, &ExpireTime},
    {"PEXPIRETIME", 2, kReadFast, Key(kRO | kAccess), kAclKeyspace, &PExpireTime},
    {"PERSIST", 2, kWriteFast, Key(kRW | kUpdate), kAclKeyspace, &Persist},
};

}  // namespace

std::span<const CommandSpec> ExpiryCommands() { return kRows; }

}  // namespace cairn
