// SPDX-License-Identifier: BSD-3-Clause
//
// SAVE, BGSAVE, LASTSAVE, BGREWRITEAOF, BACKUP: snapshots and copies on request. The instant of a
// snapshot comes after the unit that asked for it (an EXEC's own writes are in it), before its
// reply leaves.
#include "commands/blocking_common.h"
#include "commands/families.h"
#include "commands/help.h"
#include "exec/args.h"
#include "exec/context.h"
#include "exec/snapshot_control.h"

namespace cairn {
namespace {

using Claimed = SnapshotControl::Claimed;
using Kind = SnapshotControl::Kind;

void RunAfterUnit(Context& ctx) {
  SnapshotControl* control = ctx.engine().snapshots;
  ctx.unit().AfterUnit([control] { (void)control->Run(); });
}

constexpr const char* kSaving = "ERR Background save already in progress";

// SAVE  O(N)
void Save(Context& ctx) {
  SnapshotControl* control = ctx.engine().snapshots;
  const Claimed claimed = control->Claim(Kind::kSave, false);
  if (claimed == Claimed::kSaving) return ctx.Error(kSaving);
  // The reply is written when it is done: SAVE is not allowed where others would follow it.
  const bool started = claimed == Claimed::kStarted;
  ctx.unit().AfterUnit([control, started, reply = &ctx.reply(), busy = &ctx.engine().busy] {
    const Status saved = started ? control->Run() : control->SaveBehindRewrite();
    if (saved.ok()) return reply->Ok();
    if (!started && saved.code() == StatusCode::kInvalid) return reply->Error(kSaving);
    if (saved.code() != StatusCode::kUnavailable) return reply->Error("ERR");
    // A script was let in meanwhile, and may never end; or the server ends.
    reply->Error(busy->running() ? busy->Error() : "ERR " + saved.message());
  });
}

// As Redis, which lets no child begin inside EXEC. Here it begins right behind it.
Claimed ScheduleInExec(Context& ctx, Kind kind) {
  SnapshotControl* control = ctx.engine().snapshots;
  const Claimed claimed = control->Schedule(kind);
  if (claimed == Claimed::kScheduled)
    ctx.unit().AfterUnit([control] { control->StartScheduled(); });
  return claimed;
}

// BGSAVE [SCHEDULE|CANCEL]  O(1)
void BackgroundSave(Context& ctx) {
  SnapshotControl* control = ctx.engine().snapshots;
  const bool schedule = ctx.argc() == 2 && EqualsIgnoreCase(ctx.arg(1), "schedule");
  if (ctx.argc() == 2 && EqualsIgnoreCase(ctx.arg(1), "cancel")) {
    switch (control->Cancel()) {
      case SnapshotControl::Cancelled::kRunning:
        return ctx.reply().SimpleString("Background saving cancelled");
      case SnapshotControl::Cancelled::kScheduled:
        return ctx.reply().SimpleString("Scheduled background saving cancelled");
      case SnapshotControl::Cancelled::kNothing:
        return ctx.Error("ERR Background saving is currently not in progress or scheduled");
    }
  }
  if (ctx.argc() > 1 && !schedule) return ctx.Error(errors::kSyntax);
  switch (ctx.in_exec() ? ScheduleInExec(ctx, Kind::kBackgroundSave)
                        : control->Claim(Kind::kBackgroundSave, schedule)) {
    case Claimed::kStarted:
      RunAfterUnit(ctx);
      return ctx.reply().SimpleString("Background saving started");
    case Claimed::kScheduled:
      return ctx.reply().SimpleString("Background saving scheduled");
    case Claimed::kSaving:
      return ctx.Error(kSaving);
    case Claimed::kRewriting:
      return ctx.Error(
          "ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE SCHEDULE "
          "in order to schedule a BGSAVE whenever possible.");
  }
}

// BGREWRITEAOF  O(1)
void BackgroundRewrite(Context& ctx) {
  switch (ctx.in_exec() ? ScheduleInExec(ctx, Kind::kRewrite)
                        : ctx.engine().snapshots->Claim(Kind::kRewrite, true)) {
    case Claimed::kStarted:
      RunAfterUnit(ctx);
      return ctx.reply().SimpleString("Background append only file rewriting started");
    case Claimed::kScheduled:
      return ctx.reply().SimpleString("Background append only file rewriting scheduled");
    case Claimed::kSaving:
    case Claimed::kRewriting:
      return ctx.Error("ERR Background append only file rewriting already in progress");
  }
}

// BACKUP TO path  O(N)
// The client waits until the copy is made and checked; its worker goes on, and so does the copy if
// the client hangs up.
void BackupTo(Context& ctx) {
  BlockRequest request;
  request.what = BlockRequest::For::kBackup;
  if (ctx.arg(2).find('\0') != std::string_view::npos)
    return ctx.Error("ERR The path has a zero byte");
  if (!ctx.engine().snapshots->StartBackup(std::string(ctx.arg(2)), &request.backup))
    return ctx.Error("ERR Backup already in progress");
  ctx.Block(request);
}

// BACKUP HELP
void BackupHelp(Context& ctx) {
  static constexpr std::string_view kLines[] = {
      "TO <path>",
      "    Copy the data into a new or empty folder inside backup-dir, check the copy, and",
      "    return its LSN, bytes, keys and files. Start a server with `dir` there to restore it."};
  ReplyHelp(ctx, "BACKUP", kLines);
}

// LASTSAVE  O(1)
void LastSave(Context& ctx) {
  ctx.reply().Integer(ctx.engine().snapshots->LastSaveSeconds());
}

constexpr uint64_t kFlags = kAdmin | kNoScript | kNoAsyncLoading;
constexpr CommandSpec kRows[] = {
    {"SAVE", 1, kFlags | kNoMulti, {}, 0, &Save},
    {"BGSAVE", -1, kFlags, {}, 0, &BackgroundSave},
    {"BGREWRITEAOF", 1, kFlags, {}, 0, &BackgroundRewrite},
    {"BACKUP", -2, kAdmin, {}, 0, nullptr},
    {"BACKUP|TO", 3, kFlags | kNoMulti, {}, 0, &BackupTo},
    {"BACKUP|HELP", 2, kLoading | kStale, {}, 0, &BackupHelp},
    {"LASTSAVE", 1, kLoading | kStale | kFast, {}, kAclAdmin | kAclDangerous, &LastSave},
};

}  // namespace

std::span<const CommandSpec> PersistenceCommands() {
  return kRows;
}

}  // namespace cairn
