// SPDX-License-Identifier: BSD-3-Clause
//
// What tests of connections share: a server over real loopback sockets that echoes, and blocking
// clients.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "net/listener.h"
#include "net/worker_pool.h"

namespace cairn {

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
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

}  // namespace cairn
