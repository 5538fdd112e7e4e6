// SPDX-License-Identifier: BSD-3-Clause
//
// HTTP for those who watch the server: /metrics for Prometheus, /health (the loops turn) and /ready
// (clients are served: 200, or 503 with the reason). Answered by the workers, a request a
// connection, which has 10 seconds and 8 KiB for it; at most kConnectionsMax at once.
//
// Thread rule: Listen, Start, CloseAndWait by the main thread; Change under scope All.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <string_view>

#include "net/listener.h"
#include "server/ports.h"

namespace cairn {

class Server;

class MetricsServer {
 public:
  static constexpr int kConnectionsMax = 64;

  MetricsServer(Server* server, const Config& config)
      : server_(*server),
        config_(config),
        ports_(config, config.metrics_port, config.metrics_bind) {}

  Status Listen(WorkerPool* pool);
  void Start(Worker* home) { listener_->Start(home); }
  // metrics-port or metrics-bind has changed.
  Status Change() { return ports_.Change(listener_.get()); }
  void CloseAndWait() { listener_->CloseAndWait(); }

 private:
  class Exchange;
  // The whole answer to a request, whose lines are in `head`.
  std::string Answer(Worker& worker, std::string_view head);
  std::string NotReady() const;

  Server& server_;
  const Config& config_;
  Ports ports_;
  std::unique_ptr<Listener> listener_;  // without sockets while metrics-port is 0
  std::atomic<int> connections_{0};
};

}  // namespace cairn
