// SPDX-License-Identifier: BSD-3-Clause
//
// RdbPipe: the RDB in a packed snapshot, as a pipe that a thread of its own fills: what an
// encrypted server sends its followers, and never lays on disk in the clear.
//
// Thread rule: one thread; the other end is this object's own. The end of the pipe before the end
// of the RDB says that the file cannot be read.
#pragma once

#include <memory>
#include <string>
#include <thread>

#include "base/encryption.h"
#include "base/status.h"

namespace cairn {

class RdbPipe {
 public:
  static Result<std::unique_ptr<RdbPipe>> Open(const std::string& path, const KeyRing* keys);
  ~RdbPipe();
  RdbPipe(const RdbPipe&) = delete;
  RdbPipe& operator=(const RdbPipe&) = delete;

  int fd() const { return fd_; }  // does not block

 private:
  explicit RdbPipe(int fd) : fd_(fd) {}

  const int fd_;
  std::thread thread_;
};

}  // namespace cairn
