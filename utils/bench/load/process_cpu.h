// SPDX-License-Identifier: BSD-3-Clause
#pragma once

namespace cairn::load {

// The CPU seconds that the threads of a process have had: to the nanosecond where the kernel keeps
// /proc/PID/task/TID/schedstat, else in ticks. What threads had that have ended is not in it.
// Negative: there is no such process.
double ProcessCpuSeconds(int pid);

}  // namespace cairn::load
