// SPDX-License-Identifier: BSD-3-Clause
#include "server/departure.h"

#include <utility>

#include "exec/engine.h"
#include "exec/replication_control.h"
#include "server/persistence.h"

namespace cairn {

void Departure::Ask(const ShutdownRequest& request, std::function<void()> went_on) {
  std::lock_guard guard(mutex_);
  if (went_on) went_on_.push_back(std::move(went_on));
  if (!asked_) request_ = request;
  // Whoever is in a hurry ends another's waiting.
  request_.now |= request.now;
  request_.force |= request.force;
  asked_ = true;
}

bool Departure::Abort() {
  std::lock_guard guard(mutex_);
  if (!asked_ || decided_) return false;
  aborted_ = true;
  return true;
}

bool Departure::pending() const {
  std::lock_guard guard(mutex_);
  return asked_;
}

int64_t Departure::milliseconds_left() const {
  std::lock_guard guard(mutex_);
  if (!waiting_) return -1;
  const int64_t left = deadline_ms_ - engine_.clock.MonotonicMs();
  return left > 0 ? left : 0;
}

bool Departure::Step() {
  if (!pending()) return false;
  if (AskedToGoOn()) {
    engine_.log.Warning("Shutdown manually aborted.");
    GoOn();
    return false;
  }
  if (!Wait()) return false;
  if (Save()) return true;
  GoOn();
  return false;
}

bool Departure::AskedToGoOn() {
  std::lock_guard guard(mutex_);
  return aborted_;
}

// True: nobody is waited for (any more), and nobody can abort.
bool Departure::Wait() {
  bool begin;
  {
    std::lock_guard guard(mutex_);
    const int64_t seconds = engine_.config.shutdown_timeout();
    begin = !waiting_ && !request_.now && seconds > 0;
    if (begin) deadline_ms_ = engine_.clock.MonotonicMs() + seconds * 1000;
  }
  if (begin) {
    begin = replication_.BeginLeaving();
    if (begin) engine_.log.Notice("Waiting for replicas before shutting down.");
  }
  std::unique_lock guard(mutex_);
  if (begin) waiting_ = true;
  if (aborted_) return false;  // the next Step sees to it
  if (waiting_) {
    const bool more = !request_.now && engine_.clock.MonotonicMs() < deadline_ms_;
    guard.unlock();
    const bool all = replication_.FollowersHaveAll();
    if (more && !all) return false;
    ReportFollowers();
    guard.lock();
    if (aborted_) return false;
  }
  decided_ = true;
  return true;
}

void Departure::ReportFollowers() {
  const uint64_t end = replication_.Stream().offset;
  size_t in_sync = 0;
  const auto followers = replication_.Followers();
  for (const FollowerFacts& follower : followers) {
    if (follower.acknowledged >= end) {
      ++in_sync;
      continue;
    }
    engine_.log.Notice(
        "Lagging replica %s:%d reported offset %lld behind master, lag=%lld, state=%s.",
        follower.address.c_str(), follower.port,
        static_cast<long long>(end - follower.acknowledged), static_cast<long long>(follower.lag_s),
        follower.state);
  }
  engine_.log.Notice("%zu of %zu replicas are in sync when shutting down.", in_sync,
                     followers.size());
}

bool Departure::Save() {
  ShutdownRequest request;
  {
    std::lock_guard guard(mutex_);
    request = request_;
  }
  const Status saved = persistence_.SaveForShutdown(request.save, request.nosave);
  if (saved.ok()) return true;
  engine_.log.Warning("Error trying to save the DB, can't exit: %s", saved.message().c_str());
  return request.force;
}

void Departure::GoOn() {
  std::vector<std::function<void()>> told;
  bool waited;
  {
    std::lock_guard guard(mutex_);
    told.swap(went_on_);
    waited = std::exchange(waiting_, false);
    asked_ = aborted_ = decided_ = false;
    request_ = {};
  }
  if (waited) replication_.EndLeaving();
  for (const auto& tell : told) tell();
}

}  // namespace cairn
