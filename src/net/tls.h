// SPDX-License-Identifier: BSD-3-Clause
//
// TLS below a connection, by OpenSSL. A TlsContext is what the certificates and options of one
// moment make: immutable, shared by all workers. Who reloads certificates makes a new one for the
// connections to come; those that are there keep theirs until they close.
//
// The handshake is driven by the connection's reads, a step whenever the socket is ready, so it
// blocks nobody and is spread over the workers like all else. It has to be over within
// kHandshakeMs, and a peer that is not yet known can make the server hold no more than OpenSSL's
// own bounds for handshake messages (about 100 KiB of certificates).
//
// Thread rule: TlsContext any thread; TlsTransport the connection's worker.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "net/timer_wheel.h"
#include "net/transport.h"

struct ssl_ctx_st;
struct ssl_st;

namespace cairn {

class Connection;

enum class TlsPeerCertificate { kNotAsked, kAsked, kRequired };

// Files are PEM; an empty text leaves the choice to OpenSSL.
struct TlsSettings {
  std::string certificate_file, key_file, key_password;
  std::string authorities_file, authorities_dir, dh_parameters_file;
  std::string protocols;     // "TLSv1.2 TLSv1.3"; empty: these two
  std::string ciphers;       // up to TLS 1.2
  std::string ciphersuites;  // of TLS 1.3
  bool prefer_server_ciphers = false;
  TlsPeerCertificate peer_certificate = TlsPeerCertificate::kRequired;
  bool cache_sessions = true;
  int64_t sessions_max = 20480;
  int64_t session_seconds = 300;
};

class TlsContext {
 public:
  // Reads the files. The error names the option, or what OpenSSL says of it.
  static Result<std::shared_ptr<TlsContext>> ForServer(const TlsSettings& settings);
  // For connections to others (tls_stream.h): their certificate must be the authorities'. As Redis
  // does, the name in it is not looked at.
  static Result<std::shared_ptr<TlsContext>> ForClient(const TlsSettings& settings);
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  ssl_ctx_st* get() const { return context_; }

 private:
  TlsContext(const TlsSettings& settings, bool client);
  Status Configure(const TlsSettings& settings);
  Status SetProtocols(const std::string& words);
  Status LoadFiles(const TlsSettings& settings);

  ssl_ctx_st* context_;
  std::string key_password_;  // OpenSSL's callback reads it
};

// Names that a peer's certificate carries; empty without one, or if it was not verified.
struct TlsPeerNames {
  std::string common_name;        // of the subject
  std::vector<std::string> uris;  // of the alternative names
};

// The last of what OpenSSL has to say on this thread, for the operator.
std::string TakeTlsError();

class TlsTransport final : public Transport {
 public:
  // Longest time from the connection to the end of its handshake; a peer slower than this is cut
  // off, as idle ones before their first command are nobody's clients.
  static constexpr int64_t kHandshakeMs = 10'000;

  // Called once: with "" when the handshake is done, else with what went wrong. From inside Read
  // or a timer; it must not close the connection.
  using OnHandshake = std::function<void(TlsTransport&, const std::string& error)>;

  TlsTransport(std::shared_ptr<TlsContext> context, Connection* connection,
               OnHandshake on_handshake);
  ~TlsTransport() override;  // says goodbye to the peer if it can be done at once

  ssize_t Read(char* buffer, size_t length) override;
  ssize_t Write(const struct iovec* vectors, int count) override;
  bool HasBufferedInput() const override { return buffered_; }
  bool WantsWritable() const override { return wants_writable_; }

  TlsPeerNames PeerNames() const;

 private:
  ssize_t Fail(int result);
  ssize_t WriteRecord(const char* data, size_t length);
  void EndHandshake(const std::string& error);

  std::shared_ptr<TlsContext> context_;
  ssl_st* ssl_;
  OnHandshake on_handshake_;
  Timer deadline_;
  size_t unsent_bytes_ = 0;  // of a record that the socket did not take: to be offered again
  bool established_ = false;
  bool buffered_ = false;
  bool wants_writable_ = false;
  bool broken_ = false;  // OpenSSL forbids further calls
};

}  // namespace cairn
