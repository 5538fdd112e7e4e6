// SPDX-License-Identifier: BSD-3-Clause
//
// RareWarning: what is tried again and again and fails each time is told of when it begins to fail,
// then once a minute. Thread rule: plain data.
#pragma once

#include <cstdint>

namespace cairn {

class RareWarning {
 public:
  static constexpr int64_t kAgainUs = 60'000'000;

  // It failed, at this monotonic time: whether to say so.
  bool Due(int64_t now_us) {
    if (failing_ && now_us - told_us_ < kAgainUs) return false;
    failing_ = true;
    told_us_ = now_us;
    return true;
  }
  // It succeeded.
  void Over() { failing_ = false; }

 private:
  bool failing_ = false;
  int64_t told_us_ = 0;
};

}  // namespace cairn
