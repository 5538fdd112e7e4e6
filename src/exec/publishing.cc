// SPDX-License-Identifier: BSD-3-Clause
//
// The part of Unit that speaks to other clients: messages, keyspace events, invalidations and
// monitored lines are posted while the unit's locks are held, so their order is the order of their
// causes.
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

void Unit::PublishMonitorLine(std::string line) {
  PubsubHub& hub = engine_.pubsub;
  auto message = std::make_shared<PubsubMessage>(std::move(line));
  hub.Publish(message, [&](int worker) {
    Post(worker, std::make_unique<MessageTask>(&hub.local(worker), message));
  });
}

void Unit::Invalidate(std::string_view key, uint64_t hash) {
  std::vector<TrackedClientRef> readers = engine_.tracking.Take(key, hash);
  const bool broadcast = engine_.tracking.broadcasting();
  const bool repeated = !rare_.invalidations.empty() && rare_.invalidations.back().key == key;
  if (readers.empty() && (!broadcast || repeated)) return;
  rare().invalidations.push_back({std::string(key), broadcast, std::move(readers)});
}

void Unit::ForgetCached() {
  CHECK(all_);
  if (!engine_.tracking.active()) return;
  rare().flushed = true;
  engine_.tracking.Forget();  // now: what is read behind it in this unit counts
}

void Unit::ForgetSomeCached(int shard, size_t limit) {
  CHECK(Holds(shard));
  for (Invalidation& invalidation : engine_.tracking.TakeAny(shard, limit))
    rare().invalidations.push_back(std::move(invalidation));
}

void Unit::TellOthers() {
  const uint64_t hold = HoldFor(author_lsn_);
  if (!rare_.events.empty() && engine_.pubsub.any()) TellSubscribers(hold);
  if (!rare_.invalidations.empty())
    engine_.tracking.Post(*this, rare_.invalidations, author_, hold);
  if (rare_.flushed) engine_.tracking.PostFlush(*this, hold);
}

void Unit::TellSubscribers(uint64_t hold) {
  std::string channel;
  for (const KeyEvent& event : rare_.events) {
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
