// SPDX-License-Identifier: BSD-3-Clause
//
// The subscriptions of a session, made with the first and gone with the last of them: a session
// with `pubsub` is in Redis's subscriber mode, which limits RESP2 clients to a few commands.
//
// Thread rule: the session's worker.
#pragma once

#include "exec/engine.h"
#include "exec/session.h"
#include "pubsub/hub.h"
#include "spec/registry.h"

namespace cairn {

struct SessionSubscriptions final : Session::Extension {
  SessionSubscriptions(PubsubHub* hub, int worker, Subscriber* subscriber)
      : subscriptions(hub, worker, subscriber) {}
  Subscriptions subscriptions;
};

// nullptr: not subscribed to anything.
Subscriptions* FindSubscriptions(const Session& session);
Subscriptions& MakeSubscriptions(Engine& engine, Session& session);
// After any change: leaves subscriber mode with the last subscription, and tells the record.
void SettleSubscriptions(Session& session);
void DropSubscriptions(Session& session);

// True in subscriber mode of RESP2.
inline bool InSubscriberMode(const Session& session) {
  return session.pubsub != nullptr && session.resp == 2;
}
bool AllowedInSubscriberMode(const Command& command);

}  // namespace cairn
