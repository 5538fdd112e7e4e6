// SPDX-License-Identifier: BSD-3-Clause
#include "exec/tracking.h"

#include <algorithm>

#include "exec/engine.h"
#include "exec/unit.h"

namespace cairn {

void Tracking::Enable(const TrackedClientRef& client, uint32_t mode, uint64_t redirect,
                      int redirect_worker, const std::vector<std::string>& prefixes) {
  std::lock_guard guard(mutex_);
  client->redirect_worker.store(redirect_worker, std::memory_order_relaxed);
  client->redirect.store(redirect, std::memory_order_release);
  client->mode.store(mode | kTrackingOn, std::memory_order_relaxed);
  if (clients_.insert_or_assign(client->id, client).second) {
    client_count_.fetch_add(1, std::memory_order_relaxed);
    active_.fetch_add(1, std::memory_order_relaxed);
  }
  for (const std::string& prefix : prefixes) prefixes_[prefix].push_back(client);
  prefix_total_.store(prefixes_.size(), std::memory_order_relaxed);
}

void Tracking::Disable(const TrackedClientRef& client, const std::vector<std::string>& prefixes) {
  std::lock_guard guard(mutex_);
  client->mode.store(0, std::memory_order_relaxed);
  if (clients_.erase(client->id) != 0) {
    client_count_.fetch_sub(1, std::memory_order_relaxed);
    active_.fetch_sub(1, std::memory_order_relaxed);
  }
  for (const std::string& prefix : prefixes) {
    auto found = prefixes_.find(prefix);
    std::erase(found->second, client);
    if (found->second.empty()) prefixes_.erase(found);
  }
  prefix_total_.store(prefixes_.size(), std::memory_order_relaxed);
}

void Tracking::Remember(const TrackedClientRef& client, std::string_view key, uint64_t hash) {
  Table& table = tables_[static_cast<size_t>(ShardOf(hash))];
  auto found = table.find(key);
  if (found == table.end()) {
    found = table.emplace(std::string(key), std::vector<TrackedClientRef>()).first;
    keys_.fetch_add(1, std::memory_order_relaxed);
    active_.fetch_add(1, std::memory_order_relaxed);
  }
  std::vector<TrackedClientRef>& readers = found->second;
  auto place = std::lower_bound(readers.begin(), readers.end(), client);
  if (place != readers.end() && *place == client) return;
  readers.insert(place, client);
  items_.fetch_add(1, std::memory_order_relaxed);
}

std::vector<TrackedClientRef> Tracking::Take(std::string_view key, uint64_t hash) {
  Table& table = tables_[static_cast<size_t>(ShardOf(hash))];
  auto found = table.find(key);
  if (found == table.end()) return {};
  std::vector<TrackedClientRef> readers = std::move(found->second);
  table.erase(found);
  keys_.fetch_sub(1, std::memory_order_relaxed);
  active_.fetch_sub(1, std::memory_order_relaxed);
  items_.fetch_sub(readers.size(), std::memory_order_relaxed);
  return readers;
}

std::vector<Invalidation> Tracking::TakeAny(int shard, size_t limit) {
  Table& table = tables_[static_cast<size_t>(shard)];
  std::vector<Invalidation> taken;
  while (taken.size() < limit && !table.empty()) {
    std::string key = table.begin()->first;
    std::vector<TrackedClientRef> readers = Take(key, HashBytes(key));
    taken.push_back({std::move(key), false, std::move(readers)});
  }
  return taken;
}

void Tracking::Forget() {
  for (Table& table : tables_) table.clear();
  active_.fetch_sub(keys_.exchange(0, std::memory_order_relaxed), std::memory_order_relaxed);
  items_.store(0, std::memory_order_relaxed);
}

SessionTracking::~SessionTracking() {
  if (client != nullptr && client->Has(kTrackingOn)) tracking.Disable(client, prefixes);
}

SessionTracking* FindTracking(const Session& session) {
  auto* tracking = static_cast<SessionTracking*>(session.tracking.get());
  return tracking != nullptr && tracking->client->Has(kTrackingOn) ? tracking : nullptr;
}

void StopTracking(Session& session) {
  SessionTracking* tracking = FindTracking(session);
  if (tracking == nullptr) return;
  tracking->tracking.Disable(tracking->client, tracking->prefixes);
  tracking->prefixes.clear();
  tracking->caching = false;
  TellTrackingFlags(*session.record, *tracking->client);
}

void TellTrackingFlags(ClientRecord& record, const TrackedClient& client) {
  constexpr uint32_t kAll = kClientTracking | kClientTrackingBroken | kClientTrackingBcast;
  uint32_t flags = 0;
  if (client.Has(kTrackingOn)) flags |= kClientTracking;
  if (client.Has(kTrackingBroken)) flags |= kClientTrackingBroken;
  if (client.Has(kTrackingBcast)) flags |= kClientTrackingBcast;
  record.flags.fetch_and(~kAll, std::memory_order_relaxed);
  record.flags.fetch_or(flags, std::memory_order_relaxed);
  const int64_t redirect = static_cast<int64_t>(client.redirect.load(std::memory_order_relaxed));
  record.redirect.store(client.Has(kTrackingOn) ? redirect : -1, std::memory_order_relaxed);
}

}  // namespace cairn
