// SPDX-License-Identifier: BSD-3-Clause
//
// Sleeping until a word changes: the kernel's futex (futex(2), private to the process), without
// what std::atomic's wait does before it. That one gives its core away with sched_yield, and who
// does that is served last since Linux 6.18: a worker that met a shard lock whose holder had lost
// its core then waited for all of that thread's time slice, not for its unlocking.
//
// Any thread; makes a system call. None of them orders memory: callers load and store with what
// they need.
#pragma once

#include <atomic>
#include <cstdint>

namespace cairn {

// Returns once somebody has called FutexWakeOne or FutexWakeAll, at once if the word is not
// `expected`, and for no reason at all: callers look again.
void FutexWait(const std::atomic<uint32_t>* word, uint32_t expected);
void FutexWakeOne(const std::atomic<uint32_t>* word);
void FutexWakeAll(const std::atomic<uint32_t>* word);

}  // namespace cairn
