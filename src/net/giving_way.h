// SPDX-License-Identifier: BSD-3-Clause
//
// GivingWay: whether a worker, before it sleeps, gives its core away once.
//
// It does so only while it has replies that wait for the log. What these wait for may itself be
// waiting for a core: the log's writer, other workers, clients of the same machine. And what the
// worker finds when it has the core again are many requests, where it would else be woken for the
// first one, find little more, and sleep again: a wake-up costs about as much as a request.
//
// Only while it brings something. Where nobody else wanted the core, that is two system calls for
// nothing; where somebody had it for long, it is time that the worker's other clients lost. So
// after each such try ever more waits go without one, up to kStaysMax, or kStaysMaxIfLong.
//
// Thread rule: the worker's thread.
#pragma once

#include <algorithm>
#include <cstdint>

namespace cairn {

class GivingWay {
 public:
  static constexpr int64_t kShortUs = 300;  // about what a row of clients takes
  static constexpr int64_t kLongUs = 1000;
  static constexpr unsigned kStaysMax = 63, kStaysMaxIfLong = 65'535;

  // Before a wait: whether to give the core away first. Then Note has to follow.
  bool Due() {
    if (stays_ == 0) return true;
    --stays_;
    return false;
  }
  // It was away for so long, and `found` something to do.
  void Note(bool found, int64_t took_us) {
    if (took_us > kLongUs) {
      last_ = std::min(2 * last_ + kStaysMax, kStaysMaxIfLong);
    } else if (found && took_us <= kShortUs) {
      last_ /= 2;
    } else {
      last_ = std::max(last_, std::min(2 * last_ + 1, kStaysMax));
    }
    stays_ = last_;
  }

 private:
  unsigned stays_ = 0;  // waits to go without
  unsigned last_ = 0;   // as many were chosen the last time
};

}  // namespace cairn
