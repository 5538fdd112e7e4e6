// SPDX-License-Identifier: BSD-3-Clause
#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/crash.h"

namespace cairn {

void CheckFailed(const char* file, int line, const char* condition) {
  char text[512];
  int length =
      snprintf(text, sizeof text, "FATAL %s:%d: check failed: %s\n", file, line, condition);
  if (length > static_cast<int>(sizeof text)) length = sizeof text;
  // The result does not matter: the process ends here whether or not anybody can read why.
  [[maybe_unused]] ssize_t written = write(STDERR_FILENO, text, static_cast<size_t>(length));
  if (const int log = CrashReportFile(); log >= 0)
    written = write(log, text, static_cast<size_t>(length));
  abort();
}

}  // namespace cairn
