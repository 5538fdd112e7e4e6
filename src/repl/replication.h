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

#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "exec/replication_control.h"
#include "repl/feeder.h"
#include "repl/link.h"

namespace cairn {

class Replication final : public ReplicationControl {
 public:
  explicit Replication(Engine* engine);
  ~Replication() override;

  // What the start found: the stream of the log ends in `database`; `unclean`: the log drew a new
  // id, and its former one is still that of every byte in it.
  void SetRecovered(int database, bool unclean) {
    database_ = database;
    unclean_ = unclean;
  }
  // After loading, before the first command: follows whom the configuration says.
  Status Start();
  // The server ends: before its workers do.
  void Stop();
  // The journal has more that can be sent.
  void OnJournalProgress() { feeder_.Notify(); }
  // For who ends the log or begins another: no follower is fed meanwhile, and all have to ask
  // again. Refused on a follower. Slow; from a thread that holds no lock.
  Status WithoutFollowers(const char* reason, const std::function<void()>& change);
  // Every second or so, on a worker: modes that depend on followers and the link.
  void Cron(int64_t now_ms);

  // ReplicationControl
  bool Describe(Session& session, std::string_view option, std::string_view value) override;
  std::string Follow(Session& session, const FollowerRequest& request) override;
  void Acknowledge(Session& session, uint64_t applied, uint64_t durable) override;
  std::vector<FollowerFacts> Followers() override;
  int64_t CountAcknowledged(uint64_t lsn, bool durable) override;
  void RequestAcknowledgements() override { feeder_.RequestAcknowledgements(); }
  LinkFacts Link() override;
  StreamFacts Stream() override;
  void ReplicaOf(const std::string& host, int port) override;
  Status ChangeId() override;
  uint64_t AtSnapshot(AuxRecords* aux) override;

 private:
  void BecomeLeader();
  Status BecomeFollower(const std::string& host, int port);
  void SetMode(ModeFlag flag, bool on);
  void UnblockWaiters();
  void StopLink();
  FollowerSession& SessionOf(Session& session);

  Engine& engine_;
  Feeder feeder_;
  Executor link_executor_;  // of whatever link there is
  Executor role_executor_;  // of role changes
  std::mutex role_mutex_;
  mutable std::mutex mutex_;  // guards link_ as a pointer; held for moments
  std::shared_ptr<cairn::Link> link_;
  int database_ = 0;  // of the stream, while there is no link
  bool unclean_ = false;
  bool stopped_ = false;
  bool needs_file_ = false;  // the last link left data that is not its leader's to the end
};

}  // namespace cairn
