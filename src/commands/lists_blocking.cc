// SPDX-License-Identifier: BSD-3-Clause
//
// The blocking forms of the list commands. Their effects are those of the plain forms.
#include "commands/blocking_common.h"
#include "commands/families.h"
#include "commands/list_common.h"

namespace cairn {
namespace {

void BlockingPop(Context& ctx, ListEnd end) {
  int64_t timeout_ms;
  const size_t keys = ctx.argc() - 2;
  if (!ReadTimeoutSeconds(ctx, ctx.arg(keys + 1), &timeout_ms)) return;
  for (std::string_view key : ctx.args().subspan(1, keys)) {
    auto list = ctx.Write<List>(key);
    if (list.failed()) return;
    if (!list) continue;
    if (!ctx.Claim()) return;
    std::string element;
    list.Mutable().Pop(end, &element, ctx.engine().ReadThresholds());
    ctx.reply().Array(2);
    ctx.reply().Bulk(key);
    ctx.reply().Bulk(element);
    ctx.Effect({end == ListEnd::kFront ? "LPOP" : "RPOP", key});
    return list.Commit(kNotifyList, PopEvent(end));
  }
  WaitForKeys(ctx, Type::kList, 1, keys, timeout_ms);
}

// BLPOP key [key ...] timeout  O(keys)
void BLPop(Context& ctx) {
  BlockingPop(ctx, ListEnd::kFront);
}
// BRPOP key [key ...] timeout  O(keys)
void BRPop(Context& ctx) {
  BlockingPop(ctx, ListEnd::kBack);
}

// What replays as `effect` does where it moves an element.
void BlockingMove(Context& ctx, ListEnd from, ListEnd to, int64_t timeout_ms, Arguments effect) {
  const int64_t dirty = ctx.unit().dirty();
  if (!MoveElement(ctx, from, to)) {
    // Redis replies a null string here, but a null array when the time is up.
    if (!ctx.may_block()) return ctx.reply().Null();
    return WaitForKeys(ctx, Type::kList, 1, 1, timeout_ms);
  }
  if (ctx.unit().dirty() != dirty) ctx.Effect(effect);
}

// BLMOVE source destination LEFT|RIGHT LEFT|RIGHT timeout  O(1)
void BLMove(Context& ctx) {
  ListEnd from, to;
  int64_t timeout_ms;
  if (!ReadListEnd(ctx.arg(3), &from) || !ReadListEnd(ctx.arg(4), &to))
    return ctx.Error(errors::kSyntax);
  if (!ReadTimeoutSeconds(ctx, ctx.arg(5), &timeout_ms)) return;
  const std::string_view effect[] = {"LMOVE", ctx.arg(1), ctx.arg(2), ctx.arg(3), ctx.arg(4)};
  BlockingMove(ctx, from, to, timeout_ms, effect);
}

// BRPOPLPUSH source destination timeout  O(1)
void BRPopLPush(Context& ctx) {
  int64_t timeout_ms;
  if (!ReadTimeoutSeconds(ctx, ctx.arg(3), &timeout_ms)) return;
  const std::string_view effect[] = {"RPOPLPUSH", ctx.arg(1), ctx.arg(2)};
  BlockingMove(ctx, ListEnd::kBack, ListEnd::kFront, timeout_ms, effect);
}

// BLMPOP timeout numkeys key [key ...] LEFT|RIGHT [COUNT count]  O(N+M)
void BLMPop(Context& ctx) {
  int64_t timeout_ms;
  ListMultiPop request;
  if (!request.Read(ctx, 2) || !ReadTimeoutSeconds(ctx, ctx.arg(1), &timeout_ms)) return;
  if (!request.Run(ctx)) WaitForKeys(ctx, Type::kList, request.first_key, request.keys, timeout_ms);
}

constexpr KeySpecs kPops = KeyRange(kRW | kAccess | kDelete, 1, -2);
constexpr KeySpecs kPopPush = Key(kRW | kAccess | kDelete, 1) + Key(kRW | kInsert, 2);
constexpr CommandSpec kRows[] = {
    {"BLPOP", -3, kWrite | kBlocking, kPops, kAclList, &BLPop},
    {"BRPOP", -3, kWrite | kBlocking, kPops, kAclList, &BRPop},
    {"BLMOVE", 6, kWrite | kDenyOom | kBlocking, kPopPush, kAclList, &BLMove},
    {"BRPOPLPUSH", 4, kWrite | kDenyOom | kBlocking, kPopPush, kAclList, &BRPopLPush},
    {"BLMPOP", -5, kWrite | kBlocking, KeyNum(kRW | kAccess | kDelete, 2), kAclList, &BLMPop},
};

}  // namespace

std::span<const CommandSpec> ListBlockingCommands() {
  return kRows;
}

}  // namespace cairn
