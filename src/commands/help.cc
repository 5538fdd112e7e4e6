// SPDX-License-Identifier: BSD-3-Clause
#include "commands/help.h"

#include "exec/context.h"

namespace cairn {

void ReplyHelp(Context& ctx, std::string_view name, std::span<const std::string_view> lines) {
  ReplyWriter& reply = ctx.reply();
  reply.Array(lines.size() + 3);
  reply.SimpleString(std::string(name) +
                     " <subcommand> [<arg> [value] [opt] ...]. Subcommands are:");
  for (std::string_view line : lines) reply.SimpleString(line);
  reply.SimpleString("HELP");
  reply.SimpleString("    Prints this help.");
}

void RefuseArguments(Context& ctx, std::string_view name) {
  ctx.Error("ERR unknown subcommand or wrong number of arguments for '" + std::string(ctx.arg(1)) +
            "'. Try " + std::string(name) + " HELP.");
}

}  // namespace cairn
