// SPDX-License-Identifier: BSD-3-Clause
//
// The rules of blocked clients, with workers and mailboxes of the test's own, so that it says when
// a reply is delivered.
#include "exec/blocking.h"

#include <mutex>
#include <thread>

#include "tests/unit/exec/engine_harness.h"

namespace cairn {
namespace {

// Mailboxes that are emptied when the test says so. Each client is a worker.
class TestControl final : public ServerControl {
 public:
  std::vector<std::shared_ptr<ClientRecord>> Clients() override { return records; }
  bool Kill(uint64_t) override { return false; }
  std::shared_ptr<ClientRecord> FindClient(uint64_t id) override {
    for (auto& record : records)
      if (record->id == id) return record;
    return nullptr;
  }
  void Pause(int64_t, bool) override {}
  void Shutdown(const ShutdownRequest&, std::function<void()>) override {}
  bool AbortShutdown() override { return false; }
  std::string Info(const std::vector<std::string>&) override { return ""; }
  void ResetStatistics() override {}
  bool Put(int worker, std::unique_ptr<WorkerTask> task) override {
    std::lock_guard guard(mutex);
    tasks[worker].push_back(std::move(task));
    return true;
  }
  void Wake(int) override {}
  Status ReloadJournal() override { return Status::Ok(); }
  void Sleep(int64_t) override {}
  bool OnlyReads(const Command&, Arguments) override { return false; }
  Status SwitchJournal() override { return Status::Ok(); }
  void OnFirstBase() override {}
  Status EnsureJournal() override { return Status::Ok(); }
  void OnTimeline(uint64_t) override {}
  void OnAcknowledged() override {}
  void GiveUpHeld() override {}

  std::vector<std::unique_ptr<WorkerTask>> Take(int worker) {
    std::lock_guard guard(mutex);
    return std::exchange(tasks[worker], {});
  }

  std::vector<std::shared_ptr<ClientRecord>> records;
  std::mutex mutex;
  std::map<int, std::vector<std::unique_ptr<WorkerTask>>> tasks;
};

struct BlockingEngine : TestEngine {
  BlockingEngine() { engine->control = &control; }
  TestControl control;
};

// A client on a worker of its own.
struct BlockingClient : TestClient, LocalClients {
  explicit BlockingClient(BlockingEngine& test) : TestClient(test), engine(test) {
    session.record->id = test.engine->next_client_id.fetch_add(1);
    session.record->worker = static_cast<int>(session.record->id);
    test.control.records.push_back(session.record);
  }
  // A client that goes while it waits holds its wait, which holds its record.
  ~BlockingClient() { session.record->waiter.reset(); }
  bool blocked() const { return (session.record->flags.load() & kClientBlocked) != 0; }
  // What has been delivered: the bytes of the reply.
  std::string Receive() {
    for (auto& task : engine.control.Take(session.record->worker)) task->Run(*this);
    return Send("");
  }

  bool Visit(uint64_t id, FunctionRef<void(Session&, OutputBuffer&)> body) override {
    REQUIRE(id == session.id());
    body(session, out);
    return true;
  }
  Executor& OwnExecutor() override { return executor; }
  void Resume(uint64_t id) override {
    REQUIRE(id == session.id());
    session.suspended = false;
    ++resumed;
  }
  void WaitUnserved(const std::shared_ptr<Waiter>& waiter, bool) override {
    REQUIRE(executor.TryForget(*waiter));
  }

  BlockingEngine& engine;
  int resumed = 0;
};

// Keys of pairwise different shards.
std::vector<std::string> KeysOfDifferentShards(size_t count) {
  std::vector<std::string> keys;
  ShardSet used;
  for (int i = 0; keys.size() < count; ++i) {
    std::string key = "key:" + std::to_string(i);
    const int shard = ShardOf(HashBytes(key));
    if (used.Has(shard)) continue;
    used.Add(shard);
    keys.push_back(std::move(key));
  }
  return keys;
}

std::string Popped(const std::string& key, const std::string& element) {
  return "*2\r\n$" + std::to_string(key.size()) + "\r\n" + key + "\r\n$" +
         std::to_string(element.size()) + "\r\n" + element + "\r\n";
}

}  // namespace

TEST_CASE("A blocked client is served before the pusher's next command", "[blocking]") {
  BlockingEngine engine;
  BlockingClient waiter(engine), pusher(engine);
  REQUIRE(waiter.Send("BLPOP k 0\r\nPING\r\n") == "");
  REQUIRE((waiter.blocked() && waiter.session.suspended && waiter.done == 1));
  REQUIRE(engine.keyspace.wait_counters().keys == 1);
  REQUIRE(pusher.Send("RPUSH k a\r\nLLEN k\r\n") == ":1\r\n:0\r\n");
  REQUIRE(!waiter.blocked());
  REQUIRE(engine.keyspace.wait_counters().keys == 0);
  REQUIRE(waiter.Receive() == Popped("k", "a"));
  REQUIRE(waiter.resumed == 1);
  REQUIRE((waiter.session.waiter == nullptr && waiter.session.record->waiter == nullptr));
}

TEST_CASE("Whoever claims a wait first ends it: an element is not given to the dead",
          "[blocking]") {
  BlockingEngine engine;
  BlockingClient waiter(engine), pusher(engine);
  waiter.Send("BLPOP k l 0\r\n");
  // As the client's worker does at EOF.
  REQUIRE(ClaimWait(*waiter.session.waiter));
  REQUIRE(!waiter.blocked());
  REQUIRE(pusher.Send("RPUSH k a\r\nLLEN k\r\n") == ":1\r\n:1\r\n");
  REQUIRE(waiter.Receive() == "");
  REQUIRE(waiter.executor.TryForget(*waiter.session.waiter));
  REQUIRE(engine.keyspace.wait_counters().keys == 0);
}

TEST_CASE("A killed client is not served", "[blocking]") {
  BlockingEngine engine;
  BlockingClient waiter(engine), second(engine), pusher(engine);
  waiter.Send("BLPOP k 0\r\n");
  second.Send("BLPOP k 0\r\n");
  waiter.session.record->closing = true;
  pusher.Send("RPUSH k a\r\n");
  REQUIRE(waiter.Receive() == "");
  REQUIRE(second.Receive() == Popped("k", "a"));
}

TEST_CASE("CLIENT UNBLOCK and a push: one of them ends the wait", "[blocking]") {
  BlockingEngine engine;
  BlockingClient waiter(engine), other(engine);
  const std::string id = std::to_string(waiter.session.id());
  waiter.Send("BLPOP k 0\r\n");
  REQUIRE(other.Send("CLIENT UNBLOCK " + id + "\r\nCLIENT UNBLOCK " + id + "\r\n") ==
          ":1\r\n:0\r\n");
  REQUIRE(other.Send("RPUSH k a\r\n") == ":1\r\n");
  REQUIRE(waiter.Receive() == "*-1\r\n");
  REQUIRE(other.Send("LLEN k\r\n") == ":1\r\n");
  REQUIRE(engine.keyspace.wait_counters().keys == 0);

  waiter.Send("BLPOP l 0\r\n");
  other.Send("RPUSH l a\r\n");
  REQUIRE(other.Send("CLIENT UNBLOCK " + id + " ERROR\r\n") == ":0\r\n");
  REQUIRE(waiter.Receive() == Popped("l", "a"));
  waiter.Send("BLPOP l 0\r\n");
  REQUIRE(other.Send("CLIENT UNBLOCK " + id + " ERROR\r\n") == ":1\r\n");
  REQUIRE(waiter.Receive() == "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n");
}

TEST_CASE("A change of role unblocks everybody", "[blocking]") {
  BlockingEngine engine;
  BlockingClient one(engine), two(engine), idle(engine);
  one.Send("BLPOP k 0\r\n");
  two.Send("BLMOVE k l LEFT LEFT 0\r\n");
  REQUIRE(UnblockAllClients(idle.executor.unit(), kUnblockedByRole) == 2);
  REQUIRE(one.Receive().starts_with("-UNBLOCKED force unblock"));
  REQUIRE(two.Receive().starts_with("-UNBLOCKED force unblock"));
  REQUIRE(engine.keyspace.wait_counters().keys == 0);
}

TEST_CASE("EXEC serves when it is over, in the order of the waiting", "[blocking]") {
  BlockingEngine engine;
  BlockingClient first(engine), second(engine), third(engine), pusher(engine);
  first.Send("BLPOP k 0\r\n");
  second.Send("BRPOP k 0\r\n");
  third.Send("BLPOP k 0\r\n");
  REQUIRE(pusher.Send("MULTI\r\nRPUSH k a\r\nRPUSH k b\r\nLLEN k\r\nEXEC\r\n")
              .ends_with("*3\r\n:1\r\n:2\r\n:2\r\n"));
  REQUIRE(first.Receive() == Popped("k", "a"));
  REQUIRE(second.Receive() == Popped("k", "b"));
  REQUIRE(third.Receive() == "");
  REQUIRE(third.blocked());
}

TEST_CASE("Who was looked at and not served keeps its place", "[blocking]") {
  BlockingEngine engine;
  BlockingClient first(engine), second(engine), pusher(engine);
  first.Send("BLPOP k 0\r\n");
  second.Send("BLPOP k 0\r\n");
  pusher.Send("MULTI\r\nRPUSH k a\r\nDEL k\r\nEXEC\r\n");
  pusher.Send("SET k x\r\nDEL k\r\n");
  REQUIRE((first.blocked() && second.blocked()));
  pusher.Send("RPUSH k a\r\n");
  REQUIRE(first.Receive() == Popped("k", "a"));
  REQUIRE(second.blocked());
}

TEST_CASE("Replies follow CLIENT REPLY as it was when the client blocked", "[blocking]") {
  BlockingEngine engine;
  BlockingClient waiter(engine), pusher(engine);
  waiter.Send("CLIENT REPLY SKIP\r\nBLPOP k 0\r\n");
  pusher.Send("RPUSH k a\r\n");
  REQUIRE(waiter.Receive() == "");
  REQUIRE(waiter.Send("PING\r\n") == "+PONG\r\n");
  waiter.Send("CLIENT REPLY OFF\r\nBLPOP k 0\r\n");
  pusher.Send("RPUSH k a\r\n");
  REQUIRE(waiter.Receive() == "");
  REQUIRE(pusher.Send("LLEN k\r\n") == ":0\r\n");
}

TEST_CASE("A call is counted once, when it is answered", "[blocking]") {
  BlockingEngine engine;
  BlockingClient waiter(engine), pusher(engine);
  const auto id = static_cast<size_t>(engine.registry.Find("blpop")->id);
  waiter.Send("BLPOP k 0\r\n");
  REQUIRE(engine.engine->statistics.SumCommand(id).calls == 0);
  pusher.Send("RPUSH k a\r\n");
  REQUIRE(engine.engine->statistics.SumCommand(id).calls == 1);
}

// A waiter whose second key's lock is taken while somebody pushes to its first: the pusher has to
// wait for All, and whoever locks the first key before he gets it serves the waiter first.
TEST_CASE("Nobody overtakes a waiter that needs another lock", "[blocking]") {
  const std::vector<std::string> keys = KeysOfDifferentShards(2);
  BlockingEngine engine;
  BlockingClient mover(engine), pusher(engine), holder(engine);
  mover.Send("BLMOVE " + keys[0] + " " + keys[1] + " LEFT LEFT 0\r\n");
  TheHoldPoint().entered = TheHoldPoint().release = false;
  std::string pushed, popped;
  // Two requests of one read: no other thread gets All between them.
  std::thread hold(
      [&] { popped = holder.Send("T.HOLD " + keys[1] + "\r\nLPOP " + keys[0] + "\r\n"); });
  while (!TheHoldPoint().entered) usleep(200);
  std::thread push([&] { pushed = pusher.Send("RPUSH " + keys[0] + " a\r\n"); });
  Shard& shard = engine.keyspace.shard(ShardOf(HashBytes(keys[0])));
  for (bool noted = false; !noted; usleep(200)) {
    shard.lock.Lock();
    noted = shard.unserved;
    shard.lock.Unlock();
  }
  REQUIRE(mover.blocked());
  TheHoldPoint().release = true;
  hold.join();
  push.join();
  REQUIRE(pushed == ":1\r\n");
  REQUIRE(popped == "+OK\r\n$-1\r\n");
  REQUIRE(mover.Receive() == "$1\r\na\r\n");
  REQUIRE(pusher.Send("LRANGE " + keys[1] + " 0 -1\r\n") == "*1\r\n$1\r\na\r\n");
  REQUIRE(!shard.unserved);
}

TEST_CASE("Chains over many shards are served to their end", "[blocking]") {
  const size_t kLength = 30;
  const std::vector<std::string> keys = KeysOfDifferentShards(kLength + 1);
  BlockingEngine engine;
  std::vector<std::unique_ptr<BlockingClient>> movers;
  for (size_t i = 0; i < kLength; ++i) {
    movers.push_back(std::make_unique<BlockingClient>(engine));
    movers.back()->Send("BLMOVE " + keys[i] + " " + keys[i + 1] + " LEFT LEFT 0\r\n");
  }
  BlockingClient pusher(engine);
  pusher.Send("LPUSH " + keys[0] + " a\r\n");
  for (auto& mover : movers) REQUIRE(mover->Receive() == "$1\r\na\r\n");
  REQUIRE(pusher.Send("LLEN " + keys[kLength] + "\r\n") == ":1\r\n");
  REQUIRE(engine.keyspace.wait_counters().keys == 0);
}

TEST_CASE("FLUSH and SWAPDB look at every waiter of their databases", "[blocking]") {
  BlockingEngine engine;
  BlockingClient waiter(engine), other(engine);
  other.Send("SELECT 1\r\nRPUSH k there\r\n");
  waiter.Send("BLPOP k 0\r\n");
  other.Send("SWAPDB 0 1\r\n");
  REQUIRE(waiter.Receive() == Popped("k", "there"));
}

}  // namespace cairn
