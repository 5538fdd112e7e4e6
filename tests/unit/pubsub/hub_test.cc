// SPDX-License-Identifier: BSD-3-Clause
//
// The tables of subscriptions, against a plain model and, for the promises about order, with
// threads. A worker is a FIFO of messages here.
#include "pubsub/hub.h"

#include <deque>
#include <map>
#include <set>
#include <thread>

#include "base/random.h"

namespace cairn {
namespace {

using Message = std::shared_ptr<const PubsubMessage>;

// The last bulk string of a head.
std::string PatternIn(std::string_view head) {
  head.remove_suffix(2);
  return std::string(head.substr(head.rfind('\n') + 1));
}

struct Reader final : Subscriber {
  void OnMessage(const Message& message, std::string_view head) override {
    got.push_back((head.empty() ? "" : PatternIn(head) + " ") + std::string(message->channel()) +
                  " " + std::string(message->tail()));
  }
  std::vector<std::string> got;
};

struct Mailboxes {
  explicit Mailboxes(PubsubHub* hub_in) : hub(*hub_in) {}
  int64_t Publish(std::string_view channel, std::string_view payload,
                  PubsubKind kind = PubsubKind::kChannel) {
    auto message = std::make_shared<PubsubMessage>(kind, channel, payload, 0);
    return hub.Publish(message, [&](int worker) { queues[worker].push_back(message); });
  }
  void Drain(int worker) {
    for (; !queues[worker].empty(); queues[worker].pop_front())
      hub.local(worker).Deliver(queues[worker].front());
  }
  PubsubHub& hub;
  std::map<int, std::deque<Message>> queues;
};

}  // namespace

TEST_CASE("A message is encoded once, in parts for both kinds of receivers", "[pubsub]") {
  PubsubMessage message(PubsubKind::kChannel, "news", "hello", 7);
  REQUIRE(message.body() == "3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$5\r\nhello\r\n");
  REQUIRE(message.tail() == "$4\r\nnews\r\n$5\r\nhello\r\n");
  REQUIRE(message.channel() == "news");
  REQUIRE(message.hold() == 7);
  PubsubMessage shard(PubsubKind::kShard, "", "", 0);
  REQUIRE(shard.body() == "3\r\n$8\r\nsmessage\r\n$0\r\n\r\n$0\r\n\r\n");
  REQUIRE(shard.channel().empty());
  REQUIRE(PatternHead("n*") == "4\r\n$8\r\npmessage\r\n$2\r\nn*\r\n");
}

TEST_CASE("Who unsubscribed gets nothing any more, who came later nothing older", "[pubsub]") {
  PubsubHub hub;
  Mailboxes mail(&hub);
  Reader early, late;
  Subscriptions a(&hub, 0, &early), b(&hub, 0, &late);
  REQUIRE(a.Add(PubsubKind::kChannel, "c"));
  REQUIRE(a.Add(PubsubKind::kPattern, "c*"));
  REQUIRE(mail.Publish("c", "1") == 2);
  REQUIRE(b.Add(PubsubKind::kChannel, "c"));
  REQUIRE(b.Add(PubsubKind::kPattern, "?"));
  REQUIRE(a.Remove(PubsubKind::kChannel, "c"));
  REQUIRE(a.Add(PubsubKind::kChannel, "c"));  // a new subscription: message 1 is not its own
  mail.Drain(0);
  REQUIRE(early.got == std::vector<std::string>{"c* c $1\r\nc\r\n$1\r\n1\r\n"});
  REQUIRE(late.got.empty());
  REQUIRE(mail.Publish("c", "2") == 4);
  REQUIRE(mail.queues[0].size() == 1);  // a message a worker, not one a subscriber
  mail.Drain(0);
  REQUIRE(early.got.size() == 3);
  REQUIRE(late.got.size() == 2);
}

TEST_CASE("Shard channels are a space of their own and know no patterns", "[pubsub]") {
  PubsubHub hub;
  Mailboxes mail(&hub);
  Reader reader;
  Subscriptions all(&hub, 3, &reader);
  all.Add(PubsubKind::kShard, "c");
  all.Add(PubsubKind::kPattern, "*");
  REQUIRE(mail.Publish("c", "x", PubsubKind::kShard) == 1);
  REQUIRE(mail.Publish("c", "y") == 1);
  mail.Drain(3);
  REQUIRE(reader.got ==
          std::vector<std::string>{"c $1\r\nc\r\n$1\r\nx\r\n", "* c $1\r\nc\r\n$1\r\ny\r\n"});
}

TEST_CASE("Random subscribing agrees with a model", "[pubsub]") {
  PubsubHub hub;
  Mailboxes mail(&hub);
  constexpr int kClients = 12, kWorkers = 3;
  Random random(42);
  std::vector<Reader> readers(kClients);
  std::vector<std::unique_ptr<Subscriptions>> clients(kClients);
  std::vector<std::set<std::string>> model(kClients);
  for (int i = 0; i < kClients; ++i)
    clients[i] = std::make_unique<Subscriptions>(&hub, i % kWorkers, &readers[i]);
  for (int step = 0; step < 20000; ++step) {
    const int who = static_cast<int>(random.Below(kClients));
    const std::string name = "c" + std::to_string(random.Below(8));
    switch (random.Below(8)) {
      case 0:
      case 1:
      case 2:
        REQUIRE(clients[who]->Add(PubsubKind::kChannel, name) == model[who].insert(name).second);
        break;
      case 3:
      case 4:
        REQUIRE(clients[who]->Remove(PubsubKind::kChannel, name) == (model[who].erase(name) == 1));
        break;
      case 5:
        if (random.Below(10) == 0) {  // the client is gone, another comes
          clients[who] = std::make_unique<Subscriptions>(&hub, who % kWorkers, &readers[who]);
          model[who].clear();
        }
        break;
      default: {
        for (Reader& reader : readers) reader.got.clear();
        int64_t expected = 0;
        for (const auto& names : model) expected += static_cast<int64_t>(names.count(name));
        REQUIRE(hub.Count(PubsubKind::kChannel, name) == expected);
        REQUIRE(mail.Publish(name, "m") == expected);
        for (int worker = 0; worker < kWorkers; ++worker) {
          mail.Drain(worker);
          hub.local(worker).CheckInvariants();
        }
        for (int i = 0; i < kClients; ++i) REQUIRE(readers[i].got.size() == model[i].count(name));
      }
    }
    std::set<std::string> names;
    for (const auto& m : model) names.insert(m.begin(), m.end());
    REQUIRE(hub.Topics(PubsubKind::kChannel) == names.size());
  }
  clients.clear();
  REQUIRE(hub.Topics(PubsubKind::kChannel) == 0);
  REQUIRE_FALSE(hub.any());
}

// Four workers, each publishing, subscribing and draining; every subscriber sees each publisher's
// messages in order, and subscribers of one channel on different workers see the same order.
TEST_CASE("Orders hold with four threads", "[pubsub]") {
  constexpr int kWorkers = 4, kMessages = 4000;
  PubsubHub hub;
  struct Box {
    std::mutex mutex;
    std::deque<Message> queue;
  };
  std::array<Box, kWorkers> boxes;
  std::array<Reader, kWorkers> steady;
  std::atomic<int> ready{0}, finished{0};
  const auto run = [&](int w) {
    const auto drain = [&] {
      std::deque<Message> taken;
      {
        std::lock_guard guard(boxes[w].mutex);
        taken.swap(boxes[w].queue);
      }
      for (const Message& message : taken) hub.local(w).Deliver(message);
    };
    Subscriptions all(&hub, w, &steady[w]);
    all.Add(PubsubKind::kChannel, "hot");
    ready.fetch_add(1);
    while (ready.load() < kWorkers) std::this_thread::yield();
    Reader fickle;
    for (int i = 0; i < kMessages; ++i) {
      Subscriptions some(&hub, w, &fickle);
      some.Add(i % 2 == 0 ? PubsubKind::kChannel : PubsubKind::kPattern, "hot");
      auto message = std::make_shared<PubsubMessage>(
          PubsubKind::kChannel, "hot", std::to_string(w) + ":" + std::to_string(i), 0);
      hub.Publish(message, [&](int target) {
        std::lock_guard guard(boxes[target].mutex);
        boxes[target].queue.push_back(message);
      });
      if (i % 3 == 0) drain();
    }
    finished.fetch_add(1);
    while (finished.load() < kWorkers) std::this_thread::yield();
    drain();
  };
  std::vector<std::thread> threads;
  for (int w = 0; w < kWorkers; ++w) threads.emplace_back(run, w);
  for (std::thread& thread : threads) thread.join();
  for (const Reader& reader : steady) {
    REQUIRE(reader.got.size() == size_t{kWorkers} * kMessages);
    REQUIRE(reader.got == steady[0].got);
  }
}

}  // namespace cairn
