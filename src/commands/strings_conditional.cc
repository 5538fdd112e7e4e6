// SPDX-License-Identifier: BSD-3-Clause
//
// Strings under conditions and with expiries: SET and GETEX with their options, MSETEX, and
// compare-and-delete (DELEX, DELIFEQ, DIGEST). What Redis 7.0 could not read back is journaled as
// SET or DEL.
#include <cstdio>

#include "base/hash.h"
#include "base/numbers.h"
#include "commands/families.h"
#include "commands/string_options.h"
#include "exec/refs.h"

namespace cairn {
namespace {

// Whether NX, XX or the comparison lets SET go on. False with `failed` unset: reply nil.
bool SetMayProceed(Context& ctx, const KeyId& id, const SetOptions& options, bool* failed) {
  *failed = false;
  const Entry* entry = ctx.Find(id, Context::Touch::kNo);
  if (options.nx) return entry == nullptr;
  if (options.xx) return entry != nullptr;
  if (!options.comparison.given()) return true;
  if (entry == nullptr) return options.comparison.PassesAbsent();
  const StringRef string = ctx.WriteString(id.key);
  *failed = string.failed();
  return !*failed && options.comparison.Passes(string.view());
}

void SetSlow(Context& ctx) {
  SetOptions options;
  if (!ParseSetOptions(ctx, 3, kTakesExistence | kTakesGet | kTakesComparison | kTakesKeepTtl,
                       &options))
    return;
  int64_t at_ms;
  if (!options.expiry.Resolve(ctx, &at_ms)) return;
  const KeyId id = ctx.Id(ctx.arg(1));
  // GET's reply is the old value whatever happens, so it is written before the value goes.
  bool proceed, failed;
  if (options.get) {
    const StringRef old = ctx.ReadString(id.key);
    if (old.failed()) return;
    proceed = SetMayProceed(ctx, id, options, &failed);
    old ? old.ReplyBulk() : ctx.reply().Null();
  } else {
    proceed = SetMayProceed(ctx, id, options, &failed);
    if (!proceed && !failed) ctx.reply().Null();
  }
  if (!proceed) return;
  if (options.expiry.keep()) {
    const Entry* entry = ctx.Find(id, Context::Touch::kNo);
    if (entry != nullptr) at_ms = entry->expiry_ms();
  }
  ctx.PutString(id, ctx.arg(2), at_ms);
  ctx.Notify(kNotifyString, "set", id.key);
  if (options.expiry.has_time()) {
    ctx.Notify(kNotifyGeneric, "expire", id.key);
    ctx.Effect({"SET", id.key, ctx.arg(2), "PXAT", ToString(at_ms)});
  } else if (options.get || options.comparison.given()) {
    if (options.expiry.keep()) {
      ctx.Effect({"SET", id.key, ctx.arg(2), "KEEPTTL"});
    } else {
      ctx.Effect({"SET", id.key, ctx.arg(2)});
    }
  }
  if (!options.get) ctx.Ok();
}

// SET key value [NX | XX | IFEQ value | IFNE value | IFDEQ digest | IFDNE digest] [GET]
//     [EX seconds | PX ms | EXAT unix-seconds | PXAT unix-ms | KEEPTTL]  O(1)
void SetCommand(Context& ctx) {
  if (ctx.argc() > 3) [[unlikely]] return SetSlow(ctx);
  const KeyId id = ctx.Id(ctx.arg(1));
  ctx.PutString(id, ctx.arg(2));
  ctx.Notify(kNotifyString, "set", id.key);
  ctx.Ok();
}

// GETEX key [EX seconds | PX ms | EXAT unix-seconds | PXAT unix-ms | PERSIST]  O(1)
void GetEx(Context& ctx) {
  SetOptions options;
  if (!ParseSetOptions(ctx, 2, kTakesPersist, &options)) return;
  const StringRef string = ctx.ReadString(ctx.arg(1));
  if (string.failed()) return;
  if (!string) return ctx.reply().Null();
  int64_t at_ms;
  if (!options.expiry.Resolve(ctx, &at_ms)) return;
  string.ReplyBulk();
  const KeyId& id = string.id();
  if (options.expiry.absolute() && at_ms < ctx.now_ms()) {
    ctx.Delete(id);
    ctx.Effect({"DEL", id.key});
  } else if (options.expiry.has_time()) {
    ctx.SetExpiry(id, at_ms);
    ctx.Notify(kNotifyGeneric, "expire", id.key);
    ctx.Effect({"PEXPIREAT", id.key, ToString(at_ms)});
  } else if (options.expiry.kind == ExpiryOption::Kind::kPersist &&
             string.expiry_ms() != kNoExpiry) {
    ctx.SetExpiry(id, kNoExpiry);
    ctx.Notify(kNotifyGeneric, "persist", id.key);
    ctx.Effect({"PERSIST", id.key});
  }
}

void MSetExPut(Context& ctx, size_t end, const SetOptions& options, int64_t at_ms) {
  for (size_t i = 2; i < end; i += 2) {
    const KeyId id = ctx.Id(ctx.arg(i));
    const std::string_view value = ctx.arg(i + 1);
    int64_t expiry_ms = at_ms;
    if (options.expiry.keep()) {
      const Entry* entry = ctx.Find(id, Context::Touch::kNo);
      if (entry != nullptr) expiry_ms = entry->expiry_ms();
    }
    ctx.PutString(id, value, expiry_ms);
    ctx.Notify(kNotifyString, "set", id.key);
    if (options.expiry.has_time()) {
      ctx.Notify(kNotifyGeneric, "expire", id.key);
      ctx.Effect({"SET", id.key, value, "PXAT", ToString(at_ms)});
    } else if (options.expiry.keep()) {
      ctx.Effect({"SET", id.key, value, "KEEPTTL"});
    } else {
      ctx.Effect({"SET", id.key, value});
    }
  }
}

// MSETEX numkeys key value [key value ...] [NX | XX]
//     [EX seconds | PX ms | EXAT unix-seconds | PXAT unix-ms | KEEPTTL]  O(N)
void MSetEx(Context& ctx) {
  int64_t keys;
  if (!ParseInt64(ctx.arg(1), &keys) || keys < 1 || keys > INT32_MAX)
    return ctx.Error("ERR invalid numkeys value");
  if (static_cast<uint64_t>(keys) > (ctx.argc() - 2) / 2)
    return ctx.Error("ERR wrong number of key-value pairs");
  const size_t end = 2 + 2 * static_cast<size_t>(keys);
  SetOptions options;
  if (!ParseSetOptions(ctx, end, kTakesExistence | kTakesKeepTtl, &options)) return;
  int64_t at_ms;
  if (!options.expiry.Resolve(ctx, &at_ms)) return;
  if (options.nx || options.xx) {
    for (size_t i = 2; i < end; i += 2) {
      const bool exists = ctx.Find(ctx.arg(i), Context::Touch::kNo) != nullptr;
      if (exists == options.nx) return ctx.reply().Integer(0);
    }
  }
  MSetExPut(ctx, end, options, at_ms);
  ctx.reply().Integer(1);
}

void DeleteAndReply(Context& ctx, const KeyId& id) {
  const bool deleted = ctx.Delete(id);
  if (deleted) ctx.Effect({"DEL", id.key});
  ctx.reply().Integer(deleted ? 1 : 0);
}

// DELEX key [IFEQ value | IFNE value | IFDEQ digest | IFDNE digest]  O(1), digests O(N)
void DelEx(Context& ctx) {
  Comparison comparison;
  size_t at = 2;
  if (ctx.argc() > 2 && (!comparison.Take(ctx, &at) || at != ctx.argc()))
    return ctx.Error(errors::kSyntax);
  if (!comparison.Check(ctx)) return;
  if (!comparison.given()) return DeleteAndReply(ctx, ctx.Id(ctx.arg(1)));
  const StringRef string = ctx.WriteString(ctx.arg(1));
  if (string.failed()) return;
  if (!string || !comparison.Passes(string.view())) return ctx.reply().Integer(0);
  DeleteAndReply(ctx, string.id());
}

// DELIFEQ key value  O(1)
void DelIfEq(Context& ctx) {
  const StringRef string = ctx.WriteString(ctx.arg(1));
  if (string.failed()) return;
  if (!string || string.view() != ctx.arg(2)) return ctx.reply().Integer(0);
  DeleteAndReply(ctx, string.id());
}

// DIGEST key  O(N) for N bytes
void Digest(Context& ctx) {
  const StringRef string = ctx.ReadString(ctx.arg(1));
  if (string.failed()) return;
  if (!string) return ctx.reply().Null();
  char text[17];
  snprintf(text, sizeof text, "%016llx",
           static_cast<unsigned long long>(DigestBytes(string.view())));
  ctx.reply().Bulk({text, 16});
}

constexpr KeySpecs kPairs = One({.flags = kOW | kUpdate,
                                 .find = KeySpec::Find::kKeyNum,
                                 .index = 1,
                                 .step = 2,
                                 .keynum = 0,
                                 .first_key = 1});
constexpr CommandSpec kRows[] = {
    {"DELEX", -2, kWrite | kFast, Key(kRM | kAccess | kDelete), kAclString, &DelEx},
    {"DELIFEQ", 3, kWrite | kFast, Key(kRW | kAccess | kDelete | kWhole), kAclString, &DelIfEq},
    {"DIGEST", 2, kReadonly | kFast, Key(kRO | kAccess), kAclString, &Digest},
    {"GETEX", -2, kWrite | kFast, Key(kRW | kAccess | kUpdate), kAclString, &GetEx},
    {"MSETEX", -4, kWrite | kDenyOom, kPairs, kAclString, &MSetEx},
    {"SET", -3, kWrite | kDenyOom, Key(kRW | kAccess | kUpdate | kVariableFlags | kWhole),
     kAclString, &SetCommand},
};

}  // namespace

std::span<const CommandSpec> StringConditionalCommands() { return kRows; }

}  // namespace cairn
