// SPDX-License-Identifier: BSD-3-Clause
#include "net/tls_stream.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <utility>

#include "base/check.h"

namespace cairn {

TlsStream::TlsStream(std::shared_ptr<TlsContext> context, int fd)
    : context_(std::move(context)), ssl_(SSL_new(context_->get())) {
  CHECK(ssl_ != nullptr && SSL_set_fd(ssl_, fd) == 1);
  SSL_set_connect_state(ssl_);
}

TlsStream::~TlsStream() {
  ERR_clear_error();
  if (!broken_ && SSL_is_init_finished(ssl_)) SSL_shutdown(ssl_);
  ERR_clear_error();
  SSL_free(ssl_);
}

ssize_t TlsStream::Fail(int result) {
  const int saved = errno;
  switch (SSL_get_error(ssl_, result)) {
    case SSL_ERROR_WANT_READ:
      wanted_ = POLLIN;
      return -EAGAIN;
    case SSL_ERROR_WANT_WRITE:
      wanted_ = POLLOUT;
      return -EAGAIN;
    case SSL_ERROR_ZERO_RETURN:
      return 0;
    case SSL_ERROR_SYSCALL:
      broken_ = true;
      return -static_cast<ssize_t>(saved == 0 ? ECONNRESET : saved);
    default:
      broken_ = true;
      error_ = TakeTlsError();
      return -EPROTO;
  }
}

ssize_t TlsStream::Handshake() {
  ERR_clear_error();
  errno = 0;
  const int n = SSL_do_handshake(ssl_);
  return n == 1 ? 1 : Fail(n);
}

ssize_t TlsStream::Read(char* buffer, size_t length) {
  ERR_clear_error();
  errno = 0;
  const int n = SSL_read(ssl_, buffer, static_cast<int>(std::min<size_t>(length, INT_MAX)));
  return n > 0 ? n : Fail(n);
}

ssize_t TlsStream::Write(const char* data, size_t length) {
  ERR_clear_error();
  errno = 0;
  const int n = SSL_write(ssl_, data, static_cast<int>(std::min<size_t>(length, INT_MAX)));
  if (n > 0) return n;
  const ssize_t error = Fail(n);
  return error == 0 ? -ECONNRESET : error;
}

}  // namespace cairn
