// SPDX-License-Identifier: BSD-3-Clause
//
// XREAD and XREADGROUP.
//
// A client that waits runs its command again when an entry comes, with `$` replaced by the id that
// it meant. One of XREADGROUP also runs it when the stream or the group vanishes, for the error;
// with CLAIM also when an entry has been pending for long enough.
//
// The effects of XREADGROUP are those of Redis: XGROUP CREATECONSUMER for a consumer that it made,
// XCLAIM FORCE JUSTID for what is pending from now on, XGROUP SETID for how far the group has read.
// Delivering history again changes counters that, as in Redis, are not worth a record.
#include <algorithm>
#include <optional>

#include "commands/blocking_common.h"
#include "commands/families.h"
#include "commands/stream_common.h"
#include "exec/args.h"
#include "spec/registry.h"

namespace cairn {
namespace {

struct ReadRequest {
  bool of_group = false;
  uint64_t count = 0;  // 0: all
  bool no_ack = false;
  std::optional<int64_t> claim_idle_ms;
  std::optional<int64_t> block_ms;  // 0: for ever
  bool has_group = false;
  std::string_view group;
  std::string_view consumer;
  Arguments keys;
  Arguments id_texts;
  std::vector<StreamId> ids;  // entries behind these; of a group Max() is ">"
  int64_t next_look_ms = 0;   // when CLAIM may find something that it does not now; 0: never
};

bool ReadCount(Context& ctx, std::string_view text, uint64_t* count) {
  int64_t value;
  if (!ParseInt64(text, &value)) {
    ctx.Error(errors::kNotInteger);
    return false;
  }
  *count = value < 0 ? 0 : static_cast<uint64_t>(value);
  return true;
}

bool TakeStreams(Context& ctx, size_t first, ReadRequest* request) {
  const Arguments rest = ctx.args().subspan(first);
  if (rest.size() % 2 != 0) {
    ctx.Error(request->of_group
                  ? "ERR Unbalanced 'xreadgroup' list of streams: for each stream key an ID or "
                    "'>' must be specified."
                  : "ERR Unbalanced 'xread' list of streams: for each stream key an ID, '+', or "
                    "'$' must be specified.");
    return false;
  }
  request->keys = rest.first(rest.size() / 2);
  request->id_texts = rest.last(rest.size() / 2);
  return true;
}

bool OnlyForGroups(Context& ctx, const ReadRequest& request, std::string_view option) {
  if (request.of_group) return true;
  ctx.Error("ERR The " + std::string(option) +
            " option is only supported by XREADGROUP. You called XREAD instead.");
  return false;
}

bool ReadClaim(Context& ctx, std::string_view text, ReadRequest* request) {
  int64_t idle_ms;
  if (!ParseInt64(text, &idle_ms)) {
    ctx.Error("ERR min-idle-time is not an integer");
  } else if (idle_ms < 0) {
    ctx.Error("ERR min-idle-time must be a positive integer");
  } else {
    request->claim_idle_ms = idle_ms;
    return true;
  }
  return false;
}

// The options up to the list of streams. False: the error was replied.
bool ReadOptions(Context& ctx, ReadRequest* request) {
  for (size_t i = 1; i < ctx.argc(); ++i) {
    const std::string_view word = ctx.arg(i);
    const size_t more = ctx.argc() - i - 1;
    if (more >= 1 && EqualsIgnoreCase(word, "BLOCK")) {
      int64_t timeout_ms;
      if (!ReadTimeoutMs(ctx, ctx.arg(++i), &timeout_ms)) return false;
      request->block_ms = timeout_ms;
    } else if (more >= 1 && EqualsIgnoreCase(word, "COUNT")) {
      if (!ReadCount(ctx, ctx.arg(++i), &request->count)) return false;
    } else if (more >= 1 && EqualsIgnoreCase(word, "STREAMS")) {
      if (!TakeStreams(ctx, i + 1, request)) return false;
      break;
    } else if (more >= 2 && EqualsIgnoreCase(word, "GROUP")) {
      if (!OnlyForGroups(ctx, *request, "GROUP")) return false;
      request->has_group = true;
      request->group = ctx.arg(++i);
      request->consumer = ctx.arg(++i);
    } else if (EqualsIgnoreCase(word, "NOACK")) {
      if (!OnlyForGroups(ctx, *request, "NOACK")) return false;
      request->no_ack = true;
    } else if (more >= 1 && request->of_group && EqualsIgnoreCase(word, "CLAIM")) {
      if (!ReadClaim(ctx, ctx.arg(++i), request)) return false;
    } else {
      ctx.Error(errors::kSyntax);
      return false;
    }
  }
  if (request->keys.empty()) {
    ctx.Error(errors::kSyntax);
  } else if (request->of_group && !request->has_group) {
    ctx.Error("ERR Missing GROUP option for XREADGROUP");
  } else {
    return true;
  }
  return false;
}

bool RefuseEdgeOfGroup(Context& ctx, std::string_view id) {
  ctx.Error("ERR The " + std::string(id) +
            " ID is meaningless in the context of XREADGROUP: you want to read the history of "
            "this consumer by specifying a proper ID, or use the > ID to get new messages. The " +
            std::string(id) + " ID would just return an empty result set.");
  return false;
}

// The id behind which to read one stream, which may be missing (null).
bool ReadPosition(Context& ctx, const ReadRequest& request, std::string_view text,
                  const Stream* stream, StreamId* id) {
  *id = StreamId();
  if (text == "$") {
    if (request.of_group) return RefuseEdgeOfGroup(ctx, text);
    if (stream != nullptr) *id = stream->last_id();
    return true;
  }
  if (text == "+") {
    if (request.of_group) return RefuseEdgeOfGroup(ctx, text);
    if (stream == nullptr) return true;
    // The last entry, which need not be at last_id().
    *id = stream->Length() > 0 ? stream->EdgeId(false) : stream->last_id();
    if (stream->Length() > 0) id->Decrement();
    return true;
  }
  if (text == ">") {
    *id = StreamId::Max();
    if (request.of_group) return true;
    ctx.Error(
        "ERR The > ID can be specified only when calling XREADGROUP using the GROUP "
        "<group> <consumer> option.");
    return false;
  }
  return ReadStreamId(ctx, text, id);
}

// The replies of several streams: [[key, entries], ...], in RESP3 a map. Nothing where no stream
// had anything.
class StreamsReply {
 public:
  explicit StreamsReply(ReplyWriter& reply) : reply_(reply) {}
  void StartStream(std::string_view key) {
    if (streams_++ == 0) gap_ = reply_.StartDeferred();
    if (!reply_.resp3()) reply_.Array(2);
    reply_.Bulk(key);
  }
  bool empty() const { return streams_ == 0; }
  void Finish() {
    if (empty()) return reply_.NullArray();
    reply_.resp3() ? reply_.FinishMap(gap_, streams_) : reply_.FinishArray(gap_, streams_);
  }

 private:
  ReplyWriter& reply_;
  OutputBuffer::Deferred gap_;
  size_t streams_ = 0;
};

// No stream had anything: waits if the request says so.
void FinishEmpty(Context& ctx, const ReadRequest& request, StreamsReply& streams) {
  if (!request.block_ms || !ctx.may_block()) return streams.Finish();
  const size_t first_id = ctx.argc() - request.keys.size();
  std::vector<std::string_view> arguments(ctx.args().begin(), ctx.args().end());
  std::vector<std::string> resolved(request.keys.size());
  for (size_t i = 0; i < request.keys.size(); ++i) {
    if (request.id_texts[i] != "$") continue;
    resolved[i] = ToString(request.ids[i]);
    arguments[first_id + i] = resolved[i];
  }
  BlockRequest block;
  block.type = Type::kStream;
  block.timeout_ms = *request.block_ms;
  block.first_key = first_id - request.keys.size();
  block.keys = request.keys.size();
  block.wakes_on_absence = request.of_group;
  block.next_look_ms = request.next_look_ms;
  block.arguments = arguments;
  ctx.Block(block);
}

// XREAD [COUNT count] [BLOCK milliseconds] STREAMS key [key ...] id [id ...]  O(N)
void XRead(Context& ctx) {
  ReadRequest request;
  if (!ReadOptions(ctx, &request)) return;
  for (size_t i = 0; i < request.keys.size(); ++i) {
    auto stream = ctx.Read<Stream>(request.keys[i]);
    if (stream.failed()) return;
    StreamId id;
    if (!ReadPosition(ctx, request, request.id_texts[i], stream ? &*stream : nullptr, &id)) return;
    request.ids.push_back(id);
  }
  StreamsReply streams(ctx.reply());
  for (size_t i = 0; i < request.keys.size(); ++i) {
    auto stream = ctx.Read<Stream>(request.keys[i]);
    StreamId start = request.ids[i];
    if (!stream || stream->Length() == 0 || stream->EdgeId(false) <= start) continue;
    start.Increment();
    streams.StartStream(request.keys[i]);
    ReplyStreamRange(ctx.reply(), *stream, start, StreamId::Max(), request.count, false);
  }
  streams.empty() ? FinishEmpty(ctx, request, streams) : streams.Finish();
}

// One stream of an XREADGROUP.
class GroupRead {
 public:
  GroupRead(Context& ctx, ReadRequest& request, std::string_view key, Stream& stream)
      : ctx_(ctx),
        request_(request),
        key_(key),
        stream_(stream),
        group_(stream.FindGroup(request.group)) {
    bool created;
    std::tie(consumer_, created) = group_->GetConsumer(request.consumer, ctx.now_ms());
    if (!created) return;
    changes_ = 1;
    ctx.Notify(kNotifyStream, "xgroup-createconsumer", key);
    EffectWords({"XGROUP", "CREATECONSUMER", key, request.group, request.consumer}).Send(ctx);
  }

  int64_t changes() const { return changes_; }

  // Entries that the consumer was given before.
  void History(StreamId after, StreamsReply& streams) {
    ReplyWriter& reply = ctx_.reply();
    streams.StartStream(key_);
    const auto gap = reply.StartDeferred();
    const uint64_t shown =
        stream_.ReadPending(group_, consumer_, after, request_.count, ctx_.now_ms(),
                            [&](StreamId id, const StreamEntry* entry) {
                              if (entry != nullptr) return ReplyStreamEntry(reply, *entry);
                              // Deleted in the meantime.
                              reply.Array(2);
                              ReplyStreamId(reply, id);
                              reply.NullArray();
                            });
    reply.FinishArray(gap, shown);
  }

  // Entries that nobody was given yet, and before them, with CLAIM, those idle for long enough.
  // For a client that waited only if its wait is not over.
  void New(StreamsReply& streams) {
    std::vector<StreamId> stale;
    if (request_.claim_idle_ms) stale = StaleIds();
    const bool any_new = stream_.Length() > 0 && group_->last_id < stream_.EdgeId(false);
    if ((stale.empty() && !any_new) || !ctx_.Claim()) return;
    ReplyWriter& reply = ctx_.reply();
    streams.StartStream(key_);
    const auto gap = reply.StartDeferred();
    ClaimAndReply(stale);
    uint64_t shown = stale.size();
    if (any_new && (request_.count == 0 || shown < request_.count)) {
      std::vector<StreamId> given;
      const uint64_t left = request_.count == 0 ? 0 : request_.count - shown;
      shown += stream_.ReadNew(group_, consumer_, left, request_.no_ack, ctx_.now_ms(),
                               [&](const StreamEntry& entry) {
                                 if (!request_.no_ack) given.push_back(entry.id);
                                 if (!request_.claim_idle_ms) return ReplyStreamEntry(reply, entry);
                                 ReplyClaimed(entry, 0, 0);
                               });
      SendClaims(given, 1);
      EffectWords({"XGROUP", "SETID", key_, request_.group})
          .Add(group_->last_id)
          .Add("ENTRIESREAD")
          .Add(group_->entries_read)
          .Send(ctx_);
    }
    reply.FinishArray(gap, shown);
    ++changes_;
  }

 private:
  // Pending entries to claim, the longest idle first. Those that are no longer in the stream stay
  // pending: XAUTOCLAIM takes them out. Notes when there may be another.
  std::vector<StreamId> StaleIds() {
    std::vector<StreamId> ids;
    const int64_t enough_ms = *request_.claim_idle_ms;
    int64_t longest_ms = 0;  // of those that are not idle for long enough
    const auto& order = group_->DeliveredInOrder();
    for (auto pos = order.First(); pos != order.End(); pos = order.Next(pos)) {
      const auto& [delivered_ms, id] = order.At(pos).key;
      longest_ms = MillisecondsSince(delivered_ms, ctx_.now_ms());
      if (longest_ms < enough_ms) break;
      longest_ms = 0;
      if (stream_.Contains(id)) ids.push_back(id);
      if (request_.count != 0 && ids.size() == request_.count) break;
    }
    NoteNextLook(enough_ms - longest_ms);
    return ids;
  }

  void NoteNextLook(int64_t delay_ms) {
    const int64_t now_ms = ctx_.now_ms();
    const int64_t look_ms = delay_ms > INT64_MAX - now_ms ? INT64_MAX : now_ms + delay_ms;
    if (request_.next_look_ms == 0 || look_ms < request_.next_look_ms)
      request_.next_look_ms = look_ms;
  }

  void ReplyClaimed(const StreamEntry& entry, int64_t idle_ms, uint64_t deliveries) {
    ReplyWriter& reply = ctx_.reply();
    reply.Array(4);
    ReplyStreamId(reply, entry.id);
    ReplyStreamFields(reply, entry);
    reply.Integer(idle_ms);
    reply.Integer(static_cast<int64_t>(deliveries));
  }

  void ClaimAndReply(const std::vector<StreamId>& ids) {
    for (StreamId id : ids) {
      const StreamPending before = *group_->FindPending(id);
      StreamReader reader(stream_, id, id);
      CHECK(reader.Next());
      ReplyClaimed(reader.entry(), before.IdleMs(ctx_.now_ms()), before.deliveries);
      StreamClaim claim;
      claim.delivered_ms = ctx_.now_ms();
      stream_.Claim(group_, consumer_, id, claim, ctx_.now_ms());
      SendClaims({id}, group_->FindPending(id)->deliveries);
    }
  }

  void SendClaims(const std::vector<StreamId>& ids, uint64_t deliveries) {
    if (ids.empty()) return;
    EffectWords({"XCLAIM", key_, request_.group, request_.consumer, "0"})
        .Add(ids)
        .Add("TIME")
        .Add(ctx_.now_ms())
        .Add("RETRYCOUNT")
        .Add(static_cast<int64_t>(deliveries))
        .Add("FORCE")
        .Add("JUSTID")
        .Add("LASTID")
        .Add(group_->last_id)
        .Send(ctx_);
  }

  Context& ctx_;
  ReadRequest& request_;
  const std::string_view key_;
  Stream& stream_;
  StreamGroup* const group_;
  StreamConsumer* consumer_ = nullptr;
  int64_t changes_ = 0;
};

// XREADGROUP GROUP group consumer [COUNT count] [BLOCK milliseconds] [CLAIM min-idle-time] [NOACK]
//   STREAMS key [key ...] id [id ...]  O(N), with CLAIM O(pending) for the group's first
void XReadGroup(Context& ctx) {
  ReadRequest request;
  request.of_group = true;
  if (!ReadOptions(ctx, &request)) return;
  for (size_t i = 0; i < request.keys.size(); ++i) {
    auto stream = ctx.Write<Stream>(request.keys[i]);
    if (stream.failed()) return;
    // Though it writes, it looks its keys up as one that reads.
    if (!stream) ctx.Find(request.keys[i]);
    if (!stream || stream->FindGroup(request.group) == nullptr)
      return ctx.Error("NOGROUP No such key '" + InError(request.keys[i]) +
                       "' or consumer group '" + InError(request.group) +
                       "' in XREADGROUP with GROUP option");
    StreamId id;
    if (!ReadPosition(ctx, request, request.id_texts[i], &*stream, &id)) return;
    request.ids.push_back(id);
  }
  StreamsReply streams(ctx.reply());
  for (size_t i = 0; i < request.keys.size(); ++i) {
    auto stream = ctx.Write<Stream>(request.keys[i]);
    GroupRead read(ctx, request, request.keys[i], stream.Mutable());
    if (request.ids[i] == StreamId::Max()) {
      read.New(streams);
    } else {
      read.History(request.ids[i], streams);
    }
    SettleGroupChange(ctx, stream, read.changes());
  }
  streams.empty() ? FinishEmpty(ctx, request, streams) : streams.Finish();
}

// A group or a consumer may be called STREAMS, so the options are passed one by one, as the handler
// passes them, rather than searched for the word.
bool GroupReadKeys(Arguments arguments, KeySink& sink) {
  size_t i = 1;
  for (; i < arguments.size() && !EqualsIgnoreCase(arguments[i], "STREAMS"); ++i) {
    if (EqualsIgnoreCase(arguments[i], "GROUP")) {
      i += 2;
    } else if (EqualsIgnoreCase(arguments[i], "BLOCK") || EqualsIgnoreCase(arguments[i], "COUNT") ||
               EqualsIgnoreCase(arguments[i], "CLAIM")) {
      ++i;
    }
  }
  if (i + 1 >= arguments.size()) return true;
  const size_t first = i + 1, keys = (arguments.size() - first) / 2;
  for (size_t k = 0; k < keys; ++k) sink.Add(static_cast<int>(first + k), kRO | kAccess);
  return true;
}

constexpr CommandSpec kRows[] = {
    {"XREAD", -4, kReadonly | kBlocking, KeyAfter(kRO | kAccess, "STREAMS", 1, -1, 2), kAclStream,
     &XRead},
    {"XREADGROUP", -7, kWrite | kBlocking, KeyAfter(kRO | kAccess, "STREAMS", 4, -1, 2), kAclStream,
     &XReadGroup, Scope::kKeys, nullptr, &GroupReadKeys},
};

}  // namespace

std::span<const CommandSpec> StreamReadCommands() {
  return kRows;
}

}  // namespace cairn
