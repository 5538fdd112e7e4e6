// SPDX-License-Identifier: BSD-3-Clause
//
// CHECK and DCHECK: for bugs, never for input. CHECK is always on and ends the process with the
// file, line and condition; DCHECK is compiled out of release builds (NDEBUG).
#pragma once

namespace cairn {

// Prints "FATAL file:line: condition" and aborts. Async-signal-safe.
[[noreturn]] void CheckFailed(const char* file, int line, const char* condition);

}  // namespace cairn

#define CHECK(condition)                                               \
  do {                                                                 \
    if (!(condition)) [[unlikely]]                                     \
      ::cairn::CheckFailed(__FILE__, __LINE__, #condition);            \
  } while (0)

#ifdef NDEBUG
#define DCHECK(condition) \
  do {                    \
    if (false) (void)(condition); \
  } while (0)
#else
#define DCHECK(condition) CHECK(condition)
#endif
