// SPDX-License-Identifier: BSD-3-Clause
#include "exec/memory_report.h"

#include <algorithm>

#include "exec/engine.h"
#include "exec/server_control.h"
#include "exec/session.h"
#include "journal/journal.h"
#include "keyspace/keyspace.h"

namespace cairn {
namespace {

double Ratio(size_t part, size_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

double MemoryReport::DatasetPercent(size_t overhead) const {
  const size_t since = figures.allocated > startup ? figures.allocated - startup : 0;
  return std::min(100 * Ratio(Dataset(overhead), since), 100.0);
}

double MemoryReport::Fragmentation() const {
  return Ratio(figures.rss, figures.allocated);
}

MemoryReport ReadMemoryReport(Engine& engine) {
  MemoryReport report;
  report.figures = ReadMemoryFigures();
  report.peak = MemoryMeter::NotePeak(report.figures.allocated);
  report.startup = engine.startup_bytes;
  for (const auto& client : engine.control->Clients()) {
    const bool replica = (client->flags.load(std::memory_order_relaxed) & kClientReplica) != 0;
    (replica ? report.clients_replicas : report.clients_normal) += client->MemoryBytes();
  }
  if (const Journal* journal = engine.journal; journal != nullptr) {
    const Lsn written = journal->written();  // first: it only grows towards the tail
    report.journal_buffer = journal->tail() - written;
  }
  for (int db = 0; db < engine.keyspace.databases(); ++db) report.keys += engine.keyspace.Size(db);
  return report;
}

size_t TableBytes(Engine& engine, int db) {
  size_t bytes = 0;
  for (int shard = 0; shard < kShards; ++shard)
    if (const KeyTable* table = engine.keyspace.PeekTable(shard, db))
      bytes += table->entries.MemoryBytes();
  return bytes;
}

}  // namespace cairn
