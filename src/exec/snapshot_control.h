// SPDX-License-Identifier: BSD-3-Clause
//
// SnapshotControl: what commands ask of whoever makes snapshots. Implemented in server/. Nothing
// here may be called by a thread that holds locks or is inside the gate, Claim, Cancel and LastSave
// excepted: the others belong into Unit::AfterUnit.
#pragma once

#include <cstdint>
#include <string>

#include "base/status.h"

namespace cairn {

class SnapshotControl {
 public:
  virtual ~SnapshotControl() = default;

  enum class Kind : uint8_t { kSave, kBackgroundSave, kRewrite };
  enum class Claimed : uint8_t {
    kStarted,    // Run is to follow, by whoever claimed
    kScheduled,  // begins when the one under way has ended
    kSaving,     // refused: a snapshot is under way
    kRewriting   // refused: the log is being compacted, or will be
  };
  // Decides what becomes of a request: the reply of BGSAVE and BGREWRITEAOF.
  virtual Claimed Claim(Kind kind, bool may_schedule) = 0;
  // Takes the instant, then writes in the background (kSave: waits for the end and says how it
  // went).
  virtual Status Run() = 0;

  enum class Cancelled : uint8_t { kRunning, kScheduled, kNothing };
  virtual Cancelled Cancel() = 0;
  // When the last snapshot succeeded, or the server began: seconds since the epoch.
  virtual int64_t LastSaveSeconds() = 0;

  struct ReloadRequest {
    bool save = true, flush = true;
  };
  // DEBUG RELOAD. Other clients are told LOADING meanwhile.
  virtual Status Reload(const ReloadRequest& request) = 0;
};

}  // namespace cairn
