// SPDX-License-Identifier: BSD-3-Clause
//
// MONITOR: a line for every command that is run, to every monitoring client. Monitoring is a
// subscription of a kind of its own (pubsub/hub.h), so lines of all threads come in one order,
// that of the hub's lock, and none follows the reply of RESET. A line is posted while the locks of
// its command are held.
//
// Thread rule: the session's worker.
#pragma once

#include "exec/session.h"
#include "exec/unit.h"
#include "pubsub/hub.h"

namespace cairn {

struct Engine;

struct SessionMonitor final : Session::Extension {
  SessionMonitor(PubsubHub* hub, int worker, Subscriber* subscriber)
      : subscription(hub, worker, subscriber) {}
  Subscriptions subscription;
};

// Starts to show the session what all clients do, or stops it.
void StartMonitor(Engine& engine, Session& session);
void StopMonitor(Session& session);

// Shows a command to the monitors, unless it is one that is never shown (kAdmin). `from_script`:
// called by a script, not by the session itself.
void FeedMonitors(Unit& unit, const Session& session, const Command& command, Arguments arguments,
                  bool from_script);

// What logs and monitors may show of a request: passwords give way to "(redacted)".
std::vector<std::string_view> Redacted(const Command& command, Arguments arguments);

}  // namespace cairn
