// SPDX-License-Identifier: BSD-3-Clause
//
// How many files the process may have open (RLIMIT_NOFILE), and so how many clients at once: every
// connection is a descriptor, and clients must never take those that the server itself needs. Any
// thread; no locks.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/log.h"
#include "base/status.h"
#include "config/store.h"

namespace cairn {

// Descriptors that clients do not get: of each worker's loop, and of the log's and snapshots'
// files, the link to a leader, kept connections of MIGRATE (48) and of whoever reads metrics (64).
inline constexpr int64_t kReservedFiles = 160;
inline constexpr int64_t kReservedFilesPerWorker = 6;

struct ClientRoom {
  int64_t clients;  // that fit, the reserve smaller if need be; 0 or less: not even the loops do
  // Of open files: the limit that there was, that was wanted, that there is.
  uint64_t before, wanted, now;
  int error;  // errno: why it is not what was wanted
};

// Raises the limit, as far as the system lets, until `clients` fit beside the reserve of so many
// workers. It is never lowered.
ClientRoom MakeRoomForClients(int64_t clients, size_t workers);

// At start: room for `maxclients`, which is lowered where there is less. An error where the server
// itself has not enough.
Status FitMaxClients(ConfigStore* store, size_t workers, Log* log);
// CONFIG SET maxclients: an error where there is less.
Status AllowMaxClients(int64_t clients, size_t workers);

}  // namespace cairn
