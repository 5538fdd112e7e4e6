// SPDX-License-Identifier: BSD-3-Clause
//
// COMMANDLOG, as in Valkey 8.1, and SLOWLOG, which is its log of slow commands.
#include "commands/families.h"
#include "commands/help.h"
#include "exec/args.h"
#include "exec/context.h"

namespace cairn {
namespace {

// False: an error was replied.
bool ReadType(Context& ctx, std::string_view word, CommandLogType* type) {
  static constexpr std::string_view kNames[] = {"slow", "large-request", "large-reply"};
  for (int i = 0; i < kCommandLogTypes; ++i) {
    if (!EqualsIgnoreCase(word, kNames[i])) continue;
    *type = static_cast<CommandLogType>(i);
    return true;
  }
  ctx.Error("ERR type should be one of the following: slow, large-request, large-reply");
  return false;
}

bool ReadCount(Context& ctx, std::string_view word, int64_t* count) {
  if (ParseInt64(word, count) && *count >= -1) return true;
  ctx.Error("ERR count should be greater than or equal to -1");
  return false;
}

void ReplyEntries(Context& ctx, CommandLogType type, int64_t count) {
  const auto entries = ctx.engine().command_log.Get(type, count);
  ReplyWriter& reply = ctx.reply();
  reply.Array(entries.size());
  for (const CommandLogEntry& entry : entries) {
    reply.Array(6);
    reply.Integer(entry.id);
    reply.Integer(entry.time_s);
    reply.Integer(entry.cost);
    reply.Array(entry.args.size());
    for (const std::string& argument : entry.args) reply.Bulk(argument);
    reply.Bulk(entry.address);
    reply.Bulk(entry.client_name);
  }
}

void ReplyLength(Context& ctx, CommandLogType type) {
  ctx.reply().Integer(static_cast<int64_t>(ctx.engine().command_log.size(type)));
}

void Reset(Context& ctx, CommandLogType type) {
  ctx.engine().command_log.Reset(type);
  ctx.Ok();
}

// COMMANDLOG GET count SLOW|LARGE-REQUEST|LARGE-REPLY
void CommandLogGet(Context& ctx) {
  CommandLogType type;
  int64_t count = 0;
  if (!ReadType(ctx, ctx.arg(3), &type) || !ReadCount(ctx, ctx.arg(2), &count)) return;
  ReplyEntries(ctx, type, count);
}

// COMMANDLOG LEN SLOW|LARGE-REQUEST|LARGE-REPLY
void CommandLogLen(Context& ctx) {
  CommandLogType type;
  if (ReadType(ctx, ctx.arg(2), &type)) ReplyLength(ctx, type);
}

// COMMANDLOG RESET SLOW|LARGE-REQUEST|LARGE-REPLY
void CommandLogReset(Context& ctx) {
  CommandLogType type;
  if (ReadType(ctx, ctx.arg(2), &type)) Reset(ctx, type);
}

void CommandLogHelp(Context& ctx) {
  static constexpr std::string_view kLines[] = {
      "GET <count> <type>",
      "    Return the latest entries of a log: slow, large-request or large-reply.",
      "    (-1: all of them)",
      "LEN <type>",
      "    Return how many entries a log has.",
      "RESET <type>",
      "    Empty a log."};
  ReplyHelp(ctx, "COMMANDLOG", kLines);
}

// SLOWLOG GET [count]
void SlowlogGet(Context& ctx) {
  int64_t count = 10;
  if (ctx.argc() > 3) return RefuseArguments(ctx, "SLOWLOG");
  if (ctx.argc() == 3 && !ReadCount(ctx, ctx.arg(2), &count)) return;
  ReplyEntries(ctx, CommandLogType::kSlow, count);
}

void SlowlogLen(Context& ctx) { ReplyLength(ctx, CommandLogType::kSlow); }
void SlowlogReset(Context& ctx) { Reset(ctx, CommandLogType::kSlow); }
void SlowlogHelp(Context& ctx) {
  static constexpr std::string_view kLines[] = {
      "GET [<count>]", "    Return top <count> entries from the slowlog (default: 10).",
      "LEN",           "    Return the length of the slowlog.",
      "RESET",         "    Reset the slowlog."};
  ReplyHelp(ctx, "SLOWLOG", kLines);
}

constexpr uint64_t kFlags = kAdmin | kLoading | kStale;
constexpr CommandSpec kRows[] = {
    {"COMMANDLOG", -2, 0, {}, 0, nullptr, Scope::kNone},
    {"COMMANDLOG|GET", 4, kFlags, {}, 0, &CommandLogGet},
    {"COMMANDLOG|LEN", 3, kFlags, {}, 0, &CommandLogLen},
    {"COMMANDLOG|RESET", 3, kFlags, {}, 0, &CommandLogReset},
    {"COMMANDLOG|HELP", 2, kLoading | kStale, {}, 0, &CommandLogHelp},
    {"SLOWLOG", -2, 0, {}, 0, nullptr, Scope::kNone},
    {"SLOWLOG|GET", -2, kFlags, {}, 0, &SlowlogGet},
    {"SLOWLOG|LEN", 2, kFlags, {}, 0, &SlowlogLen},
    {"SLOWLOG|RESET", 2, kFlags, {}, 0, &SlowlogReset},
    {"SLOWLOG|HELP", 2, kLoading | kStale, {}, 0, &SlowlogHelp},
};

}  // namespace

std::span<const CommandSpec> CommandLogCommands() { return kRows; }

}  // namespace cairn
