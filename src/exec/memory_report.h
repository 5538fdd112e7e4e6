// SPDX-License-Identifier: BSD-3-Clause
//
// What the memory goes to, as INFO and MEMORY STATS tell it. Bytes throughout.
#pragma once

#include <cstddef>

#include "base/memory.h"

namespace cairn {

struct Engine;

struct MemoryReport {
  MemoryFigures figures;
  size_t peak = 0;            // most that was allocated at once, looked at ten times a second
  size_t startup = 0;         // allocated before anything was loaded
  size_t clients_normal = 0;  // buffers, queued commands and records of connections
  size_t clients_replicas = 0;
  size_t journal_buffer = 0;  // written to memory, not yet to the file
  size_t keys = 0;

  // What is not the users' data, as far as it is counted: hash tables are, by TableBytes.
  size_t Overhead(size_t table_bytes) const {
    return startup + clients_normal + clients_replicas + journal_buffer + table_bytes;
  }
  size_t Dataset(size_t overhead) const {
    return figures.allocated > overhead ? figures.allocated - overhead : 0;
  }
  // Of what was allocated since the start, in percent.
  double DatasetPercent(size_t overhead) const;
  double Fragmentation() const;
};

// Any thread; O(clients). Without locks, so of the keyspace only what counters tell.
MemoryReport ReadMemoryReport(Engine& engine);

// Bytes of the tables of one database; the caller holds scope All. O(shards).
size_t TableBytes(Engine& engine, int db);

}  // namespace cairn
