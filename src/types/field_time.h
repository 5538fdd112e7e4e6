// SPDX-License-Identifier: BSD-3-Clause
//
// The latest time at which a hash field may expire: 48 bits, as in Redis. Every saved form of a
// hash refuses a later one, so none may come in by any other.
#pragma once

#include <cstdint>

namespace cairn {

inline constexpr int64_t kFieldTimeMaxMs = (int64_t{1} << 48) - 2;

}  // namespace cairn
