// SPDX-License-Identifier: BSD-3-Clause
//
// Names of threads, as `top -H`, perf and debuggers show them. Any thread.
#pragma once

#include <pthread.h>

namespace cairn {

// The calling thread's name from now on; of 15 bytes at most, a longer one is not taken. Without this
// a thread is called like the one that began it.
inline void NameThisThread(const char* name) {
  (void)pthread_setname_np(pthread_self(), name);
}

}  // namespace cairn
