// SPDX-License-Identifier: BSD-3-Clause
//
// What every thread of the server calls first.
#pragma once

#include <pthread.h>

#include "base/memory.h"

namespace cairn {

// Names the calling thread, as `top -H`, perf and debuggers show it: 15 bytes at most, a longer
// name is not taken (without a name a thread is called like the one that began it). And adds it to
// MemoryMeter's sum, so that memory which one thread takes and another gives back is seen to go.
inline void BeginThread(const char* name) {
  (void)pthread_setname_np(pthread_self(), name);
  MemoryMeter::RegisterThread();
}

}  // namespace cairn
