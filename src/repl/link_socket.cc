// SPDX-License-Identifier: BSD-3-Clause
#include "repl/link_socket.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include "base/check.h"

namespace cairn {
namespace {

Status Failure(const char* what) {
  return Status::Io(std::string(what) + ": " + strerror(errno));
}

}  // namespace

LinkSocket::LinkSocket() { (void)MakeEvents(); }

LinkSocket::~LinkSocket() {
  Close();
  for (const int fd : {wake_fd_.load(), nudge_fd_.load()})
    if (fd >= 0) close(fd);
}

// Whoever interrupts sees the descriptor, or is seen here.
Status LinkSocket::MakeEvents() {
  for (std::atomic<int>* fd : {&wake_fd_, &nudge_fd_}) {
    if (fd->load() >= 0) continue;
    const int made = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (made < 0) return Failure("eventfd");
    fd->store(made);
  }
  if (interrupted()) return Status::Unavailable("the link is given up");
  return Status::Ok();
}

void LinkSocket::Close() {
  tls_.reset();
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
}

void LinkSocket::Interrupt() {
  interrupted_.store(true);
  const uint64_t one = 1;
  const int fd = wake_fd_.load();
  CHECK(fd < 0 || write(fd, &one, sizeof one) == sizeof one);
}

void LinkSocket::Nudge() {
  const uint64_t one = 1;
  const int fd = nudge_fd_.load();
  CHECK(fd < 0 || write(fd, &one, sizeof one) == sizeof one);
}

void LinkSocket::Pause(int64_t milliseconds) {
  // Without the descriptor nobody ends the wait: it is done in short ones.
  constexpr int64_t kStepMs = 50;
  const int fd = wake_fd_.load();
  while (milliseconds > 0 && !interrupted()) {
    const int64_t step_ms = fd >= 0 ? milliseconds : std::min(milliseconds, kStepMs);
    pollfd wake{fd, POLLIN, 0};
    (void)poll(&wake, 1, static_cast<int>(step_ms));
    milliseconds -= step_ms;
  }
}

Result<bool> LinkSocket::WaitFor(short events, int64_t timeout_ms, bool nudged) {
  pollfd all[3] = {{fd_, events, 0}, {wake_fd_, POLLIN, 0}, {nudge_fd_, POLLIN, 0}};
  const int ready = poll(all, nudged ? 3 : 2, static_cast<int>(timeout_ms));
  if (ready < 0 && errno != EINTR) return Failure("poll");
  if (all[1].revents != 0) return Status::Unavailable("the link is given up");
  if (all[2].revents != 0) {
    uint64_t count;
    CHECK(read(nudge_fd_, &count, sizeof count) == sizeof count);
  }
  return ready > 0 && all[0].revents != 0;
}

Status LinkSocket::StartTls(std::shared_ptr<TlsContext> context, int64_t timeout_ms) {
  tls_ = std::make_unique<TlsStream>(std::move(context), fd_);
  for (;;) {
    const ssize_t n = tls_->Handshake();
    if (n > 0) return Status::Ok();
    if (n != -EAGAIN) return Broken("TLS handshake with the leader", n);
    const auto ready = WaitFor(tls_->wanted(), timeout_ms);
    if (!ready.ok()) return ready.status();
    if (!*ready) return Status::Io("TLS handshake with the leader: timeout");
  }
}

// `source`: numeric, or "" for any.
Status LinkSocket::BindTo(const std::string& source, int family) {
  if (source.empty()) return Status::Ok();
  addrinfo hints{}, *found = nullptr;
  hints.ai_family = family;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICHOST;
  const int error = getaddrinfo(source.c_str(), nullptr, &hints, &found);
  if (error != 0) return Status::Io("bind-source-addr " + source + ": " + gai_strerror(error));
  const int result = bind(fd_, found->ai_addr, found->ai_addrlen);
  freeaddrinfo(found);
  return result == 0 ? Status::Ok() : Failure("bind");
}

Status LinkSocket::Connect(const std::string& host, int port, const std::string& source_address,
                           int64_t timeout_ms) {
  CAIRN_RETURN_IF_ERROR(MakeEvents());
  addrinfo hints{}, *found = nullptr;
  hints.ai_socktype = SOCK_STREAM;
  const int error = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (error != 0) return Status::Io("cannot resolve " + host + ": " + gai_strerror(error));
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> list(found, &freeaddrinfo);
  Status status = Status::Io("no address of " + host);
  for (const addrinfo* address = found; address != nullptr; address = address->ai_next) {
    Close();
    fd_ = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd_ < 0) {
      status = Failure("socket");
      continue;
    }
    status = BindTo(source_address, address->ai_family);
    if (!status.ok()) continue;
    const int on = 1;
    (void)setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(fd_, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    if (connect(fd_, address->ai_addr, address->ai_addrlen) == 0) return Status::Ok();
    status = Failure("connect");
    if (errno != EINPROGRESS) continue;
    const auto ready = WaitFor(POLLOUT, timeout_ms);
    if (!ready.ok()) return ready.status();
    int result = ETIMEDOUT;
    socklen_t length = sizeof result;
    if (*ready) (void)getsockopt(fd_, SOL_SOCKET, SO_ERROR, &result, &length);
    if (result == 0) return Status::Ok();
    errno = result;
    status = Failure("connect");
  }
  Close();
  return status;
}

std::string LinkSocket::local_address() const {
  sockaddr_storage address;
  socklen_t length = sizeof address;
  char host[NI_MAXHOST];
  if (fd_ < 0 || getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &length) != 0 ||
      getnameinfo(reinterpret_cast<sockaddr*>(&address), length, host, sizeof host, nullptr, 0,
                  NI_NUMERICHOST) != 0)
    return "";
  return host;
}

// Bytes moved, 0 at the end of the stream, or -errno.
ssize_t LinkSocket::ReadSome(char* buffer, size_t length) {
  if (tls_ != nullptr) return tls_->Read(buffer, length);
  const ssize_t n = recv(fd_, buffer, length, 0);
  return n < 0 ? -errno : n;
}

ssize_t LinkSocket::WriteSome(std::string_view bytes) {
  if (tls_ != nullptr) return tls_->Write(bytes.data(), bytes.size());
  const ssize_t n = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  return n < 0 ? -errno : n;
}

Status LinkSocket::Broken(const char* what, ssize_t error) const {
  const bool told = tls_ != nullptr && error == -EPROTO;
  return Status::Io(std::string(what) + ": " +
                    (told ? tls_->error() : strerror(static_cast<int>(-error))));
}

Status LinkSocket::Write(std::string_view bytes, int64_t timeout_ms) {
  while (!bytes.empty()) {
    const ssize_t n = WriteSome(bytes);
    if (n > 0) {
      bytes.remove_prefix(static_cast<size_t>(n));
      continue;
    }
    if (n == -EINTR) continue;
    if (n != -EAGAIN) return Broken("write to the leader", n);
    const auto ready = WaitFor(tls_ != nullptr ? tls_->wanted() : POLLOUT, timeout_ms);
    if (!ready.ok()) return ready.status();
    if (!*ready) return Status::Limit("write to the leader: timeout");
  }
  return Status::Ok();
}

Result<size_t> LinkSocket::Read(char* buffer, size_t length, int64_t timeout_ms, bool nudged) {
  for (;;) {
    const ssize_t n = ReadSome(buffer, length);
    if (n > 0) {
      if (interrupted()) return Status::Unavailable("the link is given up");
      return static_cast<size_t>(n);
    }
    if (n == 0) return Status::Io("the leader closed the connection");
    if (n == -EINTR) continue;
    if (n != -EAGAIN) return Broken("read from the leader", n);
    const auto ready = WaitFor(tls_ != nullptr ? tls_->wanted() : POLLIN, timeout_ms, nudged);
    if (!ready.ok()) return ready.status();
    if (!*ready) return size_t{0};
  }
}

// Byte by byte: what follows the line belongs to the next reader. Lines are few.
Result<std::string> LinkSocket::ReadLine(int64_t timeout_ms) {
  std::string line;
  for (;;) {
    char c;
    const auto n = Read(&c, 1, timeout_ms);
    if (!n.ok()) return n.status();
    if (*n == 0) return Status::Limit("the leader did not answer in time");
    if (c == '\n') break;
    if (line.size() == kLineBytesMax) return Status::Io("the leader's line is too long");
    line.push_back(c);
  }
  if (!line.empty() && line.back() == '\r') line.pop_back();
  return line;
}

}  // namespace cairn
