// SPDX-License-Identifier: BSD-3-Clause
//
// The expiry of hash fields: HEXPIRE and its kin as in Redis 7.4, HGETDEL, HGETEX and HSETEX as in
// 8.0. What is recorded is absolute and unconditional: HPEXPIREAT, HPERSIST, HDEL, HSET.
#include <algorithm>
#include <optional>
#include <vector>

#include "base/numbers.h"
#include "commands/hash_common.h"
#include "exec/args.h"
#include "types/field_time.h"

namespace cairn {
namespace {

// The latest time a client may ask for, Redis's HFE_MAX_ABS_TIME_MSEC; a payload of RESTORE may
// hold later ones, which then come back from the journal.
constexpr int64_t kTimeMaxMs = (int64_t{1} << 46) - 1;

constexpr std::string_view kNoFields =
    "ERR Mandatory argument FIELDS is missing or not at the right position";
constexpr std::string_view kCountMismatch =
    "ERR The `numfields` parameter must match the number of arguments";
constexpr std::string_view kCountPositive = "ERR Number of fields must be a positive integer";

// The replies of HPERSIST, HTTL and their kin.
constexpr int64_t kNoField = -2, kNoTtl = -1;

enum class Time { kRelativeSeconds, kRelativeMs, kUnixSeconds, kUnixMs };
constexpr bool InSeconds(Time time) {
  return time == Time::kRelativeSeconds || time == Time::kUnixSeconds;
}
constexpr bool Relative(Time time) {
  return time == Time::kRelativeSeconds || time == Time::kRelativeMs;
}

// An expiry as Unix milliseconds. False: an error was replied.
bool ReadTime(Context& ctx, std::string_view text, Time time, int64_t* when_ms) {
  int64_t value;
  if (!ParseInt64(text, &value)) {
    ctx.Error(errors::kNotInteger);
    return false;
  }
  if (value < 0) {
    ctx.Error("ERR invalid expire time, must be >= 0");
    return false;
  }
  const int64_t base_ms = Relative(time) ? ctx.now_ms() : 0;
  const int64_t max_ms =
      ctx.unit().expiry_mode() == ExpiryMode::kApply ? kFieldTimeMaxMs : kTimeMaxMs;
  const bool too_late = InSeconds(time) && value > max_ms / 1000;
  if (!too_late && InSeconds(time)) value *= 1000;
  if (too_late || value > max_ms - base_ms) {
    ctx.Error("ERR invalid expire time in '" + ctx.command().full_name + "' command");
    return false;
  }
  *when_ms = value + base_ms;
  return true;
}

// "FIELDS numfields field [field ...]" from argument `at` to the end. False: an error was replied.
bool ReadFields(Context& ctx, size_t at, std::string_view count_error, Arguments* fields) {
  int64_t count;
  std::string_view error;
  if (!EqualsIgnoreCase(ctx.arg(at), "fields")) {
    error = kNoFields;
  } else if (!ParseInt64(ctx.arg(at + 1), &count) || count < 1) {
    error = count_error;
  } else if (static_cast<size_t>(count) != ctx.argc() - at - 2) {
    error = kCountMismatch;
  }
  if (!error.empty()) {
    ctx.Error(error);
    return false;
  }
  *fields = ctx.args().subspan(at + 2);
  return true;
}

using Fields = std::vector<std::string_view>;

// "COMMAND key [when FIELDS n] field ..." for the journal.
void EffectOnFields(Context& ctx, std::string_view command, const Fields& fields,
                    std::string_view when = {}) {
  const std::string count = ToString(static_cast<int64_t>(fields.size()));
  Fields parts = {command, ctx.arg(1)};
  if (!when.empty()) parts.push_back(when);
  if (command != "HDEL") parts.insert(parts.end(), {"FIELDS", count});
  parts.insert(parts.end(), fields.begin(), fields.end());
  ctx.Effect(Arguments(parts));
}

// What giving fields an expiry did to them: one time, so either was set or they were deleted.
struct Expired {
  Fields set, deleted;
  bool any() const { return !set.empty() || !deleted.empty(); }

  void Note(ExpiryResult result, std::string_view field) {
    if (result == ExpiryResult::kSet) set.push_back(field);
    if (result == ExpiryResult::kDeleted) deleted.push_back(field);
  }
  const char* event() const { return deleted.empty() ? "hexpire" : "hdel"; }
  int64_t dirty() const { return static_cast<int64_t>(set.size() + deleted.size()); }
  void Record(Context& ctx, int64_t when_ms) const {
    if (!set.empty()) EffectOnFields(ctx, "HPEXPIREAT", set, ToString(when_ms));
    if (!deleted.empty()) EffectOnFields(ctx, "HDEL", deleted);
  }
};

// Starts the array of one reply a field, the expired ones among them deleted first. False: there is
// no hash, and `none` (nil without one) was said of each.
bool StartReplies(Context& ctx, WriteRef<Hash>& typed, Arguments fields,
                  std::optional<int64_t> none = {}) {
  ExpireNamed(ctx, typed, fields, 1);
  ctx.reply().Array(fields.size());
  if (typed) return true;
  for (size_t i = 0; i < fields.size(); ++i) none ? ctx.reply().Integer(*none) : ctx.reply().Null();
  return false;
}

void Expire(Context& ctx, Time time) {
  auto typed = ctx.Write<Hash>(ctx.arg(1));
  int64_t when_ms;
  if (typed.failed() || !ReadTime(ctx, ctx.arg(2), time, &when_ms)) return;
  constexpr std::pair<std::string_view, ExpiryCondition> kConditions[] = {
      {"nx", ExpiryCondition::kIfNone},
      {"xx", ExpiryCondition::kIfSome},
      {"gt", ExpiryCondition::kIfGreater},
      {"lt", ExpiryCondition::kIfLess}};
  ExpiryCondition condition = ExpiryCondition::kAlways;
  for (const auto& [name, value] : kConditions)
    if (EqualsIgnoreCase(ctx.arg(3), name)) condition = value;
  Arguments fields;
  if (!ReadFields(ctx, condition == ExpiryCondition::kAlways ? 3 : 4,
                  "ERR Parameter `numFields` should be greater than 0", &fields))
    return;

  if (!StartReplies(ctx, typed, fields, kNoField)) return;
  Expired done;
  Hash& hash = typed.Mutable();
  for (std::string_view field : fields) {
    const ExpiryResult result = SetFieldExpiry(ctx, hash, field, when_ms, condition);
    done.Note(result, field);
    ctx.reply().Integer(static_cast<int64_t>(result));
  }
  if (!done.any()) return typed.Unchanged();
  typed.Commit(kNotifyHash, done.event(), done.dirty());
  done.Record(ctx, when_ms);
}

// HEXPIRE key seconds [NX|XX|GT|LT] FIELDS numfields field [field ...]  O(N)
void HExpire(Context& ctx) { Expire(ctx, Time::kRelativeSeconds); }
// HPEXPIRE key milliseconds [NX|XX|GT|LT] FIELDS numfields field [field ...]  O(N)
void HPExpire(Context& ctx) { Expire(ctx, Time::kRelativeMs); }
// HEXPIREAT key unix-time-seconds [NX|XX|GT|LT] FIELDS numfields field [field ...]  O(N)
void HExpireAt(Context& ctx) { Expire(ctx, Time::kUnixSeconds); }
// HPEXPIREAT key unix-time-milliseconds [NX|XX|GT|LT] FIELDS numfields field [field ...]  O(N)
void HPExpireAt(Context& ctx) { Expire(ctx, Time::kUnixMs); }

void ReplyExpiries(Context& ctx, Time time) {
  auto typed = ctx.Read<Hash>(ctx.arg(1));
  Arguments fields;
  if (typed.failed() || !ReadFields(ctx, 2, kCountPositive, &fields)) return;
  const int64_t base_ms = Relative(time) ? ctx.now_ms() : 0;
  ctx.reply().Array(fields.size());
  for (std::string_view field : fields) {
    const auto expiry = typed ? typed->GetExpiry(field, FieldTime(ctx)) : std::nullopt;
    if (!expiry) {
      ctx.reply().Integer(kNoField);
    } else if (*expiry == Hash::kNoExpiry) {
      ctx.reply().Integer(kNoTtl);
    } else {
      // Redis rounds seconds up here, where TTL rounds to the nearest. Below 0: it is kept for now.
      const int64_t ms = std::max<int64_t>(*expiry - base_ms, 0);
      ctx.reply().Integer(InSeconds(time) ? (ms + 999) / 1000 : ms);
    }
  }
}

// HTTL key FIELDS numfields field [field ...]  O(N)
void HTtl(Context& ctx) { ReplyExpiries(ctx, Time::kRelativeSeconds); }
// HPTTL key FIELDS numfields field [field ...]  O(N)
void HPTtl(Context& ctx) { ReplyExpiries(ctx, Time::kRelativeMs); }
// HEXPIRETIME key FIELDS numfields field [field ...]  O(N)
void HExpireTime(Context& ctx) { ReplyExpiries(ctx, Time::kUnixSeconds); }
// HPEXPIRETIME key FIELDS numfields field [field ...]  O(N)
void HPExpireTime(Context& ctx) { ReplyExpiries(ctx, Time::kUnixMs); }

// HPERSIST key FIELDS numfields field [field ...]  O(N)
void HPersist(Context& ctx) {
  auto typed = ctx.Write<Hash>(ctx.arg(1));
  Arguments fields;
  if (typed.failed() || !ReadFields(ctx, 2, kCountPositive, &fields)) return;
  if (!StartReplies(ctx, typed, fields, kNoField)) return;
  bool changed = false;
  Hash& hash = typed.Mutable();
  for (std::string_view field : fields) {
    const std::optional<bool> had = hash.Persist(field, FieldTime(ctx));
    ctx.reply().Integer(!had ? kNoField : *had ? 1 : kNoTtl);
    changed |= had.value_or(false);
  }
  changed ? typed.Commit(kNotifyHash, "hpersist") : typed.Unchanged();
}

// HGETDEL key FIELDS numfields field [field ...]  O(N)
void HGetDel(Context& ctx) {
  auto typed = ctx.Write<Hash>(ctx.arg(1));
  Arguments fields;
  if (typed.failed() || !ReadFields(ctx, 2, kCountPositive, &fields)) return;
  if (!StartReplies(ctx, typed, fields)) return;
  Fields deleted;
  Hash& hash = typed.Mutable();
  for (std::string_view field : fields) {
    ReplyField(ctx, hash, field);
    if (hash.Delete(field, FieldTime(ctx))) deleted.push_back(field);
  }
  if (deleted.empty()) return typed.Unchanged();
  typed.Commit(kNotifyHash, "hdel", static_cast<int64_t>(deleted.size()));
  EffectOnFields(ctx, "HDEL", deleted);
}

// EX, PX, EXAT, PXAT; nothing for other words.
std::optional<Time> TimeOption(std::string_view word) {
  constexpr std::pair<std::string_view, Time> kOptions[] = {{"ex", Time::kRelativeSeconds},
                                                            {"px", Time::kRelativeMs},
                                                            {"exat", Time::kUnixSeconds},
                                                            {"pxat", Time::kUnixMs}};
  for (const auto& [name, time] : kOptions)
    if (EqualsIgnoreCase(word, name)) return time;
  return std::nullopt;
}

// HGETEX key [EX seconds | PX ms | EXAT unix-seconds | PXAT unix-ms | PERSIST]
//   FIELDS numfields field [field ...]  O(N)
void HGetEx(Context& ctx) {
  auto typed = ctx.Write<Hash>(ctx.arg(1));
  if (typed.failed()) return;
  const std::optional<Time> time = TimeOption(ctx.arg(2));
  const bool persist = EqualsIgnoreCase(ctx.arg(2), "persist");
  const size_t fields_at = time ? 4 : persist ? 3 : 2;
  int64_t when_ms = 0;
  if (time && !ReadTime(ctx, ctx.arg(3), *time, &when_ms)) return;
  Arguments fields;
  if (fields_at + 1 >= ctx.argc()) return ctx.Error(kNoFields);
  if (!ReadFields(ctx, fields_at, kCountPositive, &fields)) return;
  if (!StartReplies(ctx, typed, fields)) return;
  if (!time && !persist) {
    for (std::string_view field : fields) ReplyField(ctx, *typed, field);
    return;
  }
  Expired done;
  Fields persisted;
  Hash& hash = typed.Mutable();
  for (std::string_view field : fields) {
    ReplyField(ctx, hash, field);
    if (time) {
      done.Note(SetFieldExpiry(ctx, hash, field, when_ms, ExpiryCondition::kAlways), field);
    } else if (hash.Persist(field, FieldTime(ctx)).value_or(false)) {
      persisted.push_back(field);
    }
  }
  if (!done.any() && persisted.empty()) return typed.Unchanged();
  if (persisted.empty()) {
    typed.Commit(kNotifyHash, done.event(), done.dirty());
    done.Record(ctx, when_ms);
  } else {
    typed.Commit(kNotifyHash, "hpersist", static_cast<int64_t>(persisted.size()));
    EffectOnFields(ctx, "HPERSIST", persisted);
  }
}

struct FieldSetOptions {
  bool if_none = false, if_all = false, keep_ttl = false, has_time = false;
  int64_t when_ms = 0;
  Arguments pairs;
};

// One word of the options at *i, and what belongs to it. False: an error was replied.
bool ReadSetOption(Context& ctx, size_t* i, FieldSetOptions* options) {
  const std::string_view word = ctx.arg(*i);
  const std::optional<Time> time = TimeOption(word);
  if (EqualsIgnoreCase(word, "fields")) {
    const size_t left = ctx.argc() - *i - 1;
    int64_t count;
    const std::string arity =
        "ERR wrong number of arguments for '" + ctx.command().full_name + "' command";
    if (left < 3) return ctx.Error(arity), false;
    if (!ParseInt64(ctx.arg(*i + 1), &count) || count < 1 || count > INT32_MAX)
      return ctx.Error("ERR invalid number of fields"), false;
    const size_t words = 2 * static_cast<size_t>(count);
    if (left - 1 != words) return ctx.Error(arity), false;
    options->pairs = ctx.args().subspan(*i + 2, words);
    *i = ctx.argc() - 1;
  } else if (time || EqualsIgnoreCase(word, "keepttl")) {
    if (options->has_time || options->keep_ttl)
      return ctx.Error("ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified"),
             false;
    options->keep_ttl = !time;
    options->has_time = time.has_value();
    if (!time) return true;
    if (*i + 1 >= ctx.argc()) return ctx.Error("ERR missing expire time"), false;
    return ReadTime(ctx, ctx.arg(++*i), *time, &options->when_ms);
  } else if (EqualsIgnoreCase(word, "fxx") || EqualsIgnoreCase(word, "fnx")) {
    if (options->if_all || options->if_none)
      return ctx.Error("ERR Only one of FXX or FNX arguments can be specified"), false;
    (EqualsIgnoreCase(word, "fxx") ? options->if_all : options->if_none) = true;
  } else {
    return ctx.Error("ERR unknown argument: " + std::string(word.substr(0, word.find('\0')))),
           false;
  }
  return true;
}

// FXX: all fields must be there; FNX: none.
bool ConditionHolds(Context& ctx, const WriteRef<Hash>& hash, const FieldSetOptions& options) {
  if (!options.if_all && !options.if_none) return true;
  for (size_t i = 0; i < options.pairs.size(); i += 2) {
    const bool exists = hash && hash->Exists(options.pairs[i], FieldTime(ctx));
    if (exists != options.if_all) return false;
  }
  return true;
}

// What HSETEX did, for the journal: the pairs, then the expiries that they have now.
void RecordSet(Context& ctx, const Hash& hash, const FieldSetOptions& options,
               const Expired& done) {
  if (!done.deleted.empty()) return EffectOnFields(ctx, "HDEL", done.deleted);
  Fields parts = {"HSET", ctx.arg(1)};
  parts.insert(parts.end(), options.pairs.begin(), options.pairs.end());
  ctx.Effect(Arguments(parts));
  if (options.has_time) return done.Record(ctx, options.when_ms);
  for (size_t i = 0; options.keep_ttl && i < options.pairs.size(); i += 2) {
    const int64_t expiry_ms = hash.GetExpiry(options.pairs[i], FieldTime(ctx)).value_or(0);
    if (expiry_ms != Hash::kNoExpiry)
      EffectOnFields(ctx, "HPEXPIREAT", {options.pairs[i]}, ToString(expiry_ms));
  }
}

// HSETEX key [FNX | FXX] [EX seconds | PX ms | EXAT unix-seconds | PXAT unix-ms | KEEPTTL]
//   FIELDS numfields field value [field value ...]  O(N)
void HSetEx(Context& ctx) {
  FieldSetOptions options;
  for (size_t i = 2; i < ctx.argc(); ++i)
    if (!ReadSetOption(ctx, &i, &options)) return;
  if (options.pairs.empty()) return ctx.Error("ERR missing FIELDS argument");
  auto typed = WriteHash(ctx, ctx.arg(1), options.pairs, 2);
  if (typed.failed()) return;
  if (!ConditionHolds(ctx, typed, options)) return ctx.reply().Integer(0);

  const Thresholds thresholds = ctx.engine().ReadThresholds();
  size_t longest = 0;
  for (std::string_view text : options.pairs) longest = std::max(longest, text.size());
  Hash& hash = typed.Create();
  hash.Prepare(options.pairs.size() / 2, longest, thresholds);
  Expired done;
  for (size_t i = 0; i < options.pairs.size(); i += 2)
    hash.Set(options.pairs[i], options.pairs[i + 1], FieldTime(ctx), thresholds, options.keep_ttl);
  hash.Settle();
  for (size_t i = 0; options.has_time && i < options.pairs.size(); i += 2) {
    const std::string_view field = options.pairs[i];
    done.Note(SetFieldExpiry(ctx, hash, field, options.when_ms, ExpiryCondition::kAlways), field);
  }
  ctx.reply().Integer(1);
  RecordSet(ctx, hash, options, done);
  typed.Notify(kNotifyHash, "hset");
  typed.Commit(kNotifyHash, done.any() ? done.event() : nullptr,
               static_cast<int64_t>(options.pairs.size() / 2));
}

constexpr uint64_t kReadFast = kReadonly | kFast;
constexpr uint64_t kGrow = kWrite | kDenyOom | kFast;
constexpr CommandSpec kRows[] = {
    {"HEXPIRE", -6, kGrow, Key(kRW | kUpdate), kAclHash, &HExpire},
    {"HPEXPIRE", -6, kGrow, Key(kRW | kUpdate), kAclHash, &HPExpire},
    {"HEXPIREAT", -6, kGrow, Key(kRW | kUpdate), kAclHash, &HExpireAt},
    {"HPEXPIREAT", -6, kGrow, Key(kRW | kUpdate), kAclHash, &HPExpireAt},
    {"HTTL", -5, kReadFast, Key(kRO | kAccess), kAclHash, &HTtl},
    {"HPTTL", -5, kReadFast, Key(kRO | kAccess), kAclHash, &HPTtl},
    {"HEXPIRETIME", -5, kReadFast, Key(kRO | kAccess), kAclHash, &HExpireTime},
    {"HPEXPIRETIME", -5, kReadFast, Key(kRO | kAccess), kAclHash, &HPExpireTime},
    {"HPERSIST", -5, kWrite | kFast, Key(kRW | kUpdate), kAclHash, &HPersist},
    {"HGETDEL", -5, kWrite | kFast, Key(kRW | kAccess | kDelete), kAclHash, &HGetDel},
    {"HGETEX", -5, kWrite | kFast, Key(kRW | kAccess | kUpdate), kAclHash, &HGetEx},
    {"HSETEX", -6, kGrow, Key(kRW | kUpdate), kAclHash, &HSetEx},
};

}  // namespace

std::span<const CommandSpec> HashExpiryCommands() { return kRows; }

}  // namespace cairn
