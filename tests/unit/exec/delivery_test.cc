// SPDX-License-Identifier: BSD-3-Clause
//
// What a unit tells other clients: when, in which order, and from which LSN on they may see it.
#include <deque>

#include "exec/subscribing.h"
#include "exec/tracking.h"
#include "journal/stripes.h"
#include "tests/unit/exec/engine_harness.h"
#include "tests/unit/journal/journal_harness.h"

namespace cairn {
namespace {

// Keeps what is posted until it is drained, as a worker between two turns does.
struct OneWorker final : ServerControl, LocalClients {
  std::vector<std::shared_ptr<ClientRecord>> Clients() override { return records; }
  bool Kill(uint64_t) override { return false; }
  std::shared_ptr<ClientRecord> FindClient(uint64_t) override { return nullptr; }
  void Pause(int64_t, bool) override {}
  void Shutdown(const ShutdownRequest&, std::function<void()>) override {}
  bool AbortShutdown() override { return false; }
  std::string Info(const std::vector<std::string>&) override { return ""; }
  void ResetStatistics() override {}
  Status ReloadJournal() override { return Status::Ok(); }
  Status EnsureJournal() override { return Status::Ok(); }
  Status SwitchJournal() override { return Status::Ok(); }
  void OnFirstBase() override {}
  void OnTimeline(uint64_t) override {}
  void OnAcknowledged() override {}
  void GiveUpHeld() override {}
  void Sleep(int64_t) override {}
  bool OnlyReads(const Command&, Arguments) override { return false; }
  bool Put(int, std::unique_ptr<WorkerTask> task) override {
    tasks.push_back(std::move(task));
    return tasks.size() == 1;
  }
  void Wake(int) override { ++wakes; }

  bool Visit(uint64_t id, FunctionRef<void(Session&, OutputBuffer&)> body) override {
    for (TestClient* client : clients) {
      if (client->session.id() != id) continue;
      body(client->session, client->out);
      return true;
    }
    return false;
  }
  Executor& OwnExecutor() override { return clients.front()->executor; }
  void Resume(uint64_t) override {}
  void WaitUnserved(const std::shared_ptr<Waiter>&, bool) override {}

  void Drain() {
    for (; !tasks.empty(); tasks.pop_front()) tasks.front()->Run(*this);
    OwnExecutor().engine().tracking.FlushInbox(clients.front()->session.record->worker, *this);
  }

  std::deque<std::unique_ptr<WorkerTask>> tasks;
  std::vector<std::shared_ptr<ClientRecord>> records;
  std::vector<TestClient*> clients;
  int wakes = 0;
};

struct Messages final : Subscriber {
  void OnMessage(const std::shared_ptr<const PubsubMessage>& message, std::string_view) override {
    got.push_back(message);
  }
  std::vector<std::shared_ptr<const PubsubMessage>> got;
};

struct Setup {
  Setup() {
    test.engine->control = &worker;
    for (TestClient* client : {&one, &two}) {
      client->session.record->id = ++last_id;
      client->session.subscriber = &messages;
      worker.clients.push_back(client);
    }
  }
  void Set(const char* option, const char* value) {
    REQUIRE(test.store.Set({{option, value}}, false).ok());
  }

  TestEngine test;
  OneWorker worker;
  Messages messages;
  uint64_t last_id = 0;
  TestClient one{test}, two{test};
};

std::string Drained(TestClient& client) { return client.Send(""); }

}  // namespace

TEST_CASE("Messages wait for what their publisher may have seen", "[exec]") {
  Setup s;
  JournalHarness journal(1);
  REQUIRE(journal.Open().ok());
  LsnStripes stripes;
  s.test.engine->journal = s.test.engine->open_journal = journal.journal.get();
  s.test.engine->stripes = &stripes;
  s.two.Send("SUBSCRIBE c\r\n");

  s.one.Send("SET k v\r\nPUBLISH c x\r\n");
  const uint64_t written = s.one.session.last_write_lsn;
  REQUIRE(written > 0);
  s.worker.Drain();
  REQUIRE(s.messages.got.back()->hold() == written);

  // Who has written nothing, but read in the same transaction, waits as its own reply does.
  s.two.session.resp = 3;
  s.two.Send("MULTI\r\nGET k\r\nPUBLISH c y\r\nEXEC\r\n");
  s.worker.Drain();
  REQUIRE(s.messages.got.size() == 2);
  REQUIRE(s.messages.got.back()->hold() == written);

  s.test.engine->stripes = nullptr;  // any other level: nothing waits
  s.one.Send("SET k w\r\nPUBLISH c z\r\n");
  s.worker.Drain();
  REQUIRE(s.messages.got.back()->hold() == 0);
  s.test.engine->journal = s.test.engine->open_journal = nullptr;
  DropSubscriptions(s.two.session);
}

TEST_CASE("A transaction speaks when it is done, in its own order", "[exec]") {
  Setup s;
  s.Set("notify-keyspace-events", "KEA");
  s.two.Send("PSUBSCRIBE *\r\n");
  s.one.Send("MULTI\r\nSET k v\r\nPUBLISH c between\r\nDEL k\r\n");
  REQUIRE(s.worker.tasks.empty());
  REQUIRE(s.one.Send("EXEC\r\n") == "*3\r\n+OK\r\n:1\r\n:1\r\n");
  REQUIRE(s.worker.wakes == 1);  // one wake-up, however many messages
  s.worker.Drain();
  std::vector<std::string> channels;
  for (const auto& message : s.messages.got) channels.emplace_back(message->channel());
  REQUIRE(channels == std::vector<std::string>{"__keyspace@0__:k", "__keyevent@0__:set", "c",
                                               "__keyspace@0__:k", "__keyevent@0__:del"});
  DropSubscriptions(s.two.session);
}

TEST_CASE("A cache is told between the change and whoever looks next", "[exec]") {
  Setup s;
  s.one.session.resp = 3;
  REQUIRE(s.one.Send("CLIENT TRACKING ON\r\nGET k\r\n") == "+OK\r\n_\r\n");
  REQUIRE(s.test.engine->tracking.key_count() == 1);
  s.two.Send("SET k 1\r\n");
  REQUIRE(s.test.engine->tracking.key_count() == 0);
  REQUIRE(s.worker.tasks.size() == 1);  // posted before the writer's reply can leave
  s.two.Send("SET k 2\r\n");
  REQUIRE(s.worker.tasks.size() == 1);
  s.worker.Drain();
  REQUIRE(Drained(s.one) == ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n");
  s.one.session.tracking.reset();
  REQUIRE_FALSE(s.test.engine->tracking.active());
}

TEST_CASE("Broadcasts of one turn come as one message a prefix", "[exec]") {
  Setup s;
  s.one.session.resp = 3;
  s.one.Send("CLIENT TRACKING ON BCAST PREFIX a PREFIX b\r\n");
  s.two.Send("SET a2 1\r\nSET a1 1\r\nSET b1 1\r\nSET c1 1\r\nSET a1 2\r\n");
  s.worker.Drain();
  REQUIRE(Drained(s.one) == ">2\r\n$10\r\ninvalidate\r\n*2\r\n$2\r\na1\r\n$2\r\na2\r\n"
                            ">2\r\n$10\r\ninvalidate\r\n*1\r\n$2\r\nb1\r\n");
  s.one.session.tracking.reset();
}

TEST_CASE("A redirection whose target is gone is reported to the one that tracks", "[exec]") {
  Setup s;
  s.worker.records = {s.one.session.record, s.two.session.record};
  s.one.session.resp = 3;
  s.one.Send("CLIENT TRACKING ON REDIRECT 2\r\nGET k\r\n");
  s.worker.clients.pop_back();
  TestClient writer(s.test);
  writer.Send("SET k 1\r\n");
  s.worker.Drain();
  REQUIRE(Drained(s.one) == ">2\r\n$21\r\ntracking-redir-broken\r\n:2\r\n");
  s.one.session.tracking.reset();
}

}  // namespace cairn
