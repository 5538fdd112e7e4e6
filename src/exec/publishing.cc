// SPDX-License-Identifier: BSD-3-Clause
//
// The part of Unit that speaks to subscribers: messages and keyspace events are posted while the
// unit's locks are held, so their order is the order of their causes.
#include "base/numbers.h"
#include "exec/engine.h"
#include "exec/unit.h"

namespace cairn {
namespace {

// Runs on the worker of the subscribers.
class MessageTask final : public WorkerTask {
 public:
  MessageTask(LocalTable* table, std::shared_ptr<const PubsubMessage> message)
      : table_(*table), message_(std::move(message)) {}
  void Run(LocalClients&) override { table_.Deliver(message_); }

 private:
  LocalTable& table_;
  const std::shared_ptr<const PubsubMessage> message_;
};

}  // namespace

int64_t Unit::Publish(PubsubKind kind, std::string_view channel, std::string_view payload,
                      uint64_t hold) {
  PubsubHub& hub = engine_.pubsub;
  if (!hub.any()) return 0;
  auto message = std::make_shared<PubsubMessage>(kind, channel, payload, hold);
  return hub.Publish(message, [&](int worker) {
    Post(worker, std::make_unique<MessageTask>(&hub.local(worker), message));
  });
}

void Unit::TellSubscribers() {
  if (!engine_.pubsub.any()) return;
  const uint64_t hold = HoldFor(last_write_lsn_);
  std::string channel;
  for (const KeyEvent& event : events_) {
    if (event.name == nullptr) {
      Publish(event.kind, event.key, event.payload, hold);
      continue;
    }
    const std::string db = ToString(int64_t{event.db});
    if (notify_ & kNotifyKeyspace) {
      channel.assign("__keyspace@").append(db).append("__:").append(event.key);
      Publish(PubsubKind::kChannel, channel, event.name, hold);
    }
    if (notify_ & kNotifyKeyevent) {
      channel.assign("__keyevent@").append(db).append("__:").append(event.name);
      Publish(PubsubKind::kChannel, channel, event.key, hold);
    }
  }
}

}  // namespace cairn
