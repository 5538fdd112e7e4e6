// SPDX-License-Identifier: BSD-3-Clause
//
// The index of hashes with expiring fields, and the cycle that works it off.
#include "exec/field_expiry.h"

#include "base/random.h"
#include "tests/unit/exec/engine_harness.h"
#include "types/hash.h"

namespace cairn {
namespace {

// Every hash with an expiring field is in the index of its table, under its earliest expiry, and
// nothing else is.
void CheckIndex(Keyspace& keyspace) {
  for (int shard = 0; shard < kShards; ++shard) {
    for (int db = 0; db < keyspace.databases(); ++db) {
      const KeyTable* table = keyspace.PeekTable(shard, db);
      if (table == nullptr) continue;
      size_t hashes = 0;
      int64_t first = INT64_MAX;
      table->entries.ForEach([&](const Entry* entry) {
        const int64_t next = entry->NextFieldExpiry();
        if (next == 0) return true;
        ++hashes;
        first = std::min(first, next);
        REQUIRE(table->field_expiries.Contains(EntryTraits::Hash(entry), next));
        return true;
      });
      REQUIRE(table->field_expiries.size() == hashes);
      REQUIRE(table->field_expiries.next_ms() == first);
    }
  }
}

size_t Slice(TestClient& client, size_t limit = SIZE_MAX) {
  return client.executor.ExpireFieldsSlice(0, 1, limit, client.clock_ms);
}

}  // namespace

TEST_CASE("The index follows a hash through every way of changing it", "[exec][field_expiry]") {
  TestEngine engine;
  TestClient client(engine);
  client.Send("HSET h a 1 b 2 c 3\r\n");
  for (const char* change :
       {"HPEXPIRE h 5000 FIELDS 1 a\r\n", "HPEXPIRE h 4000 FIELDS 1 b\r\n",
        "HPEXPIRE h 9000 FIELDS 1 b\r\n", "HSET h a 1\r\n", "HPERSIST h FIELDS 1 b\r\n",
        "HSETEX h EX 100 FIELDS 2 a 1 c 3\r\n", "COPY h g\r\n", "RENAME h i\r\n",
        "EXPIRE i 1000\r\n", "MOVE g 1\r\n", "HDEL i a\r\n", "HGETDEL i FIELDS 1 c\r\n",
        "HGETEX i EX 10 FIELDS 1 b\r\n", "SET i x\r\n", "HSETEX j EX 10 FIELDS 1 f v\r\n",
        "COPY j i REPLACE\r\n", "SWAPDB 0 1\r\n", "FLUSHDB\r\n", "SWAPDB 0 1\r\n",
        "DEL i\r\n", "MULTI\r\nHPEXPIRE j 100 FIELDS 1 f\r\nHDEL j f\r\nEXEC\r\n"}) {
    INFO(change);
    client.Send(change);
    CheckIndex(engine.keyspace);
  }
}

TEST_CASE("The index holds under random changes", "[exec][field_expiry]") {
  TestEngine engine;
  TestClient client(engine);
  Random random(7);
  for (int i = 0; i < 20'000; ++i) {
    const std::string key = "k" + std::to_string(random.Below(20));
    const std::string field = " f" + std::to_string(random.Below(200));
    const std::string ms = std::to_string(1 + random.Below(2000));
    switch (random.Below(9)) {
      case 0: client.Send("HDEL " + key + field + "\r\n"); break;
      case 1: client.Send("HPERSIST " + key + " FIELDS 1" + field + "\r\n"); break;
      case 2: client.Send("HSETEX " + key + " PX " + ms + " FIELDS 1" + field + " v\r\n"); break;
      case 3: client.Send("HINCRBY " + key + field + "n 1\r\n"); break;
      case 4: client.clock_ms += static_cast<int64_t>(random.Below(40)); break;
      case 5: client.Send("HGETEX " + key + " PX " + ms + " FIELDS 1" + field + "\r\n"); break;
      default:
        client.Send("HSET " + key + field + " v\r\n");
        client.Send("HPEXPIRE " + key + " " + ms + " FIELDS 1" + field + "\r\n");
    }
    if (i % 500 == 0) Slice(client, 1 + random.Below(50));
    if (i % 50 == 0) CheckIndex(engine.keyspace);
  }
  client.clock_ms += 10'000;
  Slice(client);
  CheckIndex(engine.keyspace);
  REQUIRE(engine.keyspace.FieldExpiriesSize(0) == 0);
}

TEST_CASE("The cycle deletes what is due, in slices", "[exec][field_expiry]") {
  TestEngine engine;
  TestClient client(engine);
  client.Send("HSET h a 1 b 2 c 3\r\nHPEXPIRE h 100 FIELDS 2 a b\r\n");
  for (int i = 0; i < 1000; ++i)
    client.Send("HSETEX big PX 100 FIELDS 1 f" + std::to_string(i) + " v\r\n");
  client.clock_ms += 100;
  REQUIRE(Slice(client) == 0);  // a field lives through its last millisecond
  client.clock_ms += 1;
  REQUIRE(client.Send("HLEN h\r\nHGETALL h\r\n") == ":3\r\n*2\r\n$1\r\nc\r\n$1\r\n3\r\n");

  const size_t some = Slice(client, 10);
  REQUIRE((some >= 10 && some < 400));
  REQUIRE(some + Slice(client) == 1002);
  REQUIRE(client.Send("HLEN h\r\nEXISTS big\r\n") == ":1\r\n:0\r\n");
  REQUIRE(engine.engine->statistics.Sum(Stat::kExpiredFields) == 1002);
}

TEST_CASE("No field expires where nothing may", "[exec][field_expiry]") {
  TestEngine engine;
  TestClient client(engine);
  client.Send("HSETEX h PX 100 FIELDS 1 f v\r\n");
  client.clock_ms += 200;
  for (ModeFlag mode : {kModeFollower, kModePausedWrite, kModeLogRefused, kModeLoading}) {
    engine.engine->modes.Set(mode, true);
    REQUIRE(Slice(client) == 0);
    engine.engine->modes.Set(mode, false);
  }
  engine.engine->modes.Set(kModePausedWrite, true);
  REQUIRE(client.Send("HGET h f\r\nHLEN h\r\n") == "$-1\r\n:1\r\n");  // hidden, not gone
  engine.engine->modes.Set(kModePausedWrite, false);
  engine.engine->active_expire = false;
  REQUIRE(Slice(client) == 0);
  engine.engine->active_expire = true;

  // A replay sees it alive, and keeps the expiry that an effect carries, be it past.
  Session stream(std::make_shared<ClientRecord>());
  stream.internal = stream.authenticated = true;
  OutputBuffer out;
  TestClient leader(engine);
  const std::string_view increment[] = {"HINCRBY", "h", "n", "1"};
  const std::string_view past[] = {"HPEXPIREAT", "h", "1000", "FIELDS", "1", "n"};
  REQUIRE(leader.executor.Apply(stream, increment, out));
  REQUIRE(leader.executor.Apply(stream, past, out));
  CheckIndex(engine.keyspace);
  REQUIRE(client.Send("HLEN h\r\n") == ":2\r\n");
  REQUIRE(Slice(client) == 2);
  REQUIRE(client.Send("EXISTS h\r\n") == ":0\r\n");
}

}  // namespace cairn
