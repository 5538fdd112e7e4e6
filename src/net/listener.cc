// SPDX-License-Identifier: BSD-3-Clause
#include "net/listener.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <semaphore>
#include <utility>

#include "base/check.h"
#include "net/poller.h"

namespace cairn {

namespace {

constexpr int64_t kAcceptPauseMs = 100;

void SetOption(int fd, int level, int option, int value) {
  setsockopt(fd, level, option, &value, sizeof value);
}

Status ErrnoAndClose(const std::string& what, int fd) {
  int error = errno;
  if (fd >= 0) close(fd);
  return Status::FromErrno(what, error);
}

// Probes after `keepalive_s`, then three more in the same time again, as Redis sets it.
void PrepareAccepted(int fd, int keepalive_s) {
  int domain = 0;
  socklen_t length = sizeof domain;
  getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length);
  if (domain == AF_UNIX) return;
  SetOption(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  if (keepalive_s <= 0) return;
  SetOption(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  SetOption(fd, IPPROTO_TCP, TCP_KEEPIDLE, keepalive_s);
  SetOption(fd, IPPROTO_TCP, TCP_KEEPINTVL, std::max(keepalive_s / 3, 1));
  SetOption(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
}

}  // namespace

Result<int> ListenTcp(const std::string& address, int port, const SocketOptions& options) {
  struct addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  // A name is looked up among IPv4 addresses, as Redis does: 127.0.0.1 is where clients look for
  // "localhost".
  hints.ai_family = address.find(':') != std::string::npos ? AF_INET6 : AF_INET;
  bool any = address == "*" || address == "::*";
  struct addrinfo* found = nullptr;
  int error =
      getaddrinfo(any ? nullptr : address.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (error != 0) return Status::NotFound(address + ": " + gai_strerror(error));
  std::string what = "listen on " + address + ":" + std::to_string(port);
  int fd = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd >= 0) {
    SetOption(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    // An IPv4 socket on the same port may stand beside this one.
    if (found->ai_family == AF_INET6) SetOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
  }
  bool bound = fd >= 0 && bind(fd, found->ai_addr, found->ai_addrlen) == 0;
  int saved = errno;
  freeaddrinfo(found);
  errno = saved;
  if (!bound || listen(fd, options.backlog) != 0) return ErrnoAndClose(what, fd);
  return fd;
}

Result<int> ListenUnix(const std::string& path, const SocketOptions& options) {
  struct sockaddr_un name = {};
  name.sun_family = AF_UNIX;
  if (path.size() >= sizeof name.sun_path) return Status::Invalid(path + ": path too long");
  memcpy(name.sun_path, path.data(), path.size());
  std::string what = "listen on " + path;
  struct stat info;
  if (lstat(path.c_str(), &info) == 0 && S_ISSOCK(info.st_mode)) unlink(path.c_str());
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0 || bind(fd, reinterpret_cast<sockaddr*>(&name), sizeof name) != 0)
    return ErrnoAndClose(what, fd);
  // Before it listens: nobody gets in who is not to.
  mode_t mode = static_cast<mode_t>(options.unix_permissions);
  if (mode != 0 && chmod(path.c_str(), mode) != 0) return ErrnoAndClose("chmod " + path, fd);
  if (listen(fd, options.backlog) != 0) return ErrnoAndClose(what, fd);
  return fd;
}

int LocalPort(int fd) {
  struct sockaddr_storage name = {};
  socklen_t length = sizeof name;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&name), &length) != 0) return 0;
  if (name.ss_family == AF_INET) return ntohs(reinterpret_cast<sockaddr_in&>(name).sin_port);
  if (name.ss_family == AF_INET6) return ntohs(reinterpret_cast<sockaddr_in6&>(name).sin6_port);
  return 0;
}

void PauseListening(int fd) {
  shutdown(fd, SHUT_RD);
}

void ResumeListening(int fd, const SocketOptions& options) {
  listen(fd, options.backlog);
}

// One listening socket on its worker's loop. Deletes itself when the loop has let go of it.
class Listener::Socket final : public LoopResident, private PollWatcher {
 public:
  Socket(std::shared_ptr<Shared> shared, Worker* home, int fd)
      : shared_(std::move(shared)), home_(home), fd_(fd), resume_([this] { Listen(true); }) {
    home_->AddResident(this);
    Listen(true);
  }

  int fd() const { return fd_; }

  void Close(std::function<void()> done) {
    if (closing_) return;
    closing_ = true;
    done_ = std::move(done);
    resume_.Cancel();
    Listen(false);
    close(fd_);
    home_->Release(this);
  }

 private:
  // The worker stops though nobody closed the listener: a Close of the Listener that comes later
  // is a task that will not run any more, so nothing finds this object again.
  void OnWorkerStopping() override { Close(nullptr); }

  void OnReleased() override {
    home_->RemoveResident(this);
    if (done_) done_();
    delete this;
  }

  void Listen(bool wanted) {
    if (wanted == listening_) return;
    const uint32_t before = wanted ? uint32_t{0} : kReadable;
    if (home_->poller_.Watch(fd_, before, kReadable - before, this) != 0) {
      CHECK(wanted);  // no memory, or too much is watched: once more, later
      shared_->failed.fetch_add(1, std::memory_order_relaxed);
      home_->ScheduleAfter(&resume_, kAcceptPauseMs);
      return;
    }
    listening_ = wanted;
  }

  void OnReady(uint32_t) override {
    if (closing_) return;  // since the event was fetched
    home_->BeginTurn();
    const int accepts_max = shared_->accepts_per_turn.load(std::memory_order_relaxed);
    for (int i = 0; i < accepts_max; i++) {
      int fd = accept4(fd_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd >= 0) {
        Listener::HandOver(shared_, fd);
      } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        // The waiting connection keeps the socket readable: without a pause the loop would spin.
        shared_->failed.fetch_add(1, std::memory_order_relaxed);
        Listen(false);
        home_->ScheduleAfter(&resume_, kAcceptPauseMs);
        return;
      } else if (errno != EINTR && errno != ECONNABORTED) {
        return;
      }
    }
  }

  std::shared_ptr<Shared> shared_;
  Worker* home_;
  int fd_;
  bool closing_ = false, listening_ = false;
  Timer resume_;
  std::function<void()> done_;
};

Listener::Listener(WorkerPool* pool, std::vector<int> fds, const SocketOptions& options,
                   MakeHandler make_handler, OnAccepted on_accepted)
    : shared_(std::make_shared<Shared>()), fds_(std::move(fds)) {
  shared_->pool = pool;
  shared_->tcp_keepalive_s = options.tcp_keepalive_s;
  shared_->accepts_per_turn = options.accepts_per_turn;
  shared_->make_handler = std::move(make_handler);
  shared_->on_accepted = std::move(on_accepted);
}

Listener::~Listener() {
  for (int fd : fds_) close(fd);
}

void Listener::Start(Worker* home) {
  home_ = home;
  home->Post([this, fds = std::exchange(fds_, {})] {
    for (int fd : fds) sockets_.push_back(new Socket(shared_, home_, fd));
  });
}

void Listener::Replace(std::vector<int> closed, std::vector<int> added) {
  CHECK(home_ != nullptr);
  home_->Post([this, closed = std::move(closed), added = std::move(added)] {
    for (Socket* socket : std::exchange(sockets_, {})) {
      if (std::find(closed.begin(), closed.end(), socket->fd()) == closed.end()) {
        sockets_.push_back(socket);
      } else {
        socket->Close(nullptr);
      }
    }
    for (int fd : added) sockets_.push_back(new Socket(shared_, home_, fd));
  });
}

void Listener::Close(std::function<void()> done) {
  CHECK(home_ != nullptr);
  home_->Post([this, done = std::move(done)] {
    auto left = std::make_shared<size_t>(sockets_.size());
    if (*left == 0 && done) done();
    for (Socket* socket : std::exchange(sockets_, {})) {
      socket->Close([left, done] {
        if (--*left == 0 && done) done();
      });
    }
  });
}

void Listener::CloseAndWait() {
  if (home_ == nullptr) return;
  std::binary_semaphore closed(0);
  Close([&closed] { closed.release(); });
  closed.acquire();
}

void Listener::HandOver(const std::shared_ptr<Shared>& shared, int fd) {
  PrepareAccepted(fd, shared->tcp_keepalive_s.load(std::memory_order_relaxed));
  shared->accepted.fetch_add(1, std::memory_order_relaxed);
  Worker& worker = shared->pool->LeastLoaded();
  worker.connection_count_.fetch_add(1, std::memory_order_relaxed);
  worker.Post([shared, &worker, fd] { Receive(*shared, worker, fd); });
}

void Listener::Receive(Shared& shared, Worker& worker, int fd) {
  std::string refusal;
  ConnectionHandler* handler = shared.make_handler(worker, fd, &refusal);
  if (handler == nullptr) {
    if (!refusal.empty()) (void)!send(fd, refusal.data(), refusal.size(), MSG_NOSIGNAL);
    close(fd);
    worker.connection_count_.fetch_sub(1, std::memory_order_relaxed);
    return;
  }
  Connection* connection = worker.AdoptCounted(fd, handler);
  if (!connection->closing() && shared.on_accepted) shared.on_accepted(*connection);
}

}  // namespace cairn
