// SPDX-License-Identifier: BSD-3-Clause
//
// XINFO. Its radix-tree-keys is the number of nodes, as in Redis; radix-tree-nodes, which nothing
// here corresponds to, is one more: what Redis says of a stream of one node. Redis 8.8's nacked-count
// stands there only where XNACK was used: clients older than it refuse names they do not know.
#include <algorithm>
#include <unordered_map>

#include "commands/families.h"
#include "commands/help.h"
#include "commands/stream_common.h"

namespace cairn {
namespace {

void ReplyText(ReplyWriter& reply, std::string_view name, StreamId id) {
  reply.Bulk(name);
  ReplyStreamId(reply, id);
}

void ReplyNumber(ReplyWriter& reply, std::string_view name, uint64_t value) {
  reply.Bulk(name);
  reply.Integer(static_cast<int64_t>(value));
}

// The seven pairs that both forms of XINFO STREAM start with.
void ReplyStreamFacts(ReplyWriter& reply, const Stream& stream) {
  ReplyNumber(reply, "length", stream.Length());
  ReplyNumber(reply, "radix-tree-keys", stream.nodes().size());
  ReplyNumber(reply, "radix-tree-nodes", stream.nodes().size() + 1);
  ReplyText(reply, "last-generated-id", stream.last_id());
  ReplyText(reply, "max-deleted-entry-id", stream.max_deleted_id());
  ReplyNumber(reply, "entries-added", stream.entries_added());
  ReplyText(reply, "recorded-first-entry-id", stream.first_id());
}

void ReplyEdgeEntry(ReplyWriter& reply, const Stream& stream, bool first) {
  StreamReader reader(stream, StreamId(), StreamId::Max(), !first);
  reader.Next() ? ReplyStreamEntry(reply, reader.entry()) : reply.Null();
}

// "entries-read" and "lag", nil where they are not known.
void ReplyProgress(ReplyWriter& reply, const Stream& stream, const StreamGroup& group) {
  reply.Bulk("entries-read");
  group.entries_read != StreamGroup::kEntriesReadUnknown ? reply.Integer(group.entries_read)
                                                         : reply.Null();
  reply.Bulk("lag");
  const std::optional<int64_t> lag = stream.Lag(group);
  lag ? reply.Integer(*lag) : reply.Null();
}

uint64_t Limited(uint64_t size, uint64_t count) {
  return count == 0 ? size : std::min(size, count);
}

void ReplyGroupPending(ReplyWriter& reply, const StreamGroup& group, uint64_t count) {
  std::unordered_map<const StreamConsumer*, std::string_view> names;
  for (const auto& [name, one] : group.consumers()) names.emplace(one.get(), name);
  reply.Bulk("pending");
  uint64_t left = Limited(group.pending().size(), count);
  reply.Array(left);
  for (auto pos = group.pending().First(); left > 0; --left, pos = group.pending().Next(pos)) {
    const auto& item = group.pending().At(pos);
    reply.Array(4);
    ReplyStreamId(reply, item.key);
    reply.Bulk(names.at(item.value.consumer));
    reply.Integer(item.value.delivered_ms);
    reply.Integer(static_cast<int64_t>(item.value.deliveries));
  }
}

void ReplyConsumerPending(ReplyWriter& reply, const StreamGroup& group,
                          const StreamConsumer& consumer, uint64_t count) {
  const auto& pending = consumer.pending;
  ReplyNumber(reply, "pel-count", pending.size());
  reply.Bulk("pending");
  uint64_t left = Limited(pending.size(), count);
  reply.Array(left);
  for (auto pos = pending.First(); left > 0; --left, pos = pending.Next(pos)) {
    const StreamPending* item = group.pending().Find(pending.At(pos).key);
    reply.Array(3);
    ReplyStreamId(reply, pending.At(pos).key);
    reply.Integer(item->delivered_ms);
    reply.Integer(static_cast<int64_t>(item->deliveries));
  }
}

void ReplyGroupInFull(ReplyWriter& reply, const Stream& stream, std::string_view name,
                      const StreamGroup& group, uint64_t count) {
  const size_t released = group.CountReleased();
  reply.Map(released > 0 ? 8 : 7);
  reply.Bulk("name");
  reply.Bulk(name);
  ReplyText(reply, "last-delivered-id", group.last_id);
  ReplyProgress(reply, stream, group);
  ReplyNumber(reply, "pel-count", group.pending().size());
  if (released > 0) ReplyNumber(reply, "nacked-count", released);
  ReplyGroupPending(reply, group, count);
  reply.Bulk("consumers");
  reply.Array(group.CountShown());
  for (const auto& [consumer_name, consumer] : group.consumers()) {
    if (StreamGroup::IsHidden(consumer_name, *consumer)) continue;
    reply.Map(5);
    reply.Bulk("name");
    reply.Bulk(consumer_name);
    reply.Bulk("seen-time");
    reply.Integer(consumer->seen_ms);
    reply.Bulk("active-time");
    reply.Integer(consumer->active_ms);
    ReplyConsumerPending(reply, group, *consumer, count);
  }
}

// XINFO STREAM key [FULL [COUNT count]]  O(1), O(N) with FULL
void XInfoStream(Context& ctx) {
  auto stream = ctx.Read<Stream>(ctx.arg(2));
  if (stream.failed()) return;
  if (!stream) return ctx.Error(errors::kNoSuchKey);
  const size_t options = ctx.argc() - 3;
  const bool full = (options == 1 || options == 3) && EqualsIgnoreCase(ctx.arg(3), "FULL") &&
                    (options == 1 || EqualsIgnoreCase(ctx.arg(4), "COUNT"));
  if (options != 0 && !full) return RefuseArguments(ctx, "XINFO");
  constexpr int64_t kCountDefault = 10;
  int64_t count = kCountDefault;
  if (options == 3) {
    if (!ParseInt64(ctx.arg(5), &count)) return ctx.Error(errors::kNotInteger);
    if (count < 0) count = kCountDefault;
  }
  ReplyWriter& reply = ctx.reply();
  const auto& groups = stream->groups();
  if (options == 0) {
    reply.Map(10);
    ReplyStreamFacts(reply, *stream);
    ReplyNumber(reply, "groups", groups.size());
    reply.Bulk("first-entry");
    ReplyEdgeEntry(reply, *stream, true);
    reply.Bulk("last-entry");
    return ReplyEdgeEntry(reply, *stream, false);
  }
  reply.Map(9);
  ReplyStreamFacts(reply, *stream);
  reply.Bulk("entries");
  ReplyStreamRange(reply, *stream, StreamId(), StreamId::Max(), static_cast<uint64_t>(count),
                   false);
  reply.Bulk("groups");
  reply.Array(groups.size());
  for (const auto& [name, group] : groups)
    ReplyGroupInFull(reply, *stream, name, *group, static_cast<uint64_t>(count));
}

// XINFO GROUPS key  O(groups)
void XInfoGroups(Context& ctx) {
  auto stream = ctx.Read<Stream>(ctx.arg(2));
  if (stream.failed()) return;
  if (!stream) return ctx.Error(errors::kNoSuchKey);
  ReplyWriter& reply = ctx.reply();
  reply.Array(stream->groups().size());
  for (const auto& [name, group] : stream->groups()) {
    reply.Map(6);
    reply.Bulk("name");
    reply.Bulk(name);
    ReplyNumber(reply, "consumers", group->CountShown());
    ReplyNumber(reply, "pending", group->pending().size());
    ReplyText(reply, "last-delivered-id", group->last_id);
    ReplyProgress(reply, *stream, *group);
  }
}

// XINFO CONSUMERS key group  O(consumers)
void XInfoConsumers(Context& ctx) {
  auto stream = ctx.Read<Stream>(ctx.arg(2));
  if (stream.failed()) return;
  if (!stream) return ctx.Error(errors::kNoSuchKey);
  const StreamGroup* group = stream->FindGroup(ctx.arg(3));
  if (group == nullptr)
    return ctx.Error("NOGROUP No such consumer group '" + InError(ctx.arg(3)) +
                     "' for key name '" + InError(ctx.arg(2)) + "'");
  ReplyWriter& reply = ctx.reply();
  reply.Array(group->CountShown());
  for (const auto& [name, consumer] : group->consumers()) {
    if (StreamGroup::IsHidden(name, *consumer)) continue;
    reply.Map(4);
    reply.Bulk("name");
    reply.Bulk(name);
    ReplyNumber(reply, "pending", consumer->pending.size());
    reply.Bulk("idle");
    reply.Integer(MillisecondsSince(consumer->seen_ms, ctx.now_ms()));
    reply.Bulk("inactive");
    reply.Integer(consumer->active_ms < 0 ? -1
                                          : MillisecondsSince(consumer->active_ms, ctx.now_ms()));
  }
}

// XINFO HELP  O(1)
void XInfoHelp(Context& ctx) {
  static constexpr std::string_view kLines[] = {
      "CONSUMERS <key> <groupname>",
      "    Show consumers of <groupname>.",
      "GROUPS <key>",
      "    Show the stream consumer groups.",
      "STREAM <key> [FULL [COUNT <count>]",
      "    Show information about the stream."};
  ReplyHelp(ctx, "XINFO", kLines);
}

constexpr CommandSpec kRows[] = {
    {"XINFO", -2, 0, {}, 0, nullptr},
    {"XINFO|STREAM", -3, kReadonly, Key(kRO | kAccess, 2), kAclStream, &XInfoStream},
    {"XINFO|GROUPS", 3, kReadonly, Key(kRO | kAccess, 2), kAclStream, &XInfoGroups},
    {"XINFO|CONSUMERS", 4, kReadonly, Key(kRO | kAccess, 2), kAclStream, &XInfoConsumers},
    {"XINFO|HELP", 2, kLoading | kStale, {}, kAclStream, &XInfoHelp},
};

}  // namespace

std::span<const CommandSpec> StreamInfoCommands() { return kRows; }

}  // namespace cairn
