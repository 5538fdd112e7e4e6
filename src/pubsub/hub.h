// SPDX-License-Identifier: BSD-3-Clause
//
// PubsubHub: what all threads know of subscriptions: how many each worker has for each channel,
// pattern and shard channel. Who they are, only their worker knows (local_table.h). So publishing
// costs O(workers), however many subscribers there are, plus one match a pattern.
//
//   publisher                         worker w
//   Publish(message)                  LocalTable::Deliver(message)
//     lock the channel's stripe         to each member with epoch <= message.epoch
//     count, match patterns
//     post(w) for each worker  ----->  (a FIFO: its mailbox)
//     unlock
//
// 1. Messages to one channel are posted to all workers in one order: that of the stripe's lock.
//    Messages that match a pattern are, across channels too, because the lock of the patterns is
//    held while they are posted.
// 2. A subscription gets an epoch from the counter of its stripe (patterns: of the patterns)
//    under the same lock; a message carries the counter's value. So a subscription gets exactly
//    the messages published after it, though the worker hears of them later.
//
// Locks: stripe, then patterns; nothing else is locked inside, so both may be taken with shard
// locks held. Thread rule: any thread; the functions of a worker on that worker.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/function_ref.h"
#include "pubsub/local_table.h"
#include "pubsub/message.h"

namespace cairn {

class PubsubHub {
 public:
  static constexpr int kWorkersMax = 256;
  static constexpr size_t kStripes = 64;

  PubsubHub();
  ~PubsubHub();

  // False: nobody at all is subscribed to anything a keyspace event or PUBLISH could reach.
  bool any() const { return total_.load(std::memory_order_relaxed) != 0; }

  // Fills in what the message still lacks and calls post(worker), under the locks, for each
  // worker that has to Deliver it. `post` may not wait. Returns the number of receivers.
  int64_t Publish(const std::shared_ptr<PubsubMessage>& message, FunctionRef<void(int)> post);
  // How many would receive a message now.
  int64_t CountReceivers(PubsubKind kind, std::string_view channel);

  // Subscribers of one channel (kChannel, kShard), patterns not counted.
  int64_t Count(PubsubKind kind, std::string_view channel);
  // Names that have subscribers, in no order. An empty pattern matches all.
  std::vector<std::string> Names(PubsubKind kind, std::string_view pattern);
  // How many names have subscribers.
  size_t Topics(PubsubKind kind) const {
    return topics_[static_cast<int>(kind)].load(std::memory_order_relaxed);
  }

  // -- on the worker --
  LocalTable& local(int worker) { return locals_[static_cast<size_t>(worker)]; }
  // One more, one less subscriber of the name on this worker. Enter returns the epoch.
  uint64_t Enter(int worker, PubsubKind kind, std::string_view name);
  void Leave(int worker, PubsubKind kind, std::string_view name);

 private:
  // Subscribers by worker; the few workers that have any.
  struct Counts {
    std::vector<std::pair<int, uint32_t>> workers;
    int64_t total = 0;
    void Add(int worker);
    void Remove(int worker);
  };
  using Table = std::unordered_map<std::string, Counts, NameHash, std::equal_to<>>;
  struct alignas(64) Stripe {
    std::mutex mutex;
    uint64_t epoch = 0;
    Table tables[kPubsubKinds];  // patterns are elsewhere
    Table& table(PubsubKind kind) { return tables[static_cast<int>(kind)]; }
  };
  // The workers that a message goes to, each once.
  class Targets;

  Stripe& StripeOf(std::string_view name) { return stripes_[HashBytes(name) % kStripes]; }
  int64_t MatchPatterns(PubsubMessage* message, Targets* targets);
  void CountTopic(PubsubKind kind, int difference);

  std::array<Stripe, kStripes> stripes_;
  std::mutex patterns_mutex_;
  uint64_t patterns_epoch_ = 0;
  std::map<std::string, Counts, std::less<>> patterns_;  // by pattern
  std::atomic<size_t> topics_[kPubsubKinds] = {};
  std::atomic<int64_t> total_{0};
  std::vector<LocalTable> locals_;
};

// Everything one client is subscribed to. Ends its subscriptions when it is destroyed.
class Subscriptions {
 public:
  Subscriptions(PubsubHub* hub, int worker, Subscriber* subscriber)
      : hub_(*hub), worker_(worker), subscriber_(subscriber) {}
  ~Subscriptions();
  Subscriptions(const Subscriptions&) = delete;
  Subscriptions& operator=(const Subscriptions&) = delete;

  // False: it was subscribed already, or was not.
  bool Add(PubsubKind kind, std::string_view name);
  bool Remove(PubsubKind kind, std::string_view name);
  size_t count(PubsubKind kind) const { return names_[static_cast<int>(kind)].size(); }
  bool empty() const;
  std::vector<std::string> Names(PubsubKind kind) const;

 private:
  // The key is the name in the topic.
  using Memberships =
      std::unordered_map<std::string_view, std::unique_ptr<PubsubMembership>, NameHash>;
  Memberships& names(PubsubKind kind) { return names_[static_cast<int>(kind)]; }

  PubsubHub& hub_;
  const int worker_;
  Subscriber* const subscriber_;
  Memberships names_[kPubsubKinds];
};

}  // namespace cairn
