// SPDX-License-Identifier: BSD-3-Clause
//
// DEBUG: for tests and for looking inside. Gated by enable-debug-command. Runs under scope All.
#include <signal.h>

#include "base/check.h"
#include "base/glob.h"
#include "base/hash.h"
#include "base/random.h"
#include "commands/digest.h"
#include "commands/families.h"
#include "commands/help.h"
#include "commands/protected_action.h"
#include "exec/access_clock.h"
#include "exec/args.h"
#include "exec/context.h"
#include "exec/replication_control.h"
#include "exec/snapshot_control.h"
#include "journal/journal.h"

namespace cairn {
namespace {

// DEBUG SLEEP seconds: nobody runs a command meanwhile
void Sleep(Context& ctx) {
  double seconds;
  if (!ParseDouble(ctx.arg(2), &seconds)) return ctx.Error(errors::kNotFloat);
  if (seconds > 0) ctx.engine().control->Sleep(static_cast<int64_t>(seconds * 1e6));
  ctx.Ok();
}

// Looks and leaves no trace: an entry whose time has come is shown too, and stays.
Entry* Peek(Context& ctx, std::string_view key) {
  const uint64_t hash = HashBytes(key);
  KeyTable* table = ctx.unit().keyspace().PeekTable(ShardOf(hash), ctx.db());
  if (table == nullptr) return nullptr;
  return table->entries.Find(hash, [key](const Entry* entry) { return entry->key() == key; });
}

// DEBUG OBJECT key
void Object(Context& ctx) {
  const Entry* entry = Peek(ctx, ctx.arg(2));
  if (entry == nullptr) return ctx.Error(errors::kNoSuchKey);
  char text[256];
  snprintf(text, sizeof text,
           "Value at:%p refcount:1 encoding:%s serializedlength:%zu lru:%u lru_seconds_idle:%lld",
           static_cast<const void*>(entry), EncodingName(entry->encoding()), entry->MemoryUsage(0),
           entry->access(), static_cast<long long>(IdleSeconds(entry->access(), ctx.now_ms())));
  ctx.reply().SimpleString(text);
}

// DEBUG DIGEST
void DigestAll(Context& ctx) {
  ctx.reply().SimpleString(DigestKeyspace(ctx.unit().keyspace()).Hex());
}

// DEBUG DIGEST-VALUE key [key ...]
void DigestValue(Context& ctx) {
  ctx.reply().Array(ctx.argc() - 2);
  for (size_t i = 2; i < ctx.argc(); ++i) {
    Digest digest;
    if (Entry* entry = Peek(ctx, ctx.arg(i))) DigestEntry(&digest, entry);
    ctx.reply().SimpleString(digest.Hex());
  }
}

// DEBUG LOADAOF: other clients get -LOADING until it is done, as in Redis
void LoadAof(Context& ctx) {
  Engine& engine = ctx.engine();
  if (engine.modes.Has(kModeLoading)) return ctx.Error(errors::kLoading);
  if (!engine.journal_kept) return ctx.Error("ERR DEBUG LOADAOF needs appendonly yes");
  // The replay comes after the unit, when the rest of an EXEC is done and replied to.
  if (ctx.in_exec()) return ctx.Error("ERR DEBUG LOADAOF cannot run inside MULTI");
  ctx.unit().AfterUnit([&engine, &reply = ctx.reply()] {
    const Status status = engine.control->ReloadJournal();
    status.ok() ? reply.Ok() : reply.Error("ERR " + status.message());
  });
}

// DEBUG RELOAD [MERGE] [NOFLUSH] [NOSAVE]
// A key that is there already is an error of NOFLUSH without MERGE; redis-server ends then.
void Reload(Context& ctx) {
  SnapshotControl::ReloadRequest request;
  for (size_t i = 2; i < ctx.argc(); ++i) {
    if (EqualsIgnoreCase(ctx.arg(i), "nosave")) {
      request.save = false;
    } else if (EqualsIgnoreCase(ctx.arg(i), "noflush")) {
      request.flush = false;
    } else if (EqualsIgnoreCase(ctx.arg(i), "merge")) {
      request.merge = true;
    } else {
      return ctx.Error("ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.");
    }
  }
  // Inside EXEC other replies would follow, and locks be held for as long.
  if (ctx.in_exec()) return ctx.Error("ERR Command not allowed inside a transaction");
  ctx.unit().AfterUnit([control = ctx.engine().snapshots, reply = &ctx.reply(), request] {
    const Status status = control->Reload(request);
    if (status.ok()) return reply->Ok();
    reply->Error("ERR Error trying to load the RDB dump, check server logs: " + status.message());
  });
}

// DEBUG SET-ACTIVE-EXPIRE 0|1
void SetActiveExpire(Context& ctx) {
  ctx.engine().active_expire.store(ctx.arg(2) != "0", std::memory_order_relaxed);
  if (ctx.arg(2) != "0") ctx.engine().kept_until_ms.store(0, std::memory_order_relaxed);
  ctx.Ok();
}

// DEBUG STRINGMATCH-LEN length pattern
void StringMatch(Context& ctx) {
  int64_t length;
  constexpr int64_t kLengthMax = 16 << 20;
  if (!ParseInt64(ctx.arg(2), &length) || length < 0 || length > kLengthMax)
    return ctx.Error(errors::kNotInteger);
  const std::string text(static_cast<size_t>(length), '_');
  ctx.reply().Integer(GlobMatch(ctx.arg(3), text));
}

// DEBUG CHANGE-REPL-ID: what followers know us by
void ChangeReplicationId(Context& ctx) {
  if (ctx.in_exec()) return ctx.Error("ERR DEBUG CHANGE-REPL-ID cannot run inside MULTI");
  ctx.unit().AfterUnit([&engine = ctx.engine(), &reply = ctx.reply()] {
    const Status status = engine.replication->ChangeId();
    status.ok() ? reply.Ok() : reply.Error("ERR " + status.message());
  });
}

// DEBUG POPULATE count [prefix] [size]: keys prefix:0, prefix:1, ... that are not there yet. Unlike
// in Redis they are journaled, as one record: what is in memory is in the log.
void Populate(Context& ctx) {
  int64_t count, size = 0;
  if (!ParseInt64(ctx.arg(2), &count) || count < 0 ||
      (ctx.argc() == 5 && (!ParseInt64(ctx.arg(4), &size) || size < 0)))
    return ctx.Error("ERR value is out of range, must be positive");
  if (size > ctx.config().proto_max_bulk_len())
    return ctx.Error("ERR string exceeds maximum allowed size (proto-max-bulk-len)");
  Journal* journal = ctx.engine().journal;
  if (journal != nullptr && journal->state() != JournalState::kOk)
    return ctx.Error(ctx.engine().LogRefusal());
  const std::string prefix(ctx.argc() > 3 ? ctx.arg(3) : "key");
  for (int64_t i = 0; i < count; ++i) {
    const std::string key = prefix + ":" + ToString(i);
    if (ctx.Find(key, Context::Touch::kNo) != nullptr) continue;
    std::string value = "value:" + ToString(i);
    if (ctx.argc() == 5) value.resize(static_cast<size_t>(size));
    ctx.PutString(ctx.Id(key), value);
    ctx.Effect({"SET", key, value});
  }
  ctx.Ok();
}

// DEBUG SEGFAULT, DEBUG PANIC: a crash, for those who test what comes after one
void Segfault(Context&) {
  raise(SIGSEGV);
}
void Panic(Context&) {
  CHECK(!"DEBUG PANIC");
}

// DEBUG QUICKLIST-PACKED-THRESHOLD bytes: accepted; nodes of lists here have no such bound
void PackedThreshold(Context& ctx) {
  ctx.Ok();
}

// DEBUG ERROR text
void ReplyError(Context& ctx) {
  ctx.Error(ctx.arg(2));
}

// DEBUG LOG text
void WriteLog(Context& ctx) {
  const std::string text(ctx.arg(2));
  Log* log = &ctx.engine().log;
  ctx.unit().AfterUnit([log, text] { log->Warning("DEBUG LOG: %s", text.c_str()); });
  ctx.Ok();
}

// DEBUG HTSTATS db
void TableStatistics(Context& ctx) {
  int64_t db;
  if (!ParseInt64(ctx.arg(2), &db)) return ctx.Error(errors::kNotInteger);
  if (db < 0 || db >= ctx.unit().keyspace().databases()) return ctx.Error(errors::kDbIndex);
  size_t keys = 0, buckets = 0, bytes = 0, expiring = 0;
  for (int shard = 0; shard < kShards; ++shard) {
    const KeyTable* table = ctx.unit().keyspace().PeekTable(shard, static_cast<int>(db));
    if (table == nullptr) continue;
    keys += table->size();
    expiring += table->volatile_size();
    buckets += table->entries.bucket_count();
    bytes += table->entries.MemoryBytes();
  }
  ctx.reply().Verbatim("txt", "[Dictionary HT]\nshards: " + std::to_string(kShards) +
                                  "\nbuckets: " + std::to_string(buckets) +
                                  "\nelements: " + std::to_string(keys) +
                                  "\nwith expiry: " + std::to_string(expiring) +
                                  "\ntable bytes: " + std::to_string(bytes) + "\n");
}

// DEBUG PROTOCOL string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false
void Protocol(Context& ctx) {
  ReplyWriter& reply = ctx.reply();
  const std::string kind = ToLower(ctx.arg(2));
  if (kind == "string") {
    reply.Bulk("Hello World");
  } else if (kind == "integer") {
    reply.Integer(12345);
  } else if (kind == "double") {
    reply.Double(3.141);
  } else if (kind == "null") {
    reply.Null();
  } else if (kind == "array" || kind == "set") {
    kind == "array" ? reply.Array(3) : reply.Set(3);
    for (int i = 0; i < 3; ++i) reply.Integer(i);
  } else if (kind == "map") {
    reply.Map(3);
    for (int i = 0; i < 3; ++i) {
      reply.Integer(i);
      reply.Bool(i == 1);
    }
  } else if (kind == "attrib") {
    if (reply.resp3()) {
      reply.Attribute(1);
      reply.Bulk("key-popularity");
      reply.Array(2);
      reply.Bulk("key:123");
      reply.Integer(90);
    }
    reply.Bulk("Some real reply following the attribute");
  } else if (kind == "push") {
    if (!reply.resp3()) return ctx.Error("ERR RESP2 is not supported by this command");
    reply.Push(2);
    reply.Bulk("server-cpu-usage");
    reply.Integer(42);
    // A push answers nothing: who asked waits for more.
    reply.Bulk("Some real reply following the push reply");
  } else if (kind == "true" || kind == "false") {
    reply.Bool(kind == "true");
  } else if (kind == "verbatim") {
    reply.Verbatim("txt", "This is a verbatim\nstring");
  } else if (kind == "bignum") {
    reply.BigNumber("1234567999999999999999999999999999999");
  } else {
    ctx.Error(
        "ERR Wrong protocol type name. Please use one of the following: "
        "string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false");
  }
}

struct Subcommand {
  const char* name;
  size_t argc_min, argc_max;
  void (*run)(Context&);
};
constexpr Subcommand kSubcommands[] = {
    {"sleep", 3, 3, &Sleep},
    {"object", 3, 3, &Object},
    {"digest", 2, 2, &DigestAll},
    {"digest-value", 2, SIZE_MAX, &DigestValue},
    {"loadaof", 2, 2, &LoadAof},
    {"reload", 2, 5, &Reload},
    {"set-active-expire", 3, 3, &SetActiveExpire},
    {"stringmatch-len", 4, 4, &StringMatch},
    {"change-repl-id", 2, 2, &ChangeReplicationId},
    {"populate", 3, 5, &Populate},
    {"segfault", 2, 2, &Segfault},
    {"panic", 2, 2, &Panic},
    {"quicklist-packed-threshold", 3, 3, &PackedThreshold},
    {"error", 3, 3, &ReplyError},
    {"log", 3, 3, &WriteLog},
    {"htstats", 3, 4, &TableStatistics},
    {"protocol", 3, 3, &Protocol},
};

void Help(Context& ctx) {
  static constexpr std::string_view kLines[] = {
      "CHANGE-REPL-ID",
      "    Change the replication ID of this server.",
      "DIGEST",
      "    Output a hex signature representing the current DB content.",
      "DIGEST-VALUE <key> [<key> ...]",
      "    Output a hex signature of the values of all the specified keys.",
      "ERROR <string>",
      "    Return an error reply with <string> as its text.",
      "HTSTATS <dbid>",
      "    Return hash table statistics of the specified database.",
      "LOADAOF",
      "    Flush the journal to disk, empty the dataset and load it from the journal.",
      "LOG <message>",
      "    Write <message> to the server log.",
      "OBJECT <key>",
      "    Show low level info about <key> and associated value.",
      "PANIC",
      "    Crash the server simulating a panic.",
      "POPULATE <count> [<prefix>] [<size>]",
      "    Create <count> string keys named key:<num>. If <prefix> is specified then",
      "    it is used instead of the 'key' prefix.",
      "PROTOCOL <type>",
      "    Reply with a test value of the specified type.",
      "QUICKLIST-PACKED-THRESHOLD <size>",
      "    Accepted without effect.",
      "RELOAD [MERGE] [NOFLUSH] [NOSAVE]",
      "    Save the dataset, empty the keyspace and load it back. NOSAVE: load what was saved",
      "    before. NOFLUSH: do not empty it; a key that is there already is an error, or with",
      "    MERGE gives way to that of the file.",
      "SEGFAULT",
      "    Crash the server with sigsegv.",
      "SET-ACTIVE-EXPIRE <0|1>",
      "    Setting it to 0 disables expiring keys in background.",
      "SLEEP <seconds>",
      "    Stop the server for <seconds>. Decimals allowed.",
      "STRINGMATCH-LEN <len> <pattern>",
      "    Match <pattern> against a text of <len> underscores."};
  ReplyHelp(ctx, "DEBUG", kLines);
}

// DEBUG subcommand [argument ...]
void Debug(Context& ctx) {
  if (!MayDo(ctx, ctx.config().enable_debug_command()))
    return ctx.Error(
        "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", "
        "you can run it from a local connection, otherwise you need to set this option in the "
        "configuration file, and then restart the server.");
  if (ctx.argc() == 2 && EqualsIgnoreCase(ctx.arg(1), "help")) return Help(ctx);
  for (const Subcommand& sub : kSubcommands)
    if (EqualsIgnoreCase(ctx.arg(1), sub.name) && ctx.argc() >= sub.argc_min &&
        ctx.argc() <= sub.argc_max)
      return sub.run(ctx);
  ctx.Error("ERR unknown subcommand or wrong number of arguments for '" +
            std::string(ctx.arg(1).substr(0, 128)) + "'. Try DEBUG HELP.");
}

constexpr CommandSpec kRows[] = {
    {"DEBUG", -2, kAdmin | kNoScript | kLoading | kStale, {}, 0, &Debug, Scope::kAll},
};

}  // namespace

std::span<const CommandSpec> DebugCommands() {
  return kRows;
}

}  // namespace cairn
