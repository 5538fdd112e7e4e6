// SPDX-License-Identifier: BSD-3-Clause
//
// XCLAIM and XAUTOCLAIM: entries that one consumer has pending become another's.
//
// Their effects say what came of it, whatever the clock is at replay: XGROUP CREATECONSUMER for a
// consumer that was made, XCLAIM ... FORCE JUSTID with the time and count that each entry now has,
// XACK for entries that are no longer in the stream, XGROUP SETID where LASTID moved the group.
#include <algorithm>

#include "commands/families.h"
#include "commands/stream_common.h"
#include "exec/args.h"

namespace cairn {
namespace {

// The group named by argument 2 of the stream in argument 1; false: the error was replied.
bool HasGroup(Context& ctx, const WriteRef<Stream>& stream) {
  if (stream.failed()) return false;
  if (!stream) ctx.Find(ctx.arg(1));  // looked up as one that reads: announces a miss
  if (stream && stream->FindGroup(ctx.arg(2)) != nullptr) return true;
  ctx.Error("NOGROUP No such key '" + InError(ctx.arg(1)) + "' or consumer group '" +
            InError(ctx.arg(2)) + "'");
  return false;
}

// The consumer of argument 3, made if it is missing. Returns how many changes that was. What XNACK
// journaled gives entries to nobody (`releases`).
int64_t GetConsumer(Context& ctx, StreamGroup* group, StreamConsumer** consumer,
                    bool releases = false) {
  if (releases) {
    *consumer = group->Nobody();
    return 0;
  }
  bool created;
  std::tie(*consumer, created) = group->GetConsumer(ctx.arg(3), ctx.now_ms());
  if (!created) return 0;
  ctx.Notify(kNotifyStream, "xgroup-createconsumer", ctx.arg(1));
  EffectWords({"XGROUP", "CREATECONSUMER", ctx.arg(1), ctx.arg(2), ctx.arg(3)}).Send(ctx);
  return 1;
}

// XCLAIMs for entries that are pending now; those in a row with the same count share one.
void SendClaims(Context& ctx, StreamGroup* group, const std::vector<StreamId>& ids) {
  for (size_t i = 0; i < ids.size();) {
    const StreamPending first = *group->FindPending(ids[i]);
    EffectWords words({"XCLAIM", ctx.arg(1), ctx.arg(2), ctx.arg(3), "0"});
    for (; i < ids.size(); ++i) {
      const StreamPending* item = group->FindPending(ids[i]);
      if (item->deliveries != first.deliveries || item->delivered_ms != first.delivered_ms) break;
      words.Add(ids[i]);
    }
    words.Add("TIME").Add(first.delivered_ms);
    words.Add("RETRYCOUNT").Add(static_cast<int64_t>(first.deliveries));
    words.Add("FORCE").Add("JUSTID").Add("LASTID").Add(group->last_id);
    words.Send(ctx);
  }
}

void SendGone(Context& ctx, const std::vector<StreamId>& gone) {
  if (!gone.empty()) EffectWords({"XACK", ctx.arg(1), ctx.arg(2)}).Add(gone).Send(ctx);
}

// Array of the claimed ids or entries.
void ReplyClaimed(Context& ctx, const Stream& stream, const std::vector<StreamId>& ids,
                  bool just_id) {
  ctx.reply().Array(ids.size());
  for (StreamId id : ids) {
    if (just_id) {
      ReplyStreamId(ctx.reply(), id);
      continue;
    }
    StreamReader reader(stream, id, id);
    CHECK(reader.Next());
    ReplyStreamEntry(ctx.reply(), reader.entry());
  }
}

struct ClaimOptions {
  StreamClaim claim;
  StreamId last_id;
};

bool ReadClaimNumber(Context& ctx, std::string_view text, std::string_view name, int64_t* value) {
  if (ParseInt64(text, value)) return true;
  ctx.Error("ERR Invalid " + std::string(name) + " option argument for XCLAIM");
  return false;
}

// The options of XCLAIM, from argument `first`.
bool ReadClaimOptions(Context& ctx, size_t first, ClaimOptions* options) {
  StreamClaim& claim = options->claim;
  int64_t delivered_ms = ctx.now_ms();
  for (size_t i = first; i < ctx.argc(); ++i) {
    const std::string_view word = ctx.arg(i);
    const bool more = i + 1 < ctx.argc();
    if (EqualsIgnoreCase(word, "FORCE")) {
      claim.force = true;
    } else if (EqualsIgnoreCase(word, "JUSTID")) {
      claim.just_id = true;
    } else if (more && EqualsIgnoreCase(word, "IDLE")) {
      int64_t idle_ms;
      if (!ReadClaimNumber(ctx, ctx.arg(++i), "IDLE", &idle_ms)) return false;
      delivered_ms = idle_ms < 0 ? ctx.now_ms() : ctx.now_ms() - idle_ms;
    } else if (more && EqualsIgnoreCase(word, "TIME")) {
      if (!ReadClaimNumber(ctx, ctx.arg(++i), "TIME", &delivered_ms)) return false;
    } else if (more && EqualsIgnoreCase(word, "RETRYCOUNT")) {
      if (!ReadClaimNumber(ctx, ctx.arg(++i), "RETRYCOUNT", &claim.retry_count)) return false;
    } else if (more && EqualsIgnoreCase(word, "LASTID")) {
      if (!ReadStreamId(ctx, ctx.arg(++i), &options->last_id)) return false;
    } else {
      ctx.Error("ERR Unrecognized XCLAIM option '" + InError(word) + "'");
      return false;
    }
  }
  // A time that no clock has shown yet is now.
  if (delivered_ms < 0 || delivered_ms > ctx.now_ms()) delivered_ms = ctx.now_ms();
  claim.delivered_ms = delivered_ms;
  return true;
}

// XCLAIM key group consumer min-idle-time id [id ...] [IDLE ms] [TIME unix-time-ms]
//   [RETRYCOUNT count] [FORCE] [JUSTID] [LASTID id]  O(log N) an id
void XClaim(Context& ctx) {
  auto stream = ctx.Write<Stream>(ctx.arg(1));
  if (!HasGroup(ctx, stream)) return;
  ClaimOptions options;
  if (!ParseInt64(ctx.arg(4), &options.claim.min_idle_ms))
    return ctx.Error("ERR Invalid min-idle-time argument for XCLAIM");
  options.claim.min_idle_ms = std::max<int64_t>(options.claim.min_idle_ms, 0);
  std::vector<StreamId> ids;
  size_t at = 5;
  for (StreamId id; at < ctx.argc() && ParseStreamId(ctx.arg(at), 0, &id); ++at) ids.push_back(id);
  if (!ReadClaimOptions(ctx, at, &options)) return;

  Stream& value = stream.Mutable();
  StreamGroup* group = value.FindGroup(ctx.arg(2));
  const bool moves = options.last_id > group->last_id;
  if (moves) group->last_id = options.last_id;
  StreamConsumer* consumer;
  const bool releases = ctx.unit().expiry_mode() == ExpiryMode::kApply &&
                        ctx.arg(3) == StreamGroup::kNobody && options.claim.delivered_ms == 0;
  int64_t changes = GetConsumer(ctx, group, &consumer, releases);
  std::vector<StreamId> claimed, gone;
  for (StreamId id : ids) {
    const StreamClaimResult result = value.Claim(group, consumer, id, options.claim, ctx.now_ms());
    if (result == StreamClaimResult::kClaimed) claimed.push_back(id);
    if (result == StreamClaimResult::kGone) gone.push_back(id);
  }
  SendClaims(ctx, group, claimed);
  SendGone(ctx, gone);
  if (moves)
    EffectWords({"XGROUP", "SETID", ctx.arg(1), ctx.arg(2)})
        .Add(group->last_id)
        .Add("ENTRIESREAD")
        .Add(group->entries_read)
        .Send(ctx);
  changes += static_cast<int64_t>(claimed.size() + gone.size()) + (moves ? 1 : 0);
  SettleGroupChange(ctx, stream, changes);
  ReplyClaimed(ctx, *stream, claimed, options.claim.just_id);
}

// XAUTOCLAIM key group consumer min-idle-time start [COUNT count] [JUSTID]  O(count)
void XAutoClaim(Context& ctx) {
  constexpr int64_t kCountMax = INT64_MAX / 16;
  constexpr std::string_view kBadCount = "ERR COUNT must be > 0";
  StreamClaim claim;
  if (!ParseInt64(ctx.arg(4), &claim.min_idle_ms))
    return ctx.Error("ERR Invalid min-idle-time argument for XAUTOCLAIM");
  claim.min_idle_ms = std::max<int64_t>(claim.min_idle_ms, 0);
  claim.delivered_ms = ctx.now_ms();
  StreamId start;
  if (!ReadStreamStart(ctx, ctx.arg(5), &start)) return;
  int64_t count = 100;
  Args args(ctx, 6);
  while (args.More()) {
    if (args.Take("COUNT", 1)) {
      count = args.Int(kBadCount);
      if (count < 1 || count > kCountMax) args.Fail(kBadCount);
    } else if (args.Take("JUSTID")) {
      claim.just_id = true;
    } else {
      args.Fail(errors::kSyntax);
    }
  }
  if (!args.Done()) return;
  auto stream = ctx.Write<Stream>(ctx.arg(1));
  if (!HasGroup(ctx, stream)) return;

  Stream& value = stream.Mutable();
  StreamGroup* group = value.FindGroup(ctx.arg(2));
  StreamConsumer* consumer;
  int64_t changes = GetConsumer(ctx, group, &consumer);
  std::vector<StreamId> claimed, gone;
  const StreamId next = value.AutoClaim(group, consumer, start, static_cast<uint64_t>(count), claim,
                                        ctx.now_ms(), &claimed, &gone);
  SendClaims(ctx, group, claimed);
  SendGone(ctx, gone);
  changes += static_cast<int64_t>(claimed.size() + gone.size());
  SettleGroupChange(ctx, stream, changes);
  ctx.reply().Array(3);
  ReplyStreamId(ctx.reply(), next);
  ReplyClaimed(ctx, *stream, claimed, claim.just_id);
  ctx.reply().Array(gone.size());
  for (StreamId id : gone) ReplyStreamId(ctx.reply(), id);
}

constexpr CommandSpec kRows[] = {
    {"XCLAIM", -6, kWrite | kFast, Key(kRW | kUpdate), kAclStream, &XClaim},
    {"XAUTOCLAIM", -6, kWrite | kFast, Key(kRW | kDelete), kAclStream, &XAutoClaim},
};

}  // namespace

std::span<const CommandSpec> StreamClaimCommands() { return kRows; }

}  // namespace cairn
