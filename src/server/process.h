// SPDX-License-Identifier: BSD-3-Clause
//
// What the process tells the system it runs on: its supervisor, the kernel's OOM killer.
#pragma once

#include <string>

#include "base/log.h"
#include "base/status.h"
#include "config/config.h"

namespace cairn {

// `supervised`: tells systemd (a datagram to $NOTIFY_SOCKET, see sd_notify(3)) or upstart (which
// waits until the process stops itself) that clients are served from now on.
void TellSupervisorReady(const Config& config, Log& log);
// Whether a supervisor waits for that: then the process must not leave it for the background.
bool IsSupervised(const Config& config);
// Tells systemd that the end has begun. Upstart does not ask.
void TellSupervisorStopping(const Config& config);

// `oom-score-adj`: ranks the process for the kernel's OOM killer by the first of
// oom-score-adj-values (there is no follower's or child's rank to take while it leads and never
// forks); "no" puts back the rank it was started with. Any thread.
Status AdjustOomScore(const Config& config, bool follower);

}  // namespace cairn
