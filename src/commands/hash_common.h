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
// expiries come to it as HDELs.
inline int64_t FieldTime(Context& ctx) {
  return ctx.unit().expiry_mode() == ExpiryMode::kApply ? Hash::kNeverExpired : ctx.now_ms();
}

// A hash for changing. Fields whose time has come are deleted first and journaled as such: what
// the command then does is the same when it is replayed where nothing ever expires.
inline WriteRef<Hash> WriteHash(Context& ctx, std::string_view key) {
  WriteRef<Hash> hash = ctx.Write<Hash>(key);
  if (!hash.failed() && hash && hash->NextExpiry() != Hash::kNoExpiry) {
    const KeyId& id = hash.id();
    ExpireFields(ctx.unit(), id.db, id.hash, ctx.unit().Lookup(id.db, id.key, id.hash), SIZE_MAX);
  }
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
