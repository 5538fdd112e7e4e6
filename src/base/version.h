// SPDX-License-Identifier: BSD-3-Clause
#pragma once

namespace cairn {

inline constexpr char kVersion[] = "0.1.0";
// The Redis whose commands and replies Cairn gives: what INFO tells clients that look.
inline constexpr char kRedisVersion[] = "7.4.2";
// The same as a number, a byte a part.
inline constexpr int kRedisVersionNumber = 0x070402;

}  // namespace cairn
