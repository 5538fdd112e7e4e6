// SPDX-License-Identifier: BSD-3-Clause
//
// Outgoing connections (replication links, MIGRATE). Resolves the name, connects without
// blocking, gives up after a time. Thread rule: the worker's thread.
#pragma once

#include <functional>
#include <string>

#include "base/status.h"
#include "net/connection.h"
#include "net/worker.h"

namespace cairn {

struct ConnectTarget {
  std::string host;           // name or numeric address
  int port = 0;
  std::string source_address;  // numeric; "": any
  int timeout_ms = 5000;
};

// Calls `done` once, on the worker's thread, never from inside this call: with the connected,
// non-blocking socket (to be given to worker.Adopt) or why there is none.
void Connect(Worker* worker, const ConnectTarget& target, std::function<void(Result<int>)> done);

}  // namespace cairn
