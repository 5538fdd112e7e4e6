// SPDX-License-Identifier: BSD-3-Clause
//
// Keyspace: where the tables of databases are, however many there are.
#include "keyspace/keyspace.h"

#include <string>

namespace cairn {
namespace {

constexpr int kDatabases = 16;
static_assert(kDatabases > Shard::kNearTables + 1, "some tables are near, some far");

void Add(Keyspace* keyspace, int db, const std::string& key) {
  const uint64_t hash = HashBytes(key);
  Entry* entry = Entry::NewString(key, std::to_string(db), kNoExpiry);
  KeyTable& table = keyspace->Table(ShardOf(hash), db);
  table.entries.InsertAndGrow(hash, entry);
  table.CountIn(hash, entry);
}

// The value of the key, which is a number; -1: the database has no such key.
int64_t Find(const Keyspace& keyspace, int db, const std::string& key) {
  const uint64_t hash = HashBytes(key);
  const KeyTable* table = keyspace.PeekTable(ShardOf(hash), db);
  const Entry* entry = table == nullptr ? nullptr : table->entries.Find(hash, [&](const Entry* e) {
    return e->KeyIs(key);
  });
  return entry == nullptr ? -1 : entry->integer();
}

}  // namespace

TEST_CASE("keyspace: each database has tables of its own, the near and the far ones") {
  Keyspace keyspace(kDatabases);
  for (int db = 0; db < kDatabases; ++db) {
    REQUIRE(keyspace.PeekTable(0, db) == nullptr);
    for (int i = 0; i <= db; ++i) Add(&keyspace, db, "key:" + std::to_string(i));
  }
  for (int db = 0; db < kDatabases; ++db) {
    REQUIRE(keyspace.Size(db) == static_cast<size_t>(db) + 1);
    REQUIRE(Find(keyspace, db, "key:0") == db);
    REQUIRE(Find(keyspace, db, "key:" + std::to_string(db + 1)) == -1);
  }
}

TEST_CASE("keyspace: near and far databases change places, and are taken out") {
  Keyspace keyspace(kDatabases);
  for (int db : {0, Shard::kNearTables - 1, Shard::kNearTables, kDatabases - 1})
    Add(&keyspace, db, "key");
  keyspace.Swap(0, kDatabases - 1);
  keyspace.Swap(Shard::kNearTables - 1, Shard::kNearTables);
  keyspace.Swap(1, Shard::kNearTables + 1);  // both empty
  REQUIRE(Find(keyspace, 0, "key") == kDatabases - 1);
  REQUIRE(Find(keyspace, kDatabases - 1, "key") == 0);
  REQUIRE(Find(keyspace, Shard::kNearTables, "key") == Shard::kNearTables - 1);
  REQUIRE(Find(keyspace, Shard::kNearTables - 1, "key") == Shard::kNearTables);
  REQUIRE(keyspace.Size(1) == 0);
  for (int db : {0, kDatabases - 1}) {
    Keyspace::FreeTables(keyspace.Detach(db));
    REQUIRE(Find(keyspace, db, "key") == -1);
  }
  REQUIRE(keyspace.Size(Shard::kNearTables) == 1);
}

TEST_CASE("keyspace: few databases need no far tables") {
  for (int databases : {1, Shard::kNearTables}) {
    Keyspace keyspace(databases);
    Add(&keyspace, databases - 1, "key");
    REQUIRE(Find(keyspace, databases - 1, "key") == databases - 1);
  }
}

}  // namespace cairn
