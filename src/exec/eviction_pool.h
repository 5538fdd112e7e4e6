// SPDX-License-Identifier: BSD-3-Clause
//
// The best candidates for eviction that sampling met, the worst first. Keeping them over many
// evictions is what brings sampling of a few keys close to a true order (antirez, "Random notes on
// improving the Redis LRU algorithm", 2016). One thread's own.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace cairn {

struct EvictionCandidate {
  int64_t score = 0;  // the higher the sooner it goes
  int db = 0;
  uint64_t hash = 0;
  std::string key;
};

class EvictionPool {
 public:
  static constexpr size_t kSize = 16;

  bool empty() const { return candidates_.empty(); }
  size_t size() const { return candidates_.size(); }
  void Clear() { candidates_.clear(); }

  // Takes it in if there is room or one with a lower score to drop. A key that is in already gets
  // the new score.
  void Offer(int64_t score, int db, uint64_t hash, std::string_view key) {
    std::erase_if(candidates_, [&](const EvictionCandidate& c) {
      return c.hash == hash && c.db == db && c.key == key;
    });
    if (candidates_.size() == kSize) {
      if (candidates_.front().score >= score) return;
      candidates_.erase(candidates_.begin());
    }
    const auto at = std::upper_bound(
        candidates_.begin(), candidates_.end(), score,
        [](int64_t s, const EvictionCandidate& c) { return s < c.score; });
    candidates_.insert(at, {score, db, hash, std::string(key)});
  }

  // The one with the highest score; there must be one.
  EvictionCandidate TakeBest() {
    EvictionCandidate best = std::move(candidates_.back());
    candidates_.pop_back();
    return best;
  }

 private:
  std::vector<EvictionCandidate> candidates_;  // ascending by score
};

}  // namespace cairn
