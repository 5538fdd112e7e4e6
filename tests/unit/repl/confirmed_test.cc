// SPDX-License-Identifier: BSD-3-Clause
//
// min-replicas-durable: how far replies may go, by what followers have told.
#include <catch2/catch.hpp>
#include "repl/replication.h"
#include "tests/unit/repl/repl_harness.h"

namespace cairn {
namespace {

struct Leader : ReplicatedEngine {
  Leader() : ReplicatedEngine(FsyncPolicy::kAlways), replication(engine.get()) {
    engine->replication = &replication;
  }
  ~Leader() { engine->replication = nullptr; }

  void Want(int64_t followers) {
    REQUIRE(store.Set({{"min-replicas-durable", std::to_string(followers)}}, false).ok());
    (void)replication.UpdateConfirmed();
  }
  Lsn confirmed() const { return files.journal->confirmed(); }
  // Appends, and waits until that is durable here.
  Lsn Write() {
    const Lsn end = files.Append(JournalHarness::Record(1, 100));
    REQUIRE(files.journal->SyncTo(end).ok());
    return end;
  }

  Replication replication;
};

// A connection that follows.
struct Confirmer {
  explicit Confirmer(Leader* leader_in)
      : leader(*leader_in), session(std::make_shared<ClientRecord>()) {
    REQUIRE(leader.replication.Follow(session, {}).empty());
    Attached().state.store(Follower::State::kOnline);
  }
  Follower& Attached() { return *static_cast<FollowerSession&>(*session.replication).follower; }
  void Tell(Lsn durable) { leader.replication.Acknowledge(session, durable, durable); }

  Leader& leader;
  Session session;
};

}  // namespace

TEST_CASE("Without the option nobody is waited for", "[repl]") {
  Leader leader;
  REQUIRE(leader.confirmed() == kLsnMax);
  const Lsn end = leader.Write();
  REQUIRE(leader.files.journal->committed() == end);
}

TEST_CASE("What was durable when it began is not asked for", "[repl]") {
  Leader leader;
  const Lsn before = leader.Write();
  leader.Want(1);
  REQUIRE(leader.confirmed() == before);
  leader.Write();
  REQUIRE(leader.files.journal->committed() == before);
  leader.Want(0);
  REQUIRE(leader.confirmed() == kLsnMax);
}

TEST_CASE("All that are connected confirm, and there have to be enough", "[repl]") {
  Leader leader;
  leader.Want(2);
  Confirmer first(&leader);
  const Lsn one = leader.Write(), two = leader.Write(), three = leader.Write();
  first.Tell(one);
  REQUIRE(leader.confirmed() == 0);
  {
    Confirmer second(&leader);
    second.Tell(two);
    REQUIRE(leader.confirmed() == one);
    first.Tell(three);
    REQUIRE(leader.confirmed() == two);
    // A third need not be there, but while it is it counts.
    Confirmer third(&leader);
    third.Tell(one);
    second.Tell(three);
    REQUIRE(leader.confirmed() == two);
    third.Tell(three);
    REQUIRE(leader.confirmed() == three);
  }
  // Too few are left: it stays where it was.
  const Lsn four = leader.Write();
  first.Tell(four);
  REQUIRE(leader.confirmed() == three);
}

TEST_CASE("Who keeps no log, or is not there yet, is not counted", "[repl]") {
  Leader leader;
  leader.Want(1);
  Confirmer mute(&leader), syncing(&leader);
  syncing.Attached().state.store(Follower::State::kSending);
  const Lsn end = leader.Write();
  leader.replication.Acknowledge(mute.session, end, std::nullopt);
  syncing.Tell(end);
  REQUIRE(leader.confirmed() == 0);
  syncing.Attached().state.store(Follower::State::kOnline);
  syncing.Tell(end);
  REQUIRE(leader.confirmed() == end);
}

TEST_CASE("Who keeps a log with nothing in it yet is there", "[repl]") {
  Leader leader;
  leader.Want(1);
  Confirmer mute(&leader), empty(&leader);
  leader.replication.Acknowledge(mute.session, 0, std::nullopt);
  empty.Tell(0);
  const std::vector<FollowerFacts> followers = leader.replication.Followers();
  REQUIRE(followers.size() == 2);
  REQUIRE_FALSE(followers[0].keeps_log);
  REQUIRE(followers[1].keeps_log);
  leader.replication.Cron();
  REQUIRE_FALSE(leader.engine->modes.Has(kModeFewFollowers));
}

TEST_CASE("Who hears of it: each step is told once", "[repl]") {
  Leader leader;
  leader.Want(1);
  Confirmer peer(&leader);
  const Lsn end = leader.Write();
  REQUIRE(leader.files.journal->committed() == 0);
  peer.Tell(end);
  REQUIRE_FALSE(leader.replication.UpdateConfirmed());
  REQUIRE(leader.files.journal->committed() == end);
}

}  // namespace cairn
