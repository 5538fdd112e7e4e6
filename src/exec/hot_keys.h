// SPDX-License-Identifier: BSD-3-Clause
//
// HotKeys: which keys cost the most, for HOTKEYS (Redis 8.6): processor time (CPU) and bytes of
// requests and replies (NET) by key, and, which Redis does not have, the keys that hold the most
// memory (SIZE). Between START and STOP, or for DURATION seconds, every command with keys tells
// what it cost, its keys bearing equal parts; of the keys' sketches only one command in SAMPLE.
//
// While no session runs a command pays nothing: START sets the bound of time in CostBounds to zero,
// as the audit log does, and the commands, which then reach it all, come here (Executor::NoteCost).
//
//   thread 0:  Cell { mutex, on, totals, cpu sketch, net sketch, largest keys }    written by its
//   thread 1:  Cell { ... }                                                        own thread only
//   GET:       takes each cell's mutex for as long as it copies the heaviest, and adds them up
//
// So threads share nothing while they count. A cell's sketches are made by its first command: some
// 0.5 MiB each with keys of usual length, kSketchBytesMax with long ones. RESET frees them.
//
// Keys are known by name alone, whatever their database, as Redis does.
//
// Thread rule: any thread. `slot` is its caller's own.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/heavy_hitters.h"
#include "base/largest_names.h"
#include "base/random.h"
#include "exec/accounting.h"

namespace cairn {

struct HotKeyOptions {
  bool cpu = false, net = false, size = false;
  int64_t count = 10;       // of the keys told
  int64_t duration_ms = 0;  // 0: until STOP
  int64_t sample = 1;       // one command in so many
};

struct HotKeyReport {
  HotKeyOptions options;
  bool active = false;
  int64_t start_ms = 0, duration_ms = 0;  // wall clock
  uint64_t user_ms = 0, system_ms = 0;    // of the processor, the whole process's
  uint64_t ticks = 0, bytes = 0;          // of all commands with keys, sampled or not
  uint64_t sampled_bytes = 0;
  std::vector<HeavyHitters::Item> by_ticks, by_bytes;  // heaviest first
  std::vector<LargestNames::Item> by_size;             // largest first
};

class HotKeys {
 public:
  static constexpr int64_t kCountMax = 64, kDurationSecondsMax = 1'000'000;
  static constexpr size_t kSketchBytesMax =
      HeavyHitters::kSets * HeavyHitters::kWays * (HeavyHitters::kNameBytesMax + 64);

  explicit HotKeys(int threads_max) : threads_max_(threads_max) {}

  // While true the cells are there.
  bool on() const { return on_.load(std::memory_order_acquire); }
  // A session whose time is over counts as under way until Expire is called.
  //
  // False: a session is under way. What an earlier one found is forgotten.
  bool Start(const HotKeyOptions& options, int64_t now_ms);
  // False: there was none under way. What was found stays until Reset or Start.
  bool Stop(int64_t now_ms);
  // False: a session is under way.
  bool Reset();
  // nullopt: there was no session since the last Reset.
  std::optional<HotKeyReport> Report(int64_t now_ms);

  // What Note wants of its caller.
  struct Noted {
    bool over = false;   // the session's time is: Expire is to be called
    bool sizes = false;  // NoteSize of each key is
  };
  // A command with these keys has run. Only while on().
  [[nodiscard]] Noted Note(int slot, int64_t now_ms, const CallCost& cost,
                           std::span<const std::string_view> keys, Random& random);
  // As Note wanted: how much memory a key holds, 0 if it is not there; `when` is ReadTicks of now.
  void NoteSize(int slot, std::string_view key, uint64_t bytes, uint64_t when);
  // Ends a session whose time is over.
  void Expire(int64_t now_ms);

 private:
  struct alignas(64) Cell {
    std::mutex mutex;  // over all of it; taken behind the session's, and nothing behind it
    bool on = false;
    HotKeyOptions options;
    int64_t end_ms = 0;  // 0: none
    uint64_t ticks = 0, bytes = 0, sampled_bytes = 0;
    std::unique_ptr<HeavyHitters> by_ticks, by_bytes;
    std::unique_ptr<LargestNames> by_size;
  };
  struct Processor {
    uint64_t user_ms = 0, system_ms = 0;
  };
  static Processor ReadProcessor();
  void StopAt(int64_t end_ms);  // with mutex_ held

  const int threads_max_;
  std::atomic<bool> on_{false};
  std::vector<Cell> cells_;  // by slot; made by the first Start, for ever

  std::mutex mutex_;  // over the session
  bool known_ = false, active_ = false;
  HotKeyOptions options_;
  int64_t start_ms_ = 0,
          end_ms_ = 0;  // end: when it is due while active, else when it was; 0: none
  Processor before_, spent_;
};

}  // namespace cairn
