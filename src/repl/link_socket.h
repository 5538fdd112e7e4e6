// SPDX-License-Identifier: BSD-3-Clause
//
// LinkSocket: the follower's connection to its leader, for a thread of its own that waits. Every
// wait ends at its time limit or when another thread calls Interrupt, which holds for good.
//
// Thread rule: the link's thread, Interrupt excepted.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"

namespace cairn {

class LinkSocket {
 public:
  LinkSocket();
  ~LinkSocket();
  LinkSocket(const LinkSocket&) = delete;
  LinkSocket& operator=(const LinkSocket&) = delete;

  Status Connect(const std::string& host, int port, const std::string& source_address,
                 int64_t timeout_ms);
  void Close();
  std::string local_address() const;

  Status Write(std::string_view bytes, int64_t timeout_ms);
  // At least one byte, or 0 when the time is up. kIo when the connection has ended.
  Result<size_t> Read(char* buffer, size_t length, int64_t timeout_ms);
  // Up to the line's end, which is dropped: CR LF or LF. At most kLineBytesMax.
  Result<std::string> ReadLine(int64_t timeout_ms);
  static constexpr size_t kLineBytesMax = 1024;

  void Interrupt();
  bool interrupted() const;
  // Sleeps, unless interrupted.
  void Pause(int64_t milliseconds);

 private:
  // kUnavailable if interrupted; false when the time is up.
  Result<bool> WaitFor(short events, int64_t timeout_ms);

  int fd_ = -1;
  int wake_fd_;  // an eventfd, readable from Interrupt on
};

}  // namespace cairn
