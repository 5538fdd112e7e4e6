// SPDX-License-Identifier: BSD-3-Clause
#include "rdb/dump.h"

#include <sys/mman.h>

#include <cstring>
#include <string>
#include <vector>

#include "../redis_oracle.h"
#include "base/bytes.h"
#include "base/crc.h"
#include "base/random.h"
#include "describe.h"
#include "golden_dumps.h"

using namespace cairn;

namespace {

const Thresholds kThresholds;
const Thresholds kNothingIsSmall = {.hash_max_listpack_entries = 0,
                                    .set_max_intset_entries = 0,
                                    .set_max_listpack_entries = 0,
                                    .zset_max_listpack_entries = 0,
                                    .list_max_listpack_size = 1};

// Saves a loaded value again; not compressed, mutations reach further.
std::string Dump(RdbValue value, int version = kRdbVersionMin, bool compress = true) {
  if (value.type() == Type::kString) return DumpString(value.string(), version);
  Type type = value.type();
  uint64_t rep = value.Release();
  std::string payload;
  if (compress) {
    payload = DumpValue(type, rep, version);
  } else {
    RdbWriter writer(&payload, false);
    RdbType rdb_type = RdbTypeOf(type, rep, version);
    writer.Type(rdb_type);
    RdbSave(type, rep, rdb_type, &writer);
    FinishDump(kRdbVersion, &payload);
  }
  // Adopted again, so that it is freed.
  switch (type) {
    case Type::kList: List::Adopt(rep); break;
    case Type::kSet: Set::Adopt(rep); break;
    case Type::kSortedSet: SortedSet::Adopt(rep); break;
    case Type::kHash: Hash::Adopt(rep); break;
    default: Stream::Adopt(rep); break;
  }
  return payload;
}

std::string Sealed(std::string_view hex_body, int version) {
  std::string payload = Unhex(hex_body);
  FinishDump(version, &payload);
  return payload;
}

RdbValue MustLoad(std::string_view payload) {
  REQUIRE(VerifyDump(payload));
  Result<RdbValue> value = LoadDump(payload, kThresholds);
  INFO(value.status().message());
  REQUIRE(value.ok());
  return std::move(*value);
}

void CheckValue(const RdbValue& value) {
  std::visit(
      [](const auto& held) {
        if constexpr (!std::is_same_v<std::remove_cvref_t<decltype(held)>, std::string>) {
          held.CheckInvariants();
        }
      },
      value.value);
}

Stream SampleStream(Random& random, size_t count) {
  Stream stream;
  StreamId id;
  std::vector<StreamId> ids;
  for (size_t i = 0; i < count; ++i) {
    std::string value(random.Below(60), 'v');
    std::vector<std::string_view> fields = {"field", value};
    if (random.Below(4) == 0) fields.insert(fields.end(), {"other", "12"});
    stream.Add(StreamIdKind::kAnySeq, {1000 + i / 3, 0}, 0, fields, kThresholds, &id);
    ids.push_back(id);
  }
  for (StreamId each : ids) {
    if (random.Below(5) == 0) stream.Delete(each);
  }
  for (const char* name : {"g1", "g2"}) {
    StreamGroup* group = stream.CreateGroup(name, {}, 0);
    for (const char* who : {"alice", "bob"}) {
      StreamConsumer* consumer = group->GetConsumer(who, 1700000000000).first;
      stream.ReadNew(group, consumer, random.Below(count) + 1, false, 1700000000001,
                     [](const StreamEntry&) {});
    }
    for (StreamId each : ids) {
      if (random.Below(3) == 0) group->Acknowledge(each);
    }
  }
  return stream;
}

// Values of all encodings, small and large.
std::vector<RdbValue> SampleValues(Random& random) {
  std::vector<RdbValue> values;
  auto text = [&](size_t most) {
    std::string s(1 + random.Below(most), static_cast<char>('a' + random.Below(26)));
    return s + std::to_string(random.Below(100000));
  };
  for (size_t count : {1, 5, 100, 700}) {
    values.push_back(RdbValue{text(500)});
    List list;
    Set set, integers;
    SortedSet zset;
    Hash hash, timed;
    size_t longest = random.Below(2) ? 8 : 200;
    for (size_t i = 0; i < count; ++i) {
      list.Push(ListEnd::kBack, text(longest), kThresholds);
      set.Add(text(longest), kThresholds);
      integers.Add(std::to_string(random.Next() >> random.Below(64)), kThresholds);
      zset.Add(static_cast<double>(random.Below(1000)) / 8, text(longest), {}, kThresholds);
      std::string field = text(longest);
      hash.Set(field, text(longest), Hash::kNeverExpired, kThresholds);
      timed.Set(field, text(longest), Hash::kNeverExpired, kThresholds);
      if (i % 3 == 0) {
        timed.SetExpiry(field, 1700000000000 + static_cast<int64_t>(random.Below(100000)),
                        ExpiryCondition::kAlways, Hash::kNeverExpired);
      }
    }
    values.push_back(RdbValue{std::move(list)});
    values.push_back(RdbValue{std::move(set)});
    values.push_back(RdbValue{std::move(integers)});
    values.push_back(RdbValue{std::move(zset)});
    values.push_back(RdbValue{std::move(hash)});
    values.push_back(RdbValue{std::move(timed)});
    values.push_back(RdbValue{SampleStream(random, count)});
  }
  return values;
}

}  // namespace

TEST_CASE("Payloads of redis-server 7.0 load, and load again when saved", "[rdb]") {
  for (const GoldenDump& golden : kGoldenDumps) {
    INFO(golden.name);
    RdbValue value = MustLoad(Unhex(golden.payload));
    CheckValue(value);
    REQUIRE(Describe(value) == golden.meaning);
    for (int version = kRdbVersionMin; version <= kRdbVersion; ++version) {
      RdbValue first = MustLoad(Unhex(golden.payload));
      RdbValue again = MustLoad(Dump(std::move(first), version));
      REQUIRE(Describe(again) == golden.meaning);
    }
  }
}

TEST_CASE("Forms of Redis 7.2 and 7.4 load", "[rdb]") {
  struct Row {
    const char* hex;
    const char* meaning;
  };
  const Row kRows[] = {
      // Set listpack: "a", 5.
      {"140c" "0c0000000200" "816102" "0501" "ff", "5,a"},
      // Hash with field times from 1000 on: f1 at 1000, f2 without, f3 at 1500.
      {"18" "e803000000000000" "03" "01" "026631" "027631" "00" "026632" "027632" "41f5" "026633"
       "027633",
       "f1=v1@1000,f2=v2,f3=v3@1500"},
      // The same before the release: absolute times.
      {"16" "02" "43e8" "026631" "027631" "00" "026632" "027632", "f1=v1@1000,f2=v2"},
      // Hash listpackex: f1 v1 1000, f2 v2 0.
      {"19" "e803000000000000" "1c" "1c0000000600" "82663103" "82763103" "c3e802" "82663203"
       "82763203" "0001" "ff",
       "f1=v1@1000,f2=v2"},
      {"17" "1c" "1c0000000600" "82663103" "82763103" "c3e802" "82663203" "82763203" "0001" "ff",
       "f1=v1@1000,f2=v2"},
      // Streams without entries: the oldest form, and the newest with a consumer's active time.
      {"0f" "00" "00" "43e8" "02" "01" "0167" "43e8" "02" "00" "01" "0163" "0100000000000000" "00",
       "last 1000-2; deleted 0-0; added 0; group g at 1000-2 read 0; consumer c: "},
      {"15" "00" "00" "43e8" "02" "00" "00" "00" "00" "05" "01" "0167" "43e8" "02" "05" "00" "01"
       "0163" "0100000000000000" "0200000000000000" "00",
       "last 1000-2; deleted 0-0; added 5; group g at 1000-2 read 5; consumer c: "},
  };
  for (const Row& row : kRows) {
    INFO(row.hex);
    RdbValue value = MustLoad(Sealed(row.hex, 12));
    CheckValue(value);
    REQUIRE(Describe(value) == row.meaning);
  }
}

TEST_CASE("A hash with field times in a file of Valkey", "[rdb]") {
  std::string file = "VALKEY080" + Unhex("02" "026631" "027631" "e803000000000000"
                                         "026632" "027632" "ffffffffffffffff");
  RdbReader reader(file);
  REQUIRE(reader.FileHeader() == 80);
  Result<RdbValue> value =
      RdbLoad(static_cast<uint8_t>(RdbType::kHashMetadataPreGa), kThresholds, &reader);
  REQUIRE((value.ok() && reader.AtEnd()));
  REQUIRE(Describe(*value) == "f1=v1@1000,f2=v2");
}

TEST_CASE("Streams in files of Redis 8.6 and 8.8", "[rdb]") {
  const std::string head =
      "00"
      "00"
      "43e8"
      "02"
      "00"
      "00"
      "00"
      "00"
      "05"
      "01"
      "0167"
      "43e8"
      "02"
      "05";
  const std::string ids =
                        "0000000000000005"
                        "0000000000000001",
                    id2 =
                        "0000000000000005"
                        "0000000000000002";
  const std::string pending = "02" + ids +
                              "0700000000000000"
                              "03" +
                              id2 +
                              "0700000000000000"
                              "04";
  const std::string consumers =
      "01"
      "0163"
      "0100000000000000"
      "0200000000000000"
      "01" +
      ids;
  const std::string producers =
      "4064"
      "4064"
      "01"
      "0170"
      "02"
      "016d"
      "05"
      "01"
      "016e"
      "05"
      "02"
      "02"
      "00";
  const auto load = [](int version, RdbType type, const std::string& hex) {
    const std::string file = "REDIS00" + std::to_string(version) + Unhex(hex);
    RdbReader reader(file);
    REQUIRE(reader.FileHeader() == version);
    auto value = RdbLoad(static_cast<uint8_t>(type), kThresholds, &reader);
    if (value.ok()) REQUIRE(reader.AtEnd());
    return value.ok() ? Describe(*value) : value.status().message();
  };
  REQUIRE(load(13, RdbType::kStreamListpacks4,
               head +
                   "00"
                   "00" +
                   producers) == "last 1000-2; deleted 0-0; added 5; group g at 1000-2 read 5");
  REQUIRE(
      load(14, RdbType::kStreamListpacks5, head + pending + consumers + "01" + id2 + producers) ==
      "last 1000-2; deleted 0-0; added 5; group g at 1000-2 read 5; consumer : 5-2*4; "
      "consumer c: 5-1*3");
  // Released though it has a consumer, released though it is not pending, neither of the two.
  REQUIRE(load(14, RdbType::kStreamListpacks5,
               head + pending + consumers + "01" + ids + producers) == "stream released id");
  REQUIRE(load(14, RdbType::kStreamListpacks5,
               head +
                   "00"
                   "00"
                   "01" +
                   ids + producers) == "stream released id");
  REQUIRE(load(14, RdbType::kStreamListpacks5, head + pending + consumers + "00" + producers) ==
          "stream pending id without a consumer");
  // A type of a later version than the file's; a type of Redis in a file of Valkey.
  REQUIRE(load(13, RdbType::kStreamListpacks5, head) == "unknown value type");
  REQUIRE(load(12, RdbType::kStreamListpacks4, head) == "unknown value type");
  const std::string file = "VALKEY080";
  RdbReader reader(file);
  REQUIRE(reader.FileHeader() == 80);
  REQUIRE_FALSE(RdbLoad(25, kThresholds, &reader).ok());
}

TEST_CASE("Saving and loading keeps values and encodings", "[rdb]") {
  Random random(31);
  for (int version = kRdbVersionMin; version <= kRdbVersion; ++version) {
    std::vector<RdbValue> values = SampleValues(random);
    for (RdbValue& value : values) {
      std::string meaning = Describe(value);
      std::string payload = Dump(std::move(value), version);
      REQUIRE(LoadLe<uint16_t>(payload.data() + payload.size() - kDumpFooterBytes) >= version);
      RdbValue again = MustLoad(payload);
      CheckValue(again);
      REQUIRE(Describe(again) == meaning);
    }
  }
}

TEST_CASE("DUMP footers are compared as Redis does", "[rdb]") {
  std::string good = DumpString("hello");
  REQUIRE(VerifyDump(good));
  std::string changed = good;
  changed[2] = 'H';
  REQUIRE_FALSE(VerifyDump(changed));
  REQUIRE_FALSE(VerifyDump("123456789"));
  std::string newer = Sealed("000161", kRdbVersion + 1);
  REQUIRE_FALSE(VerifyDump(newer));
  std::string zero = good;
  memset(zero.data() + zero.size() - 8, 0, 8);
  REQUIRE_FALSE(VerifyDump(zero));
  REQUIRE_FALSE(LoadDump(Sealed("", 10), kThresholds).ok());
}

TEST_CASE("Values that break a rule of their type are refused", "[rdb]") {
  const char* kBad[] = {
      "0202016101" "61",                          // set: a twice
      "0402016101" "31016101" "32",               // hash: a twice
      "0502016100000000000000000161000000000000f03f",  // sorted set: a twice
      "05010161000000000000f87f",                 // a score that is no number
      "08",        "1a",       "ff",              // no such type
      "120103" "0161",                            // a quicklist node of kind 3
      "0b0e" "0200000003000000" "010002000200",   // intset that does not ascend
      "110a" "0a0000000100" "816102" "ff",        // sorted set listpack of odd length
      "18" "0000000000000000" "01" "01" "0161" "0162",  // field expiry 0
      "18" "ffffffffffffffff" "01" "02" "0161" "0162",  // field expiry that wraps around
      "01",                                       // cut off
  };
  for (const char* hex : kBad) {
    INFO(hex);
    Result<RdbValue> value = LoadDump(Sealed(hex, 12), kThresholds);
    REQUIRE(value.status().code() == StatusCode::kCorrupt);
  }
  // Empty collections are told apart: a file's loader skips them.
  for (const char* hex : {"0100", "0200", "0300", "0400", "0500", "1200",
                          "1007" "07000000" "0000" "ff",
                          "1107" "07000000" "0000" "ff", "1407" "07000000" "0000" "ff",
                          "0a0b" "0b000000" "0a000000" "0000" "ff"}) {
    INFO(hex);
    Result<RdbValue> value = LoadDump(Sealed(hex, 12), kThresholds);
    REQUIRE(value.status().code() == StatusCode::kNotFound);
  }
  REQUIRE(LoadDump(Sealed("0700", 12), kThresholds).status().code() == StatusCode::kUnavailable);
}

TEST_CASE("Mutated payloads never do harm", "[rdb]") {
  Random random(41);
  std::vector<std::string> payloads;
  for (const GoldenDump& golden : kGoldenDumps) {
    payloads.push_back(Unhex(golden.payload));
    int version = kRdbVersionMin + static_cast<int>(random.Below(3));
    payloads.push_back(Dump(MustLoad(payloads.back()), version, false));
  }
  for (RdbValue& value : SampleValues(random)) {
    std::string payload = Dump(std::move(value), 12, false);
    if (payload.size() < 3000) payloads.push_back(std::move(payload));
  }
  int loaded = 0;
  for (int round = 0; round < 20000; ++round) {
    std::string payload = payloads[random.Below(payloads.size())];
    for (uint64_t n = 1 + random.Below(3); n > 0; --n) {
      size_t at = random.Below(std::max<size_t>(payload.size() - kDumpFooterBytes, 1));
      switch (random.Below(5)) {
        case 0: payload[at] = static_cast<char>(random.Next()); break;
        case 1: payload[at] = static_cast<char>(payload[at] ^ (1 << random.Below(8))); break;
        case 2: payload.erase(at, 1 + random.Below(4)); break;
        case 3: payload.insert(at, 1, static_cast<char>(random.Next())); break;
        default: payload[at] = static_cast<char>(random.Below(2) ? 0xff : 0x81); break;
      }
      if (payload.size() < kDumpFooterBytes) payload.resize(kDumpFooterBytes);
    }
    Result<RdbValue> value = LoadDump(payload, kThresholds);
    if (!value.ok()) continue;
    ++loaded;
    CheckValue(*value);
    Describe(*value);
    RdbValue again = MustLoad(Dump(std::move(*value), 12));
    // It may grow: what was taken in a small form has to come back from the large one too.
    Result<RdbValue> large = LoadDump(payload, kNothingIsSmall);
    REQUIRE(large.ok());
    again = MustLoad(Dump(std::move(*large), 12));
  }
  REQUIRE(loaded > 100);
}

TEST_CASE("redis-server restores our payloads", "[rdb]") {
  RedisOracle redis;
  if (!redis.ok()) return;
  Random random(51);
  for (int round = 0; round < 3; ++round) {
    std::vector<RdbValue> values = SampleValues(random);
    for (RdbValue& value : values) {
      std::string meaning = Describe(value);
      if (meaning.find('@') != std::string::npos) continue;  // field times are newer than 7.0
      std::string payload = Dump(std::move(value));
      redis.Text({"del", "k"});
      REQUIRE(redis.Text({"restore", "k", "0", payload}) == "OK");
      std::string back = redis.Text({"dump", "k"});
      REQUIRE(Describe(MustLoad(back)) == meaning);
    }
  }
}

TEST_CASE("A list element of 4 GiB is refused before anything is copied", "[rdb]") {
  // Never touched behind its first page, so it takes no memory.
  constexpr size_t kBytes = (size_t{1} << 32) + 4096;
  void* area = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  REQUIRE(area != MAP_FAILED);
  const std::string_view bytes(static_cast<const char*>(area), kBytes);
  for (const RdbType type : {RdbType::kListQuicklist2, RdbType::kList}) {
    std::string head;
    RdbWriter writer(&head);
    writer.Length(1);
    if (type == RdbType::kListQuicklist2) writer.Length(kRdbNodePlain);
    writer.Length(uint64_t{1} << 32);
    head.copy(static_cast<char*>(area), head.size());
    RdbReader reader(bytes);
    auto loaded = RdbLoad(static_cast<uint8_t>(type), kThresholds, &reader);
    REQUIRE(loaded.status().message() == "list element of 4 GiB");
  }
  munmap(area, kBytes);
}
