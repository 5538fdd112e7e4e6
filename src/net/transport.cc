// SPDX-License-Identifier: BSD-3-Clause
#include "net/transport.h"

#include <sys/socket.h>

#include <cerrno>

namespace cairn {

namespace {

// Retries `call` while a signal interrupts it; -errno on failure.
template <typename F>
ssize_t Retry(F call) {
  ssize_t n;
  do {
    n = call();
  } while (n < 0 && errno == EINTR);
  return n < 0 ? -static_cast<ssize_t>(errno) : n;
}

}  // namespace

ssize_t PlainTransport::Read(char* buffer, size_t length) {
  return Retry([&] { return recv(fd_, buffer, length, 0); });
}

ssize_t PlainTransport::Write(const struct iovec* vectors, int count) {
  // send() for the common case: the kernel need not import a vector. Neither raises SIGPIPE.
  if (count == 1) {
    return Retry([&] { return send(fd_, vectors->iov_base, vectors->iov_len, MSG_NOSIGNAL); });
  }
  struct msghdr message = {};
  message.msg_iov = const_cast<struct iovec*>(vectors);
  message.msg_iovlen = static_cast<size_t>(count);
  return Retry([&] { return sendmsg(fd_, &message, MSG_NOSIGNAL); });
}

}  // namespace cairn
