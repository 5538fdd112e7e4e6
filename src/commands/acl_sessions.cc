// SPDX-License-Identifier: BSD-3-Clause
#include "commands/acl_sessions.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "exec/engine.h"
#include "exec/subscribing.h"
#include "exec/unit.h"

namespace cairn {
namespace {

std::string UserOf(ClientRecord& record) {
  std::lock_guard guard(record.mutex);
  return record.user;
}

bool MayHearAll(const User& user, const Subscriptions& subscriptions) {
  for (PubsubKind kind : {PubsubKind::kChannel, PubsubKind::kPattern, PubsubKind::kShard})
    for (const std::string& name : subscriptions.Names(kind))
      if (!user.AllowsChannel(name, kind == PubsubKind::kPattern)) return false;
  return true;
}

// Asks one client on its own worker, before any message that is published under the new rules.
class SubscriberCheck final : public WorkerTask {
 public:
  SubscriberCheck(Engine* engine, uint64_t client, std::shared_ptr<const User> user)
      : engine_(*engine), client_(client), user_(std::move(user)) {}

  void Run(LocalClients& clients) override {
    clients.Visit(client_, [this](Session& session, OutputBuffer&) {
      // It may have become somebody else meanwhile. Its User may not be looked at: without locks,
      // another worker may be changing it.
      if (UserOf(*session.record) != user_->name()) return;
      const Subscriptions* subscriptions = FindSubscriptions(session);
      if (subscriptions != nullptr && !MayHearAll(*user_, *subscriptions))
        engine_.control->Kill(client_);
    });
  }

 private:
  Engine& engine_;
  const uint64_t client_;
  const std::shared_ptr<const User> user_;  // a copy: rules change while nobody looks
};

}  // namespace

void CloseSessionsOf(Unit& unit, Session& caller, std::span<const std::string> users) {
  if (users.empty()) return;
  for (const auto& record : unit.engine().control->Clients()) {
    if (std::find(users.begin(), users.end(), UserOf(*record)) == users.end()) continue;
    if (record->id == caller.id()) {
      caller.close_after_reply = true;
    } else {
      unit.AfterUnit([control = unit.engine().control, id = record->id] { control->Kill(id); });
    }
  }
}

void CloseSubscribersOf(Unit& unit, Session& caller, const std::string& user) {
  Engine& engine = unit.engine();
  if (!engine.pubsub.any()) return;
  std::shared_ptr<const User> rules;
  for (const auto& record : engine.control->Clients()) {
    if ((record->flags.load(std::memory_order_relaxed) & kClientPubsub) == 0) continue;
    if (UserOf(*record) != user) continue;
    if (rules == nullptr) rules = std::make_shared<const User>(*engine.users.Find(user));
    if (record->id != caller.id()) {
      unit.Post(record->worker, std::make_unique<SubscriberCheck>(&engine, record->id, rules));
    } else if (const Subscriptions* own = FindSubscriptions(caller);
               own != nullptr && !MayHearAll(*rules, *own)) {
      caller.close_after_reply = true;
    }
  }
}

}  // namespace cairn
