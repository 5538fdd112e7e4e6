// SPDX-License-Identifier: BSD-3-Clause
#include "base/crash.h"

#include <execinfo.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <atomic>

namespace cairn {
namespace {

constexpr int kFramesMax = 64;
const int* g_fd = nullptr;
const char* g_version = "";
std::atomic<bool> g_enabled{true};

void Print(const char* text) {
  [[maybe_unused]] ssize_t written = write(*g_fd, text, strlen(text));
}

// Unused with sanitizers, which report by themselves. Only what a signal handler may call: snprintf
// of integers and strings allocates nothing in glibc.
[[maybe_unused]] void Report(int number, siginfo_t* info, void*) {
  if (!g_enabled.load(std::memory_order_relaxed)) return void(raise(number));
  char line[256];
  snprintf(line, sizeof line,
           "\n=== CAIRN BUG REPORT START: Cut & paste starting from here ===\n"
           "Cairn %s crashed by signal: %d, si_code: %d, accessing address: %p, pid: %d\n",
           g_version, number, info->si_code, info->si_addr, getpid());
  Print(line);
  Print("------ STACK TRACE ------\n");
  void* frames[kFramesMax];
  backtrace_symbols_fd(frames, backtrace(frames, kFramesMax), *g_fd);
  Print("=== CAIRN BUG REPORT END. Names of functions: addr2line -Cfe BINARY ADDRESS ===\n");
  raise(number);  // SA_RESETHAND: now with its default action
}

}  // namespace

void InstallCrashReport(const int* fd, const char* version) {
  g_fd = fd;
  g_version = version;
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  void* frame;
  backtrace(&frame, 1);  // loads what it needs now rather than in the handler
  struct sigaction action = {};
  action.sa_sigaction = &Report;
  action.sa_flags = SA_SIGINFO | SA_RESETHAND;
  for (int number : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) sigaction(number, &action, nullptr);
#endif
}

int CrashReportFile() {
  return g_fd != nullptr && *g_fd > STDERR_FILENO ? *g_fd : -1;
}

void EnableCrashReport(bool enabled) {
  g_enabled.store(enabled, std::memory_order_relaxed);
}

}  // namespace cairn
