// SPDX-License-Identifier: BSD-3-Clause
//
// WatchTable: which sessions WATCH which keys of one shard. Guarded by the shard's lock.
//
// A registration is weak: a session that unwatches (or dies) only marks its WatchState dead, and
// the entry is swept when the key is next touched or watched.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace cairn {

struct WatchState {
  std::atomic<bool> dirty{false};  // a watched key changed
  std::atomic<bool> dead{false};   // nobody asks any more
};

class WatchTable {
 public:
  bool empty() const { return keys_.empty(); }
  void Add(int db, std::string_view key, std::shared_ptr<WatchState> state);
  // The key changed: marks its watchers dirty; their registrations are used up.
  void Touch(int db, std::string_view key);
  // Calls touched(db, key) for each watched key and marks the watchers of those for which it says
  // true (FLUSHALL, SWAPDB).
  template <typename Touched>
  void TouchIf(const Touched& touched) {
    for (auto it = keys_.begin(); it != keys_.end();) {
      if (touched(DbOf(it->first), std::string_view(it->first).substr(sizeof(int)))) {
        MarkAll(it->second);
        it = keys_.erase(it);
      } else {
        ++it;
      }
    }
  }

 private:
  void Sweep();
  using States = std::vector<std::shared_ptr<WatchState>>;
  static std::string NameOf(int db, std::string_view key);
  static int DbOf(const std::string& name);
  static void MarkAll(const States& states);

  std::unordered_map<std::string, States> keys_;
  size_t sweep_at_ = 64;  // keys at which the whole table is swept next
};

}  // namespace cairn
