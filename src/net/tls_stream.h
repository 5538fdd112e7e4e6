// SPDX-License-Identifier: BSD-3-Clause
//
// TLS over a connected, non-blocking socket that its owner polls himself: outgoing connections of
// threads without a loop. No call waits; one that would says with `wanted()` what to poll for.
//
// Thread rule: one thread.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>

#include "net/tls.h"

namespace cairn {

class TlsStream {
 public:
  // The socket stays the caller's, and has to outlive this.
  TlsStream(std::shared_ptr<TlsContext> context, int fd);
  ~TlsStream();
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;

  // Each gives bytes moved (the handshake: 1), or -EAGAIN, or -errno; Read 0 at the peer's goodbye.
  // What Write was given once it wants to see again, from the same byte on.
  ssize_t Handshake();
  ssize_t Read(char* buffer, size_t length);
  ssize_t Write(const char* data, size_t length);
  short wanted() const { return wanted_; }             // POLLIN or POLLOUT
  const std::string& error() const { return error_; }  // behind -EPROTO

 private:
  ssize_t Fail(int result);

  std::shared_ptr<TlsContext> context_;
  ssl_st* ssl_;
  short wanted_ = 0;
  bool broken_ = false;  // OpenSSL forbids further calls
  std::string error_;
};

}  // namespace cairn
