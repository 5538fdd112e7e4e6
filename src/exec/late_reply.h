// SPDX-License-Identifier: BSD-3-Clause
//
// Commands that read or write files do that after their unit, without locks,
// and are answered then. In EXEC such a reply keeps its place among the others; what the command
// does comes after everything else that the transaction does.
#pragma once

#include <functional>

#include "exec/context.h"

namespace cairn {

// To be called last, without a reply, and not by what scripts may call. `answer` runs on the same
// thread, before the reply leaves; it may run units of its own.
void ReplyLater(Context& ctx, std::function<void(ReplyWriter&)> answer);

}  // namespace cairn
