// SPDX-License-Identifier: BSD-3-Clause
//
// Consumer groups: XGROUP, acknowledging, what is pending. Claiming is in stream_claims.cc, reading
// in stream_read.cc, giving back in stream_nack.cc.
#include <algorithm>
#include <unordered_map>

#include "commands/families.h"
#include "commands/help.h"
#include "commands/stream_common.h"
#include "exec/args.h"

namespace cairn {
namespace {

constexpr std::string_view kKeyRequired =
    "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to "
    "use the MKSTREAM option to create an empty stream automatically.";

struct GroupOptions {
  bool make_stream = false;
  int64_t entries_read = StreamGroup::kEntriesReadUnknown;
};

// [MKSTREAM] [ENTRIESREAD entries-read]; the first only for CREATE.
bool ReadGroupOptions(Context& ctx, bool create, GroupOptions* options) {
  for (size_t i = 5; i < ctx.argc(); ++i) {
    if (create && EqualsIgnoreCase(ctx.arg(i), "MKSTREAM")) {
      options->make_stream = true;
    } else if (EqualsIgnoreCase(ctx.arg(i), "ENTRIESREAD") && i + 1 < ctx.argc()) {
      if (!ParseInt64(ctx.arg(++i), &options->entries_read)) {
        ctx.Error(errors::kNotInteger);
        return false;
      }
      // A counter that wrapped around is journaled as it is.
      if (options->entries_read < 0 && options->entries_read != StreamGroup::kEntriesReadUnknown &&
          ctx.unit().expiry_mode() != ExpiryMode::kApply) {
        ctx.Error("ERR value for ENTRIESREAD must be positive or -1");
        return false;
      }
    } else {
      RefuseArguments(ctx, "XGROUP");
      return false;
    }
  }
  return true;
}

// The stream exists, and so does its group argument 3; else the error was replied.
bool HasGroup(Context& ctx, const WriteRef<Stream>& stream) {
  if (stream.failed()) return false;
  if (!stream) {
    ctx.Error(kKeyRequired);
    return false;
  }
  if (stream->FindGroup(ctx.arg(3)) != nullptr) return true;
  ctx.Error("NOGROUP No such consumer group '" + InError(ctx.arg(3)) + "' for key name '" +
            InError(ctx.arg(2)) + "'");
  return false;
}

// XGROUP CREATE key group id|$ [MKSTREAM] [ENTRIESREAD entries-read]  O(1)
void XGroupCreate(Context& ctx) {
  GroupOptions options;
  if (!ReadGroupOptions(ctx, true, &options)) return;
  auto stream = ctx.Write<Stream>(ctx.arg(2));
  if (stream.failed()) return;
  if (!stream && !options.make_stream) return ctx.Error(kKeyRequired);
  if (ctx.argc() > 8) return RefuseArguments(ctx, "XGROUP");  // An option given twice.
  const bool existed = static_cast<bool>(stream);
  StreamId id;
  if (ctx.arg(4) == "$") {
    if (existed) id = stream->last_id();
  } else if (!ReadStreamId(ctx, ctx.arg(4), &id)) {
    return;
  }
  if (existed && stream->FindGroup(ctx.arg(3)) != nullptr)
    return ctx.Error("BUSYGROUP Consumer Group name already exists");
  stream.Create().CreateGroup(ctx.arg(3), id, options.entries_read);
  ctx.Ok();
  stream.Notify(kNotifyStream, "xgroup-create");
  existed ? SettleGroupChange(ctx, stream, 1) : stream.Commit(kNotifyStream, nullptr);
}

// XGROUP SETID key group id|$ [ENTRIESREAD entries-read]  O(1)
void XGroupSetId(Context& ctx) {
  GroupOptions options;
  if (!ReadGroupOptions(ctx, false, &options)) return;
  auto stream = ctx.Write<Stream>(ctx.arg(2));
  if (!HasGroup(ctx, stream)) return;
  if (ctx.argc() > 7) return RefuseArguments(ctx, "XGROUP");
  StreamId id = stream->last_id();
  if (ctx.arg(4) != "$" && !ReadStreamIdOrEdge(ctx, ctx.arg(4), &id)) return;
  StreamGroup* group = stream.Mutable().FindGroup(ctx.arg(3));
  group->last_id = id;
  group->entries_read = options.entries_read;
  ctx.Ok();
  stream.Notify(kNotifyStream, "xgroup-setid");
  SettleGroupChange(ctx, stream, 1);
}

// XGROUP DESTROY key group  O(N) of what it has pending
void XGroupDestroy(Context& ctx) {
  auto stream = ctx.Write<Stream>(ctx.arg(2));
  if (stream.failed()) return;
  if (!stream) return ctx.Error(kKeyRequired);
  if (stream->FindGroup(ctx.arg(3)) == nullptr) return ctx.reply().Integer(0);
  stream.Mutable().DestroyGroup(ctx.arg(3));
  ctx.reply().Integer(1);
  stream.Notify(kNotifyStream, "xgroup-destroy");
  SettleGroupChange(ctx, stream, 1);
  // Whoever waits for this group learns that it is gone.
  ctx.unit().Ready(stream.id().db, stream.id().key, stream.id().hash);
}

// XGROUP CREATECONSUMER key group consumer  O(1)
void XGroupCreateConsumer(Context& ctx) {
  auto stream = ctx.Write<Stream>(ctx.arg(2));
  if (!HasGroup(ctx, stream)) return;
  if (stream->FindGroup(ctx.arg(3))->FindShown(ctx.arg(4)) != nullptr)
    return ctx.reply().Integer(0);
  stream.Mutable().FindGroup(ctx.arg(3))->GetConsumer(ctx.arg(4), ctx.now_ms());
  ctx.reply().Integer(1);
  stream.Notify(kNotifyStream, "xgroup-createconsumer");
  SettleGroupChange(ctx, stream, 1);
}

// XGROUP DELCONSUMER key group consumer  O(N) of what it has pending
void XGroupDelConsumer(Context& ctx) {
  auto stream = ctx.Write<Stream>(ctx.arg(2));
  if (!HasGroup(ctx, stream)) return;
  if (stream->FindGroup(ctx.arg(3))->FindShown(ctx.arg(4)) == nullptr)
    return ctx.reply().Integer(0);
  ctx.reply().Integer(stream.Mutable().FindGroup(ctx.arg(3))->DeleteConsumer(ctx.arg(4)));
  stream.Notify(kNotifyStream, "xgroup-delconsumer");
  SettleGroupChange(ctx, stream, 1);
}

// XGROUP HELP  O(1)
void XGroupHelp(Context& ctx) {
  static constexpr std::string_view kLines[] = {
      "CREATE <key> <groupname> <id|$> [option]",
      "    Create a new consumer group. Options are:",
      "    * MKSTREAM",
      "      Create the empty stream if it does not exist.",
      "    * ENTRIESREAD entries_read",
      "      Set the group's entries_read counter (internal use).",
      "CREATECONSUMER <key> <groupname> <consumer>",
      "    Create a new consumer in the specified group.",
      "DELCONSUMER <key> <groupname> <consumer>",
      "    Remove the specified consumer.",
      "DESTROY <key> <groupname>",
      "    Remove the specified group.",
      "SETID <key> <groupname> <id|$> [ENTRIESREAD entries_read]",
      "    Set the current group ID and entries_read counter."};
  ReplyHelp(ctx, "XGROUP", kLines);
}

// XACK key group id [id ...]  O(1) an id
void XAck(Context& ctx) {
  auto stream = ctx.Write<Stream>(ctx.arg(1));
  if (stream.failed()) return;
  if (!stream) ctx.Find(ctx.arg(1));  // looked up as one that reads: announces a miss
  if (!stream || stream->FindGroup(ctx.arg(2)) == nullptr) return ctx.reply().Integer(0);
  std::vector<StreamId> ids(ctx.argc() - 3);
  for (size_t i = 0; i < ids.size(); ++i)
    if (!ReadStreamId(ctx, ctx.arg(i + 3), &ids[i])) return;
  StreamGroup* group = stream.Mutable().FindGroup(ctx.arg(2));
  int64_t acknowledged = 0;
  for (StreamId id : ids) acknowledged += group->Acknowledge(id);
  ctx.reply().Integer(acknowledged);
  SettleGroupChange(ctx, stream, acknowledged);
}

// XACKDEL key group [KEEPREF|DELREF|ACKED] IDS numids id [id ...]  O(1) an id, O(groups) of refs
void XAckDel(Context& ctx) {
  StreamReferences references = StreamReferences::kKeep;
  std::vector<StreamId> ids;
  if (!ReadStreamIdList(ctx, 3, &references, &ids)) return;
  auto stream = ctx.Write<Stream>(ctx.arg(1));
  if (stream.failed()) return;
  ctx.reply().Array(ids.size());
  if (!stream || stream->FindGroup(ctx.arg(2)) == nullptr) {
    for (size_t i = 0; i < ids.size(); ++i) ctx.reply().Integer(-1);
    return;
  }
  Stream& value = stream.Mutable();
  StreamGroup* group = value.FindGroup(ctx.arg(2));
  StreamDeletions done;
  std::vector<StreamId> acknowledged;
  for (StreamId id : ids) {
    const int result = value.AcknowledgeAndDelete(group, id, references, &done);
    ctx.reply().Integer(result);
    if (result != -1) acknowledged.push_back(id);
  }
  if (acknowledged.empty()) return stream.Unchanged();
  EffectWords({"XACK", ctx.arg(1), ctx.arg(2)}).Add(acknowledged).Send(ctx);
  SendDropped(ctx, ctx.arg(1), done);
  if (done.deleted.empty())
    return SettleGroupChange(ctx, stream, static_cast<int64_t>(acknowledged.size()));
  EffectWords({"XDEL", ctx.arg(1)}).Add(done.deleted).Send(ctx);
  stream.Commit(kNotifyStream, "xdel", static_cast<int64_t>(acknowledged.size()));
}

// count, least id, greatest id, [[consumer, count], ...]
void ReplyPendingSummary(ReplyWriter& reply, const StreamGroup& group) {
  const auto& pending = group.pending();
  reply.Array(4);
  reply.Integer(static_cast<int64_t>(pending.size()));
  if (pending.empty()) {
    reply.Null();
    reply.Null();
    return reply.NullArray();
  }
  ReplyStreamId(reply, pending.At(pending.First()).key);
  ReplyStreamId(reply, pending.At(pending.Last()).key);
  const auto gap = reply.StartDeferred();
  size_t consumers = 0;
  for (const auto& [name, consumer] : group.consumers()) {
    if (consumer->pending.empty() || StreamGroup::IsHidden(name, *consumer)) continue;
    reply.Array(2);
    reply.Bulk(name);
    reply.BulkInteger(static_cast<int64_t>(consumer->pending.size()));
    ++consumers;
  }
  reply.FinishArray(gap, consumers);
}

struct PendingRange {
  StreamId start, end;
  int64_t count = 0;
  int64_t min_idle_ms = 0;
  bool has_consumer = false;
  std::string_view consumer;
};

// [IDLE min-idle-time] start end count [consumer], from argument 3.
bool ReadPendingRange(Context& ctx, PendingRange* range) {
  size_t at = 3;
  if (EqualsIgnoreCase(ctx.arg(3), "IDLE")) {
    if (!ParseInt64(ctx.arg(4), &range->min_idle_ms)) {
      ctx.Error(errors::kNotInteger);
      return false;
    }
    if (ctx.argc() < 8) {
      ctx.Error(errors::kSyntax);
      return false;
    }
    at = 5;
  }
  if (!ParseInt64(ctx.arg(at + 2), &range->count)) {
    ctx.Error(errors::kNotInteger);
    return false;
  }
  range->count = std::max<int64_t>(range->count, 0);
  if (!ReadStreamStart(ctx, ctx.arg(at), &range->start)) return false;
  if (!ReadStreamEnd(ctx, ctx.arg(at + 1), &range->end)) return false;
  range->has_consumer = at + 3 < ctx.argc();
  if (range->has_consumer) range->consumer = ctx.arg(at + 3);
  return true;
}

void ReplyPendingRange(Context& ctx, const StreamGroup& group, const PendingRange& range) {
  ReplyWriter& reply = ctx.reply();
  const StreamConsumer* consumer = nullptr;
  if (range.has_consumer) {
    consumer = group.FindConsumer(range.consumer);
    if (consumer == nullptr) return reply.EmptyArray();
  }
  std::unordered_map<const StreamConsumer*, std::string_view> names;
  for (const auto& [name, one] : group.consumers()) names.emplace(one.get(), name);
  const auto gap = reply.StartDeferred();
  size_t shown = 0;
  group.ForEachPending(range.start, range.end, static_cast<uint64_t>(range.count), consumer,
                       range.min_idle_ms, ctx.now_ms(),
                       [&](StreamId id, const StreamPending& item) {
                         reply.Array(4);
                         ReplyStreamId(reply, id);
                         const std::string_view name = names.at(item.consumer);
                         const bool released =
                             name == StreamGroup::kNobody && item.delivered_ms == 0;
                         reply.Bulk(name);
                         reply.Integer(released ? -1 : item.IdleMs(ctx.now_ms()));
                         reply.Integer(static_cast<int64_t>(item.deliveries));
                         ++shown;
                       });
  reply.FinishArray(gap, shown);
}

// XPENDING key group [[IDLE min-idle-time] start end count [consumer]]  O(N)
void XPending(Context& ctx) {
  const bool summary = ctx.argc() == 3;
  if (!summary && (ctx.argc() < 6 || ctx.argc() > 9)) return ctx.Error(errors::kSyntax);
  PendingRange range;
  if (!summary && !ReadPendingRange(ctx, &range)) return;
  auto stream = ctx.Read<Stream>(ctx.arg(1));
  if (stream.failed()) return;
  const StreamGroup* group = stream ? stream->FindGroup(ctx.arg(2)) : nullptr;
  if (group == nullptr)
    return ctx.Error("NOGROUP No such key '" + InError(ctx.arg(1)) +
                     "' or consumer group '" + InError(ctx.arg(2)) + "'");
  summary ? ReplyPendingSummary(ctx.reply(), *group) : ReplyPendingRange(ctx, *group, range);
}

constexpr CommandSpec kRows[] = {
    {"XGROUP", -2, 0, {}, 0, nullptr},
    {"XGROUP|CREATE", -5, kWrite | kDenyOom, Key(kRW | kInsert, 2), kAclStream, &XGroupCreate},
    {"XGROUP|SETID", -5, kWrite, Key(kRW | kUpdate, 2), kAclStream, &XGroupSetId},
    {"XGROUP|DESTROY", 4, kWrite, Key(kRW | kDelete, 2), kAclStream, &XGroupDestroy},
    {"XGROUP|CREATECONSUMER", 5, kWrite | kDenyOom, Key(kRW | kInsert, 2), kAclStream,
     &XGroupCreateConsumer},
    {"XGROUP|DELCONSUMER", 5, kWrite, Key(kRW | kDelete, 2), kAclStream, &XGroupDelConsumer},
    {"XGROUP|HELP", 2, kLoading | kStale, {}, kAclStream, &XGroupHelp},
    {"XACK", -4, kWrite | kFast, Key(kRW | kUpdate), kAclStream, &XAck},
    {"XACKDEL", -6, kWrite | kFast, Key(kRW | kDelete), kAclStream, &XAckDel},
    {"XPENDING", -3, kReadonly, Key(kRO | kAccess), kAclStream, &XPending},
};

}  // namespace

std::span<const CommandSpec> StreamGroupCommands() { return kRows; }

}  // namespace cairn
