// SPDX-License-Identifier: BSD-3-Clause
#include "base/scheduling.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdint>
#include <cstring>
#include <thread>

namespace cairn {
namespace {

// The kernel's struct sched_attr: its first 48 bytes, of which the slice stands at 24.
uint64_t SliceNs() {
  unsigned char attributes[48] = {};
  REQUIRE(syscall(SYS_sched_getattr, 0, attributes, sizeof attributes, 0) == 0);
  uint64_t slice_ns;
  std::memcpy(&slice_ns, attributes + 24, sizeof slice_ns);
  return slice_ns;
}

}  // namespace

TEST_CASE("A background thread's slice is longer, the rest stays as it was", "[base]") {
  uint64_t before_ns = 0, after_ns = 0;
  int policy_before = -1, policy_after = -1, nice_before = -1, nice_after = -1;
  std::thread([&] {
    // What was set for the process stays: for this thread alone, on Linux.
    (void)setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), 3);
    before_ns = SliceNs();
    policy_before = sched_getscheduler(0);
    nice_before = getpriority(PRIO_PROCESS, static_cast<id_t>(gettid()));
    LetOthersGoFirst();
    after_ns = SliceNs();
    policy_after = sched_getscheduler(0);
    nice_after = getpriority(PRIO_PROCESS, static_cast<id_t>(gettid()));
  }).join();
  REQUIRE(policy_after == policy_before);
  REQUIRE(nice_after == nice_before);
  // Kernels before 6.12 tell of no slice.
  if (policy_before == SCHED_OTHER && before_ns != 0) REQUIRE(after_ns == 10'000'000);
}

}  // namespace cairn
