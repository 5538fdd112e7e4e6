// SPDX-License-Identifier: BSD-3-Clause
//
// INFO, TIME, SHUTDOWN, LOLWUT, MODULE.
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

void ModuleList(Context& ctx) {
  ctx.reply().EmptyArray();
}
void ModuleHelp(Context& ctx) {
  static constexpr std::string_view kLines[] = {"LIST", "    Return a list of loaded modules."};
  ReplyHelp(ctx, "MODULE", kLines);
}

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
    {"MODULE", -2, 0, {}, 0, nullptr, Scope::kNone},
    {"MODULE|LIST", 2, kAdmin | kNoScript, {}, 0, &ModuleList},
    {"MODULE|HELP", 2, kLoading | kStale, {}, 0, &ModuleHelp},
};

}  // namespace

std::span<const CommandSpec> ServerCommands() {
  return kRows;
}

}  // namespace cairn
