// SPDX-License-Identifier: BSD-3-Clause
//
// The TCP sockets that an option for a port and one for addresses ask for (`port` and `bind`, say),
// at start and when CONFIG SET changes them.
// One thread at a time: the main thread until the server is up, then whoever holds scope All.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "config/config.h"
#include "net/listener.h"

namespace cairn {

class Ports {
 public:
  // The two options are fields of `config`.
  Ports(const Config& config, const Setting<int64_t>& port, const Shared<Words>& addresses)
      : config_(config), port_(port), addresses_(addresses) {}

  // Opens a socket an address; an address marked with '-' may be absent on this machine.
  Status Open();
  std::vector<int> fds() const;

  // Opens what the configuration asks for now and closes, through `listener`, what it asks for no
  // longer; addresses in both are left alone. If an address cannot be had, all stays as it was.
  Status Change(Listener* listener);

 private:
  struct Port {
    std::string address;
    int port;
    int fd;
  };
  // Adds to `ports` what the configuration asks for, taking over sockets of `existing`.
  Status Collect(const std::vector<Port>& existing, std::vector<Port>* ports) const;

  const Config& config_;
  const Setting<int64_t>& port_;
  const Shared<Words>& addresses_;
  std::vector<Port> ports_;
};

// The part of the configuration that every listening socket shares.
SocketOptions ListenOptions(const Config& config);

}  // namespace cairn
