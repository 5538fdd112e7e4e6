// SPDX-License-Identifier: BSD-3-Clause
#include "exec/access_clock.h"

#include <cstdlib>

namespace cairn {

uint32_t LfuCounter(const Config& config, uint32_t access, int64_t now_ms) {
  const uint32_t elapsed = (LfuMinutes(now_ms) - (access >> 8)) & 0xffff;
  const int64_t decay_minutes = config.lfu_decay_time();
  const uint32_t periods =
      decay_minutes > 0 ? elapsed / static_cast<uint32_t>(decay_minutes) : 0;
  const uint32_t counter = access & 0xff;
  return periods > counter ? 0 : counter - periods;
}

uint32_t NextLfuAccess(const Config& config, uint32_t access, int64_t now_ms) {
  uint32_t counter = LfuCounter(config, access, now_ms);
  if (counter < 255) {
    const double base = counter > kLfuInitial ? counter - kLfuInitial : 0;
    const double probability =
        1.0 / (base * static_cast<double>(config.lfu_log_factor()) + 1);
    thread_local unsigned seed = static_cast<unsigned>(now_ms);
    if (static_cast<double>(rand_r(&seed)) / RAND_MAX < probability) ++counter;
  }
  return LfuMinutes(now_ms) << 8 | counter;
}

}  // namespace cairn
