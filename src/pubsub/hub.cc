// SPDX-License-Identifier: BSD-3-Clause
#include "pubsub/hub.h"

#include <bitset>

#include "base/check.h"
#include "base/glob.h"

namespace cairn {

void PubsubHub::Counts::Add(int worker) {
  ++total;
  for (auto& [id, count] : workers)
    if (id == worker) return static_cast<void>(++count);
  workers.emplace_back(worker, 1);
}

void PubsubHub::Counts::Remove(int worker) {
  --total;
  for (size_t i = 0; i < workers.size(); ++i) {
    if (workers[i].first != worker) continue;
    if (--workers[i].second == 0) workers.erase(workers.begin() + static_cast<ptrdiff_t>(i));
    return;
  }
  CHECK(false);
}

class PubsubHub::Targets {
 public:
  void Add(const Counts& counts) {
    for (const auto& [worker, count] : counts.workers) {
      if (seen_[static_cast<size_t>(worker)]) continue;
      seen_[static_cast<size_t>(worker)] = true;
      workers_.push_back(worker);
    }
  }
  void ForEach(FunctionRef<void(int)> visit) const {
    for (int worker : workers_) visit(worker);
  }

 private:
  std::bitset<kWorkersMax> seen_;
  std::vector<int> workers_;
};

PubsubHub::PubsubHub() : locals_(kWorkersMax) {}
PubsubHub::~PubsubHub() = default;

int64_t PubsubHub::MatchPatterns(PubsubMessage* message, Targets* targets) {
  int64_t receivers = 0;
  message->pattern_epoch = patterns_epoch_;
  for (const auto& [pattern, counts] : patterns_) {
    if (!GlobMatch(pattern, message->channel())) continue;
    message->patterns.push_back(pattern);
    targets->Add(counts);
    receivers += counts.total;
  }
  return receivers;
}

int64_t PubsubHub::Publish(const std::shared_ptr<PubsubMessage>& message,
                           FunctionRef<void(int)> post) {
  Targets targets;
  int64_t receivers = 0;
  Stripe& stripe = StripeOf(message->channel());
  std::lock_guard guard(stripe.mutex);
  message->channel_epoch = stripe.epoch;
  Table& table = stripe.table(message->kind());
  if (auto found = table.find(message->channel()); found != table.end()) {
    targets.Add(found->second);
    receivers = found->second.total;
  }
  // Only channels know patterns.
  if (message->kind() != PubsubKind::kChannel || Topics(PubsubKind::kPattern) == 0) {
    targets.ForEach(post);
    return receivers;
  }
  std::lock_guard patterns_guard(patterns_mutex_);
  receivers += MatchPatterns(message.get(), &targets);
  targets.ForEach(post);
  return receivers;
}

int64_t PubsubHub::Count(PubsubKind kind, std::string_view channel) {
  Stripe& stripe = StripeOf(channel);
  std::lock_guard guard(stripe.mutex);
  auto found = stripe.table(kind).find(channel);
  return found == stripe.table(kind).end() ? 0 : found->second.total;
}

int64_t PubsubHub::CountReceivers(PubsubKind kind, std::string_view channel) {
  int64_t receivers = Count(kind, channel);
  if (kind != PubsubKind::kChannel || Topics(PubsubKind::kPattern) == 0) return receivers;
  std::lock_guard guard(patterns_mutex_);
  for (const auto& [pattern, counts] : patterns_)
    if (GlobMatch(pattern, channel)) receivers += counts.total;
  return receivers;
}

std::vector<std::string> PubsubHub::Names(PubsubKind kind, std::string_view pattern) {
  std::vector<std::string> names;
  for (Stripe& stripe : stripes_) {
    std::lock_guard guard(stripe.mutex);
    for (const auto& [name, counts] : stripe.table(kind))
      if (pattern.empty() || GlobMatch(pattern, name)) names.push_back(name);
  }
  return names;
}

void PubsubHub::CountTopic(PubsubKind kind, int difference) {
  topics_[static_cast<int>(kind)].fetch_add(static_cast<size_t>(difference),
                                            std::memory_order_relaxed);
}

uint64_t PubsubHub::Enter(int worker, PubsubKind kind, std::string_view name) {
  total_.fetch_add(1, std::memory_order_relaxed);
  if (kind == PubsubKind::kPattern) {
    std::lock_guard guard(patterns_mutex_);
    auto [found, fresh] = patterns_.try_emplace(std::string(name));
    found->second.Add(worker);
    if (fresh) CountTopic(kind, 1);
    return ++patterns_epoch_;
  }
  Stripe& stripe = StripeOf(name);
  std::lock_guard guard(stripe.mutex);
  auto [found, fresh] = stripe.table(kind).try_emplace(std::string(name));
  found->second.Add(worker);
  if (fresh) CountTopic(kind, 1);
  return ++stripe.epoch;
}

void PubsubHub::Leave(int worker, PubsubKind kind, std::string_view name) {
  total_.fetch_sub(1, std::memory_order_relaxed);
  const auto leave = [&](auto& table) {
    auto found = table.find(name);
    CHECK(found != table.end());
    found->second.Remove(worker);
    if (found->second.total > 0) return;
    table.erase(found);
    CountTopic(kind, -1);
  };
  if (kind == PubsubKind::kPattern) {
    std::lock_guard guard(patterns_mutex_);
    return leave(patterns_);
  }
  Stripe& stripe = StripeOf(name);
  std::lock_guard guard(stripe.mutex);
  leave(stripe.table(kind));
}

Subscriptions::~Subscriptions() {
  for (int i = 0; i < kPubsubKinds; ++i) {
    const auto kind = static_cast<PubsubKind>(i);
    for (const std::string& name : Names(kind)) Remove(kind, name);
  }
}

bool Subscriptions::Add(PubsubKind kind, std::string_view name) {
  if (names(kind).contains(name)) return false;
  const uint64_t epoch = hub_.Enter(worker_, kind, name);
  auto membership = hub_.local(worker_).Join(kind, name, subscriber_, epoch);
  const std::string_view key = membership->topic->name;
  names(kind).emplace(key, std::move(membership));
  return true;
}

bool Subscriptions::Remove(PubsubKind kind, std::string_view name) {
  auto found = names(kind).find(name);
  if (found == names(kind).end()) return false;
  // The key's text dies with the topic.
  std::unique_ptr<PubsubMembership> membership = std::move(found->second);
  names(kind).erase(found);
  hub_.Leave(worker_, kind, name);
  hub_.local(worker_).Leave(kind, membership.get());
  return true;
}

bool Subscriptions::empty() const {
  for (const Memberships& names : names_)
    if (!names.empty()) return false;
  return true;
}

std::vector<std::string> Subscriptions::Names(PubsubKind kind) const {
  std::vector<std::string> names;
  for (const auto& [name, membership] : names_[static_cast<int>(kind)]) names.emplace_back(name);
  return names;
}

}  // namespace cairn
