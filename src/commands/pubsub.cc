// SPDX-License-Identifier: BSD-3-Clause
//
// SUBSCRIBE and its relatives, PUBLISH, SPUBLISH, PUBSUB.
#include "commands/families.h"
#include "commands/help.h"
#include "exec/context.h"
#include "exec/subscribing.h"

namespace cairn {
namespace {

// The confirmations' first words, by kind.
constexpr std::string_view kSubscribed[] = {"subscribe", "psubscribe", "ssubscribe"};
constexpr std::string_view kUnsubscribed[] = {"unsubscribe", "punsubscribe", "sunsubscribe"};

// What a confirmation counts: channels and patterns together, shard channels apart.
int64_t CountOf(const Session& session, PubsubKind kind) {
  const Subscriptions* all = FindSubscriptions(session);
  if (all == nullptr) return 0;
  if (kind == PubsubKind::kShard) return static_cast<int64_t>(all->count(kind));
  return static_cast<int64_t>(all->count(PubsubKind::kChannel) + all->count(PubsubKind::kPattern));
}

void Confirm(Context& ctx, std::string_view word, PubsubKind kind, const std::string_view* name) {
  ctx.reply().Push(3);
  ctx.reply().Bulk(word);
  name != nullptr ? ctx.reply().Bulk(*name) : ctx.reply().Null();
  ctx.reply().Integer(CountOf(ctx.session(), kind));
}

void SubscribeTo(Context& ctx, PubsubKind kind) {
  Session& session = ctx.session();
  for (std::string_view name : ctx.args().subspan(1)) {
    MakeSubscriptions(ctx.engine(), session).Add(kind, name);
    Confirm(ctx, kSubscribed[static_cast<int>(kind)], kind, &name);
  }
  SettleSubscriptions(session);
}

void UnsubscribeFrom(Context& ctx, PubsubKind kind) {
  Session& session = ctx.session();
  Subscriptions* all = FindSubscriptions(session);
  const std::string_view word = kUnsubscribed[static_cast<int>(kind)];
  if (ctx.argc() > 1) {
    for (std::string_view name : ctx.args().subspan(1)) {
      if (all != nullptr) all->Remove(kind, name);
      Confirm(ctx, word, kind, &name);
    }
  } else if (all == nullptr || all->count(kind) == 0) {
    Confirm(ctx, word, kind, nullptr);
  } else {
    for (const std::string& owned : all->Names(kind)) {
      const std::string_view name = owned;
      all->Remove(kind, name);
      Confirm(ctx, word, kind, &name);
    }
  }
  SettleSubscriptions(session);
}

// SUBSCRIBE channel [channel ...]  O(N)
void Subscribe(Context& ctx) {
  SubscribeTo(ctx, PubsubKind::kChannel);
}
// PSUBSCRIBE pattern [pattern ...]  O(N)
void PSubscribe(Context& ctx) {
  SubscribeTo(ctx, PubsubKind::kPattern);
}
// SSUBSCRIBE shardchannel [shardchannel ...]  O(N)
void SSubscribe(Context& ctx) {
  // The older commands are let into MULTI for compatibility, this one is not.
  if (ctx.in_exec()) return ctx.Error("ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client");
  SubscribeTo(ctx, PubsubKind::kShard);
}
// UNSUBSCRIBE [channel ...]  O(N)
void Unsubscribe(Context& ctx) {
  UnsubscribeFrom(ctx, PubsubKind::kChannel);
}
// PUNSUBSCRIBE [pattern ...]  O(N)
void PUnsubscribe(Context& ctx) {
  UnsubscribeFrom(ctx, PubsubKind::kPattern);
}
// SUNSUBSCRIBE [shardchannel ...]  O(N)
void SUnsubscribe(Context& ctx) {
  UnsubscribeFrom(ctx, PubsubKind::kShard);
}

void PublishTo(Context& ctx, PubsubKind kind) {
  const std::string_view channel = ctx.arg(1), payload = ctx.arg(2);
  // The stream carries messages for followers' subscribers, but only if there are any.
  const bool followed = ctx.engine().followers.load(std::memory_order_relaxed) > 0;
  if (followed) [[unlikely]] ctx.Effect(ctx.args());
  if (!ctx.in_exec()) {
    const uint64_t hold = ctx.unit().HoldFor(ctx.session().last_write_lsn);
    return ctx.reply().Integer(ctx.unit().Publish(kind, channel, payload, hold));
  }
  // Together with the other effects of the transaction, when all of it is done.
  ctx.unit().PublishAtEnd(kind, channel, payload);
  ctx.reply().Integer(ctx.engine().pubsub.CountReceivers(kind, channel));
}

// PUBLISH channel message  O(W+M) for W workers with subscribers, M patterns
void Publish(Context& ctx) {
  PublishTo(ctx, PubsubKind::kChannel);
}
// SPUBLISH shardchannel message  O(W)
void SPublish(Context& ctx) {
  PublishTo(ctx, PubsubKind::kShard);
}

void ReplyNames(Context& ctx, PubsubKind kind) {
  if (ctx.argc() > 3) return RefuseArguments(ctx, "PUBSUB");
  const auto names = ctx.engine().pubsub.Names(kind, ctx.argc() == 3 ? ctx.arg(2) : "*");
  ctx.reply().Array(names.size());
  for (const std::string& name : names) ctx.reply().Bulk(name);
}

void ReplyCounts(Context& ctx, PubsubKind kind) {
  ctx.reply().Array((ctx.argc() - 2) * 2);
  for (std::string_view name : ctx.args().subspan(2)) {
    ctx.reply().Bulk(name);
    ctx.reply().Integer(ctx.engine().pubsub.Count(kind, name));
  }
}

// PUBSUB CHANNELS [pattern]  O(N)
void PubsubChannels(Context& ctx) {
  ReplyNames(ctx, PubsubKind::kChannel);
}
// PUBSUB SHARDCHANNELS [pattern]  O(N)
void PubsubShardChannels(Context& ctx) {
  ReplyNames(ctx, PubsubKind::kShard);
}
// PUBSUB NUMSUB [channel ...]  O(N)
void PubsubNumSub(Context& ctx) {
  ReplyCounts(ctx, PubsubKind::kChannel);
}
// PUBSUB SHARDNUMSUB [shardchannel ...]  O(N)
void PubsubShardNumSub(Context& ctx) {
  ReplyCounts(ctx, PubsubKind::kShard);
}
// PUBSUB NUMPAT  O(1)
void PubsubNumPat(Context& ctx) {
  ctx.reply().Integer(static_cast<int64_t>(ctx.engine().pubsub.Topics(PubsubKind::kPattern)));
}

// PUBSUB HELP
void PubsubHelp(Context& ctx) {
  static constexpr std::string_view kLines[] = {
      "CHANNELS [<pattern>]",
      "    Return the currently active channels matching a <pattern> (default: '*').",
      "NUMPAT",
      "    Return number of subscriptions to patterns.",
      "NUMSUB [<channel> ...]",
      "    Return the number of subscribers for the specified channels, excluding",
      "    pattern subscriptions(default: no channels).",
      "SHARDCHANNELS [<pattern>]",
      "    Return the currently active shard level channels matching a <pattern> (default: '*').",
      "SHARDNUMSUB [<shardchannel> ...]",
      "    Return the number of subscribers for the specified shard level channel(s)"};
  ReplyHelp(ctx, "PUBSUB", kLines);
}

constexpr uint64_t kQuiet = kPubsub | kLoading | kStale;
constexpr CommandSpec kRows[] = {
    {"SUBSCRIBE", -2, kQuiet | kNoScript, {}, 0, &Subscribe},
    {"PSUBSCRIBE", -2, kQuiet | kNoScript, {}, 0, &PSubscribe},
    {"SSUBSCRIBE", -2, kQuiet | kNoScript, KeyRange(kNotKey, 1, -1), 0, &SSubscribe},
    {"UNSUBSCRIBE", -1, kQuiet | kNoScript, {}, 0, &Unsubscribe},
    {"PUNSUBSCRIBE", -1, kQuiet | kNoScript, {}, 0, &PUnsubscribe},
    {"SUNSUBSCRIBE", -1, kQuiet | kNoScript, KeyRange(kNotKey, 1, -1), 0, &SUnsubscribe},
    {"PUBLISH", 3, kQuiet | kFast | kMayReplicate, {}, 0, &Publish},
    {"SPUBLISH", 3, kQuiet | kFast | kMayReplicate, Key(kNotKey), 0, &SPublish},
    {"PUBSUB", -2, 0, {}, 0, nullptr, Scope::kNone},
    {"PUBSUB|CHANNELS", -2, kQuiet, {}, 0, &PubsubChannels},
    {"PUBSUB|NUMPAT", 2, kQuiet, {}, 0, &PubsubNumPat},
    {"PUBSUB|NUMSUB", -2, kQuiet, {}, 0, &PubsubNumSub},
    {"PUBSUB|SHARDCHANNELS", -2, kQuiet, {}, 0, &PubsubShardChannels},
    {"PUBSUB|SHARDNUMSUB", -2, kQuiet, {}, 0, &PubsubShardNumSub},
    {"PUBSUB|HELP", 2, kLoading | kStale, {}, 0, &PubsubHelp},
};

}  // namespace

std::span<const CommandSpec> PubsubCommands() {
  return kRows;
}

}  // namespace cairn
