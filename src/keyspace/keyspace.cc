// SPDX-License-Identifier: BSD-3-Clause
#include "keyspace/keyspace.h"

#include "base/memory.h"

namespace cairn {

size_t KeyTable::ApproximateBytes() const {
  constexpr size_t kSamples = 5;  // entries, and elements of each
  size_t seen = 0, bytes = 0;
  for (size_t i = 0; i < entries.bucket_count() && seen < kSamples; ++i)
    entries.VisitBucket(i, [&](const Entry* entry) {
      ++seen;
      bytes += entry->MemoryUsage(kSamples);
    });
  return entries.MemoryBytes() + (seen == 0 ? 0 : ExtrapolatedBytes(bytes, seen, size()));
}

Keyspace::Keyspace(int databases) : databases_(databases), shards_(new Shard[kShards]) {
  if (databases <= Shard::kNearTables) return;
  const auto far = static_cast<size_t>(databases - Shard::kNearTables);
  for (int i = 0; i < kShards; ++i) shards_[i].far_tables.reset(new Shard::TablePointer[far]());
}

Keyspace::~Keyspace() {
  for (int db = 0; db < databases_; ++db) FreeTables(Detach(db));
}

KeyTable& Keyspace::MakeTable(int shard, int db) {
  auto* table = new KeyTable;
  shards_[shard].table(db).store(table, std::memory_order_release);
  return *table;
}

size_t Keyspace::Size(int db) const {
  size_t sum = 0;
  for (int i = 0; i < kShards; ++i)
    if (const KeyTable* table = PeekTable(i, db)) sum += table->size();
  return sum;
}

size_t Keyspace::VolatileSize(int db) const {
  size_t sum = 0;
  for (int i = 0; i < kShards; ++i)
    if (const KeyTable* table = PeekTable(i, db)) sum += table->volatile_size();
  return sum;
}

int64_t Keyspace::MeanTtlMs(int db) const {
  double sum = 0, keys = 0;
  for (int i = 0; i < kShards; ++i) {
    const KeyTable* table = PeekTable(i, db);
    if (table == nullptr) continue;
    const int64_t mean = table->mean_ttl_ms.load(std::memory_order_relaxed);
    if (mean == 0) continue;
    const double weight = static_cast<double>(table->volatile_size());
    sum += weight * static_cast<double>(mean);
    keys += weight;
  }
  return keys == 0 ? 0 : static_cast<int64_t>(sum / keys);
}

size_t Keyspace::FieldExpiriesSize(int db) const {
  size_t sum = 0;
  for (int i = 0; i < kShards; ++i)
    if (const KeyTable* table = PeekTable(i, db)) sum += table->field_expiries.size();
  return sum;
}

Keyspace::Tables Keyspace::Detach(int db) {
  Tables tables;
  for (int i = 0; i < kShards; ++i) {
    Shard& shard = shards_[i];
    KeyTable* table = shard.table(db).load(std::memory_order_relaxed);
    if (table == nullptr) continue;
    if (shard.watches != nullptr) {
      shard.watches->TouchIf([&](int watched_db, std::string_view key) {
        return watched_db == db &&
               table->entries.Find(HashBytes(key), [key](const Entry* e) {
                 return e->key() == key;
               }) != nullptr;
      });
    }
    shard.table(db).store(nullptr, std::memory_order_relaxed);
    tables.emplace_back(table);
  }
  if (observer_ != nullptr) observer_->OnDetached(&tables);
  return tables;
}

void Keyspace::FreeTables(Tables tables) {
  for (auto& table : tables) table->entries.Clear([](Entry* entry) { Entry::Free(entry); });
}

void Keyspace::Swap(int db1, int db2) {
  for (int i = 0; i < kShards; ++i) {
    Shard& shard = shards_[i];
    auto& a = shard.table(db1);
    auto& b = shard.table(db2);
    if (shard.watches != nullptr) {
      shard.watches->TouchIf([&](int db, std::string_view key) {
        if (db != db1 && db != db2) return false;
        // Redis: a watched key is touched if it exists in either database.
        auto exists = [key](KeyTable* table) {
          return table != nullptr && table->entries.Find(HashBytes(key), [key](const Entry* e) {
                   return e->key() == key;
                 }) != nullptr;
        };
        return exists(a.load(std::memory_order_relaxed)) || exists(b.load(std::memory_order_relaxed));
      });
    }
    KeyTable* table = a.load(std::memory_order_relaxed);
    a.store(b.load(std::memory_order_relaxed), std::memory_order_relaxed);
    b.store(table, std::memory_order_relaxed);
  }
}

}  // namespace cairn
