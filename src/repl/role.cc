// SPDX-License-Identifier: BSD-3-Clause
//
// Role changes.
#include <utility>

#include "exec/blocking.h"
#include "journal/journal.h"
#include "repl/replication.h"

namespace cairn {

bool Replication::BeginMode(ModeFlag flag) {
  Gate& gate = engine_.keyspace.gate();
  if (!gate.CloseUnlessHeld()) return false;
  engine_.modes.Set(flag, true);
  gate.Open();
  return true;
}

void Replication::EndMode(ModeFlag flag) {
  engine_.modes.Set(flag, false);
  if (resume_parked_) resume_parked_();
}

void Replication::SetMode(ModeFlag flag, bool on) {
  if (engine_.modes.Has(flag) == on) return;
  Gate& gate = engine_.keyspace.gate();
  gate.Close();
  engine_.modes.Set(flag, on);
  gate.Open();
}

// What blocking commands wait for, a follower's clients may not take.
void Replication::UnblockWaiters() {
  Unit& unit = role_executor_.unit();
  unit.BeginDetached(engine_.clock.WallMs());
  (void)UnblockAllClients(unit, kUnblockedByRole);
  unit.End();
}

void Replication::StopLink() {
  std::shared_ptr<cairn::Link> link;
  {
    std::lock_guard guard(mutex_);
    link = link_;
  }
  if (link == nullptr) return;
  link->Stop();
  std::lock_guard guard(mutex_);
  database_ = link_->database();
  needs_file_ = link_->needs_file();
  link_.reset();
}

// Goes on where the log ends.
void Replication::BeginLink() {
  const Manifest manifest = engine_.journal->manifest();
  std::string id = manifest.replid;
  // An unclean start drew a new id, which no leader knows. The former one is as good as long as
  // nothing was appended since, whomever else was asked meanwhile.
  if (id == unclean_id_ && manifest.second_offset == engine_.journal->tail() &&
      !manifest.replid2.empty())
    id = manifest.replid2;
  if (needs_file_) id.clear();
  std::lock_guard guard(mutex_);
  link_ = std::make_shared<cairn::Link>(&engine_, &link_executor_, &feeder_,
                                        cairn::Link::Target{leader_.host, leader_.port}, id,
                                        database_, &promotion_);
}

Status Replication::WithoutLink(const std::function<void()>& change) {
  std::lock_guard guard(role_mutex_);
  const NoScripts no_scripts(this);
  if (!no_scripts) return Status::Unavailable("a busy script has all locks");
  if (stopped_ || FailingOver()) return Status::Unavailable("the role changes");
  StopLink();
  const bool loading = engine_.modes.Has(kModeLoading);
  if (!loading) change();
  if (engine_.modes.Has(kModeFollower)) BeginLink();
  return loading ? Status::Unavailable("the data is being loaded") : Status::Ok();
}

Status Replication::WithoutFollowers(const char* reason, const std::function<void()>& change) {
  std::lock_guard guard(role_mutex_);
  if (engine_.modes.Has(kModeFollower))
    return Status::Unavailable("a replica's log is what its leader sends");
  const NoScripts no_scripts(this);
  if (!no_scripts) return Status::Unavailable("a busy script has all locks");
  const auto nobody_fed = feeder_.DetachAll(reason);
  change();
  return Status::Ok();
}

// Whether followers have to confirm what clients are told. Set before the first write as a leader;
// and when nobody writes any more, for what is then not confirmed never will be.
void Replication::SetLeads(bool leads) {
  {
    std::lock_guard guard(confirm_mutex_);
    if (std::exchange(leads_, leads) == leads) return;
  }
  if (!leads && engine_.config.min_replicas_durable() > 0) engine_.control->GiveUpHeld();
  if (UpdateConfirmed()) engine_.control->OnAcknowledged();
}

void Replication::ReplicaOf(const std::string& host, int port) {
  std::lock_guard guard(role_mutex_);
  if (stopped_ || FailingOver()) return;
  later_.reset();
  ChangeRole({host, port});
}

void Replication::ChangeRole(const RoleTarget& target) {
  const auto& [host, port] = target;
  if (host.empty() && !engine_.modes.Has(kModeFollower)) return;
  const LinkFacts now = Link();
  if (now.follower && now.host == host && now.port == port) {
    engine_.log.Notice(
        "REPLICAOF would result into synchronization with the master we are already connected "
        "with. No operation performed.");
    return;
  }
  if (!host.empty() && AwaitsBase()) {
    engine_.log.Notice("REPLICAOF %s %d waits for the log's first rewrite", host.c_str(), port);
    later_ = target;
    return;
  }
  const NoScripts no_scripts(this);
  if (!no_scripts) {
    engine_.log.Notice("REPLICAOF waits for the end of a busy script");
    later_ = target;
    return;
  }
  if (host.empty()) return BecomeLeader();
  if (const Status status = BecomeFollower(host, port); !status.ok())
    engine_.log.Warning("REPLICAOF %s %d: %s", host.c_str(), port, status.message().c_str());
}

// A log that CONFIG SET appendonly has begun is nothing that a leader's could go on from, or
// replace, before its first rewrite has ended.
bool Replication::AwaitsBase() const {
  const Journal* journal = engine_.open_journal;  // one that has ended awaits nothing
  return journal != nullptr && journal->awaits_base();
}

// On a worker, which must not wait for another change of the role.
void Replication::FollowLater() {
  std::unique_lock guard(role_mutex_, std::try_to_lock);
  if (!guard.owns_lock() || !later_ || stopped_ || FailingOver()) return;
  if (engine_.keyspace.gate().held() || AwaitsBase()) return;
  const RoleTarget target = *std::exchange(later_, std::nullopt);
  ChangeRole(target);
}

Status Replication::BecomeFollower(const std::string& host, int port) {
  CAIRN_RETURN_IF_ERROR(feeder_.EnsureJournal());
  if (AwaitsBase())
    return Status::Unavailable("the log has no base yet: its first rewrite is under way");
  StopLink();
  const bool was_leader = !engine_.modes.Has(kModeFollower);
  SetMode(kModeFollower, true);
  SetLeads(false);
  if (was_leader) UnblockWaiters();
  engine_.config_store.SetInternally("replicaof", host + " " + std::to_string(port));
  SetLeader(host, port);
  BeginLink();
  return Status::Ok();
}

void Replication::SetLeader(std::string host, int port) {
  std::lock_guard guard(mutex_);
  leader_ = {};
  if (host.empty()) return;
  leader_.follower = true;
  leader_.host = std::move(host);
  leader_.port = port;
  leader_.state = "connect";
}

// What cannot lead goes on to follow.
void Replication::BecomeLeader() {
  StopLink();
  const Status status = StartLeading();
  if (status.ok()) return;
  engine_.log.Warning("This follower cannot be promoted: %s", status.message().c_str());
  BeginLink();
}

Status Replication::StartLeading() {
  // The link has left memory without its log: it is shown to nobody before a full sync succeeds.
  if (engine_.modes.Has(kModeLoading)) return Status::Unavailable("its data is not whole");
  const auto nobody_fed = feeder_.DetachAll("this server's role changes");
  // Whoever followed the same leader may go on here, up to this point.
  const Manifest manifest = engine_.journal->manifest();
  TimelineStart start;
  start.replid2 = manifest.replid;
  start.second_offset = engine_.journal->tail();
  // Writes under the old leader's id would be another history under the same name.
  if (const Status status = engine_.journal->StartTimeline(start); !status.ok())
    return Status::Io("its log begins no new timeline: " + status.message());
  needs_file_ = false;
  engine_.config_store.SetInternally("replicaof", "");
  SetLeader("", 0);
  SetMode(kModeStale, false);
  SetLeads(true);
  SetMode(kModeFollower, false);
  engine_.log.Notice("MASTER MODE enabled");
  return Status::Ok();
}

void Replication::Cron() {
  FailoverCron();
  FollowLater();
  const Config& config = engine_.config;
  const bool follower = engine_.modes.Has(kModeFollower);
  const bool stale = follower && !config.replica_serve_stale_data() && !Link().up;
  if (stale != engine_.modes.Has(kModeStale)) engine_.modes.Set(kModeStale, stale);
  UpdateFewFollowers();
}

void Replication::UpdateFewFollowers() {
  const int64_t now_ms = engine_.clock.MonotonicMs();
  const Config& config = engine_.config;
  const bool follower = engine_.modes.Has(kModeFollower);
  bool few = false;
  if (!follower && config.min_replicas_to_write() > 0 && config.min_replicas_max_lag() > 0) {
    int64_t good = 0;
    for (const auto& one : feeder_.followers())
      good += one->state.load() == Follower::State::kOnline &&
              now_ms - one->acknowledged_ms.load() <= config.min_replicas_max_lag() * 1000;
    few = good < config.min_replicas_to_write();
  }
  if (!follower && config.min_replicas_durable() > 0)
    few |= CountDurable() < config.min_replicas_durable();
  if (few != engine_.modes.Has(kModeFewFollowers)) engine_.modes.Set(kModeFewFollowers, few);
}

}  // namespace cairn
