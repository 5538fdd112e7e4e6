// SPDX-License-Identifier: BSD-3-Clause
//
// The 24-bit access clock of an entry. Under an LRU policy: seconds, modulo 2^24 (Redis's
// resolution of 1000 ms), under an LRM policy those of the last change. Under an LFU policy: minutes modulo 2^16 in the upper bits and Redis's
// logarithmic counter (Morris, "Counting large numbers of events in small registers", 1978) below.
#pragma once

#include <cstdint>

#include "config/config.h"

namespace cairn {

constexpr uint32_t kAccessMask = (1u << 24) - 1;
constexpr uint32_t kLfuInitial = 5;

inline bool UsesLfu(const Config& config) {
  const MaxmemoryPolicy policy = config.maxmemory_policy();
  return policy == MaxmemoryPolicy::kAllkeysLfu || policy == MaxmemoryPolicy::kVolatileLfu;
}

// The clock tells when a key was last modified: reads leave it alone.
inline bool UsesLrm(const Config& config) {
  const MaxmemoryPolicy policy = config.maxmemory_policy();
  return policy == MaxmemoryPolicy::kAllkeysLrm || policy == MaxmemoryPolicy::kVolatileLrm;
}

inline uint32_t LruClock(int64_t now_ms) {
  return static_cast<uint32_t>(now_ms / 1000) & kAccessMask;
}
inline uint32_t LfuMinutes(int64_t now_ms) {
  return static_cast<uint32_t>(now_ms / 60000) & 0xffff;
}
// The counter after decay for the minutes since it was last touched.
uint32_t LfuCounter(const Config& config, uint32_t access, int64_t now_ms);
uint32_t NextLfuAccess(const Config& config, uint32_t access, int64_t now_ms);

inline uint32_t FreshAccessClock(const Config& config, int64_t now_ms) {
  return UsesLfu(config) ? LfuMinutes(now_ms) << 8 | kLfuInitial : LruClock(now_ms);
}
inline uint32_t NextAccessClock(const Config& config, uint32_t access, int64_t now_ms) {
  return UsesLfu(config) ? NextLfuAccess(config, access, now_ms) : LruClock(now_ms);
}
// Seconds since the last access under an LRU policy.
inline int64_t IdleSeconds(uint32_t access, int64_t now_ms) {
  return (LruClock(now_ms) - access) & kAccessMask;
}

}  // namespace cairn
