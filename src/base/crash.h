// SPDX-License-Identifier: BSD-3-Clause
//
// What the process says before it dies of a signal that means a bug (SIGSEGV, SIGBUS, SIGFPE,
// SIGILL, SIGABRT): the signal, the version, the return addresses of the thread. addr2line with
// the binary turns those into lines. The signal then takes its usual course, core dump included.
#pragma once

namespace cairn {

// Reports go to `*fd`, read at that moment: the log's file, which may be reopened. Once, before
// other threads start; does nothing under a sanitizer, which reports better.
void InstallCrashReport(const int* fd, const char* version);
// The log's file if messages go to one, else -1. Any thread, also in a signal handler.
int CrashReportFile();
// Switches the report off and on: `crash-log-enabled`. Any thread.
void EnableCrashReport(bool enabled);

}  // namespace cairn
