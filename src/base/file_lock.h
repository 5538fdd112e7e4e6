// SPDX-License-Identifier: BSD-3-Clause
//
// FileLock: an advisory lock (flock) on a file, held by a process until it ends in whatever way:
// the kernel gives it back, so a crash leaves nothing to clean up. The file stays; it holds the
// process id of its latest owner, for people.
//
// Thread rule: one thread at a time.
#pragma once

#include <string>

#include "base/status.h"

namespace cairn {

class FileLock {
 public:
  FileLock() = default;
  FileLock(FileLock&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  FileLock& operator=(FileLock&& other) noexcept;
  ~FileLock();

  // Creates the file if need be and locks it without waiting. kUnavailable: another open of the
  // file holds it; the message names the owner.
  static Result<FileLock> Take(const std::string& path);

  bool held() const { return fd_ >= 0; }

 private:
  explicit FileLock(int fd) : fd_(fd) {}
  int fd_ = -1;
};

}  // namespace cairn
