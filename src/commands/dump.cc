// SPDX-License-Identifier: BSD-3-Clause
//
// DUMP and RESTORE: a value as bytes (rdb/dump.h), and back.
//
// Every payload is checked deeply, whatever sanitize-dump-payload says: the packed encodings go
// into the keyspace as they are, and commands trust them.
#include "rdb/dump.h"

#include <string>

#include "base/bytes.h"
#include "commands/families.h"
#include "exec/access_clock.h"
#include "exec/args.h"
#include "exec/refs.h"

namespace cairn {
namespace {

// DUMP key  O(N)
void Dump(Context& ctx) {
  const Entry* entry = ctx.Find(ctx.arg(1));
  if (entry == nullptr) return ctx.reply().Null();
  if (!entry->is_string()) return ctx.reply().Bulk(DumpValue(entry->type(), entry->rep()));
  if (entry->form() == Entry::Form::kInt)
    return ctx.reply().Bulk(DumpString(ToString(entry->integer())));
  ctx.reply().Bulk(DumpString(entry->text()));
}

struct RestoreOptions {
  bool replace = false;
  bool absolute = false;
  int64_t idle_seconds = -1;  // -1: not given
  int64_t frequency = -1;
};

bool ReadOptions(Context& ctx, RestoreOptions* options) {
  Args args(ctx, 4);
  while (args.More()) {
    if (args.Take("REPLACE")) {
      options->replace = true;
    } else if (args.Take("ABSTTL")) {
      options->absolute = true;
    } else if (options->frequency == -1 && args.Take("IDLETIME", 1)) {
      options->idle_seconds = args.Int();
      if (options->idle_seconds < 0) args.Fail("ERR Invalid IDLETIME value, must be >= 0");
    } else if (options->idle_seconds == -1 && args.Take("FREQ", 1)) {
      options->frequency = args.Int();
      if (options->frequency < 0 || options->frequency > 255)
        args.Fail("ERR Invalid FREQ value, must be >= 0 and <= 255");
    } else {
      args.Fail(errors::kSyntax);
    }
  }
  return args.Done();
}

// IDLETIME counts under an LRU policy, FREQ under an LFU policy.
void SetAccess(Context& ctx, const RestoreOptions& options) {
  const KeyId id = ctx.Id(ctx.arg(1));
  Entry* entry = ctx.unit().Lookup(id.db, id.key, id.hash);
  if (entry == nullptr) return;
  // What was replaced has no say: the value is new.
  entry->set_access(FreshAccessClock(ctx.config(), ctx.now_ms()));
  if (UsesLfu(ctx.config())) {
    if (options.frequency >= 0)
      entry->set_access(LfuMinutes(ctx.now_ms()) << 8 |
                        static_cast<uint32_t>(options.frequency));
  } else if (options.idle_seconds >= 0) {
    entry->set_access((LruClock(ctx.now_ms()) - static_cast<uint32_t>(options.idle_seconds)) &
                      kAccessMask);
  }
}

// A payload that Redis 7.0 takes, if the value can be said there: for the journal.
std::string OldPayload(const Value& value) {
  if (value.type() != Type::kString) return DumpValue(value.type(), value.rep());
  switch (value.form()) {
    case Entry::Form::kInt: return DumpString(ToString(value.integer()));
    case Entry::Form::kBlock: return DumpString(value.block()->view());
    default: return DumpString(value.text());
  }
}

// RESTORE key ttl payload [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency]  O(N)
void Restore(Context& ctx) {
  const std::string_view key = ctx.arg(1);
  const std::string_view payload = ctx.arg(3);
  RestoreOptions options;
  if (!ReadOptions(ctx, &options)) return;
  if (!options.replace && ctx.Find(key, Context::Touch::kNo) != nullptr)
    return ctx.Error("BUSYKEY Target key name already exists.");
  int64_t ttl;
  if (!ParseInt64(ctx.arg(2), &ttl)) return ctx.Error(errors::kNotInteger);
  if (ttl < 0) return ctx.Error("ERR Invalid TTL value, must be >= 0");
  if (!VerifyDump(payload)) return ctx.Error("ERR DUMP payload version or checksum are wrong");
  auto loaded = LoadDump(payload, ctx.engine().ReadThresholds());
  if (!loaded.ok()) return ctx.Error("ERR Bad data format");
  Value value = loaded->type() == Type::kString
                    ? Value::FromString(std::move(loaded->string()))
                    : Value::FromRep(loaded->type(), loaded->Release());

  int64_t expiry = kNoExpiry;
  if (ttl != 0) {
    // A sum beyond 2^63 wraps around and lies in the past, as in Redis.
    expiry = options.absolute ? ttl
                              : static_cast<int64_t>(static_cast<uint64_t>(ttl) +
                                                     static_cast<uint64_t>(ctx.now_ms()));
    // A key already dead is not made; what it would have replaced is gone all the same. A replay
    // and a follower wait for the DEL instead.
    if (expiry <= ctx.now_ms() && ctx.unit().expiry_mode() != ExpiryMode::kApply) {
      if (ctx.Delete(key)) ctx.Effect({"DEL", key});
      return ctx.Ok();
    }
  }
  const bool newer =
      LoadLe<uint16_t>(payload.data() + payload.size() - kDumpFooterBytes) > kRdbVersionMin;
  if (newer || (ttl != 0 && !options.absolute)) {
    const std::string old = newer ? OldPayload(value) : std::string();
    const std::string when = ToString(ttl != 0 ? expiry : int64_t{0});
    ctx.Effect({"RESTORE", key, when, newer ? std::string_view(old) : payload, "REPLACE",
                "ABSTTL"});
  }
  const KeyId id = ctx.Id(key);
  const Type after = value.type();
  const Entry* old = ctx.Find(id, Context::Touch::kNo);
  const bool overwrites = old != nullptr;
  const Type before = overwrites ? old->type() : after;
  ctx.Replace(id, std::move(value), expiry);
  SetAccess(ctx, options);
  ctx.Notify(kNotifyGeneric, "restore", key);
  if (overwrites) ctx.NotifyOverwritten(id, before, after);
  ctx.Ok();
}

constexpr CommandSpec kRows[] = {
    {"DUMP", 2, kReadonly, Key(kRO | kAccess), kAclKeyspace, &Dump},
    {"RESTORE", -4, kWrite | kDenyOom, Key(kOW | kUpdate), kAclKeyspace | kAclDangerous, &Restore},
    {"RESTORE-ASKING", -4, kWrite | kDenyOom | kAsking, Key(kOW | kUpdate),
     kAclKeyspace | kAclDangerous, &Restore},
};

}  // namespace

std::span<const CommandSpec> DumpCommands() { return kRows; }

}  // namespace cairn
