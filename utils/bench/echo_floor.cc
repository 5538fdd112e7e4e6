// SPDX-License-Identifier: BSD-3-Clause
//
// The floor: a bare epoll loop with one read and one write a wake-up and nothing else. What is left
// of a server's CPU a request above this is its own.
//
//   echo_floor PORT: answers every request in a read of a load generator's with +OK; for requests so
//   small that a read holds whole ones.
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

namespace {

// Of a line like "$12\r\n"; goes behind it.
long Number(const char** line) {
  char* end;
  const long number = strtol(*line + 1, &end, 10);
  *line = end + 2;
  return number;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 1;
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  const int on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(atoi(argv[1])));
  if (bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      listen(listener, 511) != 0) {
    perror("echo_floor");
    return 1;
  }
  const int epoll = epoll_create1(0);
  epoll_event event = {};
  event.events = EPOLLIN;
  event.data.fd = listener;
  epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
  static char buffer[(1 << 16) + 1];
  std::string reply;
  epoll_event events[256];
  for (;;) {
    const int n = epoll_wait(epoll, events, 256, -1);
    for (int i = 0; i < n; ++i) {
      const int fd = events[i].data.fd;
      if (fd == listener) {
        const int client = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK);
        if (client < 0) continue;
        setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        event.events = EPOLLIN;
        event.data.fd = client;
        epoll_ctl(epoll, EPOLL_CTL_ADD, client, &event);
        continue;
      }
      const ssize_t got = read(fd, buffer, sizeof buffer - 1);
      if (got <= 0) {
        if (got == 0) close(fd);
        continue;
      }
      reply.clear();
      buffer[got] = '\0';
      const char *p = buffer, *const end = buffer + got;
      while (p < end && *p == '*') {
        reply += "+OK\r\n";
        for (long parts = Number(&p); parts > 0 && p < end && *p == '$'; --parts) {
          const long bytes = Number(&p);
          p += bytes + 2;
        }
      }
      if (write(fd, reply.data(), reply.size()) < 0) close(fd);
    }
  }
}
