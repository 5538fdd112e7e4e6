// SPDX-License-Identifier: BSD-3-Clause
#include "commands/stream_common.h"

#include "exec/args.h"

namespace cairn {
namespace {

constexpr std::string_view kInvalidId =
    "ERR Invalid stream ID specified as stream command argument";

}  // namespace

bool ReadStreamId(Context& ctx, std::string_view text, StreamId* id, uint64_t missing_seq) {
  if (ParseStreamId(text, missing_seq, id)) return true;
  ctx.Error(kInvalidId);
  return false;
}

bool ReadStreamIdOrEdge(Context& ctx, std::string_view text, StreamId* id, uint64_t missing_seq) {
  if (text == "-") {
    *id = StreamId();
  } else if (text == "+") {
    *id = StreamId::Max();
  } else {
    return ReadStreamId(ctx, text, id, missing_seq);
  }
  return true;
}

bool ReadStreamStart(Context& ctx, std::string_view text, StreamId* id) {
  if (text.size() < 2 || text[0] != '(') return ReadStreamIdOrEdge(ctx, text, id, 0);
  if (!ReadStreamId(ctx, text.substr(1), id, 0)) return false;
  if (id->Increment()) return true;
  ctx.Error("ERR invalid start ID for the interval");
  return false;
}

bool ReadStreamEnd(Context& ctx, std::string_view text, StreamId* id) {
  if (text.size() < 2 || text[0] != '(') return ReadStreamIdOrEdge(ctx, text, id, UINT64_MAX);
  if (!ReadStreamId(ctx, text.substr(1), id, UINT64_MAX)) return false;
  if (id->Decrement()) return true;
  ctx.Error("ERR invalid end ID for the interval");
  return false;
}

bool ParseStreamReferences(std::string_view text, StreamReferences* references) {
  if (EqualsIgnoreCase(text, "KEEPREF")) {
    *references = StreamReferences::kKeep;
  } else if (EqualsIgnoreCase(text, "DELREF")) {
    *references = StreamReferences::kDrop;
  } else if (EqualsIgnoreCase(text, "ACKED")) {
    *references = StreamReferences::kAcked;
  } else {
    return false;
  }
  return true;
}

bool ReadStreamIdList(Context& ctx, size_t first, StreamReferences* references,
                      std::vector<StreamId>* ids) {
  Args args(ctx, first);
  bool listed = false;
  while (args.More()) {
    if (!listed && args.Take("IDS", 1)) {
      constexpr std::string_view kBadCount = "ERR Number of IDs must be a positive integer";
      const int64_t count = args.Int(kBadCount);
      if (args.failed() || count < 1) {
        args.Fail(kBadCount);
      } else if (static_cast<uint64_t>(count) != args.left()) {
        args.Fail("ERR The `numids` parameter must match the number of arguments");
      } else {
        ids->resize(args.left());
        for (StreamId& id : *ids)
          if (!args.failed() && !ParseStreamId(args.Next(), 0, &id)) args.Fail(kInvalidId);
      }
      listed = true;
    } else if (!ParseStreamReferences(args.Next(), references)) {
      args.Fail(errors::kSyntax);
    }
  }
  if (!listed) args.Fail(errors::kSyntax);
  return args.Done();
}

void ReplyStreamId(ReplyWriter& reply, StreamId id) {
  char text[kStreamIdCharsMax];
  reply.Bulk({text, FormatStreamId(text, id)});
}

void ReplyStreamFields(ReplyWriter& reply, const StreamEntry& entry) {
  reply.Array(entry.field_count * 2);
  entry.ForEachField([&](std::string_view field, std::string_view value) {
    reply.Bulk(field);
    reply.Bulk(value);
  });
}

void ReplyStreamEntry(ReplyWriter& reply, const StreamEntry& entry) {
  reply.Array(2);
  ReplyStreamId(reply, entry.id);
  ReplyStreamFields(reply, entry);
}

void ReplyStreamRange(ReplyWriter& reply, const Stream& stream, StreamId start, StreamId end,
                      uint64_t count, bool backward) {
  const auto gap = reply.StartDeferred();
  uint64_t shown = 0;
  for (StreamReader reader(stream, start, end, backward); reader.Next();) {
    ReplyStreamEntry(reply, reader.entry());
    if (++shown == count) break;
  }
  reply.FinishArray(gap, shown);
}

void SettleGroupChange(Context& ctx, WriteRef<Stream>& stream, int64_t dirty) {
  stream.Unchanged();
  ctx.Dirty(dirty);
}

void SendDropped(Context& ctx, std::string_view key, const StreamDeletions& done) {
  for (const auto& [group, ids] : done.dropped)
    EffectWords({"XACK", key, group}).Add(ids).Send(ctx);
}

}  // namespace cairn
