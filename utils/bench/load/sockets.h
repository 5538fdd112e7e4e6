// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

#include "utils/bench/load/options.h"
#include "utils/bench/load/workloads.h"

namespace cairn::load {

// A connection to the server, blocking; -1 with errno. Closing it leaves no TIME_WAIT behind: runs
// of ten thousand connections would use up the ports.
int ConnectTo(const Options& options);

// Sends a request on a blocking connection and waits for its replies; what went wrong, or "".
std::string Exchange(int fd, const Request& request, Keys* keys);

}  // namespace cairn::load
