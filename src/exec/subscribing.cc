// SPDX-License-Identifier: BSD-3-Clause
#include "exec/subscribing.h"

namespace cairn {

Subscriptions* FindSubscriptions(const Session& session) {
  if (session.pubsub == nullptr) return nullptr;
  return &static_cast<SessionSubscriptions*>(session.pubsub.get())->subscriptions;
}

Subscriptions& MakeSubscriptions(Engine& engine, Session& session) {
  if (session.pubsub == nullptr) {
    session.pubsub = std::make_unique<SessionSubscriptions>(&engine.pubsub, session.record->worker,
                                                            session.subscriber);
  }
  return *FindSubscriptions(session);
}

void SettleSubscriptions(Session& session) {
  if (Subscriptions* all = FindSubscriptions(session); all != nullptr && all->empty())
    session.pubsub.reset();
  const Subscriptions* all = FindSubscriptions(session);
  ClientRecord& record = *session.record;
  const auto tell = [&](std::atomic<int>& count, PubsubKind kind) {
    count.store(all == nullptr ? 0 : static_cast<int>(all->count(kind)), std::memory_order_relaxed);
  };
  tell(record.subscriptions, PubsubKind::kChannel);
  tell(record.pattern_subscriptions, PubsubKind::kPattern);
  tell(record.shard_subscriptions, PubsubKind::kShard);
  if (all != nullptr) {
    record.flags.fetch_or(kClientPubsub, std::memory_order_relaxed);
  } else {
    record.flags.fetch_and(~uint32_t{kClientPubsub}, std::memory_order_relaxed);
  }
}

void DropSubscriptions(Session& session) {
  session.pubsub.reset();
  SettleSubscriptions(session);
}

bool AllowedInSubscriberMode(const Command& command) {
  const std::string& n = command.full_name;
  return n == "ping" || n == "quit" || n == "reset" || n.ends_with("subscribe");
}

}  // namespace cairn
