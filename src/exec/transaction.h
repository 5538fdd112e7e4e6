// SPDX-License-Identifier: BSD-3-Clause
//
// Ends of a transaction (and what never enters one), shared by EXEC, DISCARD, UNWATCH, RESET and the end of a connection.
#pragma once

#include "exec/session.h"

namespace cairn {

// Takes no lock: registrations are weak and swept by the shards.
void ForgetWatches(Session& session);
// Leaves MULTI, forgetting queue and watches.
void DiscardTransaction(Session& session);

// Commands that run at once inside MULTI instead of being queued.
bool RunsInsideMulti(const Command& command);

}  // namespace cairn
