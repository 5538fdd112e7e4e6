// SPDX-License-Identifier: BSD-3-Clause
//
// Stream entries against std::map; node bytes and trimming counts against what redis-server
// 7.0.15 answered.
#include "types/stream.h"

#include <map>
#include <string>
#include <vector>

#include "base/random.h"

namespace cairn {
namespace {

using Fields = std::vector<std::string>;
using Model = std::map<StreamId, Fields>;

Fields FieldsOf(const StreamEntry& entry) {
  Fields fields;
  entry.ForEachField([&](std::string_view field, std::string_view value) {
    fields.emplace_back(field);
    fields.emplace_back(value);
  });
  return fields;
}

StreamAddResult Add(Stream& stream, StreamId id, const Fields& fields, const Thresholds& t) {
  const std::vector<std::string_view> views(fields.begin(), fields.end());
  return stream.Add(StreamIdKind::kGiven, id, 0, views, t, &id);
}

// Entries 1-0 .. n-0, as the golden commands made them.
Stream Numbered(uint64_t count, const Thresholds& t) {
  Stream stream;
  for (uint64_t i = 1; i <= count; ++i)
    Add(stream, {i, 0}, {"f", ToString(static_cast<int64_t>(i))}, t);
  return stream;
}

void RequireRange(const Stream& stream, const Model& model, StreamId start, StreamId end) {
  std::vector<std::pair<StreamId, Fields>> expected;
  for (auto it = model.lower_bound(start); it != model.end() && it->first <= end; ++it)
    expected.emplace_back(*it);
  std::vector<std::pair<StreamId, Fields>> seen;
  for (StreamReader reader(stream, start, end); reader.Next();)
    seen.emplace_back(reader.entry().id, FieldsOf(reader.entry()));
  REQUIRE(seen == expected);
  seen.clear();
  for (StreamReader reader(stream, start, end, true); reader.Next();)
    seen.emplace(seen.begin(), reader.entry().id, FieldsOf(reader.entry()));
  REQUIRE(seen == expected);
}

void RequireSame(const Stream& stream, const Model& model) {
  stream.CheckInvariants();
  REQUIRE(stream.Length() == model.size());
  RequireRange(stream, model, StreamId(), StreamId::Max());
}

StreamId RandomId(Random& random, const Stream& stream) {
  const StreamId last = stream.last_id();
  return {random.Below(last.ms + 2), random.Below(4)};
}

void TrimModel(Model& model, const StreamTrim& trim) {
  while (!model.empty() && (trim.kind == StreamTrim::kMaxLength
                                ? model.size() > trim.max_length
                                : model.begin()->first < trim.min_id))
    model.erase(model.begin());
}

Stream Reloaded(const Stream& stream) {
  Stream copy;
  for (auto pos = stream.nodes().First(); pos != stream.nodes().End();
       pos = stream.nodes().Next(pos)) {
    const std::string bytes(stream.nodes().At(pos).value.AsBytes());
    REQUIRE(ValidStreamNode(bytes));
    REQUIRE(copy.LoadNode(stream.nodes().At(pos).key, bytes));
  }
  REQUIRE(copy.LoadState(stream.Length(), stream.last_id(), stream.first_id(),
                         stream.max_deleted_id(), stream.entries_added()));
  return copy;
}

}  // namespace

TEST_CASE("stream ids: text and order") {
  StreamId id;
  REQUIRE(ParseStreamId("5-7", 0, &id));
  REQUIRE(id == StreamId{5, 7});
  REQUIRE(ParseStreamId("5", UINT64_MAX, &id));
  REQUIRE(id == StreamId{5, UINT64_MAX});
  REQUIRE(ParseStreamId("007-01", 0, &id));  // Redis takes leading zeros
  REQUIRE(id == StreamId{7, 1});
  REQUIRE(ParseStreamIdStrict("18446744073709551615-18446744073709551615", &id));
  REQUIRE(id == StreamId::Max());
  REQUIRE(ToString(id) == "18446744073709551615-18446744073709551615");
  for (const char* bad : {"", "-", "+", "1-", "-1", "1-*", "1-2-3", "a-1", "1-a", "*", "$", "-5",
                          "18446744073709551616-0"})
    REQUIRE_FALSE(ParseStreamId(bad, 0, &id));
  REQUIRE_FALSE(ParseStreamIdStrict("5", &id));
  bool any_seq;
  REQUIRE((ParseStreamIdForAdd("5-*", &id, &any_seq) && any_seq && id == StreamId{5, 0}));
  REQUIRE((ParseStreamIdForAdd("5", &id, &any_seq) && !any_seq && id == StreamId{5, 0}));
  REQUIRE_FALSE(ParseStreamIdForAdd("-*", &id, &any_seq));
  id = {1, UINT64_MAX};
  REQUIRE((id.Increment() && id == StreamId{2, 0}));
  REQUIRE((id.Decrement() && id == StreamId{1, UINT64_MAX}));
  id = StreamId::Max();
  REQUIRE_FALSE(id.Increment());
  id = {};
  REQUIRE_FALSE(id.Decrement());
}

TEST_CASE("stream: ids that XADD takes") {
  Thresholds t;
  Stream stream;
  const std::vector<std::string_view> fields{"a", "1"};
  StreamId id;
  const auto add = [&](StreamIdKind kind, StreamId given, int64_t now) {
    return stream.Add(kind, given, now, fields, t, &id);
  };
  REQUIRE(add(StreamIdKind::kGiven, {0, 0}, 0) == StreamAddResult::kNotGreater);
  REQUIRE(add(StreamIdKind::kAnySeq, {0, 0}, 0) == StreamAddResult::kOk);
  REQUIRE(id == StreamId{0, 1});
  REQUIRE(add(StreamIdKind::kAuto, {}, 100) == StreamAddResult::kOk);
  REQUIRE(id == StreamId{100, 0});
  REQUIRE(add(StreamIdKind::kAuto, {}, 99) == StreamAddResult::kOk);  // the clock went back
  REQUIRE(id == StreamId{100, 1});
  REQUIRE(add(StreamIdKind::kAnySeq, {100, 0}, 0) == StreamAddResult::kOk);
  REQUIRE(id == StreamId{100, 2});
  REQUIRE(add(StreamIdKind::kAnySeq, {99, 0}, 0) == StreamAddResult::kNotGreater);
  REQUIRE(add(StreamIdKind::kGiven, {100, 2}, 0) == StreamAddResult::kNotGreater);
  REQUIRE(add(StreamIdKind::kGiven, {100, UINT64_MAX}, 0) == StreamAddResult::kOk);
  REQUIRE(add(StreamIdKind::kAnySeq, {100, 0}, 0) == StreamAddResult::kNotGreater);
  REQUIRE(add(StreamIdKind::kAuto, {}, 5) == StreamAddResult::kOk);
  REQUIRE(id == StreamId{101, 0});
  REQUIRE(add(StreamIdKind::kGiven, StreamId::Max(), 0) == StreamAddResult::kOk);
  REQUIRE(add(StreamIdKind::kAuto, {}, 5) == StreamAddResult::kNotGreater);
  REQUIRE(stream.entries_added() == 7);
  REQUIRE(stream.first_id() == StreamId{0, 1});
}

TEST_CASE("stream: random changes against std::map") {
  for (const int64_t entries : {1, 3, 10, 100}) {
    Random random(static_cast<uint64_t>(entries));
    Thresholds t;
    t.stream_node_max_entries = entries;
    t.stream_node_max_bytes = entries == 10 ? 200 : 4096;
    Stream stream;
    Model model;
    for (int step = 0; step < 4000; ++step) {
      const uint64_t pick = random.Below(100);
      if (pick < 60) {
        Fields fields;
        const uint64_t set = random.Below(3);
        for (uint64_t f = 0; f <= set; ++f) {
          fields.push_back(set == 1 ? ToString(static_cast<int64_t>(f))
                                    : "f" + std::string(f, 'x'));
          fields.push_back(random.Below(2) == 0 ? ToString(static_cast<int64_t>(random.Next()))
                                                : std::string(random.Below(80), 'v'));
        }
        StreamId id = stream.last_id();
        id.ms += random.Below(2);
        id.seq = id.ms == stream.last_id().ms ? id.seq + 1 + random.Below(2) : random.Below(3);
        REQUIRE(Add(stream, id, fields, t) == StreamAddResult::kOk);
        model[id] = fields;
      } else if (pick < 90) {
        StreamId id = RandomId(random, stream);
        if (const auto near = model.lower_bound(id); near != model.end() && random.Below(2) == 0)
          id = near->first;
        REQUIRE(stream.Contains(id) == model.contains(id));
        REQUIRE(stream.Delete(id) == (model.erase(id) == 1));
      } else if (pick < 92) {
        StreamTrim trim;
        trim.kind = random.Below(2) == 0 ? StreamTrim::kMaxLength : StreamTrim::kMinId;
        trim.max_length = model.size() - std::min<uint64_t>(model.size(), random.Below(30));
        if (!model.empty()) trim.min_id = {model.begin()->first.ms + random.Below(10), 1};
        if (random.Below(2) == 0) trim.references = StreamReferences::kDrop;
        const size_t before = model.size();
        TrimModel(model, trim);
        REQUIRE(stream.Trim(trim) == static_cast<int64_t>(before - model.size()));
      } else {
        StreamId start = RandomId(random, stream);
        StreamId end = RandomId(random, stream);
        RequireRange(stream, model, start, end);
      }
      if (step % 200 == 0) {
        RequireSame(stream, model);
        RequireSame(stream.Clone(), model);
        RequireSame(Reloaded(stream), model);
        stream = Stream::Adopt(stream.Release());
      }
    }
    RequireSame(stream, model);
    while (!model.empty()) {
      REQUIRE(stream.Delete(model.begin()->first));
      model.erase(model.begin());
    }
    RequireSame(stream, model);
    REQUIRE(stream.first_id().IsZero());
  }
}

TEST_CASE("stream: node bytes as redis-server dumps them") {
  using std::string_literals::operator""s;
  Thresholds t;
  t.stream_node_max_entries = 3;
  Stream stream;
  for (uint64_t i = 1; i <= 7; ++i) {
    const std::string n = ToString(static_cast<int64_t>(i));
    Add(stream, {i, i}, {"f", n, "g", "hello" + n}, t);
  }
  Add(stream, {8, 0}, {"other", "x"}, t);
  REQUIRE(stream.Delete({2, 2}));
  const std::string expected[] = {
      "K\x00\x00\x00\x18\x00\x02\x01\x01\x01\x02\x01\x81"
      "f\x02\x81g\x02\x00\x01\x02\x01\x00\x01\x00\x01\x01\x01\x86hello1\a\x05\x01\x03\x01\x01\x01"
      "\x01\x01\x02\x01\x86hello2\a\x05\x01\x02\x01\x02\x01\x02\x01\x03\x01\x86hello3\a\x05\x01"
      "\xff"s,
      "K\x00\x00\x00\x18\x00\x03\x01\x00\x01\x02\x01\x81"
      "f\x02\x81g\x02\x00\x01\x02\x01\x00\x01\x00\x01\x04\x01\x86hello4\a\x05\x01\x02\x01\x01\x01"
      "\x01\x01\x05\x01\x86hello5\a\x05\x01\x02\x01\x02\x01\x02\x01\x06\x01\x86hello6\a\x05\x01"
      "\xff"s,
      "<\x00\x00\x00\x13\x00\x02\x01\x00\x01\x02\x01\x81"
      "f\x02\x81g\x02\x00\x01\x02\x01\x00\x01\x00\x01\a\x01\x86hello7\a\x05\x01\x00\x01\x01\x01"
      "\xdf\xf9\x02\x01\x01\x85other\x06\x81x\x02\x06\x01\xff"s};
  size_t i = 0;
  for (auto pos = stream.nodes().First(); pos != stream.nodes().End();
       pos = stream.nodes().Next(pos), ++i) {
    REQUIRE(stream.nodes().At(pos).key == StreamId{3 * i + 1, 3 * i + 1});
    REQUIRE(stream.nodes().At(pos).value.AsBytes() == expected[i]);
  }
  REQUIRE(i == 3);
  REQUIRE(stream.max_deleted_id() == StreamId{2, 2});

  // No byte of a node may be wrong without being noticed, or crash its validation.
  Random random(3);
  for (int round = 0; round < 20000; ++round) {
    std::string bytes = expected[random.Below(3)];
    bytes[random.Below(bytes.size())] = static_cast<char>(random.Next());
    if (!ValidStreamNode(bytes)) continue;
    const Listpack node = Listpack::FromBytes(bytes);
    StreamNodeReader reader(node, {1, 1});
    size_t fields = 0;
    for (bool more = reader.First(); more; more = reader.Next())
      reader.entry().ForEachField([&](std::string_view, std::string_view) { ++fields; });
    for (bool more = reader.Last(); more; more = reader.Prev()) ++fields;
    REQUIRE(fields > 0);
  }
}

TEST_CASE("stream: trimming as redis-server counts") {
  // Ten entries a node; ids 1-0 .. entries-0, some deleted, then one XTRIM.
  struct Golden {
    uint64_t entries;
    std::vector<uint64_t> deleted;
    bool by_length;
    bool approximate;
    uint64_t threshold;
    int64_t limit;
    int64_t trimmed;
    uint64_t length;
    uint64_t first;
    size_t nodes;
  };
  const std::vector<Golden> goldens = {
      {25, {13}, true, false, 26, 0, 0, 24, 1, 3},
      {60, {24, 38, 4}, true, false, 5, 0, 52, 5, 56, 1},
      {47, {5, 16, 6, 36, 28, 4}, true, false, 40, 0, 1, 40, 2, 5},
      {60, {37}, false, false, 62, 0, 59, 0, 0, 0},
      {10, {}, true, true, 6, 10, 0, 10, 1, 1},
      {60, {37, 20, 36}, true, false, 37, 0, 20, 37, 22, 4},
      {60, {24, 7, 36, 46, 5, 37}, true, false, 31, 0, 23, 31, 27, 4},
      {60, {50, 21, 30, 38, 58, 24, 20, 16, 51, 12, 45, 53, 6}, false, true, 56, 15, 9, 38, 11, 5},
      {47, {39, 5, 8, 33}, false, false, 48, 0, 43, 0, 0, 0},
      {25, {16}, false, false, 21, 0, 19, 5, 21, 1},
      {5, {3}, false, true, 7, 0, 4, 0, 0, 0},
      {5, {4}, true, false, 4, 0, 0, 4, 1, 1},
      {60, {19, 46, 25, 57, 43, 23, 2, 30, 55, 11, 40, 8, 32, 4}, true, true, 8, 10, 7, 39, 12, 5},
      {47, {32, 6, 11, 29, 26, 36}, false, false, 27, 0, 23, 18, 27, 3},
      {60, {46, 27, 23, 44, 25, 15, 10, 6}, true, false, 14, 0, 38, 14, 47, 2},
      {10, {}, false, false, 4, 0, 3, 7, 4, 1},
      {25, {}, true, true, 17, 15, 0, 25, 1, 3},
      {60, {9, 45, 55, 33, 40, 42, 44, 48, 4, 30}, false, true, 25, 30, 18, 32, 21, 4},
      {5, {4}, true, false, 1, 0, 3, 1, 5, 1},
      {10, {3}, true, true, 9, 0, 0, 9, 1, 1},
      {5, {}, true, false, 5, 0, 0, 5, 1, 1},
      {60, {}, true, false, 39, 0, 21, 39, 22, 4},
      {47, {41, 17}, false, true, 30, 0, 19, 26, 21, 3},
      {5, {4}, false, true, 4, 0, 0, 4, 1, 1},
  };
  Thresholds t;
  t.stream_node_max_entries = 10;
  for (const Golden& golden : goldens) {
    Stream stream = Numbered(golden.entries, t);
    for (const uint64_t id : golden.deleted) REQUIRE(stream.Delete({id, 0}));
    StreamTrim trim;
    trim.kind = golden.by_length ? StreamTrim::kMaxLength : StreamTrim::kMinId;
    trim.max_length = golden.threshold;
    trim.min_id = {golden.threshold, 0};
    trim.approximate = golden.approximate;
    trim.limit = golden.limit;
    REQUIRE(stream.Trim(trim) == golden.trimmed);
    REQUIRE(stream.Length() == golden.length);
    REQUIRE(stream.first_id() == StreamId{golden.first, 0});
    REQUIRE(stream.nodes().size() == golden.nodes);
    stream.CheckInvariants();
  }
}

TEST_CASE("stream: the limit of an approximate trim that names none") {
  Thresholds thresholds;
  const auto limit = [&](int64_t entries) {
    thresholds.stream_node_max_entries = entries;
    return Stream::DefaultTrimLimit(thresholds);
  };
  REQUIRE(limit(0) == 10000);
  REQUIRE(limit(1) == 100);
  REQUIRE(limit(100) == 10000);
  REQUIRE(limit(10000) == 1000000);
  REQUIRE(limit(10001) == 1000000);
  REQUIRE(limit(INT64_MAX) == 1000000);
}

TEST_CASE("stream: memory of small entries") {
  Thresholds t;
  Stream stream = Numbered(100000, t);
  REQUIRE(stream.MemoryUsage(0) < 100000 * 16);
  REQUIRE(stream.FreeEffort() == 1000);
}

}  // namespace cairn
