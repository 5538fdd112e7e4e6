// SPDX-License-Identifier: BSD-3-Clause
//
// MONITOR.
#include "exec/monitoring.h"

#include "commands/families.h"
#include "exec/context.h"

namespace cairn {
namespace {

// MONITOR
void Monitor(Context& ctx) {
  if (ctx.in_exec()) return ctx.Error("ERR MONITOR isn't allowed for DENY BLOCKING client");
  // Said twice, it is not answered twice.
  if (ctx.session().monitor != nullptr) return;
  StartMonitor(ctx.engine(), ctx.session());
  ctx.Ok();
}

constexpr CommandSpec kRows[] = {
    {"MONITOR", 1, kAdmin | kNoScript | kLoading | kStale | kBarrier, {}, 0, &Monitor},
};

}  // namespace

std::span<const CommandSpec> MonitorCommands() {
  return kRows;
}

}  // namespace cairn
