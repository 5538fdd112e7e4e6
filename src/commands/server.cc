// SPDX-License-Identifier: BSD-3-Clause
//
// INFO, TIME, SHUTDOWN, LOLWUT, MODULE.
#include "base/numbers.h"
#include "base/version.h"
#include "commands/families.h"
#include "commands/help.h"
#include "exec/args.h"
#include "exec/blocking.h"
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

// A client whose SHUTDOWN did not come to be. From the main thread, as its `went_on`.
void TellShutdownFailed(Engine& engine, const std::shared_ptr<Waiter>& waiter) {
  if (!ClaimWait(*waiter)) return;
  auto answer = std::make_unique<WaitReply>(waiter);
  answer->set_unserved(true);
  ReplyWriter reply(&answer->out(), waiter->resp);
  reply.Error("ERR Errors trying to SHUTDOWN. Check logs.");
  engine.statistics.CountError(reply.last_error_code());
  const int worker = waiter->record->worker;
  if (engine.control->Put(worker, std::move(answer))) engine.control->Wake(worker);
}

// SHUTDOWN [NOSAVE|SAVE] [NOW] [FORCE] [ABORT]
// The client waits: for the end of its connection, or for the error that the server goes on.
void Shutdown(Context& ctx) {
  ShutdownRequest request;
  bool abort = false;
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
      abort = true;
    } else {
      args.Fail(errors::kSyntax);
    }
  }
  if ((request.save && request.nosave) || (abort && ctx.argc() > 2)) args.Fail(errors::kSyntax);
  if (!args.Done()) return;
  Engine& engine = ctx.engine();
  if (abort) {
    if (!engine.control->AbortShutdown()) return ctx.Error("ERR No shutdown in progress.");
    return ctx.reply().Ok();
  }
  if (!request.nosave && engine.busy.running()) return ctx.Error(engine.busy.Error());
  ctx.Block({});
  ctx.unit().AfterUnit([&engine, request, waiter = ctx.session().waiter] {
    engine.control->Shutdown(request, [&engine, waiter] { TellShutdownFailed(engine, waiter); });
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
  int64_t version;  // of the picture; there is one
  if (ctx.argc() >= 3 && EqualsIgnoreCase(ctx.arg(1), "VERSION") &&
      !ParseInt64(ctx.arg(2), &version))
    return ctx.Error(errors::kNotInteger);
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
