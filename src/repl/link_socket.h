// SPDX-License-Identifier: BSD-3-Clause
//
// LinkSocket: the follower's connection to its leader, for a thread of its own that waits. Every
// wait ends at its time limit or when another thread calls Interrupt, which holds for good.
//
// Thread rule: the link's thread; Interrupt and Nudge any.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"
#include "net/tls_stream.h"

namespace cairn {

class LinkSocket {
 public:
  LinkSocket();
  ~LinkSocket();
  LinkSocket(const LinkSocket&) = delete;
  LinkSocket& operator=(const LinkSocket&) = delete;

  Status Connect(const std::string& host, int port, const std::string& source_address,
                 int64_t timeout_ms);
  // Speaks TLS from here on; after Connect.
  Status StartTls(std::shared_ptr<TlsContext> context, int64_t timeout_ms);
  void Close();
  std::string local_address() const;

  // kLimit when the time is up; as ReadLine.
  Status Write(std::string_view bytes, int64_t timeout_ms);
  // At least one byte, or 0 when the time is up, or somebody nudged and that counts. kIo when the
  // connection has ended.
  Result<size_t> Read(char* buffer, size_t length, int64_t timeout_ms, bool nudged = false);
  // Up to the line's end, which is dropped: CR LF or LF. At most kLineBytesMax.
  Result<std::string> ReadLine(int64_t timeout_ms);
  static constexpr size_t kLineBytesMax = 1024;

  void Interrupt();
  bool interrupted() const { return interrupted_.load(); }
  // Ends the wait of a Read for which that counts, this one or the next.
  void Nudge();
  // Sleeps, unless interrupted.
  void Pause(int64_t milliseconds);

 private:
  // kUnavailable if interrupted; false when the time is up, or at a nudge if that counts.
  Result<bool> WaitFor(short events, int64_t timeout_ms, bool nudged = false);
  Status MakeEvents();
  Status BindTo(const std::string& source, int family);
  ssize_t ReadSome(char* buffer, size_t length);
  ssize_t WriteSome(std::string_view bytes);
  Status Broken(const char* what, ssize_t error) const;

  int fd_ = -1;
  std::atomic<bool> interrupted_{false};
  // -1: the process had no descriptors left; each Connect tries again, and fails without them.
  std::atomic<int> wake_fd_{-1};   // an eventfd, readable from Interrupt on
  std::atomic<int> nudge_fd_{-1};  // another, from Nudge until the wait has ended
  std::unique_ptr<TlsStream> tls_;
};

}  // namespace cairn
