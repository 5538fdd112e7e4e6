// SPDX-License-Identifier: BSD-3-Clause
//
// Hexadecimal digits. Any thread.
#pragma once

namespace cairn {

// The value of a digit in either case; -1: it is none.
inline int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace cairn
