// SPDX-License-Identifier: BSD-3-Clause
#include "server/tls_service.h"

#include "exec/client_text.h"
#include "server/client.h"

namespace cairn {
namespace {

TlsSettings ReadSettings(const Config& config) {
  TlsSettings settings;
  settings.certificate_file = config.tls_cert_file();
  settings.key_file = config.tls_key_file();
  settings.key_password = config.tls_key_file_pass();
  settings.authorities_file = config.tls_ca_cert_file();
  settings.authorities_dir = config.tls_ca_cert_dir();
  settings.dh_parameters_file = config.tls_dh_params_file();
  settings.protocols = config.tls_protocols();
  settings.ciphers = config.tls_ciphers();
  settings.ciphersuites = config.tls_ciphersuites();
  settings.prefer_server_ciphers = config.tls_prefer_server_ciphers();
  switch (config.tls_auth_clients()) {
    case TlsAuthClients::kNo:
      settings.peer_certificate = TlsPeerCertificate::kNotAsked;
      break;
    case TlsAuthClients::kOptional:
      settings.peer_certificate = TlsPeerCertificate::kAsked;
      break;
    case TlsAuthClients::kYes:
      settings.peer_certificate = TlsPeerCertificate::kRequired;
      break;
  }
  settings.cache_sessions = config.tls_session_caching();
  settings.sessions_max = config.tls_session_cache_size();
  settings.session_seconds = config.tls_session_cache_timeout();
  return settings;
}

}  // namespace

Status TlsService::Load() {
  auto context = TlsContext::ForServer(ReadSettings(engine_.config));
  if (!context.ok()) return context.status();
  std::lock_guard guard(mutex_);
  context_ = std::move(*context);
  return Status::Ok();
}

void TlsService::Accept(Connection& connection, Client* client) {
  std::shared_ptr<TlsContext> context;
  {
    std::lock_guard guard(mutex_);
    context = context_;
  }
  const auto done = [this, client, &connection](TlsTransport& transport, const std::string& error) {
    if (error.empty()) return LogIn(client, transport.PeerNames());
    failed_handshakes_.fetch_add(1);
    engine_.log.Verbose("Error accepting a client connection: %s (addr=%s laddr=%s)", error.c_str(),
                        connection.peer_address().c_str(), connection.local_address().c_str());
  };
  connection.set_transport(std::make_unique<TlsTransport>(std::move(context), &connection, done));
}

// Without a user of that name the client is what any new one is: the default user, if that needs
// no password.
void TlsService::LogIn(Client* client, const TlsPeerNames& names) {
  std::vector<std::string> candidates;
  switch (engine_.config.tls_auth_clients_user()) {
    case TlsAuthClientsUser::kOff:
      return;
    case TlsAuthClientsUser::kUri:
      candidates = names.uris;
      break;
    case TlsAuthClientsUser::kCommonName:
      if (!names.common_name.empty()) candidates.push_back(names.common_name);
      break;
  }
  if (candidates.empty()) return;
  for (const std::string& name : candidates)
    if (client->LogIn(name)) return;
  unknown_users_.fetch_add(1);
  const ClientRecord& record = *client->session().record;
  const int64_t now_ms = engine_.clock.WallMs();
  AclLogEntry entry;
  entry.reason = AclDenial::kCertificate;
  entry.context = "toplevel";
  entry.object = entry.user = candidates.front();
  entry.client_info = DescribeClient(record, engine_.registry, engine_.clock.MonotonicMs());
  entry.created_ms = entry.updated_ms = now_ms;
  engine_.acl_log.Add(std::move(entry), static_cast<size_t>(engine_.config.acllog_max_len()));
  engine_.log.Verbose("TLS: no enabled user is called as the certificate says (addr=%s)",
                      client->connection()->peer_address().c_str());
}

}  // namespace cairn
