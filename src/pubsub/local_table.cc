// SPDX-License-Identifier: BSD-3-Clause
#include "pubsub/local_table.h"

#include "base/check.h"

namespace cairn {

std::unique_ptr<PubsubMembership> LocalTable::Join(PubsubKind kind, std::string_view name,
                                                   Subscriber* subscriber, uint64_t epoch) {
  auto found = topics(kind).find(name);
  if (found == topics(kind).end()) {
    auto topic = std::make_unique<PubsubTopic>();
    topic->name = name;
    found = topics(kind).emplace(std::string(name), std::move(topic)).first;
  }
  PubsubTopic* topic = found->second.get();
  auto membership = std::make_unique<PubsubMembership>(
      PubsubMembership{topic, topic->members.size(), subscriber, epoch});
  topic->members.push_back(membership.get());
  return membership;
}

void LocalTable::Leave(PubsubKind kind, PubsubMembership* membership) {
  PubsubTopic* topic = membership->topic;
  CHECK(topic->members[membership->index] == membership);
  PubsubMembership* last = topic->members.back();
  topic->members[membership->index] = last;
  last->index = membership->index;
  topic->members.pop_back();
  if (topic->members.empty()) topics(kind).erase(topics(kind).find(topic->name));
}

void LocalTable::Deliver(const std::shared_ptr<const PubsubMessage>& message) {
  Topics& channels = topics(message->kind());
  if (auto found = channels.find(message->channel()); found != channels.end()) {
    for (PubsubMembership* member : found->second->members)
      if (member->epoch <= message->channel_epoch) member->subscriber->OnMessage(message, {});
  }
  for (const std::string& pattern : message->patterns) {
    auto found = topics(PubsubKind::kPattern).find(pattern);
    if (found == topics(PubsubKind::kPattern).end()) continue;
    const std::string head = PatternHead(pattern);
    for (PubsubMembership* member : found->second->members)
      if (member->epoch <= message->pattern_epoch) member->subscriber->OnMessage(message, head);
  }
}

void LocalTable::CheckInvariants() const {
  for (const Topics& topics : topics_) {
    for (const auto& [name, topic] : topics) {
      CHECK(topic->name == name && !topic->members.empty());
      for (size_t i = 0; i < topic->members.size(); ++i)
        CHECK(topic->members[i]->index == i && topic->members[i]->topic == topic.get());
    }
  }
}

}  // namespace cairn
