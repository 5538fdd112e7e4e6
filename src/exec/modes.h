// SPDX-License-Identifier: BSD-3-Clause
//
// Modes: what the whole server is in (loading, paused, follower, ...), summed up in one word that
// every command reads twice: before its gates and again under its locks.
//
//   word: bits 0-15 the flags, bits 16-63 the mode epoch, which every change raises
//
// Whoever changes a mode sets it, then enters and leaves scope All once before replying: after
// that no command is under way that saw the old mode.
#pragma once

#include <atomic>
#include <cstdint>

namespace cairn {

enum ModeFlag : uint64_t {
  kModeLoading = 1 << 0,
  kModePausedWrite = 1 << 1,  // CLIENT PAUSE ... WRITE
  kModePausedAll = 1 << 2,    // CLIENT PAUSE ... ALL
  kModeLogRefused = 1 << 3,   // the journal failed: writes get MISCONF
  kModeFollower = 1 << 4,
  kModeMonitored = 1 << 5,    // somebody runs MONITOR
  kModeBusyScript = 1 << 7,
  kModeShutdown = 1 << 8,
  kModeStale = 1 << 10,        // a follower that may not serve what it has: MASTERDOWN
  kModeFewFollowers = 1 << 11,  // fewer good ones than min-replicas-to-write: NOREPLICAS
  kModeSaveFailed = 1 << 12,   // snapshots fail: writes get MISCONF
  kModeSnapshotLag = 1 << 13,  // too many pre-images wait for the snapshot: writes wait
  kModeFailover = 1 << 14,     // a follower is to take over: writes wait
};

class Modes {
 public:
  uint64_t word() const { return word_.load(std::memory_order_acquire); }
  static bool Has(uint64_t word, ModeFlag flag) { return (word & flag) != 0; }
  bool Has(ModeFlag flag) const { return Has(word(), flag); }
  static constexpr uint64_t kFlagMask = 0xffff;

  void Set(ModeFlag flag, bool on) {
    uint64_t old = word_.load(std::memory_order_relaxed);
    uint64_t next;
    do {
      next = (on ? old | flag : old & ~static_cast<uint64_t>(flag)) + (uint64_t{1} << 16);
    } while (!word_.compare_exchange_weak(old, next, std::memory_order_acq_rel));
  }
  // ACL and other changes that no flag shows.
  void Bump() { word_.fetch_add(uint64_t{1} << 16, std::memory_order_acq_rel); }

 private:
  alignas(64) std::atomic<uint64_t> word_{0};
};

}  // namespace cairn
