// SPDX-License-Identifier: BSD-3-Clause
//
// What the two files of hash commands share: how a hash is opened, which fields count as expired,
// and how values are replied.
#pragma once

#include "commands/families.h"
#include "exec/context.h"
#include "exec/field_expiry.h"
#include "exec/refs.h"
#include "types/hash.h"

namespace cairn {

// The time by which fields are judged: a replay or a leader's stream hides none, since the
// expiries come to it as HDELs; nor does a server that was restored to an earlier time.
inline int64_t FieldTime(Context& ctx) {
  const Unit& unit = ctx.unit();
  return unit.expiry_mode() == ExpiryMode::kApply || unit.KeepsFields() ? Hash::kNeverExpired
                                                                        : unit.now_ms();
}

// As Hash::SetExpiry. A time that is past deletes, also where what had expired before stays.
inline ExpiryResult SetFieldExpiry(Context& ctx, Hash& hash, std::string_view field, int64_t when_ms,
                                   ExpiryCondition condition) {
  const ExpiryResult result = hash.SetExpiry(field, when_ms, condition, FieldTime(ctx));
  const Unit& unit = ctx.unit();
  if (result != ExpiryResult::kSet || when_ms > unit.now_ms() ||
      unit.expiry_mode() == ExpiryMode::kApply)
    return result;
  hash.Delete(field, FieldTime(ctx));
  return ExpiryResult::kDeleted;
}

// Deletes those of the fields `names[0]`, `names[step]`, ... that have expired, and journals that:
// what the command then does is the same when it is replayed where nothing ever expires.
template <typename Ref>
void ExpireNamed(Context& ctx, const Ref& hash, Arguments names, size_t step) {
  if (hash.failed() || !hash || hash->NextExpiry() == Hash::kNoExpiry) return;
  const KeyId& id = hash.id();
  Entry* entry = ctx.unit().Lookup(id.db, id.key, id.hash);
  ExpireNamedFields(ctx.unit(), id.db, id.hash, entry, names, step);
}

// HRANDFIELD deletes what has expired before it chooses, as in Redis; here a bounded number, the
// rest is hidden.
template <typename Ref>
void ExpireSome(Context& ctx, const Ref& hash) {
  constexpr size_t kFieldsMax = 1000;
  if (hash.failed() || !hash || hash->NextExpiry() == Hash::kNoExpiry) return;
  const KeyId& id = hash.id();
  ExpireFields(ctx.unit(), id.db, id.hash, ctx.unit().Lookup(id.db, id.key, id.hash), kFieldsMax);
}

// A hash for changing, or for reading, the fields that the command names.
inline WriteRef<Hash> WriteHash(Context& ctx, std::string_view key, Arguments names,
                                size_t step = 1) {
  WriteRef<Hash> hash = ctx.Write<Hash>(key);
  ExpireNamed(ctx, hash, names, step);
  return hash;
}
inline ReadRef<Hash> ReadHash(Context& ctx, std::string_view key, Arguments names) {
  ReadRef<Hash> hash = ctx.Read<Hash>(key);
  ExpireNamed(ctx, hash, names, 1);
  return hash;
}

inline void ReplyValue(Context& ctx, const ListpackValue& value) {
  value.is_int() ? ctx.reply().BulkInteger(value.integer()) : ctx.reply().Bulk(value.text());
}

inline void ReplyField(Context& ctx, const Hash& hash, std::string_view field) {
  const std::optional<ListpackValue> value = hash.Get(field, FieldTime(ctx));
  value ? ReplyValue(ctx, *value) : ctx.reply().Null();
}

}  // namespace cairn
