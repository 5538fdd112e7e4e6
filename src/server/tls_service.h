// SPDX-License-Identifier: BSD-3-Clause
//
// TLS for clients: the certificates in force, their reload, and who a client with a certificate is.
//
// Thread rule: Load by one thread at a time (the main thread, CONFIG SET); Accept by the worker
// of the connection; the counters by anyone.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>

#include "exec/engine.h"
#include "net/tls.h"

namespace cairn {

class Client;
class Connection;

class TlsService {
 public:
  explicit TlsService(Engine* engine) : engine_(*engine) {}

  // Reads certificates and options as the configuration says now, for connections to come. On an
  // error those read before stay in force.
  Status Load();
  // Lays TLS under a connection that has just come.
  void Accept(Connection& connection, Client* client);

  uint64_t failed_handshakes() const { return failed_handshakes_.load(); }
  // Verified certificates whose name is no user's, or a disabled one's.
  uint64_t unknown_users() const { return unknown_users_.load(); }

 private:
  void LogIn(Client* client, const TlsPeerNames& names);

  Engine& engine_;
  std::mutex mutex_;  // over context_
  std::shared_ptr<TlsContext> context_;
  std::atomic<uint64_t> failed_handshakes_{0}, unknown_users_{0};
};

}  // namespace cairn
