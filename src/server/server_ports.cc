// SPDX-License-Identifier: BSD-3-Clause
//
// The part of Server that listens: plain TCP, the unix socket, TLS, and what CONFIG SET and SIGHUP
// change about them.
#include "server/client.h"
#include "server/metrics_server.h"
#include "server/server.h"
#include "server/tls_service.h"

namespace cairn {

Status Server::Listen() {
  const SocketOptions options = ListenOptions(config_);
  if (const Status status = ports_.Open(); !status.ok())
    return Status::Io("Could not create server TCP listening socket " + status.message() + " (" +
                      store_.Origin("port") + ")");
  std::vector<int> fds = ports_.fds();
  if (!config_.unixsocket().empty()) {
    auto fd = ListenUnix(config_.unixsocket(), options);
    if (!fd.ok()) return Status::Io("Failed opening Unix socket: " + fd.status().message());
    fds.push_back(*fd);
  }
  if (fds.empty() && config_.tls_port() == 0)
    return Status::Invalid("Configured to not listen anywhere, exiting.");
  listener_ = std::make_unique<Listener>(
      pool_.get(), std::move(fds), options,
      [this](Worker& worker, int fd, std::string* refusal) {
        return MakeClient(worker, fd, refusal);
      },
      [](Connection& connection) {
        static_cast<Client*>(connection.handler())->Attach(connection);
      });
  metrics_ = std::make_unique<MetricsServer>(this, config_);
  CAIRN_RETURN_IF_ERROR(metrics_->Listen(pool_.get()));
  return ListenTls();
}

Status Server::ListenTls() {
  tls_ = std::make_unique<TlsService>(engine_.get());
  if (config_.tls_port() != 0) {
    if (const Status status = tls_->Load(); !status.ok())
      return Status::Invalid("Failed to configure TLS: " + status.message());
    if (const Status status = tls_ports_.Open(); !status.ok())
      return Status::Io("Could not create server TLS listening socket " + status.message() + " (" +
                        store_.Origin("tls-port") + ")");
  }
  SocketOptions options = ListenOptions(config_);
  options.accepts_per_turn = static_cast<int>(config_.max_new_tls_connections_per_cycle());
  tls_listener_ = std::make_unique<Listener>(
      pool_.get(), tls_ports_.fds(), options,
      [this](Worker& worker, int fd, std::string* refusal) {
        ConnectionHandler* client = MakeClient(worker, fd, refusal);
        refusal->clear();  // plain words would be no TLS
        return client;
      },
      [this](Connection& connection) {
        auto* client = static_cast<Client*>(connection.handler());
        client->Attach(connection);
        tls_->Accept(connection, client);
      });
  return Status::Ok();
}

// Hooks of CONFIG SET run under scope All.
void Server::RegisterPortHooks() {
  const auto change = [this](Ports* ports, Listener* listener, const char* kind, const char* text) {
    const Status status = ports->Change(listener);
    if (status.ok()) return status;
    log_.Warning("Could not create server %s listening socket %s", kind, status.message().c_str());
    return Status::Invalid(text);
  };
  constexpr const char* kPortTaken = "Unable to listen on this port. Check server logs.";
  store_.OnChange({"port"}, [this, change](const Config&) {
    return change(&ports_, listener_.get(), "TCP", kPortTaken);
  });
  constexpr const char* kNotBound = "Failed to bind to specified addresses.";
  store_.OnChange({"bind"}, [this, change](const Config&) {
    return change(&ports_, listener_.get(), "TCP", kNotBound);
  });
  store_.OnChange({"bind"}, [this, change](const Config&) {
    return change(&tls_ports_, tls_listener_.get(), "TLS", kNotBound);
  });
  store_.OnChange({"tls-port"}, [this, change](const Config&) {
    return change(&tls_ports_, tls_listener_.get(), "TLS", kPortTaken);
  });
  store_.OnChange({"metrics-port", "metrics-bind"}, [this, kPortTaken](const Config&) {
    const Status status = metrics_->Change();
    if (status.ok()) return status;
    log_.Warning("Could not create metrics listening socket %s", status.message().c_str());
    return Status::Invalid(kPortTaken);
  });
  store_.OnChange({"tcp-keepalive"}, [this](const Config& config) {
    const int seconds = static_cast<int>(config.tcp_keepalive());
    listener_->set_tcp_keepalive(seconds);
    tls_listener_->set_tcp_keepalive(seconds);
    return Status::Ok();
  });
  store_.OnChange(
      {"max-new-connections-per-cycle", "max-new-tls-connections-per-cycle"},
      [this](const Config& config) {
        listener_->set_accepts_per_turn(static_cast<int>(config.max_new_connections_per_cycle()));
        tls_listener_->set_accepts_per_turn(
            static_cast<int>(config.max_new_tls_connections_per_cycle()));
        return Status::Ok();
      });
}

// Registered so that certificates are read before a port that needs them is opened: hooks run in
// the order of their registration.
void Server::RegisterTlsHooks() {
  store_.OnChange(
      {"tls-port", "tls-cert-file", "tls-key-file", "tls-key-file-pass", "tls-ca-cert-file",
       "tls-ca-cert-dir", "tls-dh-params-file", "tls-auth-clients", "tls-protocols", "tls-ciphers",
       "tls-ciphersuites", "tls-prefer-server-ciphers", "tls-session-caching",
       "tls-session-cache-size", "tls-session-cache-timeout"},
      [this](const Config& config) {
        if (config.tls_port() == 0) return Status::Ok();
        const Status status = tls_->Load();
        if (status.ok()) return status;
        log_.Warning("Failed to configure TLS: %s", status.message().c_str());
        return Status::Invalid("Unable to update TLS configuration. Check server logs.");
      });
}

void Server::ReloadCertificates() {
  if (config_.tls_port() == 0) return;
  const Status status = tls_->Load();
  if (status.ok()) {
    log_.Notice("TLS certificates read again");
  } else {
    log_.Warning("Failed to configure TLS, the certificates read before stay in force: %s",
                 status.message().c_str());
  }
}

}  // namespace cairn
