// SPDX-License-Identifier: BSD-3-Clause
//
// enable-protected-configs and enable-debug-command: yes, no, or for local clients only.
#pragma once

#include "exec/context.h"

namespace cairn {

// Whether the client may do what `action` guards; local are loopback addresses and unix sockets.
bool MayDo(Context& ctx, ProtectedAction action);

}  // namespace cairn
