// SPDX-License-Identifier: BSD-3-Clause
//
// XNACK (Redis 8.8): pending entries go back to their group, for whoever claims them next.
//
// A released entry belongs to nobody. Here that is the consumer of the empty name, made when it is
// first needed, with a delivery time of 0: so pending lists, RDB files and the effect (XCLAIM ...
// TIME 0 RETRYCOUNT n FORCE JUSTID) are what Redis 7.0 knows. Replies hide it (StreamGroup).
#include <algorithm>
#include <optional>

#include "commands/families.h"
#include "commands/stream_common.h"
#include "exec/args.h"

namespace cairn {
namespace {

enum class NackMode : uint8_t { kSilent, kFail, kFatal };

struct NackRequest {
  NackMode mode = NackMode::kFail;
  std::vector<StreamId> ids;
  std::optional<uint64_t> retry_count;
  bool force = false;
};

bool ReadMode(std::string_view word, NackMode* mode) {
  if (EqualsIgnoreCase(word, "SILENT")) {
    *mode = NackMode::kSilent;
  } else if (EqualsIgnoreCase(word, "FAIL")) {
    *mode = NackMode::kFail;
  } else if (EqualsIgnoreCase(word, "FATAL")) {
    *mode = NackMode::kFatal;
  } else {
    return false;
  }
  return true;
}

// What follows IDS: numids id [id ...].
void ReadIds(Args& args, std::vector<StreamId>* ids) {
  constexpr std::string_view kBadCount = "ERR numids must be a positive integer";
  const int64_t count = args.Int(kBadCount);
  if (args.failed() || count < 1) return args.Fail(kBadCount);
  if (static_cast<uint64_t>(count) > args.left())
    return args.Fail("ERR number of IDs doesn't match numids");
  ids->resize(static_cast<size_t>(count));
  for (StreamId& id : *ids)
    if (!args.failed() && !ParseStreamId(args.Next(), 0, &id))
      args.Fail("ERR Invalid stream ID specified as stream command argument");
}

// From argument 3 to the end. False: the error was replied.
bool ReadRequest(Context& ctx, NackRequest* request) {
  constexpr std::string_view kBadCount = "ERR Invalid RETRYCOUNT value, must be >= 0";
  Args args(ctx, 3);
  if (!ReadMode(args.Next(), &request->mode)) args.Fail("ERR mode must be SILENT, FAIL, or FATAL");
  bool listed = false;
  while (args.More()) {
    if (!listed && args.Take("IDS", 1)) {
      ReadIds(args, &request->ids);
      listed = true;
    } else if (args.Take("RETRYCOUNT", 1)) {
      const int64_t count = args.Int(kBadCount);
      if (count < 0) args.Fail(kBadCount);
      request->retry_count = static_cast<uint64_t>(count);
    } else if (args.Take("FORCE")) {
      request->force = true;
    } else {
      ctx.Error("ERR Unrecognized XNACK option '" + InError(args.Next()) + "'");
      return false;
    }
  }
  if (!listed) args.Fail("ERR syntax error, expected IDS keyword");
  return args.Done();
}

// The delivery counter of a released entry; `before` is null for one that was not pending.
uint64_t CountAfter(const NackRequest& request, const StreamPending* before) {
  if (request.retry_count) return *request.retry_count;
  if (request.mode == NackMode::kFatal) return StreamPending::kDeliveriesMax;
  if (before == nullptr) return 0;
  const bool undone = request.mode == NackMode::kSilent && before->deliveries > 0;
  return before->deliveries - (undone ? 1 : 0);
}

// XNACK key group SILENT|FAIL|FATAL IDS numids id [id ...] [RETRYCOUNT count] [FORCE]  O(1) an id
void XNack(Context& ctx) {
  auto stream = ctx.Write<Stream>(ctx.arg(1));
  if (stream.failed()) return;
  if (!stream) ctx.Find(ctx.arg(1));  // looked up as one that reads: announces a miss
  if (!stream || stream->FindGroup(ctx.arg(2)) == nullptr)
    return ctx.Error("NOGROUP No such key '" + InError(ctx.arg(1)) + "' or consumer group '" +
                     InError(ctx.arg(2)) + "'");
  NackRequest request;
  if (!ReadRequest(ctx, &request)) return;
  Stream& value = stream.Mutable();
  StreamGroup* group = value.FindGroup(ctx.arg(2));
  int64_t released = 0;
  for (StreamId id : request.ids) {
    const StreamPending* before = group->FindPending(id);
    // One that is no longer in the stream could not be claimed.
    if ((before == nullptr && !request.force) || !value.Contains(id)) continue;
    const uint64_t count = CountAfter(request, before);
    group->Assign(id, group->Nobody(), /*delivered_ms=*/0)->deliveries = count;
    EffectWords({"XCLAIM", ctx.arg(1), ctx.arg(2), StreamGroup::kNobody, "0"})
        .Add(id)
        .Add("TIME")
        .Add(int64_t{0})
        .Add("RETRYCOUNT")
        .Add(static_cast<int64_t>(count))
        .Add("FORCE")
        .Add("JUSTID")
        .Send(ctx);
    ++released;
  }
  SettleGroupChange(ctx, stream, released);
  // They are there to be claimed, whatever the idle time asked for.
  if (released > 0) ctx.unit().Ready(stream.id().db, stream.id().key, stream.id().hash);
  ctx.reply().Integer(released);
}

constexpr CommandSpec kRows[] = {
    {"XNACK", -7, kWrite | kFast, Key(kRW | kUpdate), kAclStream, &XNack},
};

}  // namespace

std::span<const CommandSpec> StreamNackCommands() { return kRows; }

}  // namespace cairn
