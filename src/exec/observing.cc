// SPDX-License-Identifier: BSD-3-Clause
//
// What others learn of a command that is run: monitors see it, and who caches keys on the client is
// noted as their reader.
#include "exec/executor.h"
#include "exec/monitoring.h"

namespace cairn {

void Executor::Announce(const Session& session, const Command& command, Arguments arguments) {
  if (RunsScripts(command) && engine_.pubsub.Topics(PubsubKind::kMonitor) != 0)
    FeedMonitors(unit_, session, command, arguments, false);
}

void Executor::Observe(Session& session, const Command& command, Arguments arguments,
                       Caller caller) {
  // A script reads for the client that called it.
  if (SessionTracking* tracking = FindTracking(*outermost_)) {
    RememberReads(*tracking, command, arguments);
    // CLIENT CACHING is said for the next command, a whole transaction included.
    if (!outermost_->transaction.active && caller == Caller::kClient &&
        !command.full_name.starts_with("client"))
      tracking->caching = false;
  }
  if (engine_.pubsub.Topics(PubsubKind::kMonitor) != 0 && !command.Is(kSkipMonitor))
    FeedMonitors(unit_, session, command, arguments, caller == Caller::kScript);
}

void Executor::RememberReads(const SessionTracking& tracking, const Command& command,
                             Arguments arguments) {
  const TrackedClient& client = *tracking.client;
  if (!command.Is(kReadonly) || command.Is(kPubsub) || command.Is(kScripting)) return;
  if (client.Has(kTrackingBcast) || !unit_.active()) return;
  if (client.Has(kTrackingOptIn) && !tracking.caching) return;
  if (client.Has(kTrackingOptOut) && tracking.caching) return;
  keys_.Clear();
  if (!ExtractKeys(command, arguments, keys_)) return;
  for (const KeyReference& reference : keys_.keys()) {
    const std::string_view key = arguments[static_cast<size_t>(reference.position)];
    const uint64_t hash = HashBytes(key);
    if ((reference.flags & kNotKey) == 0 && unit_.Holds(ShardOf(hash)))
      engine_.tracking.Remember(tracking.client, key, hash);
  }
}

}  // namespace cairn
