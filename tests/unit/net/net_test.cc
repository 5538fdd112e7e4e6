// SPDX-License-Identifier: BSD-3-Clause
//
// Workers, listeners and connections over real loopback sockets; meant to be run under the thread
// sanitizer too.
#include <sys/stat.h>
#include <sys/un.h>

#include <cstdlib>
#include <future>

#include "tests/unit/net/net_harness.h"

namespace cairn {
namespace {

TEST_CASE("net: output that may wait leaves in rows, and others are served between them") {
  EchoServer server(1);
  constexpr size_t kPeers = 3 * Worker::kLaterFlushesMax + 1;
  std::vector<std::unique_ptr<Peer>> peers;
  for (size_t i = 0; i < kPeers; ++i) peers.push_back(std::make_unique<Peer>(server.port));
  Worker& worker = server.pool[0];
  REQUIRE(Eventually([&] { return worker.connection_count() == kPeers; }));
  std::promise<uint64_t> written;
  // Two messages to each, one of whom is closed before its turn comes.
  worker.Post([&] {
    for (int round = 0; round < 2; ++round) {
      for (Connection* connection : worker.connections()) {
        connection->out().Append("message");
        connection->FlushLater();
      }
    }
    worker.connections().back()->Close();
    const uint64_t before = worker.totals().writes.load();
    // A slice that was added before the first row sees how far the rows are.
    worker.AddIdle([&worker, before, &written, turns = 0]() mutable {
      if (++turns < 3) return true;
      written.set_value(worker.totals().writes.load() - before);
      return false;
    });
  });
  REQUIRE(written.get_future().get() == 2 * Worker::kLaterFlushesMax);
  // The one that was closed got what it had been owed.
  for (auto& peer : peers) REQUIRE(peer->Receive(14) == "messagemessage");
}

TEST_CASE("net: a turn with very many ready connections ends in between") {
  EchoServer server(1);
  constexpr size_t kPeers = 200;  // 64 are flushed together
  std::vector<std::unique_ptr<Peer>> peers;
  for (size_t i = 0; i < kPeers; ++i) peers.push_back(std::make_unique<Peer>(server.port));
  Worker& worker = server.pool[0];
  REQUIRE(Eventually([&] { return worker.connection_count() == kPeers; }));
  std::promise<uint64_t> turns;
  std::promise<void> all_sent;
  worker.Post([&] {
    turns.set_value(worker.totals().turns.load());
    all_sent.get_future().wait();
  });
  const uint64_t before = turns.get_future().get();
  for (auto& peer : peers) peer->Send("hello");
  all_sent.set_value();
  for (auto& peer : peers) REQUIRE(peer->Receive(5) == "hello");
  REQUIRE(worker.totals().turns.load() >= before + kPeers / 64);
}

TEST_CASE("net: who is closed in the turn that has something for it hears nothing more") {
  EchoServer server(1);
  constexpr size_t kPeers = 20;
  std::vector<std::unique_ptr<Peer>> peers;
  for (size_t i = 0; i < kPeers; ++i) peers.push_back(std::make_unique<Peer>(server.port));
  Worker& worker = server.pool[0];
  REQUIRE(Eventually([&] { return worker.connection_count() == kPeers; }));
  std::promise<void> stopped, all_sent;
  worker.Post([&] {
    stopped.set_value();
    all_sent.get_future().wait();
  });
  stopped.get_future().wait();
  for (auto& peer : peers) peer->Send("\7");
  all_sent.set_value();
  REQUIRE(Eventually([&] { return worker.connection_count() == 1; }));
  size_t answered = 0;
  for (auto& peer : peers)
    answered += peer->Receive(1).size();  // nothing from those that were closed
  REQUIRE(answered == 1);
  REQUIRE(server.shared.reads == 1);
}

TEST_CASE("net: many clients on four workers get their bytes back") {
  EchoServer server(4);
  constexpr int kClients = 64;
  std::vector<std::unique_ptr<Peer>> peers;
  for (int i = 0; i < kClients; i++) peers.push_back(std::make_unique<Peer>(server.port));
  for (int round = 0; round < 20; round++) {
    for (int i = 0; i < kClients; i++) peers[i]->Send("hello " + std::to_string(i * 1000 + round));
    for (int i = 0; i < kClients; i++) {
      std::string expected = "hello " + std::to_string(i * 1000 + round);
      REQUIRE(peers[i]->Receive(expected.size()) == expected);
    }
  }
  uint64_t in = 0;
  for (size_t i = 0; i < 4; i++) {
    REQUIRE(server.pool[i].connection_count() == kClients / 4);
    in += server.pool[i].totals().bytes_in.load();
  }
  REQUIRE(in > kClients * 20 * 7);
  REQUIRE(server.listener->accepted() == kClients);
  {
    std::lock_guard lock(server.mutex);
    REQUIRE(server.addresses.count(peers[5]->Name()) == 1);
    REQUIRE(server.addresses[peers[5]->Name()] == "127.0.0.1:" + std::to_string(server.port));
  }
  peers.clear();
  REQUIRE(Eventually([&] { return server.shared.closed == kClients; }));
}

TEST_CASE("net: a half-closed peer still gets its replies, then the end") {
  EchoServer server(2);
  Peer peer(server.port);
  peer.Send("last words");
  peer.HalfClose();
  REQUIRE(peer.Receive(100) == "last words");
  REQUIRE(Eventually([&] { return server.shared.closed == 1; }));
}

TEST_CASE("net: closing after the reply, and at once") {
  EchoServer server(1);
  Peer polite(server.port), rude(server.port);
  polite.Send("\1bye");
  REQUIRE(polite.Receive(100) == "\1bye");
  rude.Send("\2bye");
  REQUIRE(rude.Receive(100).empty());
  REQUIRE(Eventually([&] { return server.shared.closed == 2; }));
}

TEST_CASE("net: a slow reader blocks nobody and is drained later") {
  EchoServer server(1);
  Peer slow(server.port, 4096), quick(server.port);
  slow.Send("\5");
  for (int i = 0; i < 50; i++) {
    quick.Send("x");
    REQUIRE(quick.Receive(1) == "x");
  }
  REQUIRE(server.shared.drained == 0);
  std::string all = slow.Receive(32 << 20);
  REQUIRE(all.size() == 32 << 20);
  REQUIRE(Eventually([&] { return server.shared.drained == 1; }));
}

TEST_CASE("net: a reader that is too slow meets the output cap") {
  EchoServer server(1, 1 << 20);
  Peer slow(server.port, 4096);
  slow.Send("\5");
  REQUIRE(Eventually([&] { return server.shared.closed == 1; }));
  REQUIRE(server.shared.over_cap == 1);
}

TEST_CASE("net: held output waits for the log") {
  EchoServer server(1);
  server.pool[0].Post([&] { server.pool[0].SetDurable(50); });
  Peer peer(server.port), other(server.port);
  peer.Send("\3held");
  REQUIRE_FALSE(peer.Readable(100));
  peer.Send("behind");
  other.Send("free");
  REQUIRE(other.Receive(4) == "free");
  server.pool[0].Post([&] { server.pool[0].SetDurable(99); });
  REQUIRE_FALSE(peer.Readable(50));
  server.pool[0].Post([&] { server.pool[0].SetDurable(100); });
  REQUIRE(peer.Receive(11) == "\3heldbehind");
}

TEST_CASE("net: paused reading resumes") {
  EchoServer server(1);
  Peer peer(server.port);
  peer.Send("\4a");
  REQUIRE(peer.Receive(2) == "\4a");
  peer.Send("b");
  REQUIRE(peer.Receive(1) == "b");
}

TEST_CASE("net: a layer that has ever more input keeps nobody else waiting") {
  EchoServer server(1);
  server.endless = true;
  Peer endless(server.port);
  endless.Send("x");
  REQUIRE(Eventually([&] { return server.shared.reads > 0; }));
  Peer other(server.port);
  other.Send("b");
  REQUIRE(other.Receive(1) == "b");
  // It is read on without a word of the loop.
  const int64_t reads = server.shared.reads;
  REQUIRE(Eventually([&] { return server.shared.reads > reads + 10000; }));
}

TEST_CASE("net: a refused connection hears why") {
  EchoServer server(2);
  server.refuse = true;
  Peer peer(server.port);
  REQUIRE(peer.Receive(100) == "-ERR no\r\n");
  REQUIRE(Eventually([&] { return server.pool[0].connection_count() == 0; }));
}

TEST_CASE("net: stopping with open connections, busy ones among them") {
  auto server = std::make_unique<EchoServer>(3);
  std::vector<std::unique_ptr<Peer>> peers;
  for (int i = 0; i < 12; i++) {
    peers.push_back(std::make_unique<Peer>(server->port, 4096));
    peers.back()->Send(i % 2 ? "\5" : "x");
  }
  REQUIRE(peers[0]->Receive(1) == "x");
  server.reset();  // its destructor checks that every handler saw OnClosed
}

TEST_CASE("net: unix sockets have permissions and a path as address") {
  char folder[] = "/tmp/cairn-net-XXXXXX";
  REQUIRE(mkdtemp(folder) != nullptr);
  std::string path = std::string(folder) + "/s";
  {
    EchoServer server(1, 0, path);
    struct stat info;
    REQUIRE(stat(path.c_str(), &info) == 0);
    REQUIRE((info.st_mode & 0777) == 0700);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un name = {};
    name.sun_family = AF_UNIX;
    path.copy(name.sun_path, path.size());
    REQUIRE(connect(fd, reinterpret_cast<sockaddr*>(&name), sizeof name) == 0);
    REQUIRE(write(fd, "u", 1) == 1);
    char c;
    REQUIRE(read(fd, &c, 1) == 1);
    {
      std::lock_guard lock(server.mutex);
      REQUIRE(server.addresses[path + ":0"] == path + ":0");
    }
    close(fd);
    REQUIRE_FALSE(ListenTcp("127.0.0.1", server.port, {}).ok());
  }
  unlink(path.c_str());
  rmdir(folder);
}

}  // namespace
}  // namespace cairn
