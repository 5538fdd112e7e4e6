// SPDX-License-Identifier: BSD-3-Clause
//
// Workers, listeners and connections over real loopback sockets; meant to be run under the thread
// sanitizer too.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "net/listener.h"
#include "net/worker_pool.h"

namespace cairn {
namespace {

using namespace std::chrono_literals;

// Sends back what comes in. Commands are single bytes that no test text holds:
//   \1 reply, then close   \2 close at once   \3 hold the echo of the rest at LSN 100
//   \4 pause reading, resume after 50 ms      \5 answer with 32 MiB      \6 no answer
//   \7 close all others
class EchoHandler : public ConnectionHandler {
 public:
  struct Shared {
    std::atomic<int> open{0};
    std::atomic<int> closed{0};
    std::atomic<int> drained{0};
    std::atomic<int64_t> reads{0};
    std::atomic<int> over_cap{0};
    std::atomic<size_t> out_max{0};
    size_t output_cap = 0;
  };
  explicit EchoHandler(Shared* shared) : shared_(shared) { shared_->open++; }

  void OnData(Connection& connection, char* data, size_t n) override {
    CHECK(connection.worker().InThread());  // REQUIRE is for the test's own thread only
    std::string_view text(data, n);
    shared_->reads++;
    if (text[0] == '\6') return;
    if (text[0] == '\7') {
      const auto all = connection.worker().connections();
      for (Connection* other : std::vector<Connection*>(all.begin(), all.end()))
        if (other != &connection) other->Close();
    }
    uint64_t start = connection.out().end_position();
    if (text[0] == '\5') {
      static const std::string big(32 << 20, 'B');
      connection.out().AppendBorrowed(big, [](void*) {}, nullptr);
    } else {
      connection.out().Append(text);
    }
    if (text[0] == '\3') connection.out().MarkHold(start, 100);
    connection.FlushSoon();
    if (text[0] == '\1') connection.CloseAfterFlush();
    if (text[0] == '\2') connection.Close();
    if (text[0] == '\4') {
      connection.PauseReading();
      resume_.set_callback([&connection] { connection.ResumeReading(); });
      connection.worker().ScheduleAfter(&resume_, 50);
    }
  }
  void OnDrained(Connection&) override { shared_->drained++; }
  void OnOutputCap(Connection& connection) override {
    shared_->over_cap++;
    connection.Close();
  }
  void OnClosed(Connection&) override {
    shared_->open--;
    shared_->closed++;
    delete this;
  }

 private:
  Shared* shared_;
  Timer resume_;
};

// Has more input whenever it is asked, as TLS below a peer that sends without a pause.
class EndlessTransport final : public Transport {
 public:
  ssize_t Read(char* buffer, size_t length) override {
    std::fill(buffer, buffer + length, '\6');
    return static_cast<ssize_t>(length);
  }
  ssize_t Write(const struct iovec*, int) override { return -EAGAIN; }
  bool HasBufferedInput() const override { return true; }
};

struct EchoServer {
  explicit EchoServer(int threads, size_t output_cap = 0, std::string unix_path = "")
      : pool(threads, SystemClock()) {
    shared.output_cap = output_cap;
    SocketOptions options;
    options.unix_permissions = 0700;
    int fd = ListenTcp("127.0.0.1", 0, options).value();
    port = LocalPort(fd);
    std::vector<int> fds = {fd};
    if (!unix_path.empty()) fds.push_back(ListenUnix(unix_path, options).value());
    listener = std::make_unique<Listener>(
        &pool, fds, options,
        [this](Worker& worker, int, std::string* refusal) -> ConnectionHandler* {
          CHECK(worker.InThread());
          if (refuse) {
            *refusal = "-ERR no\r\n";
            return nullptr;
          }
          return new EchoHandler(&shared);
        },
        [this](Connection& connection) {
          connection.set_output_cap(shared.output_cap);
          if (endless.exchange(false)) connection.set_transport(std::make_unique<EndlessTransport>());
          std::lock_guard lock(mutex);
          addresses[connection.peer_address()] = connection.local_address();
        });
    REQUIRE(pool.Start().ok());
    listener->Start(&pool[0]);
  }
  ~EchoServer() {
    listener->CloseAndWait();
    pool.Stop();
    REQUIRE(shared.open == 0);
  }

  EchoHandler::Shared shared;
  std::atomic<bool> refuse{false}, endless{false};  // the next connection
  std::mutex mutex;
  std::map<std::string, std::string> addresses;
  WorkerPool pool;
  std::unique_ptr<Listener> listener;
  int port;
};

// A blocking client socket.
class Peer {
 public:
  explicit Peer(int port, int receive_buffer = 0) {
    fd_ = socket(AF_INET, SOCK_STREAM, 0);
    if (receive_buffer) {
      setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    }
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    timeval timeout = {20, 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
  }
  ~Peer() { close(fd_); }
  void Send(std::string_view text) {
    REQUIRE(send(fd_, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size()));
  }
  // Exactly n bytes, or fewer at the end of the stream.
  std::string Receive(size_t n) {
    std::string text(n, 0);
    size_t got = 0;
    while (got < n) {
      ssize_t r = recv(fd_, text.data() + got, n - got, 0);
      if (r <= 0) break;
      got += static_cast<size_t>(r);
    }
    text.resize(got);
    return text;
  }
  bool Readable(int ms) {
    pollfd p = {fd_, POLLIN, 0};
    return poll(&p, 1, ms) > 0;
  }
  void HalfClose() { shutdown(fd_, SHUT_WR); }
  std::string Name() {
    sockaddr_in address = {};
    socklen_t length = sizeof address;
    getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &length);
    return "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  }

 private:
  int fd_;
};

template <typename F>
bool Eventually(F condition) {
  for (int i = 0; i < 6000; i++) {  // however slow the machine is
    if (condition()) return true;
    std::this_thread::sleep_for(10ms);
  }
  return false;
}

TEST_CASE("mailbox: tasks of one sender run in order, and late ones are dropped") {
  Worker worker(0, SystemClock());
  constexpr int kSenders = 4, kTasks = 5000;
  std::vector<std::vector<int>> seen(kSenders);
  REQUIRE(worker.Start().ok());
  std::vector<std::thread> senders;
  for (int s = 0; s < kSenders; s++) {
    senders.emplace_back([&, s] {
      for (int i = 0; i < kTasks; i++) worker.Post([&, s, i] { seen[s].push_back(i); });
    });
  }
  for (auto& sender : senders) sender.join();
  worker.Stop();
  worker.Join();
  auto token = std::make_shared<int>(1);
  worker.Post([token] { CHECK(false); });
  for (const auto& list : seen) {
    REQUIRE(list.size() == kTasks);
    REQUIRE(std::is_sorted(list.begin(), list.end()));
  }
  // One wake-up a batch: far fewer turns than tasks would be fine, more would not.
  REQUIRE(worker.totals().turns.load() <= kSenders * kTasks);
}

TEST_CASE("worker: timers, idle slices and turn-end hooks") {
  Worker worker(0, SystemClock());
  std::promise<void> done;
  int slices = 0, hooks = 0;
  Timer timer;
  int64_t start = 0;
  worker.OnTurnEnd([&] { hooks++; });
  worker.Post([&] {
    worker.AddIdle([&] { return ++slices < 5; });
    start = worker.monotonic_ms();
    timer.set_callback([&] { done.set_value(); });
    worker.ScheduleAfter(&timer, 60);
  });
  REQUIRE(worker.Start().ok());
  done.get_future().wait();
  int64_t took = 0;
  std::promise<void> read;
  worker.Post([&] {
    took = worker.monotonic_ms() - start;
    read.set_value();
  });
  read.get_future().wait();
  REQUIRE(took >= 60);
  worker.Stop();
  worker.Join();
  REQUIRE(slices == 5);
  REQUIRE(hooks >= 5);
  REQUIRE(worker.totals().turns.load() < 50);  // it slept in between
}

TEST_CASE("worker: what it posts to itself runs in the same turn, in order with what others post") {
  Worker worker(0, SystemClock());
  std::vector<int> seen;
  std::promise<void> done;
  uint64_t posted_in = 0, run_in = 0;
  worker.Post([&] {
    posted_in = worker.totals().turns.load();
    worker.Post([&] {
      run_in = worker.totals().turns.load();
      seen.push_back(1);
      worker.Post([&] { seen.push_back(3); });  // of the next turn, which has to come by itself
      worker.Post([&] { done.set_value(); });
    });
    worker.Post([&] { seen.push_back(2); });
  });
  REQUIRE(worker.Start().ok());
  REQUIRE(done.get_future().wait_for(60s) == std::future_status::ready);
  worker.Stop();
  worker.Join();
  REQUIRE(seen == std::vector<int>{1, 2, 3});
  REQUIRE(run_in == posted_in);
}

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
