// SPDX-License-Identifier: BSD-3-Clause
//
// Departure: how the server ends, whoever asks for it (SHUTDOWN, or a signal).
//
//   waiting   writes wait until all followers have everything, for shutdown-timeout seconds at
//   most;
//             SHUTDOWN ABORT makes the server go on
//   saving    the last snapshot, if one is wanted; the server goes on if it fails, unless FORCE
//   ended     Step has said so
//
// Ask and Abort come from any thread and wait for nothing, Step from the main thread, again and
// again while pending(). Requests that come while another is under way share its fate.
#pragma once

#include <functional>
#include <mutex>
#include <vector>

#include "base/log.h"
#include "exec/server_control.h"

namespace cairn {

struct Engine;
class Persistence;
class ReplicationControl;

class Departure {
 public:
  Departure(Engine* engine, Persistence* persistence, ReplicationControl* replication)
      : engine_(*engine), persistence_(*persistence), replication_(*replication) {}

  // `went_on`, which may be empty, is called on the main thread if the server does not end.
  void Ask(const ShutdownRequest& request, std::function<void()> went_on);
  // False: nobody has asked, or it is too late.
  bool Abort();
  // Somebody has asked, and Step has not decided yet.
  bool pending() const;
  // How long it will wait for followers at most; -1: it does not.
  int64_t milliseconds_left() const;
  // True: the server is to end now.
  bool Step();

 private:
  bool AskedToGoOn();
  bool Wait();
  void ReportFollowers();
  bool Save();
  void GoOn();

  Engine& engine_;
  Persistence& persistence_;
  ReplicationControl& replication_;
  mutable std::mutex mutex_;  // a leaf; guards all below
  bool asked_ = false, aborted_ = false;
  bool decided_ = false;  // it saves or has ended: ABORT comes too late
  bool waiting_ = false;
  int64_t deadline_ms_ = 0;  // monotonic, of the waiting
  ShutdownRequest request_;
  std::vector<std::function<void()>> went_on_;
};

}  // namespace cairn
