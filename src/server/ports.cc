// SPDX-License-Identifier: BSD-3-Clause
#include "server/ports.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

namespace cairn {

SocketOptions ListenOptions(const Config& config) {
  SocketOptions options;
  options.backlog = static_cast<int>(config.tcp_backlog());
  options.tcp_keepalive_s = static_cast<int>(config.tcp_keepalive());
  options.unix_permissions = static_cast<int>(config.unixsocketperm());
  options.accepts_per_turn = static_cast<int>(config.max_new_connections_per_cycle());
  return options;
}

Status Ports::Collect(const std::vector<Port>& existing, std::vector<Port>* ports) const {
  const int number = static_cast<int>(port_());
  if (number == 0) return Status::Ok();
  for (std::string address : addresses_()) {
    const bool optional = !address.empty() && address[0] == '-';
    if (optional) address.erase(0, 1);
    const auto same = [&](const Port& port) {
      return port.address == address && port.port == number;
    };
    if (std::any_of(ports->begin(), ports->end(), same)) continue;
    auto found = std::find_if(existing.begin(), existing.end(), same);
    if (found != existing.end()) {
      ports->push_back(*found);
      continue;
    }
    const Result<int> fd = ListenTcp(address, number, ListenOptions(config_));
    if (fd.ok()) {
      ports->push_back({address, number, *fd});
    } else if (!optional) {
      return Status::Io(address + ":" + std::to_string(number) + ": " + fd.status().message());
    }
  }
  return Status::Ok();
}

Status Ports::Open() {
  return Collect({}, &ports_);
}

std::vector<int> Ports::fds() const {
  std::vector<int> fds;
  for (const Port& port : ports_) fds.push_back(port.fd);
  return fds;
}

Status Ports::Change(Listener* listener) {
  const Words& words = addresses_();
  const auto wanted = [&](const Port& port) {
    if (port.port != port_()) return false;
    return std::any_of(words.begin(), words.end(), [&](const std::string& word) {
      return word == port.address || word == "-" + port.address;
    });
  };
  std::vector<Port> leaving;
  for (const Port& port : ports_)
    if (!wanted(port)) leaving.push_back(port);
  // What leaves may stand in the way of what comes: "*" and 127.0.0.1 on one port.
  for (const Port& port : leaving) PauseListening(port.fd);
  std::vector<Port> ports;
  const Status status = Collect(ports_, &ports);
  const auto is_old = [&](int fd) {
    return std::any_of(ports_.begin(), ports_.end(), [&](const Port& p) { return p.fd == fd; });
  };
  if (!status.ok()) {
    for (const Port& port : ports)
      if (!is_old(port.fd)) close(port.fd);
    for (const Port& port : leaving) ResumeListening(port.fd, ListenOptions(config_));
    return status;
  }
  std::vector<int> added;
  for (const Port& port : ports)
    if (!is_old(port.fd)) added.push_back(port.fd);
  std::vector<int> closed;
  for (const Port& port : leaving) closed.push_back(port.fd);
  listener->Replace(std::move(closed), std::move(added));
  ports_ = std::move(ports);
  return Status::Ok();
}

}  // namespace cairn
