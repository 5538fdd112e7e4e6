// SPDX-License-Identifier: BSD-3-Clause
//
// INFO, TIME, SHUTDOWN, LOLWUT, SLOWLOG, MODULE.
#include "base/version.h"
#include "commands/families.h"
#include "commands/help.h"
#include "exec/args.h"
#include "exec/context.h"

namespace cairn {
namespace {

// INFO [section ...]
void Info(Context& ctx) {
  std::vector<std::string> sections;
  for (size_t i = 1; i < ctx.argc(); ++i) sections.push_back(ToLower(ctx.arg(i)));
  ctx.reply().Verbatim("txt", ctx.engine().control->Info(sections));
}

// TIME
void Time(Context& ctx) {
  const int64_t now = ctx.engine().clock.WallUs();
  ctx.reply().Array(2);
  ctx.reply().BulkInteger(now / 1000000);
  ctx.reply().BulkInteger(now % 1000000);
}

// SHUTDOWN [NOSAVE|SAVE] [NOW] [FORCE] [ABORT]
void Shutdown(Context& ctx) {
  ShutdownRequest request;
  Args args(ctx, 1);
  while (args.More()) {
    if (args.Take("SAVE")) {
      request.save = true;
    } else if (args.Take("NOSAVE")) {
      request.nosave = true;
    } else if (args.Take("NOW")) {
      request.now = true;
    } else if (args.Take("FORCE")) {
      request.force = true;
    } else if (args.Take("ABORT")) {
      request.abort = true;
    } else {
      args.Fail(errors::kSyntax);
    }
  }
  if ((request.save && request.nosave) || (request.abort && ctx.argc() > 2))
    args.Fail(errors::kSyntax);
  if (!args.Done()) return;
  if (!request.nosave && !request.abort && ctx.engine().busy.running())
    return ctx.Error(ctx.engine().busy.Error());
  // It may save first, which takes files and the gate.
  ctx.unit().AfterUnit(
      [&session = ctx.session(), &reply = ctx.reply(), request, control = ctx.engine().control] {
        const Status status = control->Shutdown(request);
        if (!status.ok()) return reply.Error("ERR " + status.message());
        // No reply: the connection simply ends.
        session.close_after_reply = true;
      });
}

// LOLWUT [VERSION version]
void Lolwut(Context& ctx) {
  static constexpr char kPicture[] =
      "          __\n"
      "         (__)\n"
      "        (____)\n"
      "       (_______)\n"
      "     (___________)\n"
      "   (______________)\n\n"
      "Stones that mark the way back. Cairn ";
  ctx.reply().Verbatim("txt",
                       std::string(kPicture) + kVersion + ", Redis ver. " + kRedisVersion + "\n");
}

// SLOWLOG GET [count]
void SlowlogGet(Context& ctx) {
  int64_t count = 10;
  if (ctx.argc() > 3) return ctx.Error(errors::kSyntax);
  if (ctx.argc() == 3) {
    if (!ParseInt64(ctx.arg(2), &count)) return ctx.Error(errors::kNotInteger);
    if (count < -1) return ctx.Error("ERR count should be greater than or equal to -1");
  }
  const auto entries = ctx.engine().slowlog.Get(count);
  ReplyWriter& reply = ctx.reply();
  reply.Array(entries.size());
  for (const SlowlogEntry& entry : entries) {
    reply.Array(6);
    reply.Integer(entry.id);
    reply.Integer(entry.time_s);
    reply.Integer(entry.duration_us);
    reply.Array(entry.args.size());
    for (const std::string& argument : entry.args) reply.Bulk(argument);
    reply.Bulk(entry.address);
    reply.Bulk(entry.client_name);
  }
}

void SlowlogLen(Context& ctx) {
  ctx.reply().Integer(static_cast<int64_t>(ctx.engine().slowlog.size()));
}
void SlowlogReset(Context& ctx) {
  ctx.engine().slowlog.Reset();
  ctx.Ok();
}
void SlowlogHelp(Context& ctx) {
  static constexpr std::string_view kLines[] = {
      "GET [<count>]", "    Return top <count> entries from the slowlog (default: 10).",
      "LEN",           "    Return the length of the slowlog.",
      "RESET",         "    Reset the slowlog."};
  ReplyHelp(ctx, "SLOWLOG", kLines);
}

void ModuleList(Context& ctx) {
  ctx.reply().EmptyArray();
}
void ModuleHelp(Context& ctx) {
  static constexpr std::string_view kLines[] = {"LIST", "    Return a list of loaded modules."};
  ReplyHelp(ctx, "MODULE", kLines);
}

constexpr uint64_t kSlowlogFlags = kAdmin | kLoading | kStale;
constexpr CommandSpec kRows[] = {
    {"INFO", -1, kLoading | kStale, {}, kAclDangerous, &Info},
    {"TIME", 1, kLoading | kStale | kFast, {}, 0, &Time},
    {"SHUTDOWN",
     -1,
     kAdmin | kNoScript | kLoading | kStale | kNoMulti | kAllowBusy,
     {},
     0,
     &Shutdown},
    {"LOLWUT", -1, kReadonly | kFast, {}, 0, &Lolwut},
    {"SLOWLOG", -2, 0, {}, 0, nullptr, Scope::kNone},
    {"SLOWLOG|GET", -2, kSlowlogFlags, {}, 0, &SlowlogGet},
    {"SLOWLOG|LEN", 2, kSlowlogFlags, {}, 0, &SlowlogLen},
    {"SLOWLOG|RESET", 2, kSlowlogFlags, {}, 0, &SlowlogReset},
    {"SLOWLOG|HELP", 2, kLoading | kStale, {}, 0, &SlowlogHelp},
    {"MODULE", -2, 0, {}, 0, nullptr, Scope::kNone},
    {"MODULE|LIST", 2, kAdmin | kNoScript, {}, 0, &ModuleList},
    {"MODULE|HELP", 2, kLoading | kStale, {}, 0, &ModuleHelp},
};

}  // namespace

std::span<const CommandSpec> ServerCommands() {
  return kRows;
}

}  // namespace cairn
