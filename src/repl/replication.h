// SPDX-License-Identifier: BSD-3-Clause
//
// Replication: which role this server has, and both sides of it: the feeder for those who follow
// it, the link to whom it follows.
//
// A role change sets the mode while nobody is inside the gate, so whoever is inside knows the role
// of its whole unit. Role changes are made one at a time (role_mutex_), by threads that hold no
// lock: they wait for the link's thread to end.
//
// Thread rule: as exec/replication_control.h says; Start, Stop and set_recovered from the main
// thread.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "exec/replication_control.h"
#include "repl/feeder.h"
#include "repl/link.h"

namespace cairn {

class Replication final : public ReplicationControl {
 public:
  // `resume_parked` runs requests again that waited for a mode to end.
  explicit Replication(Engine* engine, std::function<void()> resume_parked = {});
  ~Replication() override;

  // What the start found: the stream of the log ends in `database`; `unclean_id`, if not empty: the
  // new id that the log drew, whose former one is still that of every byte in it.
  void SetRecovered(int database, std::string unclean_id) {
    database_ = database;
    unclean_id_ = std::move(unclean_id);
  }
  // After loading, before the first command: follows whom the configuration says, and ends
  // kModeLoading.
  Status Start();
  // The server ends: before its workers do.
  void Stop();
  // The journal has more that can be sent.
  void OnJournalProgress() { feeder_.Notify(); }
  // More of it is on disk: the leader wants to know.
  void OnDurable();
  // How far followers have confirmed, for min-replicas-durable; whenever that may have changed.
  // False: as before.
  bool UpdateConfirmed();
  // Whether writes are refused for want of followers.
  void UpdateFewFollowers();
  // For who ends the log or begins another: no follower is fed meanwhile, and all have to ask
  // again. Refused on a follower. Slow; from a thread that holds no lock.
  Status WithoutFollowers(const char* reason, const std::function<void()>& change);
  // Every second or so, on a worker: modes that depend on followers and the link.
  void Cron();

  // ReplicationControl
  bool Describe(Session& session, std::string_view option, std::string_view value) override;
  std::string Follow(Session& session, const FollowerRequest& request) override;
  void Acknowledge(Session& session, uint64_t applied, std::optional<uint64_t> durable) override;
  std::vector<FollowerFacts> Followers() override;
  int64_t CountAcknowledged(uint64_t lsn, bool durable) override;
  void RequestAcknowledgements() override { feeder_.RequestAcknowledgements(); }
  LinkFacts Link() override;
  StreamFacts Stream() const override;
  void ReplicaOf(const std::string& host, int port) override;
  Status ChangeId() override;
  std::string BeginFailover(const FailoverRequest& request) override;
  std::string AbortFailover(bool force) override;
  std::string TakeOver(const std::string& id) override;
  Status WithoutLink(const std::function<void()>& change) override;
  bool FailingOver() override { return failover_state_.load() != FailoverState::kNone; }
  const char* FailoverStateName() override;
  bool BeginLeaving() override;
  bool FollowersHaveAll() override;
  void EndLeaving() override;
  uint64_t AtSnapshot(AuxRecords* aux) override;

 private:
  static constexpr const char* kNoSyncNow = "NOMASTERLINK Can't SYNC while failing over";

  enum class FailoverState { kNone, kWaiting, kProceeding, kLeaving };
  struct RoleTarget {
    std::string host;  // "": follows nobody
    int port = 0;
  };

  // A role change holds one, under role_mutex_: no script runs or begins meanwhile, nor a write. So
  // nobody waits for a script that never ends, neither who needs all locks nor who waits for the
  // link's thread, which needs some. False: one is busy now, and nothing is held.
  class NoScripts {
   public:
    explicit NoScripts(Replication* owner)
        : owner_(*owner),
          begins_(!owner_.FailingOver()),  // else they wait already
          held_(!begins_ || owner_.BeginMode(kModeFailover)) {}
    ~NoScripts() {
      if (begins_ && held_) owner_.EndMode(kModeFailover);
    }
    NoScripts(const NoScripts&) = delete;
    NoScripts& operator=(const NoScripts&) = delete;
    explicit operator bool() const { return held_; }

   private:
    Replication& owner_;
    const bool begins_, held_;
  };

  // Sets it under All; false, and nothing is set, while a busy script has all locks.
  [[nodiscard]] bool BeginMode(ModeFlag flag);
  // Whoever it kept waiting goes on.
  void EndMode(ModeFlag flag);
  void FailoverCron();
  void LookAtFailover();
  void AskHowFar();
  bool HasAll(const Follower& follower, uint64_t end) const;
  void EndFailover();
  std::string GiveUpFailover(const char* reason);
  std::shared_ptr<Follower> FindFollower(const std::string& host, int port) const;
  std::shared_ptr<Follower> Successor() const;
  void SetLeads(bool leads);
  int64_t CountDurable() const;
  void ChangeRole(const RoleTarget& target);
  void SetLeader(std::string host, int port);
  void BecomeLeader();
  Status StartLeading();
  bool AwaitsBase() const;
  void FollowLater();
  Status BecomeFollower(const std::string& host, int port);
  // Where no script can be busy: BeginMode has seen to that.
  void SetMode(ModeFlag flag, bool on);
  void UnblockWaiters();
  void StopLink();
  void BeginLink();
  FollowerSession& SessionOf(Session& session);

  Engine& engine_;
  Feeder feeder_;
  Executor link_executor_;  // of whatever link there is
  Executor role_executor_;  // of role changes
  std::mutex role_mutex_;
  mutable std::mutex mutex_;  // guards link_ as a pointer, and leader_; held for moments
  std::shared_ptr<cairn::Link> link_;
  // Whom this server follows, while it has no link: one that loads must not be taken for a leader.
  LinkFacts leader_;
  std::mutex confirm_mutex_;  // a leaf
  bool leads_ = true;         // under confirm_mutex_; changes with the role, not after it
  int database_ = 0;          // of the stream, while there is no link
  std::string unclean_id_;
  const std::function<void()> resume_parked_;
  std::atomic<FailoverState> failover_state_{FailoverState::kNone};  // set under role_mutex_
  std::atomic<bool> failover_look_posted_{false};                    // see LookAtFailover
  // What REPLICAOF said while the log had no base yet, or a script was busy; under role_mutex_.
  std::optional<RoleTarget> later_;
  FailoverRequest failover_;          // of the one under way; under role_mutex_, as the next
  int64_t failover_deadline_ms_ = 0;  // monotonic; 0: none
  PromotionRequest promotion_;
  bool stopped_ = false;
  bool needs_file_ = false;  // the last link left data that is not its leader's to the end
};

}  // namespace cairn
