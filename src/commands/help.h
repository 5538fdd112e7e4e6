// SPDX-License-Identifier: BSD-3-Clause
//
// The reply of the HELP subcommands: a line each, framed as Redis frames them. And the error that
// points there.
#pragma once

#include <span>
#include <string_view>

namespace cairn {

class Context;

// `name` in upper case; `lines` without the closing HELP lines.
void ReplyHelp(Context& ctx, std::string_view name, std::span<const std::string_view> lines);

// How Redis words too many arguments of a subcommand of `name` that its arity lets pass.
void RefuseArguments(Context& ctx, std::string_view name);

}  // namespace cairn
