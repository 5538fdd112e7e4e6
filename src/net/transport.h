// SPDX-License-Identifier: BSD-3-Clause
//
// What carries a connection's bytes: the plain socket, or a layer over it such as TLS. Never
// blocks. Thread rule: the connection's worker.
#pragma once

#include <sys/types.h>
#include <sys/uio.h>

#include <cstddef>

namespace cairn {

class Transport {
 public:
  virtual ~Transport() = default;  // does not close the socket
  // Both return the bytes moved (> 0), or -EAGAIN when the socket must become ready first, or
  // another negative errno when the connection is lost. Read returns 0 at the end of the stream.
  virtual ssize_t Read(char* buffer, size_t length) = 0;
  virtual ssize_t Write(const struct iovec* vectors, int count) = 0;
  // Input that was taken from the socket but not yet given out by Read: poll will not announce it.
  virtual bool HasBufferedInput() const { return false; }
  // The layer has something to send of its own, or waits for the socket to become writable
  // before it can read (handshakes): the connection then polls for writability too.
  virtual bool WantsWritable() const { return false; }
};

class PlainTransport final : public Transport {
 public:
  explicit PlainTransport(int fd) : fd_(fd) {}
  ssize_t Read(char* buffer, size_t length) override;
  ssize_t Write(const struct iovec* vectors, int count) override;

 private:
  int fd_;
};

}  // namespace cairn
