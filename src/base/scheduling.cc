// SPDX-License-Identifier: BSD-3-Clause
#include "base/scheduling.h"

#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

namespace cairn {
namespace {

// Ten times is no better, where it was tried.
constexpr uint64_t kLongSliceNs = 10'000'000;
constexpr int kNiceMax = 19;

// The kernel's struct sched_attr in its first form; its own header cannot stand beside <sched.h>.
struct SchedulerAttributes {
  uint32_t size = sizeof(SchedulerAttributes);
  uint32_t policy = 0;
  uint64_t flags = 0;
  int32_t nice = 0;
  uint32_t priority = 0;
  uint64_t runtime_ns = 0;  // the slice, for SCHED_OTHER
  uint64_t deadline_ns = 0;
  uint64_t period_ns = 0;
};
static_assert(sizeof(SchedulerAttributes) == 48);

}  // namespace

void LetOthersGoFirst(int nicer) {
  // The C library has no functions for these two.
  SchedulerAttributes attributes;
  if (syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0) != 0) return;
  if (attributes.policy != SCHED_OTHER) return;
  attributes.runtime_ns = kLongSliceNs;
  attributes.nice = std::min(attributes.nice + nicer, kNiceMax);
  (void)syscall(SYS_sched_setattr, 0, &attributes, 0);
}

}  // namespace cairn
