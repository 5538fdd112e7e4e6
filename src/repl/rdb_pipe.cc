// SPDX-License-Identifier: BSD-3-Clause
#include "repl/rdb_pipe.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>

#include "base/file.h"
#include "base/scheduling.h"
#include "base/thread.h"
#include "snapshot/verify.h"

namespace cairn {
namespace {

constexpr int kPipeBytes = 1 << 20;

// False once nobody reads any more.
bool WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

}  // namespace

Result<std::unique_ptr<RdbPipe>> RdbPipe::Open(const std::string& path, const KeyRing* keys) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return Status::Io(std::string("pipe: ") + strerror(errno));
  (void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
  (void)fcntl(ends[1], F_SETPIPE_SZ, kPipeBytes);
  std::unique_ptr<RdbPipe> pipe(new RdbPipe(ends[0]));
  pipe->thread_ = std::thread([path, keys, fd = ends[1]] {
    BeginThread("snapshot-send");
    LetOthersGoFirst();
    (void)ScanSnapshot(RealFileSystem(), path, keys,
                       [fd](std::string_view bytes) { return WriteAll(fd, bytes); });
    close(fd);
  });
  return pipe;
}

RdbPipe::~RdbPipe() {
  close(fd_);
  thread_.join();
}

}  // namespace cairn
