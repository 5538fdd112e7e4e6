// SPDX-License-Identifier: BSD-3-Clause
#include "utils/bench/load/sockets.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

#include "utils/bench/load/replies.h"

namespace cairn::load {
namespace {

int ConnectUnix(const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    errno = ENAMETOOLONG;
    return -1;
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) return fd;
  const int error = errno;
  close(fd);
  errno = error;
  return -1;
}

int ConnectTcp(const Options& options) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(options.port));
  if (inet_pton(AF_INET, options.host.c_str(), &address.sin_addr) != 1) {
    errno = EINVAL;
    return -1;
  }
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return fd;
  const int on = 1;
  const linger reset = {.l_onoff = 1, .l_linger = 0};
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) return fd;
  const int error = errno;
  close(fd);
  errno = error;
  return -1;
}

}  // namespace

int ConnectTo(const Options& options) {
  return options.unix_path.empty() ? ConnectTcp(options) : ConnectUnix(options.unix_path);
}

std::string Exchange(int fd, const Request& request, Keys* keys) {
  std::string out;
  uint64_t rising = 0;
  request.AppendTo(&out, keys, &rising);
  for (size_t sent = 0; sent < out.size();) {
    const ssize_t n = send(fd, out.data() + sent, out.size() - sent, MSG_NOSIGNAL);
    if (n < 0) return std::strerror(errno);
    sent += static_cast<size_t>(n);
  }
  ReplyReader reader;
  char buffer[4096];
  while (reader.replies() < static_cast<uint64_t>(request.replies())) {
    const ssize_t n = recv(fd, buffer, sizeof buffer, 0);
    if (n < 0) return std::strerror(errno);
    if (n == 0) return "the server closed the connection";
    if (!reader.Feed({buffer, static_cast<size_t>(n)})) return reader.error();
  }
  return "";
}

}  // namespace cairn::load
