// SPDX-License-Identifier: BSD-3-Clause
//
// FAILOVER: this leader hands its role to one of its followers, and nothing is lost.
//
//   waiting     writes wait, nothing is appended; until a follower has acknowledged the log's end
//   proceeding  this server follows it and asks it, with PSYNC ... FAILOVER, to lead
//
// It ends when the follower has agreed; if it refuses this server leads again. A timeout ends only
// the waiting: with FORCE by going on all the same, else by giving up. Where the connection breaks
// before the answer the follower is asked again: one that leads says so, and goes on from our
// stream.
//
//   leaving     the same waiting before the server ends, for all followers; nobody takes over
#include "repl/replication.h"

#include <functional>
#include <memory>
#include <utility>

#include "exec/delivery.h"

namespace cairn {
namespace {

constexpr const char* kNoFailover = "ERR No failover in progress.";
constexpr const char* kCannotLead =
    "ERR Failover aborted, but this server cannot lead again, see its log";
constexpr const char* kMayLead =
    "ERR The replica was asked to lead and has not answered: it may lead by now. FAILOVER ABORT "
    "FORCE leads here again whatever it does.";

class Look final : public WorkerTask {
 public:
  explicit Look(std::function<void()> look) : look_(std::move(look)) {}
  void Run(LocalClients&) override { look_(); }

 private:
  const std::function<void()> look_;
};

}  // namespace

// Under role_mutex_, as the next. Whoever waited finds out how it ended.
void Replication::EndFailover() {
  promotion_.asked.store(false);
  promotion_.refused.store(false);
  promotion_.unanswered.store(false);
  failover_state_.store(FailoverState::kNone);
  SetMode(kModeFailover, false);
  if (resume_parked_) resume_parked_();
}

// Unless the follower has agreed meanwhile: then it leads, and this server follows it. Returns the
// error, for who asked for it.
std::string Replication::GiveUpFailover(const char* reason) {
  const bool proceeding = failover_state_.load() == FailoverState::kProceeding;
  if (proceeding) StopLink();
  if (proceeding && !promotion_.asked.exchange(false)) {
    BeginLink();
    EndFailover();
    return kNoFailover;
  }
  engine_.log.Warning("Failover aborted: %s", reason);
  if (proceeding) BecomeLeader();
  EndFailover();
  return engine_.modes.Has(kModeFollower) ? kCannotLead : "";
}

const char* Replication::FailoverStateName() {
  switch (failover_state_.load()) {
    case FailoverState::kWaiting:
      return "waiting-for-sync";
    case FailoverState::kProceeding:
      return "failover-in-progress";
    case FailoverState::kLeaving:
    case FailoverState::kNone:
      break;
  }
  return "no-failover";
}

std::shared_ptr<Follower> Replication::FindFollower(const std::string& host, int port) const {
  for (const auto& follower : feeder_.followers())
    if (follower->address == host && follower->port == port &&
        !follower->gone.load(std::memory_order_relaxed))
      return follower;
  return nullptr;
}

// The log's last record, while writes and scripts wait: followers answer it at once.
void Replication::AskHowFar() {
  role_executor_.RunUnit({}, engine_.clock.WallMs(), [](Unit& unit) {
    const std::string_view parts[] = {"REPLCONF", "GETACK", "*"};
    unit.Effect(0, parts);
  });
}

std::string Replication::BeginFailover(const FailoverRequest& request) {
  std::lock_guard guard(role_mutex_);
  if (FailingOver()) return "ERR FAILOVER already in progress.";
  if (engine_.modes.Has(kModeFollower))
    return "ERR FAILOVER is not valid when server is a replica.";
  if (feeder_.followers().empty()) return "ERR FAILOVER requires connected replicas.";
  if (request.force && (request.timeout_ms == 0 || request.host.empty()))
    return "ERR FAILOVER with force option requires both a timeout and target HOST and IP.";
  if (!request.host.empty()) {
    const auto target = FindFollower(request.host, request.port);
    if (target == nullptr) return "ERR FAILOVER target HOST and PORT is not a replica.";
    if (target->state.load() != Follower::State::kOnline)
      return "ERR FAILOVER target replica is not online.";
  }
  if (!BeginMode(kModeFailover)) return std::string(engine_.busy.Error());
  failover_ = request;
  later_.reset();  // of a REPLICAOF before it
  failover_deadline_ms_ =
      request.timeout_ms == 0 ? 0 : engine_.clock.MonotonicMs() + request.timeout_ms;
  failover_state_.store(FailoverState::kWaiting);
  AskHowFar();
  engine_.log.Notice("FAILOVER requested%s%s", request.host.empty() ? "" : " to ",
                     request.host.c_str());
  return "";
}

// Redis leads again whatever the follower does. Here whoever wants that says FORCE: a follower that
// was asked to lead, and has not answered, may do so at any time.
std::string Replication::AbortFailover(bool force) {
  std::lock_guard guard(role_mutex_);
  const FailoverState state = failover_state_.load();
  if (state == FailoverState::kNone || state == FailoverState::kLeaving) return kNoFailover;
  if (state == FailoverState::kProceeding && !force) {
    // Whether it was asked is sure when the link's thread asks no more.
    if (!promotion_.unanswered.load()) StopLink();
    if (promotion_.unanswered.load()) {
      if (link_ == nullptr) BeginLink();
      return kMayLead;
    }
  }
  return GiveUpFailover("Failover manually aborted");
}

// Held replies are answered before this server leads no more.
bool Replication::HasAll(const Follower& follower, uint64_t end) const {
  const bool told = engine_.config.min_replicas_durable() == 0 || follower.durable.load() >= end;
  return told && follower.acknowledged.load() >= end;
}

bool Replication::FollowersHaveAll() {
  const uint64_t end = Stream().offset;
  for (const auto& follower : feeder_.followers())
    if (!follower->request.old && !follower->gone.load(std::memory_order_relaxed) &&
        !HasAll(*follower, end))
      return false;
  return true;
}

bool Replication::BeginLeaving() {
  std::lock_guard guard(role_mutex_);
  if (stopped_ || FailingOver() || engine_.modes.Has(kModeFollower) ||
      feeder_.followers().empty())
    return false;
  // A busy script has what it has written still to itself, and may never end.
  if (!BeginMode(kModeFailover)) return false;
  failover_state_.store(FailoverState::kLeaving);
  if (!FollowersHaveAll()) AskHowFar();
  return true;
}

void Replication::EndLeaving() {
  std::lock_guard guard(role_mutex_);
  failover_state_.store(FailoverState::kNone);
  EndMode(kModeFailover);
}

// Under role_mutex_: who has everything, and may take over.
std::shared_ptr<Follower> Replication::Successor() const {
  const uint64_t end = Stream().offset;
  for (const auto& follower : feeder_.followers()) {
    if (follower->state.load() != Follower::State::kOnline || follower->request.old ||
        follower->gone.load(std::memory_order_relaxed))
      continue;
    if (!failover_.host.empty() &&
        (follower->address != failover_.host || follower->port != failover_.port))
      continue;
    if (HasAll(*follower, end)) return follower;
  }
  return nullptr;
}

// Writes wait: what may go on now does so at once, on the worker that would see it with its next
// turn of cron. Any thread.
void Replication::LookAtFailover() {
  if (failover_look_posted_.exchange(true)) return;
  auto task = std::make_unique<Look>([this] {
    failover_look_posted_.store(false);
    FailoverCron();
  });
  if (engine_.control->Put(0, std::move(task))) engine_.control->Wake(0);
}

void Replication::FailoverCron() {
  if (!FailingOver()) return;
  std::unique_lock guard(role_mutex_, std::try_to_lock);
  if (!guard.owns_lock() || stopped_) return;
  if (failover_state_.load() == FailoverState::kProceeding) {
    // The link's thread only tells; a role is changed by who can wait for that thread's end.
    const LinkFacts link = Link();
    if (promotion_.refused.load()) {
      (void)GiveUpFailover("Failover target rejected psync request");
    } else if (!promotion_.asked.load()) {
      engine_.log.Notice("Failover done: %s:%d leads", link.host.c_str(), link.port);
      EndFailover();
    }
    return;
  }
  if (failover_state_.load() != FailoverState::kWaiting) return;
  FailoverRequest target = failover_;
  const bool may_follow = !AwaitsBase();
  const auto successor = may_follow ? Successor() : nullptr;
  if (successor != nullptr) {
    target.host = successor->address;
    target.port = successor->port;
  } else if (failover_deadline_ms_ == 0 || engine_.clock.MonotonicMs() < failover_deadline_ms_) {
    return;
  } else if (!may_follow) {
    return (void)GiveUpFailover("the log's first rewrite did not end before the timeout");
  } else if (!failover_.force) {
    return (void)GiveUpFailover("Replica never caught up before timeout");
  }
  engine_.log.Notice("Failing over to %s:%d", target.host.c_str(), target.port);
  promotion_.asked.store(true);
  if (const Status status = BecomeFollower(target.host, target.port); !status.ok())
    return (void)GiveUpFailover(status.message().c_str());
  failover_state_.store(FailoverState::kProceeding);
}

// PSYNC id offset FAILOVER: the leader wants this follower in its place.
std::string Replication::TakeOver(const std::string& id) {
  std::lock_guard guard(role_mutex_);
  if (!engine_.modes.Has(kModeFollower)) return kLeadsAlready;
  if (id != Stream().id) return kFollowsAnother;
  // It has asked another one to lead, which may do so by now.
  if (FailingOver()) return kNoSyncNow;
  const NoScripts no_scripts(this);
  if (!no_scripts) return std::string(engine_.busy.Error());
  BecomeLeader();
  return engine_.modes.Has(kModeFollower) ? kCannotBePromoted : "";
}

}  // namespace cairn
