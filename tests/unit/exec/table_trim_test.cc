// SPDX-License-Identifier: BSD-3-Clause
//
// The keyspace's tables give memory back after a peak, and hold what they held.
#include "exec/table_trim.h"

#include "base/memory.h"
#include "tests/unit/exec/engine_harness.h"

namespace cairn {
namespace {

constexpr int kKeys = 1'500'000;  // some 1,700 buckets a shard

size_t TrimAll(TableTrimmer& trimmer, int64_t clock_ms) {
  size_t trimmed = 0;
  // Each shard is looked at, and again by who had found too many to trim.
  for (int i = 0; i < 4 * kShards / TableTrimmer::kShardsPerSlice; ++i)
    trimmed += trimmer.Slice(clock_ms);
  return trimmed;
}

}  // namespace

TEST_CASE("Tables that have shrunk give their memory back", "[exec][trim]") {
  TestEngine engine;
  TestClient client(engine);
  TableTrimmer trimmer(&client.executor);
  Keyspace& keyspace = engine.keyspace;
  for (int shard = 0; shard < kShards; ++shard) {
    keyspace.Table(shard, 0).entries.Reserve(kKeys / kShards);
  }
  REQUIRE(keyspace.PeekTable(0, 0)->entries.bucket_count() >= TableTrimmer::kBucketsMin);
  REQUIRE(TrimAll(trimmer, client.clock_ms) == 0);  // they are as large as they ever were
  for (int i = 0; i < 1000; ++i) client.Send("T.SET k" + std::to_string(i) + " v\r\n");
  MemoryMeter::RegisterThread();
  const int64_t before = MemoryMeter::OwnBalance();
  size_t buckets = 0;
  for (int shard = 0; shard < kShards; ++shard) {
    while (keyspace.Table(shard, 0).entries.Maintain()) {
    }
    buckets += keyspace.PeekTable(shard, 0)->entries.bucket_count();
  }
  REQUIRE(buckets <= 2 * 1000 + kShards);
  REQUIRE(TrimAll(trimmer, client.clock_ms) == kShards);
  // 64 bytes for seven keys, a bit less. Only jemalloc counts.
  if (before != 0) REQUIRE(MemoryMeter::OwnBalance() < before - kKeys * 7);
  REQUIRE(TrimAll(trimmer, client.clock_ms) == 0);
  for (int i = 0; i < 1000; ++i)
    REQUIRE(client.Send("T.GET k" + std::to_string(i) + "\r\n") == "$1\r\nv\r\n");
  for (int shard = 0; shard < kShards; ++shard)
    keyspace.PeekTable(shard, 0)->entries.CheckInvariants();
}

}  // namespace cairn
