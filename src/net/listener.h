// SPDX-License-Identifier: BSD-3-Clause
//
// Listening sockets: accepts on one worker's loop and hands each connection to the worker with
// the fewest.
//
// Sockets are bound by the constructor functions below, so that main can report "address in use"
// before any thread runs. Thread rule: Start and Close from any thread; Accept callbacks run on
// the worker that gets the connection.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "net/connection.h"
#include "net/worker_pool.h"

namespace cairn {

struct SocketOptions {
  int backlog = 511;
  int tcp_keepalive_s = 300;  // 0: off; see tcp(7) for what it sets
  int unix_permissions = 0;   // octal mode of the unix socket's file; 0: as umask says
  int accepts_per_turn = 10;  // connections taken before the loop goes on to others
};

// A bound, listening, non-blocking socket, or why not. TCP: numeric address or host name, IPv4 or
// IPv6 ("*" is any IPv4, "::*" any IPv6); port 0 lets the system choose (see LocalPort).
Result<int> ListenTcp(const std::string& address, int port, const SocketOptions& options);
// Removes a socket file left at `path` by an earlier process.
Result<int> ListenUnix(const std::string& path, const SocketOptions& options);
int LocalPort(int fd);  // 0 for a unix socket
// A bound socket takes no connections from now on, but keeps its address from nobody who sets
// SO_REUSEADDR, as the functions above do; and takes them again. Any thread.
void PauseListening(int fd);
void ResumeListening(int fd, const SocketOptions& options);

class Listener {
 public:
  // Makes the handler of a new connection, on the worker `worker`. The connection does not exist
  // yet; nullptr refuses it: `fd` is closed after `refusal` (if not empty) was sent to it.
  using MakeHandler =
      std::function<ConnectionHandler*(Worker& worker, int fd, std::string* refusal)>;
  // Called after the connection was adopted, before its first byte (TLS, CLIENT LIST entry).
  using OnAccepted = std::function<void(Connection&)>;

  // Takes over the listening sockets.
  Listener(WorkerPool* pool, std::vector<int> fds, const SocketOptions& options,
           MakeHandler make_handler, OnAccepted on_accepted);
  ~Listener();  // never started, or closed
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  // Accepts on `home`, from now on.
  void Start(Worker* home);
  // Closes those of its sockets that are in `closed` and takes over those in `added`; in a moment,
  // on `home`. Any thread.
  void Replace(std::vector<int> closed, std::vector<int> added);
  // For connections accepted from now on. Any thread.
  void set_tcp_keepalive(int seconds) { shared_->tcp_keepalive_s.store(seconds); }
  // Any thread.
  void set_accepts_per_turn(int count) { shared_->accepts_per_turn.store(count); }
  // Stops accepting and closes the sockets; `done` (may be empty) runs on `home` when that is so;
  // until then the Listener must live. Call it before `home` is stopped.
  void Close(std::function<void()> done);
  // The same, and waits for it. Not from a worker thread.
  void CloseAndWait();

  uint64_t accepted() const { return shared_->accepted.load(std::memory_order_relaxed); }
  // Accepts that failed for want of descriptors or memory; after one, accepting pauses 100 ms.
  uint64_t failed() const { return shared_->failed.load(std::memory_order_relaxed); }

 private:
  struct Shared {  // outlives the Listener in tasks under way
    WorkerPool* pool;
    std::atomic<int> tcp_keepalive_s{0}, accepts_per_turn{1};
    MakeHandler make_handler;
    OnAccepted on_accepted;
    std::atomic<uint64_t> accepted{0};
    std::atomic<uint64_t> failed{0};
  };
  class Socket;
  static void HandOver(const std::shared_ptr<Shared>& shared, int fd);
  static void Receive(Shared& shared, Worker& worker, int fd);

  std::shared_ptr<Shared> shared_;
  std::vector<int> fds_;          // before Start
  std::vector<Socket*> sockets_;  // home's thread only
  Worker* home_ = nullptr;
};

}  // namespace cairn
