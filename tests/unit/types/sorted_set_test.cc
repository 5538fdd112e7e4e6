// SPDX-License-Identifier: BSD-3-Clause
//
// SortedSet in both encodings against std::map and std::set, and its listpack bytes against those
// of redis-server.
#include "types/sorted_set.h"

#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/random.h"

namespace cairn {
namespace {

using Items = std::vector<std::pair<std::string, double>>;
constexpr double kInf = std::numeric_limits<double>::infinity();

Items Read(const SortedSet& set, RankSpan span, bool reverse = false) {
  Items items;
  for (auto it = set.Iterate(span, reverse); it.Valid(); it.Next())
    items.emplace_back(it.member(), it.score());
  return items;
}

std::string Hex(std::string_view bytes) {
  std::string hex;
  for (unsigned char c : bytes) {
    hex += "0123456789abcdef"[c >> 4];
    hex += "0123456789abcdef"[c & 15];
  }
  return hex;
}

SortedSet Make(const Items& items, const Thresholds& thresholds = Thresholds()) {
  SortedSet set;
  for (const auto& [member, score] : items) set.Add(score, member, {}, thresholds);
  set.CheckInvariants();
  return set;
}

Thresholds LargeOnly() {
  Thresholds thresholds;
  thresholds.zset_max_listpack_entries = 0;
  return thresholds;
}

// The changed set and its model.
struct Model {
  explicit Model(const Thresholds& t) : thresholds(t) {}
  Thresholds thresholds;
  SortedSet set;
  std::map<std::string, double> scores;

  Items Sorted() const {
    std::set<std::pair<double, std::string>> order;
    for (const auto& [member, score] : scores) order.insert({score, member});
    Items items;
    for (const auto& [score, member] : order) items.emplace_back(member, score);
    return items;
  }
  void Check() const {
    set.CheckInvariants();
    REQUIRE(set.Size() == scores.size());
    const Items sorted = Sorted();
    REQUIRE(Read(set, set.All()) == sorted);
    REQUIRE(Read(set, set.All(), true) == Items(sorted.rbegin(), sorted.rend()));
    for (size_t i = 0; i < sorted.size(); ++i) {
      uint64_t rank = 0;
      double score = 0;
      REQUIRE(set.Rank(sorted[i].first, false, &rank, &score));
      REQUIRE(rank == i);
      REQUIRE(score == sorted[i].second);
      REQUIRE(set.Rank(sorted[i].first, true, &rank));
      REQUIRE(rank == sorted.size() - 1 - i);
      REQUIRE(set.Score(sorted[i].first, &score));
      REQUIRE(score == sorted[i].second);
    }
  }
  void RemoveSpan(RankSpan span) {
    const Items sorted = Sorted();
    REQUIRE(set.RemoveSpan(span) == span.count);
    for (uint64_t i = 0; i < span.count; ++i) scores.erase(sorted[span.first + i].first);
  }
};

std::string AnyMember(Random& random) {
  const uint64_t number = random.Below(300);
  // Some read as integers, which a listpack stores in another form.
  if (number % 3 == 0) return std::to_string(static_cast<int64_t>(number) - 100);
  if (number % 3 == 1) return "member-" + std::to_string(number);
  return std::string(number % 60, 'z') + std::to_string(number);
}

double AnyScore(Random& random) {
  switch (random.Below(6)) {
    case 0:
      return static_cast<double>(random.Below(10));
    case 1:
      return static_cast<double>(random.Below(1000)) / 8 - 60;
    case 2:
      return random.Unit() * 1e20;
    case 3:
      return -random.Unit() * 1e-5;
    case 4:
      return static_cast<double>(random.Next() >> 2);
    default:
      return random.Below(2) ? kInf : -kInf;
  }
}

void RunModel(uint64_t seed, Thresholds thresholds) {
  INFO("seed " << seed);
  Random random(seed);
  Model model(thresholds);
  for (int step = 0; step < 1500; ++step) {
    const std::string member = AnyMember(random);
    const auto present = model.scores.find(member);
    const uint64_t dice = random.Below(100);
    if (dice < 65) {
      const double score = AnyScore(random);
      const auto result = model.set.Add(score, member, {}, thresholds);
      REQUIRE(result.added == (present == model.scores.end()));
      REQUIRE(result.updated == (present != model.scores.end() && present->second != score));
      REQUIRE(result.score == score);
      model.scores[member] = score;
    } else if (dice < 95) {
      REQUIRE(model.set.Remove(member) == (present != model.scores.end()));
      model.scores.erase(member);
    } else if (!model.set.empty()) {
      const uint64_t first = random.Below(model.set.Size());
      model.RemoveSpan({first, random.Below(std::min<uint64_t>(20, model.set.Size() - first) + 1)});
    }
    if (step % 100 == 0) model.Check();
  }
  model.Check();
  const SortedSet clone = model.set.Clone();
  model.RemoveSpan(model.set.All());
  model.Check();
  clone.CheckInvariants();
  REQUIRE(clone.Size() > 0);
}

TEST_CASE("SortedSet agrees with its model in both encodings and across the conversion") {
  for (uint64_t seed = 1; seed <= 4; ++seed) {
    Thresholds thresholds;
    thresholds.zset_max_listpack_entries = 1000;
    RunModel(seed, thresholds);
    RunModel(seed + 10, LargeOnly());
    thresholds.zset_max_listpack_entries = 60;
    RunModel(seed + 20, thresholds);
  }
}

TEST_CASE("SortedSet converts to skiplist at the thresholds and never back") {
  Thresholds thresholds;
  SortedSet set;
  REQUIRE(set.encoding() == Encoding::kListpack);
  for (int i = 0; i < 128; ++i) set.Add(i, std::to_string(i), {}, thresholds);
  REQUIRE(set.encoding() == Encoding::kListpack);
  set.Add(5, "100", {}, thresholds);  // a change is no insert
  REQUIRE(set.encoding() == Encoding::kListpack);
  set.Add(0, "one more", {}, thresholds);
  REQUIRE(set.encoding() == Encoding::kSkiplist);
  set.CheckInvariants();
  REQUIRE(set.Size() == 129);
  set.RemoveSpan({0, 128});
  REQUIRE(set.encoding() == Encoding::kSkiplist);

  SortedSet by_size;
  by_size.Add(1, std::string(64, 'x'), {}, thresholds);
  REQUIRE(by_size.encoding() == Encoding::kListpack);
  by_size.Add(1, std::string(65, 'x'), {}, thresholds);
  REQUIRE(by_size.encoding() == Encoding::kSkiplist);
  REQUIRE(SortedSet(129, 3, thresholds).encoding() == Encoding::kSkiplist);
  REQUIRE(SortedSet(128, 65, thresholds).encoding() == Encoding::kSkiplist);
  REQUIRE(SortedSet(128, 64, thresholds).encoding() == Encoding::kListpack);
}

TEST_CASE("SortedSet keeps ZADD's flags") {
  for (const Thresholds& thresholds : {Thresholds(), LargeOnly()}) {
    SortedSet set;
    auto add = [&](double score, SortedSet::AddFlags flags) {
      return set.Add(score, "m", flags, thresholds);
    };
    REQUIRE(add(1, {.xx = true}).nop);
    REQUIRE(set.empty());
    REQUIRE(add(1, {.nx = true}).added);
    REQUIRE(add(2, {.nx = true}).nop);
    REQUIRE(add(0, {.gt = true}).nop);
    REQUIRE(add(1, {.gt = true}).nop);
    REQUIRE(add(2, {.lt = true}).nop);
    REQUIRE(add(2, {.gt = true}).updated);
    REQUIRE(add(1, {.lt = true}).updated);
    auto same = add(1, {.xx = true});
    REQUIRE_FALSE((same.updated || same.added || same.nop));
    REQUIRE(same.score == 1);
    REQUIRE(add(2.5, {.incr = true}).score == 3.5);
    REQUIRE(add(-1, {.gt = true, .incr = true}).nop);
    REQUIRE(add(kInf, {.incr = true}).score == kInf);
    REQUIRE(add(-kInf, {.incr = true}).nan);
    double score = 0;
    REQUIRE(set.Score("m", &score));
    REQUIRE(score == kInf);
    // gt and lt do not hinder an insert.
    REQUIRE(set.Add(7, "n", {.gt = true, .incr = true}, thresholds).added);
    set.CheckInvariants();
  }
}

TEST_CASE("SortedSet finds score ranges") {
  const Items items{{"a", -kInf}, {"b", 1}, {"c", 2}, {"d", 2}, {"e", 2}, {"f", 3.5}, {"g", kInf}};
  for (const Thresholds& thresholds : {Thresholds(), LargeOnly()}) {
    const SortedSet set = Make(items, thresholds);
    auto span = [&](const char* min, const char* max) {
      ScoreRange range;
      REQUIRE(ScoreRange::Parse(min, max, &range));
      return set.SpanOf(range);
    };
    REQUIRE(span("-inf", "+inf") == RankSpan{0, 7});
    REQUIRE(span("(-inf", "(inf") == RankSpan{1, 5});
    REQUIRE(span("2", "2") == RankSpan{2, 3});
    REQUIRE(span("(2", "3.5") == RankSpan{5, 1});
    REQUIRE(span("1", "(2") == RankSpan{1, 1});
    REQUIRE(span("(2", "2").count == 0);
    REQUIRE(span("(2", "(2").count == 0);
    REQUIRE(span("3", "1").count == 0);
    REQUIRE(span("4", "1e300").count == 0);
    REQUIRE(span("inf", "inf") == RankSpan{6, 1});
  }
}

TEST_CASE("SortedSet finds ranges of members") {
  const Items items{{"", 0}, {"10", 0}, {"a", 0}, {"aa", 0}, {"b", 0}, {"c", 0}};
  for (const Thresholds& thresholds : {Thresholds(), LargeOnly()}) {
    const SortedSet set = Make(items, thresholds);
    auto span = [&](std::string_view min, std::string_view max) {
      LexRange range;
      REQUIRE(LexRange::Parse(min, max, &range));
      return set.SpanOf(range);
    };
    REQUIRE(span("-", "+") == RankSpan{0, 6});
    REQUIRE(span("[a", "(b") == RankSpan{2, 2});
    REQUIRE(span("(a", "[b") == RankSpan{3, 2});
    REQUIRE(span("[", "[") == RankSpan{0, 1});
    REQUIRE(span("(", "[10") == RankSpan{1, 1});
    REQUIRE(span("[bb", "+") == RankSpan{5, 1});
    REQUIRE(span("+", "-").count == 0);
    REQUIRE(span("-", "-").count == 0);
    REQUIRE(span("+", "+").count == 0);
    REQUIRE(span("[b", "(b").count == 0);
    REQUIRE(span("[c", "[a").count == 0);
    REQUIRE(span("[d", "[e").count == 0);
  }
}

TEST_CASE("Range grammar takes and refuses what redis-server does") {
  ScoreRange range;
  REQUIRE(ScoreRange::Parse("", "( 5", &range));  // strtod's view of nothing, and of a space
  REQUIRE(range.min == 0);
  REQUIRE(range.max == 5);
  REQUIRE(range.max_exclusive);
  REQUIRE(ScoreRange::Parse("0x1", "1e999", &range));
  REQUIRE(range.min == 1);
  REQUIRE(range.max == kInf);
  REQUIRE(ScoreRange::Parse("(-infinity", "(+Inf", &range));
  REQUIRE(range.min == -kInf);
  const std::string zeros = "1" + std::string(80, '0') + "e-80";
  REQUIRE(ScoreRange::Parse(zeros, zeros, &range));
  REQUIRE(range.min == 1);
  for (const char* bad : {"nan", "1 ", "((1", "one", "[1", "(", "-"}) {
    INFO(bad);
    REQUIRE(ScoreRange::Parse(bad, "5", &range) == (bad == std::string("(")));
    REQUIRE(ScoreRange::Parse("5", bad, &range) == (bad == std::string("(")));
  }
  LexRange lex;
  for (const char* bad : {"", "a", "-a", "+b", "{x", "1"}) {
    INFO(bad);
    REQUIRE_FALSE(LexRange::Parse(bad, "+", &lex));
    REQUIRE_FALSE(LexRange::Parse("-", bad, &lex));
  }
}

TEST_CASE("RankSpan resolves indexes and limits") {
  REQUIRE(RankSpan::OfIndexes(0, -1, 5, false) == RankSpan{0, 5});
  REQUIRE(RankSpan::OfIndexes(0, -1, 0, false).count == 0);
  REQUIRE(RankSpan::OfIndexes(-100, 1, 5, false) == RankSpan{0, 2});
  REQUIRE(RankSpan::OfIndexes(2, -7, 5, false).count == 0);
  REQUIRE(RankSpan::OfIndexes(5, 9, 5, false).count == 0);
  REQUIRE(RankSpan::OfIndexes(3, 1, 5, false).count == 0);
  REQUIRE(RankSpan::OfIndexes(0, 1, 5, true) == RankSpan{3, 2});
  REQUIRE(RankSpan::OfIndexes(-2, -1, 5, true) == RankSpan{0, 2});
  REQUIRE(RankSpan::OfIndexes(INT64_MIN, INT64_MAX, 5, false) == RankSpan{0, 5});
  const RankSpan span{10, 6};
  REQUIRE(span.Limit(1, 2, false) == RankSpan{11, 2});
  REQUIRE(span.Limit(1, 2, true) == RankSpan{13, 2});
  REQUIRE(span.Limit(4, 9, true) == RankSpan{10, 2});
  REQUIRE(span.Limit(1, -1, false) == RankSpan{11, 5});
  REQUIRE(span.Limit(-1, 2, false).count == 0);
  REQUIRE(span.Limit(6, 2, false).count == 0);
  REQUIRE(span.Limit(0, 0, true).count == 0);
}

TEST_CASE("SortedSet pops from both ends") {
  for (const Thresholds& thresholds : {Thresholds(), LargeOnly()}) {
    SortedSet set = Make({{"a", 1}, {"b", 2}, {"c", 3}, {"d", 4}, {"e", 5}}, thresholds);
    std::string popped;
    auto note = [&](std::string_view member, double) { popped += member; };
    REQUIRE(set.Pop(false, 2, note) == 2);
    REQUIRE(set.Pop(true, 2, note) == 2);
    REQUIRE(set.Pop(true, 9, note) == 1);
    REQUIRE(set.Pop(true, 9, note) == 0);
    REQUIRE(popped == "abedc");
    REQUIRE(set.empty());
    set.CheckInvariants();
  }
}

TEST_CASE("SortedSet scans every member that stays, and samples distinct ranks") {
  Random random(5);
  SortedSet set;
  for (int i = 0; i < 5000; ++i) set.Add(i, "m" + std::to_string(i), {}, Thresholds());
  std::set<std::string> seen;
  uint64_t cursor = 0;
  int calls = 0;
  do {
    cursor = set.Scan(cursor, 10, [&](std::string_view m, double) { seen.emplace(m); });
    if (++calls < 300) set.Remove("m" + std::to_string(4000 + calls));
  } while (cursor != 0);
  for (int i = 0; i < 4000; ++i) REQUIRE(seen.count("m" + std::to_string(i)) == 1);
  REQUIRE(calls > 100);

  for (uint64_t count : {uint64_t{0}, uint64_t{1}, uint64_t{700}, uint64_t{4000}, set.Size()}) {
    const auto ranks = set.RandomRanks(random, count);
    REQUIRE(ranks.size() == count);
    REQUIRE(std::set<uint64_t>(ranks.begin(), ranks.end()).size() == count);
    REQUIRE((ranks.empty() || ranks.back() < set.Size()));
  }
  REQUIRE(set.RandomMember(random).Valid());
  REQUIRE(set.MemoryUsage(5) > set.Size() * 40);
  REQUIRE(set.FreeEffort() == set.Size());
}

TEST_CASE("SortedSet moves as one word") {
  SortedSet set = Make({{"a", 1}, {"b", 2}}, LargeOnly());
  const uint64_t rep = set.Release();
  REQUIRE(set.empty());
  SortedSet again = SortedSet::Adopt(rep);
  REQUIRE(again.Size() == 2);
  set = std::move(again);
  REQUIRE(set.Size() == 2);
}

// Taken from DUMP of redis-server 7.0.15 (without its envelope).
TEST_CASE("SortedSet's listpack has Redis's bytes") {
  const std::string xs(64, 'x');
  const std::string ys(30, 'y');
  struct Golden {
    Items items;
    std::string hex;
  };
  const std::vector<Golden> cases{
      {{{"a", 1}, {"b", -5}, {"c", 300}, {"d", 100000}, {"e", 3000000000}, {"f", 0x1p60}},
       "3a0000000c00816202dffb028161020101816302c12c02816402f2a0860104816502f4005ed0b2000000000981"
       "6602f4000000000000001009ff"},
      {{{"a", 1.5},
        {"b", -0.25},
        {"c", kInf},
        {"d", -kInf},
        {"zero", -0.0},
        {"12", 2.5},
        {"007", 2.5},
        {"", 0.5}},
       "4a0000001000816402842d696e6605816202852d302e323506847a65726f050001800183302e35048161028331"
       "2e3504833030370483322e35040c0183322e350481630283696e6604ff"},
      {{{"b", 0}, {"a", 0}, {"-1", 0}, {xs, 0}, {ys, 0}},
       "7d0000000a00dfff02000181610200018162020001e040" + Hex(xs) + "4200019e" + Hex(ys) +
           "1f0001ff"},
      {{{"p", 0x1p62}, {"r", -0x1p62}, {"s", 1e19}},
       "2b0000000600817202f400000000000000c009817002f40000000000000040098173028531652b313906ff"},
  };
  for (const Golden& golden : cases) {
    const SortedSet set = Make(golden.items);
    REQUIRE(Hex(set.listpack().AsBytes()) == golden.hex);
    const auto loaded = SortedSet::LoadListpack(set.listpack().AsBytes(), Thresholds());
    REQUIRE(loaded.has_value());
    REQUIRE(Read(*loaded, loaded->All()) == Read(set, set.All()));
    REQUIRE(SortedSet::LoadListpack(set.listpack().AsBytes(), LargeOnly())->encoding() ==
            Encoding::kSkiplist);
    // How long members are does not matter here, as in Redis.
    Thresholds short_members;
    short_members.zset_max_listpack_value = 0;
    REQUIRE(SortedSet::LoadListpack(set.listpack().AsBytes(), short_members)->encoding() ==
            Encoding::kListpack);
  }
}

TEST_CASE("SortedSet refuses foreign bytes that are no sorted set") {
  auto load = [](const std::vector<std::string>& elements) {
    Listpack listpack;
    for (const auto& element : elements) listpack.Append(element);
    return SortedSet::LoadListpack(listpack.AsBytes(), Thresholds()).has_value();
  };
  REQUIRE(load({"a", "1", "b", "+inf"}));
  REQUIRE_FALSE(load({"a", "1", "b"}));
  REQUIRE_FALSE(load({"a", "one"}));
  REQUIRE_FALSE(load({"a", "nan"}));
  REQUIRE_FALSE(load({"a", "1", "a", "2"}));
  REQUIRE_FALSE(load({"a", "2", "b", "1"}));
  REQUIRE_FALSE(load({"b", "1", "a", "1"}));
  REQUIRE_FALSE(SortedSet::LoadListpack("", Thresholds()).has_value());
}

}  // namespace
}  // namespace cairn
