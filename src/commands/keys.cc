// SPDX-License-Identifier: BSD-3-Clause
//
// Keys of any type: deleting, looking, renaming, copying, moving. Expiry is in expiry.cc, SCAN and
// KEYS in scan.cc, whole databases in databases.cc.
#include <optional>

#include "commands/families.h"
#include "exec/args.h"
#include "exec/context.h"
#include "exec/refs.h"

namespace cairn {
namespace {

// DEL key [key ...]  O(N); big values are freed in the background
void Del(Context& ctx) {
  int64_t deleted = 0;
  for (size_t i = 1; i < ctx.argc(); ++i) deleted += ctx.Delete(ctx.arg(i));
  ctx.reply().Integer(deleted);
}

// EXISTS key [key ...]  O(N)
void Exists(Context& ctx) {
  int64_t found = 0;
  for (size_t i = 1; i < ctx.argc(); ++i) found += ctx.Find(ctx.arg(i)) != nullptr;
  ctx.reply().Integer(found);
}

// TOUCH key [key ...]  O(N)
void TouchKeys(Context& ctx) { Exists(ctx); }

// TYPE key  O(1)
void TypeOf(Context& ctx) {
  const Entry* entry = ctx.Find(ctx.arg(1), Context::Touch::kLook);
  ctx.reply().SimpleString(entry == nullptr ? "none" : TypeName(entry->type()));
}

std::optional<Type> TypeAt(Context& ctx, const KeyId& id) {
  const Entry* entry = ctx.Find(id, Context::Touch::kNo);
  return entry == nullptr ? std::nullopt : std::optional<Type>(entry->type());
}

void RenameKey(Context& ctx, bool only_if_absent) {
  const KeyId from = ctx.Id(ctx.arg(1)), to = ctx.Id(ctx.arg(2));
  if (ctx.Find(from, Context::Touch::kWrite) == nullptr) return ctx.Error(errors::kNoSuchKey);
  if (ctx.arg(1) == ctx.arg(2)) return only_if_absent ? ctx.reply().Integer(0) : ctx.Ok();
  const std::optional<Type> overwritten = TypeAt(ctx, to);
  if (overwritten.has_value()) {
    if (only_if_absent) return ctx.reply().Integer(0);
    ctx.unit().Delete(to.db, to.key, to.hash);
  }
  ctx.MoveKey(from, to);
  ctx.Notify(kNotifyGeneric, "rename_from", from.key);
  ctx.Notify(kNotifyGeneric, "rename_to", to.key);
  if (overwritten.has_value()) ctx.NotifyOverwritten(to, *overwritten, *TypeAt(ctx, to));
  only_if_absent ? ctx.reply().Integer(1) : ctx.Ok();
}

// RENAME key newkey  O(1)
void Rename(Context& ctx) { RenameKey(ctx, false); }
// RENAMENX key newkey  O(1)
void RenameNx(Context& ctx) { RenameKey(ctx, true); }

// The database a text names, or -1 after an error reply.
int ReadDb(Context& ctx, std::string_view text) {
  int64_t db;
  if (!ParseInt64(text, &db)) {
    ctx.Error(errors::kNotInteger);
    return -1;
  }
  if (db < INT32_MIN || db > INT32_MAX) {
    ctx.Error(errors::kIntRange);
    return -1;
  }
  if (db < 0 || db >= ctx.unit().keyspace().databases()) {
    ctx.Error(errors::kDbIndex);
    return -1;
  }
  return static_cast<int>(db);
}

// MOVE key db  O(1)
void Move(Context& ctx) {
  const int target = ReadDb(ctx, ctx.arg(2));
  if (target < 0) return;
  if (target == ctx.db()) return ctx.Error(errors::kSameObject);
  const KeyId from = ctx.Id(ctx.arg(1)), to = ctx.IdIn(target, ctx.arg(1));
  if (ctx.Find(from, Context::Touch::kWrite) == nullptr ||
      ctx.Find(to, Context::Touch::kNo) != nullptr)
    return ctx.reply().Integer(0);
  ctx.MoveKey(from, to);
  ctx.NotifyIn(from.db, kNotifyGeneric, "move_from", from.key);
  ctx.NotifyIn(to.db, kNotifyGeneric, "move_to", to.key);
  ctx.reply().Integer(1);
}

// COPY source destination [DB destination-db] [REPLACE]  O(N)
void Copy(Context& ctx) {
  int target = ctx.db();
  bool replace = false;
  Args args(ctx, 3);
  while (args.More()) {
    if (args.Take("REPLACE")) {
      replace = true;
    } else if (args.Take("DB", 1)) {
      target = ReadDb(ctx, args.Next());
      if (target < 0) return;
    } else {
      args.Fail(errors::kSyntax);
    }
  }
  if (!args.Done()) return;
  const KeyId from = ctx.Id(ctx.arg(1)), to = ctx.IdIn(target, ctx.arg(2));
  if (from.db == to.db && from.key == to.key) return ctx.Error(errors::kSameObject);
  const Entry* source = ctx.Find(from);
  if (source == nullptr) return ctx.reply().Integer(0);
  const int64_t expiry_ms = source->expiry_ms();
  const std::optional<Type> overwritten = TypeAt(ctx, to);
  if (overwritten.has_value()) {
    if (!replace) return ctx.reply().Integer(0);
    ctx.unit().Delete(to.db, to.key, to.hash);
    source = ctx.Find(from, Context::Touch::kNo);
  }
  ctx.Put(to, source->CopyValue(), expiry_ms);
  ctx.NotifyIn(to.db, kNotifyGeneric, "copy_to", to.key);
  if (overwritten.has_value()) ctx.NotifyOverwritten(to, *overwritten, *TypeAt(ctx, to));
  ctx.reply().Integer(1);
}

constexpr CommandSpec kRows[] = {
    {"DEL", -2, kWrite, KeyRange(kRM | kDelete, 1, -1), kAclKeyspace, &Del},
    {"UNLINK", -2, kWrite | kFast, KeyRange(kRM | kDelete, 1, -1), kAclKeyspace, &Del},
    {"EXISTS", -2, kReadonly | kFast, KeyRange(kRO, 1, -1), kAclKeyspace, &Exists},
    {"TOUCH", -2, kReadonly | kFast, KeyRange(kRO, 1, -1), kAclKeyspace, &TouchKeys},
    {"TYPE", 2, kReadonly | kFast, Key(kRO), kAclKeyspace, &TypeOf},
    {"RENAME", 3, kWrite, Key(kRW | kAccess | kDelete, 1) + Key(kOW | kUpdate, 2), kAclKeyspace,
     &Rename},
    {"RENAMENX", 3, kWrite | kFast, Key(kRW | kAccess | kDelete, 1) + Key(kOW | kInsert, 2),
     kAclKeyspace, &RenameNx},
    {"MOVE", 3, kWrite | kFast, Key(kRW | kAccess | kUpdate, 1), kAclKeyspace, &Move},
    {"COPY", -3, kWrite | kDenyOom, Key(kRO | kAccess, 1) + Key(kOW | kUpdate, 2), kAclKeyspace,
     &Copy},
};

}  // namespace

std::span<const CommandSpec> KeyCommands() { return kRows; }

}  // namespace cairn
