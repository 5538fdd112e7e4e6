// SPDX-License-Identifier: BSD-3-Clause
//
// Streams: adding, deleting, trimming, ranges. Reading with XREAD and XREADGROUP is in
// stream_read.cc, groups are in stream_groups.cc and stream_claims.cc, XINFO in stream_info.cc.
//
// Effects name the id that was taken, and instead of "about MAXLEN" what was left, so that a replay
// neither asks a clock nor depends on where its nodes end.
#include <algorithm>
#include <optional>

#include "commands/families.h"
#include "commands/stream_common.h"
#include "exec/args.h"

namespace cairn {
namespace {

// What stands between the key and the id of XADD, or behind the key of XTRIM.
struct TrimOptions {
  bool no_mkstream = false;
  bool trims = false;
  bool limit_given = false;
  StreamTrim trim;
  size_t next = 2;  // the first argument behind them
};

// MAXLEN|MINID [=|~] threshold, at argument *at. False: the error was replied.
bool ReadTrimThreshold(Context& ctx, size_t* at, TrimOptions* options) {
  if (options->trims) {
    ctx.Error("ERR syntax error, MAXLEN and MINID options at the same time are not compatible");
    return false;
  }
  options->trims = true;
  StreamTrim& trim = options->trim;
  const bool by_length = EqualsIgnoreCase(ctx.arg(*at), "MAXLEN");
  trim.kind = by_length ? StreamTrim::kMaxLength : StreamTrim::kMinId;
  ++*at;
  trim.approximate = false;
  if (*at + 1 < ctx.argc() && (ctx.arg(*at) == "~" || ctx.arg(*at) == "=")) {
    trim.approximate = ctx.arg(*at) == "~";
    ++*at;
  }
  const std::string_view text = ctx.arg((*at)++);
  if (trim.kind == StreamTrim::kMinId) return ReadStreamId(ctx, text, &trim.min_id);
  int64_t length;
  if (!ParseInt64(text, &length)) {
    ctx.Error(errors::kNotInteger);
    return false;
  }
  if (length < 0) {
    ctx.Error("ERR The MAXLEN argument must be >= 0.");
    return false;
  }
  trim.max_length = static_cast<uint64_t>(length);
  return true;
}

bool ReadTrimLimit(Context& ctx, size_t* at, TrimOptions* options) {
  const std::string_view text = ctx.arg(*at + 1);
  *at += 2;
  if (!ParseInt64(text, &options->trim.limit)) {
    ctx.Error(errors::kNotInteger);
    return false;
  }
  if (options->trim.limit < 0) {
    ctx.Error("ERR The LIMIT argument must be >= 0.");
    return false;
  }
  options->limit_given = true;
  return true;
}

// False: the error was replied. For XADD an unknown word ends the options: it is the id.
bool ReadTrimOptions(Context& ctx, bool for_add, TrimOptions* options) {
  size_t& at = options->next;
  while (at < ctx.argc()) {
    const std::string_view word = ctx.arg(at);
    const bool more = at + 1 < ctx.argc();
    if (for_add && word == "*") break;
    if (more && (EqualsIgnoreCase(word, "MAXLEN") || EqualsIgnoreCase(word, "MINID"))) {
      if (!ReadTrimThreshold(ctx, &at, options)) return false;
    } else if (more && EqualsIgnoreCase(word, "LIMIT")) {
      if (!ReadTrimLimit(ctx, &at, options)) return false;
    } else if (for_add && EqualsIgnoreCase(word, "NOMKSTREAM")) {
      options->no_mkstream = true;
      ++at;
    } else if (ParseStreamReferences(word, &options->trim.references)) {
      ++at;
    } else if (for_add) {
      break;
    } else {
      ctx.Error(errors::kSyntax);
      return false;
    }
  }
  return true;
}

// What is asked of the options together.
bool CheckTrimOptions(Context& ctx, bool for_add, TrimOptions* options) {
  StreamTrim& trim = options->trim;
  if (trim.limit != 0 && !options->trims) {
    ctx.Error("ERR syntax error, LIMIT cannot be used without specifying a trimming strategy");
    return false;
  }
  if (!for_add && !options->trims) {
    ctx.Error("ERR syntax error, XTRIM must be called with a trimming strategy");
    return false;
  }
  if (ctx.unit().expiry_mode() == ExpiryMode::kApply) {
    // Redis leaves LIMIT in what it records beside an exact threshold; it has done its work.
    trim.limit = 0;
    trim.thorough = true;
  } else if (options->limit_given && !trim.approximate) {
    ctx.Error("ERR syntax error, LIMIT cannot be used without the special ~ option");
    return false;
  } else if (!options->limit_given && trim.approximate) {
    trim.limit = Stream::DefaultTrimLimit(ctx.engine().ReadThresholds());
  }
  return true;
}

// The threshold that does exactly what was done: MAXLEN = n, or MINID = id.
void AddDoneTrim(EffectWords* words, const StreamTrim& trim, const Stream& stream) {
  if (trim.kind == StreamTrim::kMaxLength) {
    words->Add("MAXLEN").Add("=").Add(static_cast<int64_t>(stream.Length()));
  } else {
    words->Add("MINID").Add("=").Add(stream.Length() > 0 ? stream.first_id() : trim.min_id);
  }
}

// Trims with ACKED: what stays is not a tail of the stream. The effect is an XDEL of what went, and
// an XSETID that puts right what trimming leaves alone, where XDEL changed it. (Where it did not,
// an id was deleted that lies behind the last one now, and XSETID would refuse it.)
void SendTrimmedAcked(Context& ctx, std::string_view key, const Stream& stream,
                      const StreamDeletions& done) {
  EffectWords({"XDEL", key}).Add(done.deleted).Send(ctx);
  if (done.deleted.back() <= stream.max_deleted_id()) return;
  EffectWords({"XSETID", key})
      .Add(stream.last_id())
      .Add("ENTRIESADDED")
      .Add(static_cast<int64_t>(stream.entries_added()))
      .Add("MAXDELETEDID")
      .Add(stream.max_deleted_id())
      .Send(ctx);
}

// Trims with its effect: an XTRIM of its own. Returns how many entries went.
int64_t TrimWithEffects(Context& ctx, std::string_view key, Stream& stream,
                        const StreamTrim& trim) {
  StreamDeletions done;
  const int64_t deleted = stream.Trim(trim, &done);
  if (deleted == 0) return 0;
  if (trim.references == StreamReferences::kAcked) {
    SendTrimmedAcked(ctx, key, stream, done);
    return deleted;
  }
  SendDropped(ctx, key, done);
  EffectWords words({"XTRIM", key});
  AddDoneTrim(&words, trim, stream);
  words.Send(ctx);
  return deleted;
}

void SendAdd(Context& ctx, StreamId id, const StreamTrim* done_trim, const Stream& stream,
             StreamFields fields) {
  if (!ctx.unit().records()) return ctx.Effect({});
  EffectWords words({"XADD", ctx.arg(1)});
  if (done_trim != nullptr) AddDoneTrim(&words, *done_trim, stream);
  words.Add(id);
  for (std::string_view text : fields) words.Add(text);
  words.Send(ctx);
}

bool ReadIdToAdd(Context& ctx, std::string_view text, StreamIdKind* kind, StreamId* id) {
  *kind = StreamIdKind::kAuto;
  if (text == "*") return true;
  bool any_seq;
  if (!ParseStreamIdForAdd(text, id, &any_seq)) {
    ctx.Error("ERR Invalid stream ID specified as stream command argument");
    return false;
  }
  *kind = any_seq ? StreamIdKind::kAnySeq : StreamIdKind::kGiven;
  return true;
}

// XADD key [NOMKSTREAM] [KEEPREF|DELREF|ACKED] [MAXLEN|MINID [=|~] threshold [LIMIT count]]
//   *|id field value [field value ...]  O(1), O(N) of what is trimmed
void XAdd(Context& ctx) {
  TrimOptions options;
  if (!ReadTrimOptions(ctx, true, &options)) return;
  StreamIdKind kind = StreamIdKind::kAuto;
  StreamId given;
  const bool has_id = options.next < ctx.argc();
  if (has_id && !ReadIdToAdd(ctx, ctx.arg(options.next), &kind, &given)) return;
  if (!CheckTrimOptions(ctx, true, &options)) return;
  const StreamFields fields = ctx.args().subspan(std::min(options.next + 1, ctx.argc()));
  if (!has_id || fields.size() < 2 || fields.size() % 2 != 0)
    return ctx.Error("ERR wrong number of arguments for 'xadd' command");
  if (kind == StreamIdKind::kGiven && given.IsZero())
    return ctx.Error("ERR The ID specified in XADD must be greater than 0-0");

  auto stream = ctx.Write<Stream>(ctx.arg(1));
  if (stream.failed()) return;
  if (!stream && options.no_mkstream) return ctx.reply().Null();
  if (stream && stream->last_id() == StreamId::Max())
    return ctx.Error(
        "ERR The stream has exhausted the last possible ID, unable to add more items");
  Stream& value = stream.Create();
  StreamId id;
  const StreamAddResult result =
      value.Add(kind, given, ctx.now_ms(), fields, ctx.engine().ReadThresholds(), &id);
  if (result != StreamAddResult::kOk) {
    stream.Unchanged();
    return ctx.Error(result == StreamAddResult::kTooLarge
                         ? "ERR Elements are too large to be stored"
                         : "ERR The ID specified in XADD is equal or smaller than the target "
                           "stream top item");
  }
  ReplyStreamId(ctx.reply(), id);
  stream.Notify(kNotifyStream, "xadd");
  if (!options.trims) {
    const bool as_it_is = kind == StreamIdKind::kGiven && options.next == 2;
    if (!as_it_is) SendAdd(ctx, id, nullptr, value, fields);
    return stream.Commit(kNotifyStream, nullptr);
  }
  int64_t trimmed;
  if (options.trim.references == StreamReferences::kKeep) {
    trimmed = value.Trim(options.trim);
    SendAdd(ctx, id, trimmed > 0 ? &options.trim : nullptr, value, fields);
  } else {
    SendAdd(ctx, id, nullptr, value, fields);
    trimmed = TrimWithEffects(ctx, ctx.arg(1), value, options.trim);
  }
  stream.Commit(kNotifyStream, trimmed > 0 ? "xtrim" : nullptr);
}

// XTRIM key MAXLEN|MINID [=|~] threshold [LIMIT count] [KEEPREF|DELREF|ACKED]  O(N) of what goes
void XTrim(Context& ctx) {
  TrimOptions options;
  if (!ReadTrimOptions(ctx, false, &options) || !CheckTrimOptions(ctx, false, &options)) return;
  auto stream = ctx.Write<Stream>(ctx.arg(1));
  if (stream.failed()) return;
  if (!stream) return ctx.reply().Integer(0);
  const int64_t deleted = TrimWithEffects(ctx, ctx.arg(1), stream.Mutable(), options.trim);
  ctx.reply().Integer(deleted);
  deleted > 0 ? stream.Commit(kNotifyStream, "xtrim", deleted) : stream.Unchanged();
}

// XLEN key  O(1)
void XLen(Context& ctx) {
  auto stream = ctx.Read<Stream>(ctx.arg(1));
  if (stream.failed()) return;
  ctx.reply().Integer(stream ? static_cast<int64_t>(stream->Length()) : 0);
}

void Range(Context& ctx, bool backward) {
  StreamId start, end;
  if (!ReadStreamStart(ctx, ctx.arg(backward ? 3 : 2), &start)) return;
  if (!ReadStreamEnd(ctx, ctx.arg(backward ? 2 : 3), &end)) return;
  int64_t count = -1;
  Args args(ctx, 4);
  while (args.More()) {
    if (args.Take("COUNT", 1)) {
      count = std::max<int64_t>(args.Int(), 0);
    } else {
      args.Fail(errors::kSyntax);
    }
  }
  if (!args.Done()) return;
  auto stream = ctx.Read<Stream>(ctx.arg(1));
  if (stream.failed()) return;
  if (!stream) return ctx.reply().EmptyArray();
  // Redis replies nil here, not an empty array.
  if (count == 0) return ctx.reply().NullArray();
  ReplyStreamRange(ctx.reply(), *stream, start, end,
                   count < 0 ? 0 : static_cast<uint64_t>(count), backward);
}

// XRANGE key start end [COUNT count]  O(N)
void XRange(Context& ctx) { Range(ctx, false); }
// XREVRANGE key end start [COUNT count]  O(N)
void XRevRange(Context& ctx) { Range(ctx, true); }

// XDEL key id [id ...]  O(N)
void XDel(Context& ctx) {
  auto stream = ctx.Write<Stream>(ctx.arg(1));
  if (stream.failed()) return;
  if (!stream) return ctx.reply().Integer(0);
  std::vector<StreamId> ids(ctx.argc() - 2);
  for (size_t i = 0; i < ids.size(); ++i)
    if (!ReadStreamId(ctx, ctx.arg(i + 2), &ids[i])) return;
  Stream& value = stream.Mutable();
  int64_t deleted = 0;
  for (StreamId id : ids) deleted += value.Delete(id);
  ctx.reply().Integer(deleted);
  deleted > 0 ? stream.Commit(kNotifyStream, "xdel", deleted) : stream.Unchanged();
}

// XSETID key last-id [ENTRIESADDED entries-added] [MAXDELETEDID max-deleted-id]  O(1)
void XSetId(Context& ctx) {
  StreamId id;
  if (!ReadStreamId(ctx, ctx.arg(2), &id)) return;
  std::optional<uint64_t> entries_added;
  std::optional<StreamId> max_deleted;
  // Counters may have wrapped around; what was journaled is applied as it is. That goes for a
  // MAXDELETEDID of 0-0 as well, which a client cannot set, and for one behind the last id.
  const bool journaled = ctx.unit().expiry_mode() == ExpiryMode::kApply;
  for (size_t i = 3; i < ctx.argc(); i += 2) {
    const bool more = i + 1 < ctx.argc();
    if (more && EqualsIgnoreCase(ctx.arg(i), "ENTRIESADDED")) {
      int64_t value;
      if (!ParseInt64(ctx.arg(i + 1), &value)) return ctx.Error(errors::kNotInteger);
      if (value < 0 && !journaled) return ctx.Error("ERR entries_added must be positive");
      entries_added = static_cast<uint64_t>(value);
    } else if (more && EqualsIgnoreCase(ctx.arg(i), "MAXDELETEDID")) {
      if (!ReadStreamId(ctx, ctx.arg(i + 1), &max_deleted.emplace())) return;
      if (id < *max_deleted && !journaled)
        return ctx.Error(
            "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id");
    } else {
      return ctx.Error(errors::kSyntax);
    }
  }
  auto stream = ctx.Write<Stream>(ctx.arg(1));
  if (stream.failed()) return;
  if (!stream) return ctx.Error(errors::kNoSuchKey);
  if (stream->Length() > 0) {
    if (id < stream->EdgeId(false))
      return ctx.Error(
          "ERR The ID specified in XSETID is smaller than the target stream top item");
    if (entries_added && stream->Length() > *entries_added && !journaled)
      return ctx.Error(
          "ERR The entries_added specified in XSETID is smaller than the target stream length");
  }
  if (max_deleted && max_deleted->IsZero() && !journaled) {
    max_deleted.reset();
    EffectWords words({"XSETID", ctx.arg(1)});
    words.Add(id);
    if (entries_added) words.Add("ENTRIESADDED").Add(static_cast<int64_t>(*entries_added));
    words.Send(ctx);
  }
  stream.Mutable().SetLastId(id, entries_added, max_deleted);
  ctx.Ok();
  stream.Notify(kNotifyStream, "xsetid");
  SettleGroupChange(ctx, stream, 1);
}

// XDELEX key [KEEPREF|DELREF|ACKED] IDS numids id [id ...]  O(N)
void XDelEx(Context& ctx) {
  StreamReferences references = StreamReferences::kKeep;
  std::vector<StreamId> ids;
  if (!ReadStreamIdList(ctx, 2, &references, &ids)) return;
  auto stream = ctx.Write<Stream>(ctx.arg(1));
  if (stream.failed()) return;
  ctx.reply().Array(ids.size());
  if (!stream) {
    for (size_t i = 0; i < ids.size(); ++i) ctx.reply().Integer(-1);
    return;
  }
  Stream& value = stream.Mutable();
  StreamDeletions done;
  for (StreamId id : ids) ctx.reply().Integer(value.DeleteWith(id, references, &done));
  SendDropped(ctx, ctx.arg(1), done);
  if (!done.deleted.empty()) {
    EffectWords({"XDEL", ctx.arg(1)}).Add(done.deleted).Send(ctx);
    stream.Commit(kNotifyStream, "xdel", static_cast<int64_t>(done.deleted.size()));
  } else {
    SettleGroupChange(ctx, stream, ctx.has_effects() ? 1 : 0);
  }
}

constexpr uint64_t kAddFlags = kWrite | kDenyOom | kFast;
constexpr CommandSpec kRows[] = {
    {"XADD", -5, kAddFlags, Key(kRW | kUpdate), kAclStream, &XAdd},
    {"XLEN", 2, kReadonly | kFast, Key(kRO), kAclStream, &XLen},
    {"XRANGE", -4, kReadonly, Key(kRO | kAccess), kAclStream, &XRange},
    {"XREVRANGE", -4, kReadonly, Key(kRO | kAccess), kAclStream, &XRevRange},
    {"XDEL", -3, kWrite | kFast, Key(kRW | kDelete), kAclStream, &XDel},
    {"XDELEX", -5, kWrite | kFast, Key(kRW | kDelete), kAclStream, &XDelEx},
    {"XTRIM", -4, kWrite, Key(kRW | kDelete), kAclStream, &XTrim},
    {"XSETID", -3, kAddFlags, Key(kRW | kUpdate), kAclStream, &XSetId},
};

}  // namespace

std::span<const CommandSpec> StreamCommands() { return kRows; }

}  // namespace cairn
