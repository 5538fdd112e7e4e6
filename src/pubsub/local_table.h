// SPDX-License-Identifier: BSD-3-Clause
//
// LocalTable: who, among the clients of one worker, subscribed to what.
//
//   topics_[kind]: name -> Topic { members: [ *, *, * ] }
//                                            |
//              Subscriptions (a client's)    v
//              names_[kind]: name -> Membership { topic, index in members, subscriber, epoch }
//
// A message that reaches the worker goes to the members whose epoch is not newer than the
// message's: a client that subscribed after the message was published does not get it. One that
// unsubscribed is no longer a member, so nothing follows the reply of its UNSUBSCRIBE.
//
// Thread rule: the worker's thread, all of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/hash.h"
#include "pubsub/message.h"

namespace cairn {

// A client that can be sent messages.
class Subscriber {
 public:
  virtual ~Subscriber() = default;
  // `head` is what a subscriber of a pattern reads before the message's tail; empty where it
  // subscribed to the very channel and reads the body. Must not subscribe or unsubscribe anybody.
  virtual void OnMessage(const std::shared_ptr<const PubsubMessage>& message,
                         std::string_view head) = 0;
};

struct PubsubTopic;

struct PubsubMembership {
  PubsubTopic* topic;
  size_t index;
  Subscriber* subscriber;
  uint64_t epoch;
};

struct PubsubTopic {
  std::string name;
  std::vector<PubsubMembership*> members;
};

// Of names that clients choose: seeded.
struct NameHash {
  using is_transparent = void;
  size_t operator()(std::string_view name) const { return HashBytes(name); }
};

class LocalTable {
 public:
  // The membership is the caller's, and stays until Leave.
  std::unique_ptr<PubsubMembership> Join(PubsubKind kind, std::string_view name,
                                         Subscriber* subscriber, uint64_t epoch);
  void Leave(PubsubKind kind, PubsubMembership* membership);
  // O(subscribers of the channel and of the message's patterns).
  void Deliver(const std::shared_ptr<const PubsubMessage>& message);

  void CheckInvariants() const;

 private:
  using Topics =
      std::unordered_map<std::string, std::unique_ptr<PubsubTopic>, NameHash, std::equal_to<>>;
  Topics& topics(PubsubKind kind) { return topics_[static_cast<int>(kind)]; }
  Topics topics_[kPubsubKinds];
};

}  // namespace cairn
