// SPDX-License-Identifier: BSD-3-Clause
//
// Consumer groups: delivery, acknowledgement, claiming, counters; against a model and against
// what Redis answers.
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/random.h"
#include "types/stream.h"

namespace cairn {

TEST_CASE("Idle times of any delivery time a payload may hold", "[stream]") {
  REQUIRE(MillisecondsSince(40, 100) == 60);
  REQUIRE(MillisecondsSince(101, 100) == 0);
  REQUIRE(MillisecondsSince(INT64_MIN, 100) == INT64_MAX);
  REQUIRE(MillisecondsSince(INT64_MAX, 100) == 0);
}
namespace {

void AddOne(Stream& stream, uint64_t ms) {
  Thresholds t;
  t.stream_node_max_entries = 4;
  const std::vector<std::string_view> fields{"f", "v"};
  StreamId id;
  REQUIRE(stream.Add(StreamIdKind::kGiven, {ms, 0}, 0, fields, t, &id) == StreamAddResult::kOk);
}

Stream Numbered(uint64_t count) {
  Stream stream;
  for (uint64_t i = 1; i <= count; ++i) AddOne(stream, i);
  return stream;
}

uint64_t Read(const Stream& stream, StreamGroup* group, const char* consumer, uint64_t count,
              bool no_ack = false, int64_t now = 1000) {
  return stream.ReadNew(group, group->GetConsumer(consumer, now).first, count, no_ack, now,
                        [](const StreamEntry&) {});
}

}  // namespace

TEST_CASE("stream group: delivery, history, acknowledgement") {
  Stream stream = Numbered(10);
  StreamGroup* group = stream.CreateGroup("g", {0, 0}, -1);
  REQUIRE(stream.CreateGroup("g", {0, 0}, -1) == nullptr);
  REQUIRE(stream.FindGroup("g") == group);
  REQUIRE(stream.Lag(*group) == 10);
  REQUIRE(Read(stream, group, "alice", 3, false, 500) == 3);
  REQUIRE(Read(stream, group, "bob", 0, false, 600) == 7);
  REQUIRE(Read(stream, group, "bob", 0, false, 700) == 0);
  REQUIRE(group->entries_read == 10);
  REQUIRE(stream.Lag(*group) == 0);
  StreamConsumer* alice = group->FindConsumer("alice");
  REQUIRE(alice->active_ms == 500);
  REQUIRE(group->FindConsumer("bob")->seen_ms == 700);
  REQUIRE(group->FindConsumer("bob")->active_ms == 600);
  REQUIRE(group->NameOf(alice) == "alice");

  REQUIRE(stream.Delete({2, 0}));
  std::vector<std::pair<StreamId, bool>> seen;
  const auto note = [&](StreamId id, const StreamEntry* entry) {
    seen.emplace_back(id, entry != nullptr);
  };
  REQUIRE(stream.ReadPending(group, alice, {0, 0}, 0, 900, note) == 3);
  REQUIRE(seen ==
          std::vector<std::pair<StreamId, bool>>{{{1, 0}, true}, {{2, 0}, false}, {{3, 0}, true}});
  REQUIRE(group->FindPending({1, 0})->deliveries == 2);
  REQUIRE(group->FindPending({1, 0})->delivered_ms == 900);
  REQUIRE(group->FindPending({2, 0})->deliveries == 1);
  REQUIRE(stream.ReadPending(group, alice, {1, 0}, 1, 900, note) == 1);

  REQUIRE(group->Acknowledge({1, 0}));
  REQUIRE_FALSE(group->Acknowledge({1, 0}));
  std::vector<StreamId> pending;
  const auto collect = [&](StreamId id, const StreamPending&) { pending.push_back(id); };
  group->ForEachPending({0, 0}, {5, 0}, 10, nullptr, 0, 1000, collect);
  REQUIRE(pending == std::vector<StreamId>{{2, 0}, {3, 0}, {4, 0}, {5, 0}});
  pending.clear();
  group->ForEachPending({0, 0}, StreamId::Max(), 2, group->FindConsumer("bob"), 350, 1000, collect);
  REQUIRE(pending == std::vector<StreamId>{{4, 0}, {5, 0}});
  stream.CheckInvariants();

  const Stream copy = stream.Clone();
  copy.CheckInvariants();
  REQUIRE(copy.FindGroup("g")->pending().size() == 9);
  REQUIRE(group->DeleteConsumer("bob") == 7);
  REQUIRE(group->DeleteConsumer("bob") == -1);
  REQUIRE(group->pending().size() == 2);
  stream.CheckInvariants();
  REQUIRE(stream.DestroyGroup("g"));
  REQUIRE_FALSE(stream.DestroyGroup("g"));
}

TEST_CASE("stream group: claiming") {
  Stream stream = Numbered(6);
  StreamGroup* group = stream.CreateGroup("g", {0, 0}, -1);
  Read(stream, group, "a", 4, false, 1000);
  StreamConsumer* b = group->GetConsumer("b", 1000).first;
  StreamClaim claim;
  claim.delivered_ms = 1500;
  claim.min_idle_ms = 600;
  REQUIRE(stream.Claim(group, b, {1, 0}, claim, 1500) == StreamClaimResult::kSkipped);
  claim.min_idle_ms = 500;
  REQUIRE(stream.Claim(group, b, {1, 0}, claim, 1500) == StreamClaimResult::kClaimed);
  REQUIRE(group->FindPending({1, 0})->deliveries == 2);
  REQUIRE(group->FindPending({1, 0})->consumer == b);
  claim.just_id = true;
  REQUIRE(stream.Claim(group, b, {2, 0}, claim, 1500) == StreamClaimResult::kClaimed);
  REQUIRE(group->FindPending({2, 0})->deliveries == 1);
  claim.retry_count = 7;
  REQUIRE(stream.Claim(group, b, {3, 0}, claim, 1500) == StreamClaimResult::kClaimed);
  REQUIRE(group->FindPending({3, 0})->deliveries == 7);
  REQUIRE(stream.Claim(group, b, {5, 0}, claim, 1500) == StreamClaimResult::kSkipped);
  claim = {};
  claim.force = true;
  REQUIRE(stream.Claim(group, b, {5, 0}, claim, 1500) == StreamClaimResult::kClaimed);
  REQUIRE(group->FindPending({5, 0})->deliveries == 2);  // as redis-server counts
  REQUIRE(stream.Claim(group, b, {9, 0}, claim, 1500) == StreamClaimResult::kSkipped);
  REQUIRE(stream.Delete({4, 0}));
  REQUIRE(stream.Claim(group, b, {4, 0}, claim, 1500) == StreamClaimResult::kGone);
  REQUIRE(group->pending().size() == 4);
  stream.CheckInvariants();

  REQUIRE(stream.Delete({2, 0}));
  StreamConsumer* c = group->GetConsumer("c", 2000).first;
  std::vector<StreamId> claimed, gone;
  claim = {};
  claim.delivered_ms = 2000;
  StreamId next = stream.AutoClaim(group, c, {0, 0}, 2, claim, 2000, &claimed, &gone);
  REQUIRE(claimed == std::vector<StreamId>{{1, 0}});
  REQUIRE(gone == std::vector<StreamId>{{2, 0}});
  REQUIRE(next == StreamId{3, 0});
  next = stream.AutoClaim(group, c, next, 10, claim, 2000, &claimed, &gone);
  REQUIRE(claimed == std::vector<StreamId>{{1, 0}, {3, 0}, {5, 0}});
  REQUIRE(next.IsZero());
  REQUIRE(c->pending.size() == 3);
  stream.CheckInvariants();
}

TEST_CASE("stream group: lag and entries read as Redis 7.4 computes them") {
  Stream stream;
  StreamGroup* group = stream.CreateGroup("g", {0, 0}, -1);
  REQUIRE(stream.Lag(*group) == 0);
  for (uint64_t i = 1; i <= 5; ++i) AddOne(stream, i);
  REQUIRE(stream.Lag(*group) == 5);
  Read(stream, group, "a", 1);
  REQUIRE((group->entries_read == 1 && stream.Lag(*group) == 4));
  Read(stream, group, "a", 1, true);
  REQUIRE((group->entries_read == 2 && group->pending().size() == 1));
  // A hole before the group's place says nothing; one behind it makes the lag unknown.
  REQUIRE(stream.Delete({1, 0}));
  REQUIRE(stream.Lag(*group) == 3);
  REQUIRE(stream.Delete({4, 0}));
  REQUIRE_FALSE(stream.Lag(*group));
  Read(stream, group, "a", 1);
  REQUIRE_FALSE(stream.Lag(*group));
  Read(stream, group, "a", 1);  // the last one: known again
  REQUIRE((group->entries_read == 5 && stream.Lag(*group) == 0));
  // Trimming leaves no holes: a group behind the first entry has all of them to read.
  Stream trimmed = Numbered(10);
  StreamGroup* late = trimmed.CreateGroup("g", {2, 0}, -1);
  StreamTrim trim;
  trim.max_length = 4;
  REQUIRE(trimmed.Trim(trim) == 6);
  REQUIRE(trimmed.Lag(*late) == 4);
  trim.max_length = 0;
  trimmed.Trim(trim);
  REQUIRE(trimmed.Lag(*late) == 0);
  // An id in the middle of a stream without a counter.
  Stream middle = Numbered(5);
  REQUIRE_FALSE(middle.Lag(*middle.CreateGroup("m", {3, 0}, -1)));
  REQUIRE(middle.Lag(*middle.CreateGroup("n", {3, 0}, 3)) == 2);
  REQUIRE(middle.Lag(*middle.CreateGroup("o", {1, 0}, -1)) == 4);
  REQUIRE(middle.Lag(*middle.CreateGroup("p", {5, 0}, -1)) == 0);
}

TEST_CASE("stream group: deleting with references") {
  Stream stream = Numbered(6);
  StreamGroup* g = stream.CreateGroup("g", {0, 0}, -1);
  StreamGroup* h = stream.CreateGroup("h", {0, 0}, -1);
  Read(stream, g, "a", 5);
  Read(stream, h, "a", 4);
  REQUIRE(stream.DeleteWith({9, 0}, StreamReferences::kAcked) == -1);
  REQUIRE(stream.DeleteWith({1, 0}, StreamReferences::kAcked) == 2);
  REQUIRE(g->Acknowledge({1, 0}));
  REQUIRE(stream.AcknowledgeAndDelete(h, {1, 0}, StreamReferences::kAcked) == 1);
  REQUIRE(stream.AcknowledgeAndDelete(h, {1, 0}, StreamReferences::kAcked) == -1);
  REQUIRE_FALSE(stream.Contains({1, 0}));
  // h has yet to read this one.
  REQUIRE(stream.AcknowledgeAndDelete(g, {5, 0}, StreamReferences::kAcked) == 2);
  REQUIRE(stream.DeleteWith({2, 0}, StreamReferences::kKeep) == 1);
  REQUIRE(g->pending().Contains({2, 0}));
  REQUIRE(stream.DeleteWith({2, 0}, StreamReferences::kDrop) == -1);
  REQUIRE_FALSE(g->pending().Contains({2, 0}));
  REQUIRE(stream.DeleteWith({3, 0}, StreamReferences::kDrop) == 1);
  REQUIRE_FALSE(h->pending().Contains({3, 0}));
  StreamTrim trim;  // 4-0 is pending in both
  trim.references = StreamReferences::kAcked;
  REQUIRE(stream.Trim(trim) == 0);
  g->Acknowledge({4, 0});
  h->Acknowledge({4, 0});
  REQUIRE(stream.Trim(trim) == 1);
  REQUIRE(stream.first_id() == StreamId{5, 0});
  stream.CheckInvariants();
}

TEST_CASE("stream group: what deleting took away, for the record") {
  Stream stream = Numbered(6);
  StreamGroup* g = stream.CreateGroup("g", {0, 0}, -1);
  StreamGroup* h = stream.CreateGroup("h", {0, 0}, -1);
  Read(stream, g, "a", 6);
  Read(stream, h, "a", 2);
  StreamDeletions done;
  REQUIRE(stream.AcknowledgeAndDelete(g, {1, 0}, StreamReferences::kDrop, &done) == 1);
  REQUIRE(stream.DeleteWith({9, 0}, StreamReferences::kDrop, &done) == -1);
  REQUIRE(done.deleted == std::vector<StreamId>{{1, 0}});
  REQUIRE(done.dropped.size() == 1);
  REQUIRE(done.dropped["h"] == std::vector<StreamId>{{1, 0}});

  StreamTrim trim;
  trim.references = StreamReferences::kDrop;
  trim.max_length = 3;
  done = {};
  REQUIRE(stream.Trim(trim, &done) == 2);
  REQUIRE(done.deleted == std::vector<StreamId>{{2, 0}, {3, 0}});
  REQUIRE(done.dropped["g"] == std::vector<StreamId>{{2, 0}, {3, 0}});
  REQUIRE(done.dropped["h"] == std::vector<StreamId>{{2, 0}});
  // A stream that is short enough is not looked at.
  done = {};
  REQUIRE(stream.Trim(trim, &done) == 0);
  REQUIRE((done.deleted.empty() && done.dropped.empty()));
  trim.max_length = 0;
  trim.references = StreamReferences::kAcked;
  g->Acknowledge({5, 0});
  h->last_id = {6, 0};
  REQUIRE(stream.Trim(trim, &done) == 1);
  REQUIRE(done.deleted == std::vector<StreamId>{{5, 0}});
  REQUIRE(done.dropped.empty());
}

TEST_CASE("stream group: what is pending in the order of its delivery") {
  Stream stream = Numbered(6);
  StreamGroup* group = stream.CreateGroup("g", {0, 0}, -1);
  Read(stream, group, "a", 2, false, 500);
  Read(stream, group, "a", 1, false, 400);
  const auto order = [&] {
    std::vector<std::pair<int64_t, uint64_t>> found;
    const auto& by_time = group->DeliveredInOrder();
    for (auto pos = by_time.First(); pos != by_time.End(); pos = by_time.Next(pos))
      found.emplace_back(by_time.At(pos).key.ms, by_time.At(pos).key.id.ms);
    return found;
  };
  using Order = std::vector<std::pair<int64_t, uint64_t>>;
  REQUIRE(order() == Order{{400, 3}, {500, 1}, {500, 2}});
  Read(stream, group, "b", 1, false, 450);
  REQUIRE(order() == Order{{400, 3}, {450, 4}, {500, 1}, {500, 2}});
  group->Redeliver({3, 0}, 600);
  group->Assign({1, 0}, group->Nobody(), 0);
  REQUIRE(order() == Order{{0, 1}, {450, 4}, {500, 2}, {600, 3}});
  REQUIRE(group->Acknowledge({2, 0}));
  REQUIRE(group->DeleteConsumer("b") == 1);
  REQUIRE(order() == Order{{0, 1}, {600, 3}});
  group->CheckInvariants();
}

TEST_CASE("stream group: nobody is hidden until a client takes the name") {
  StreamGroup group;
  REQUIRE(group.CountReleased() == 0);
  StreamConsumer* nobody = group.Nobody();
  group.Assign({1, 0}, nobody, 0);
  REQUIRE(group.Nobody() == nobody);
  REQUIRE(group.CountReleased() == 1);
  REQUIRE(group.FindConsumer("") == nobody);
  REQUIRE(group.FindShown("") == nullptr);
  REQUIRE(group.CountShown() == 0);
  REQUIRE(group.GetConsumer("", 5) == std::pair(nobody, true));
  REQUIRE(group.GetConsumer("", 6) == std::pair(nobody, false));
  REQUIRE(group.FindShown("") == nobody);
  REQUIRE(group.CountShown() == 1);
  group.CheckInvariants();
}

TEST_CASE("stream group: random life against a model") {
  Random random(11);
  Stream stream;
  StreamGroup* group = stream.CreateGroup("g", {0, 0}, -1);
  std::set<uint64_t> entries;
  std::map<uint64_t, std::string> pending;
  uint64_t last = 0;
  const char* names[] = {"a", "b", "c", "d"};
  for (int step = 0; step < 6000; ++step) {
    if (step == 2000) group->DeliveredInOrder();  // and it is kept from here on
    const uint64_t pick = random.Below(100);
    const char* name = names[random.Below(4)];
    const uint64_t any = last > 40 ? last - random.Below(40) : random.Below(last + 1);
    if (pick < 40) {
      AddOne(stream, ++last);
      entries.insert(last);
    } else if (pick < 60) {
      const uint64_t from = group->last_id.ms;
      const uint64_t count = 1 + random.Below(3);
      Read(stream, group, name, count);
      uint64_t left = count;
      for (auto it = entries.upper_bound(from); it != entries.end() && left > 0; ++it, --left)
        pending[*it] = name;
    } else if (pick < 80) {
      REQUIRE(group->Acknowledge({any, 0}) == (pending.erase(any) == 1));
    } else if (pick < 88) {
      REQUIRE(stream.Delete({any, 0}) == (entries.erase(any) == 1));
    } else if (pick < 96) {
      StreamClaim claim;
      claim.force = random.Below(2) == 0;
      const StreamClaimResult result =
          stream.Claim(group, group->GetConsumer(name, 1).first, {any, 0}, claim, 5000);
      const bool exists = entries.contains(any);
      const bool was = pending.contains(any);
      if (!exists) {
        REQUIRE((result == StreamClaimResult::kGone) == was);
        pending.erase(any);
      } else {
        REQUIRE((result == StreamClaimResult::kClaimed) == (was || claim.force));
        if (was || claim.force) pending[any] = name;
      }
    } else if (pick < 97) {
      const int64_t gone = group->DeleteConsumer(name);
      const auto erased = std::erase_if(pending, [&](const auto& p) { return p.second == name; });
      REQUIRE(gone == (gone < 0 ? -1 : static_cast<int64_t>(erased)));
    }
    if (step % 100 == 0) stream.CheckInvariants();
    if (step % 300 == 0) {
      auto expected = pending.begin();
      REQUIRE(group->pending().size() == pending.size());
      group->ForEachPending({0, 0}, StreamId::Max(), UINT64_MAX, nullptr, 0, 0,
                            [&](StreamId id, const StreamPending& item) {
                              REQUIRE(id.ms == expected->first);
                              REQUIRE(group->NameOf(item.consumer) == expected->second);
                              ++expected;
                            });
    }
  }
}

}  // namespace cairn
