// SPDX-License-Identifier: BSD-3-Clause
#include "net/connector.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include <cerrno>
#include <optional>
#include <utility>

#include "base/check.h"
#include "net/loop.h"

namespace cairn {

// One attempt: resolve -> try the addresses one after the other -> report. The name is resolved
// on libuv's thread pool. Deletes itself when the loop holds nothing of it any more.
class OutgoingConnect : public LoopResident {
 public:
  OutgoingConnect(Worker* worker, const ConnectTarget& target,
                  std::function<void(Result<int>)> done)
      : worker_(worker), target_(target), done_(std::move(done)) {
    worker_->AddResident(this);
    timer_.set_callback([this] { Report(Status::FromErrno(Name(), ETIMEDOUT)); });
    worker_->ScheduleAfter(&timer_, target_.timeout_ms);
  }

  void Resolve() {
    struct addrinfo hints = {};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICSERV;
    resolver_.data = this;
    auto resolved = [](uv_getaddrinfo_t* request, int status, struct addrinfo* found) {
      static_cast<OutgoingConnect*>(request->data)->OnResolved(status, found);
    };
    int error = uv_getaddrinfo(&worker_->loop_->loop, &resolver_, resolved, target_.host.c_str(),
                               std::to_string(target_.port).c_str(), &hints);
    resolving_ = error == 0;
    if (error == 0) return;
    timer_.set_callback([this, error] { Report(Status::FromErrno(Name(), -error)); });
    worker_->ScheduleAfter(&timer_, 0);
  }

 private:
  std::string Name() const {
    return "connect to " + target_.host + ":" + std::to_string(target_.port);
  }

  void OnWorkerStopping() override { Report(Status::Unavailable("shutting down")); }

  void OnResolved(int status, struct addrinfo* found) {
    worker_->BeginTurn();
    resolving_ = false;
    addresses_ = found;
    if (reported_) return MaybeDelete();
    if (status != 0) return Report(Status::NotFound(Name() + ": " + uv_strerror(status)));
    next_ = addresses_;
    TryNext();
  }

  void TryNext() {
    while (next_ != nullptr) {
      struct addrinfo* address = std::exchange(next_, next_->ai_next);
      fd_ = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
      if (fd_ < 0 || !BindSource(address->ai_family)) {
        last_errno_ = errno;
      } else {
        int one = 1;
        setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (connect(fd_, address->ai_addr, address->ai_addrlen) == 0 || errno == EINPROGRESS) {
          return WaitConnected();
        }
        last_errno_ = errno;
      }
      if (fd_ >= 0) close(std::exchange(fd_, -1));
    }
    Report(Status::FromErrno(Name(), last_errno_));
  }

  bool BindSource(int family) {
    if (target_.source_address.empty()) return true;
    struct addrinfo hints = {};
    hints.ai_family = family;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICHOST | AI_PASSIVE;
    struct addrinfo* source = nullptr;
    if (getaddrinfo(target_.source_address.c_str(), nullptr, &hints, &source) != 0) {
      errno = EADDRNOTAVAIL;
      return false;
    }
    bool bound = bind(fd_, source->ai_addr, source->ai_addrlen) == 0;
    freeaddrinfo(source);
    return bound;
  }

  void WaitConnected() {
    poll_ = new uv_poll_t;
    poll_->data = this;
    CHECK(uv_poll_init(&worker_->loop_->loop, poll_, fd_) == 0);
    uv_poll_start(poll_, UV_WRITABLE, [](uv_poll_t* handle, int, int) {
      static_cast<OutgoingConnect*>(handle->data)->OnConnected();
    });
  }

  void OnConnected() {
    worker_->BeginTurn();
    StopPolling();
    int error = 0;
    socklen_t length = sizeof error;
    getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &length);
    if (error == 0) return Report(std::exchange(fd_, -1));
    last_errno_ = error;
    close(std::exchange(fd_, -1));
    TryNext();
  }

  void StopPolling() {
    if (poll_ == nullptr) return;
    closing_handles_++;
    uv_close(reinterpret_cast<uv_handle_t*>(std::exchange(poll_, nullptr)), [](uv_handle_t* h) {
      auto* self = static_cast<OutgoingConnect*>(h->data);
      delete reinterpret_cast<uv_poll_t*>(h);
      self->closing_handles_--;
      if (self->reported_) self->MaybeDelete();
    });
  }

  void Report(Result<int> result) {
    if (std::exchange(reported_, true)) return;
    timer_.Cancel();
    StopPolling();
    if (fd_ >= 0) close(std::exchange(fd_, -1));
    if (resolving_) uv_cancel(reinterpret_cast<uv_req_t*>(&resolver_));
    std::exchange(done_, nullptr)(std::move(result));
    MaybeDelete();
  }

  void MaybeDelete() {
    if (resolving_ || closing_handles_ > 0) return;
    if (addresses_ != nullptr) uv_freeaddrinfo(addresses_);
    worker_->RemoveResident(this);
    delete this;
  }

  Worker* worker_;
  ConnectTarget target_;
  std::function<void(Result<int>)> done_;
  Timer timer_;
  uv_getaddrinfo_t resolver_;
  uv_poll_t* poll_ = nullptr;
  struct addrinfo* addresses_ = nullptr;
  struct addrinfo* next_ = nullptr;
  int fd_ = -1;
  int last_errno_ = EADDRNOTAVAIL;
  int closing_handles_ = 0;
  bool resolving_ = false;
  bool reported_ = false;
};

void Connect(Worker* worker, const ConnectTarget& target, std::function<void(Result<int>)> done) {
  DCHECK(worker->InThread());
  (new OutgoingConnect(worker, target, std::move(done)))->Resolve();
}

}  // namespace cairn
