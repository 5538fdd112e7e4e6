// SPDX-License-Identifier: BSD-3-Clause
//
// The blocking commands of sorted sets, and what they share with the plain ones. The effects are
// those of the plain forms.
#include "commands/sorted_set_pops.h"

#include "commands/blocking_common.h"
#include "commands/families.h"

namespace cairn {

void PopMembers(Context& ctx, WriteRef<SortedSet>& set, bool highest, uint64_t count, bool nested) {
  count = std::min<uint64_t>(count, set->Size());
  ctx.reply().Array(nested ? count : count * 2);
  set.Mutable().Pop(highest, count, [&](std::string_view member, double score) {
    if (nested) ctx.reply().Array(2);
    ctx.reply().Bulk(member);
    ctx.reply().Double(score);
  });
  set.Commit(kNotifyZset, PopEvent(highest), static_cast<int64_t>(count));
}

bool SortedSetMultiPop::Read(Context& ctx, size_t numkeys_at) {
  if (!ReadArguments(ctx, numkeys_at, "min", "max")) return false;
  highest = is_second;
  return true;
}

bool SortedSetMultiPop::Run(Context& ctx) const {
  for (std::string_view key : ctx.args().subspan(first_key, keys)) {
    auto set = ctx.Write<SortedSet>(key);
    if (set.failed()) return true;
    if (!set) continue;
    if (!ctx.Claim()) return true;
    const uint64_t popped = std::min<uint64_t>(count, set->Size());
    ctx.reply().Array(2);
    ctx.reply().Bulk(key);
    PopMembers(ctx, set, highest, popped, true);
    ctx.Effect({highest ? "ZPOPMAX" : "ZPOPMIN", key, ToString(static_cast<int64_t>(popped))});
    return true;
  }
  return false;
}

namespace {

void BlockingPop(Context& ctx, bool highest) {
  int64_t timeout_ms;
  const size_t keys = ctx.argc() - 2;
  if (!ReadTimeoutSeconds(ctx, ctx.arg(keys + 1), &timeout_ms)) return;
  for (std::string_view key : ctx.args().subspan(1, keys)) {
    auto set = ctx.Write<SortedSet>(key);
    if (set.failed()) return;
    if (!set) continue;
    if (!ctx.Claim()) return;
    ctx.reply().Array(3);
    ctx.reply().Bulk(key);
    set.Mutable().Pop(highest, 1, [&](std::string_view member, double score) {
      ctx.reply().Bulk(member);
      ctx.reply().Double(score);
    });
    ctx.Effect({highest ? "ZPOPMAX" : "ZPOPMIN", key});
    return set.Commit(kNotifyZset, PopEvent(highest));
  }
  WaitForKeys(ctx, Type::kSortedSet, 1, keys, timeout_ms);
}

// BZPOPMIN key [key ...] timeout  O(keys + log N)
void BZPopMin(Context& ctx) {
  BlockingPop(ctx, false);
}
// BZPOPMAX key [key ...] timeout  O(keys + log N)
void BZPopMax(Context& ctx) {
  BlockingPop(ctx, true);
}

// BZMPOP timeout numkeys key [key ...] MIN|MAX [COUNT count]  O(K + M log N)
void BZMPop(Context& ctx) {
  int64_t timeout_ms;
  SortedSetMultiPop request;
  if (!request.Read(ctx, 2) || !ReadTimeoutSeconds(ctx, ctx.arg(1), &timeout_ms)) return;
  if (!request.Run(ctx))
    WaitForKeys(ctx, Type::kSortedSet, request.first_key, request.keys, timeout_ms);
}

constexpr KeySpecs kPops = KeyRange(kRW | kAccess | kDelete, 1, -2);
constexpr CommandSpec kRows[] = {
    {"BZPOPMIN", -3, kWrite | kBlocking | kFast, kPops, kAclSortedSet, &BZPopMin},
    {"BZPOPMAX", -3, kWrite | kBlocking | kFast, kPops, kAclSortedSet, &BZPopMax},
    {"BZMPOP", -5, kWrite | kBlocking, KeyNum(kRW | kAccess | kDelete, 2), kAclSortedSet, &BZMPop},
};

}  // namespace

std::span<const CommandSpec> SortedSetBlockingCommands() {
  return kRows;
}

}  // namespace cairn
