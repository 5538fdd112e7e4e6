// SPDX-License-Identifier: BSD-3-Clause
#include "types/set.h"

#include <map>
#include <set>

#include "types/set_algebra.h"

using namespace cairn;

namespace {

using Model = std::set<std::string>;

std::string TextOf(const ListpackValue& value) {
  char digits[kInt64CharsMax];
  return std::string(value.Text(digits));
}

std::vector<std::string> Members(const Set& set) {
  std::vector<std::string> out;
  set.ForEach([&](const ListpackValue& member) { return out.push_back(TextOf(member)), true; });
  return out;
}

void RequireSame(const Set& set, const Model& model) {
  set.CheckInvariants();
  REQUIRE(set.Size() == model.size());
  const auto members = Members(set);
  REQUIRE(members.size() == model.size());
  REQUIRE(Model(members.begin(), members.end()) == model);
}

// `kind` 0: integers; 1: short strings too; 2: now and then a long one.
std::string RandomMember(Random& random, int kind, uint64_t range) {
  const std::string number = std::to_string(random.Below(range));
  if (kind == 0 || random.Below(2) == 0) return number;
  if (kind == 2 && random.Below(100) == 0) return std::string(70, 'x') + number;
  return "m" + number;
}

Set SetOf(const Model& model, const Thresholds& thresholds) {
  Set set;
  for (const std::string& member : model) set.Add(member, thresholds);
  return set;
}

}  // namespace

TEST_CASE("a set takes the encodings of Redis 7.4") {
  const Thresholds thresholds;
  Set set;
  for (int i = 0; i < 512; ++i) REQUIRE(set.Add(std::to_string(i), thresholds));
  REQUIRE(set.encoding() == Encoding::kIntset);
  REQUIRE_FALSE(set.Add("7", thresholds));
  REQUIRE(Members(set)[10] == "10");
  Set big = set.Clone();
  REQUIRE(big.Add("512", thresholds));
  REQUIRE(big.encoding() == Encoding::kHashtable);
  REQUIRE(set.Add("x", thresholds));  // too many members for a listpack
  REQUIRE(set.encoding() == Encoding::kHashtable);
  REQUIRE(set.Size() == 513);

  Set small;
  for (int i = 0; i < 127; ++i) small.Add(std::to_string(126 - i), thresholds);
  REQUIRE(small.Add("x", thresholds));
  REQUIRE(small.encoding() == Encoding::kListpack);
  REQUIRE(Members(small)[0] == "0");
  REQUIRE(Members(small)[127] == "x");
  REQUIRE(small.Add("y", thresholds));
  REQUIRE(small.encoding() == Encoding::kHashtable);

  Set text;
  text.Add(std::string(64, 'a'), thresholds);
  REQUIRE(text.encoding() == Encoding::kListpack);
  text.Add("1", thresholds);
  text.Add(std::string(65, 'a'), thresholds);
  REQUIRE(text.encoding() == Encoding::kHashtable);
  REQUIRE(text.Size() == 3);

  // SADD announces all its arguments.
  REQUIRE(Set::ForMembers("1", 513, thresholds).encoding() == Encoding::kHashtable);
  REQUIRE(Set::ForMembers("1", 512, thresholds).encoding() == Encoding::kIntset);
  REQUIRE(Set::ForMembers("a", 128, thresholds).encoding() == Encoding::kListpack);
  REQUIRE(Set::ForMembers("a", 129, thresholds).encoding() == Encoding::kHashtable);
}

TEST_CASE("a set against std::set through every conversion") {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    Random random(seed);
    Thresholds thresholds;
    thresholds.set_max_intset_entries = static_cast<int64_t>(random.Below(100));
    thresholds.set_max_listpack_entries = static_cast<int64_t>(random.Below(60));
    Set set;
    Model model;
    int kind = 0;
    for (int step = 0; step < 1500; ++step) {
      if (step == 300) kind = 1;
      if (step == 700) kind = 2;
      const std::string member = RandomMember(random, kind, 300);
      if (random.Below(5) < (step < 1200 ? 3u : 1u))
        REQUIRE(set.Add(member, thresholds) == model.insert(member).second);
      else
        REQUIRE(set.Remove(member) == (model.erase(member) != 0));
      REQUIRE(set.Contains(member) == (model.count(member) != 0));
      if (step % 100 == 0) RequireSame(set, model);
    }
    RequireSame(set, model);
    RequireSame(set.Clone(), model);
    Set moved = Set::Adopt(set.Release());
    RequireSame(moved, model);
    REQUIRE(set.empty());
    REQUIRE(moved.MemoryUsage(5) > 0);
    moved.Reserve(1000);
    REQUIRE(moved.encoding() == Encoding::kHashtable);
    RequireSame(moved, model);
  }
}

TEST_CASE("a set's scan, samples and pops") {
  Random random(5);
  for (size_t size : {1, 5, 100, 500, 3000}) {
    for (bool numbers : {true, false}) {
      const Thresholds thresholds;
      Model model;
      for (size_t i = 0; i < size; ++i) model.insert((numbers ? "" : "m") + std::to_string(i));
      Set set = SetOf(model, thresholds);

      Model seen;
      uint64_t cursor = 0;
      do {
        cursor = set.Scan(cursor, 10, [&](const ListpackValue& m) { seen.insert(TextOf(m)); });
        REQUIRE(cursor < uint64_t{1} << 53);
      } while (cursor != 0);
      REQUIRE(seen == model);

      for (size_t count : {size_t{1}, size / 10 + 1, size / 2 + 1, size, size + 5}) {
        Model sample;
        size_t visits = 0;
        set.Sample(count, random, [&](const ListpackValue& m) {
          ++visits;
          REQUIRE(model.count(TextOf(m)) == 1);
          sample.insert(TextOf(m));
        });
        REQUIRE(visits == std::min(count, size));
        REQUIRE(sample.size() == visits);
        visits = 0;
        set.SampleRepeating(count, random, [&](const ListpackValue& m) {
          ++visits;
          REQUIRE(model.count(TextOf(m)) == 1);
        });
        REQUIRE(visits == count);
      }
      while (!set.empty()) {
        const size_t before = set.Size();
        const size_t count = 1 + random.Below(size / 3 + 1);
        size_t popped = 0;
        set.Pop(count, random, [&](std::string_view member) {
          ++popped;
          REQUIRE(model.erase(std::string(member)) == 1);
        });
        REQUIRE(popped == std::min(count, before));
        RequireSame(set, model);
      }
    }
  }
}

TEST_CASE("every member is popped and drawn about as often as another") {
  Random random(9);
  const Thresholds thresholds;
  Set set;
  for (int i = 0; i < 1000; ++i) set.Add("m" + std::to_string(i), thresholds);
  std::map<std::string, int> drawn;
  for (int i = 0; i < 100000; ++i) ++drawn[TextOf(set.RandomMember(random))];
  REQUIRE(drawn.size() == 1000);
  for (const auto& [member, times] : drawn) REQUIRE((times > 30 && times < 300));
}

TEST_CASE("set algebra against std::set") {
  const Thresholds thresholds;
  Random random(17);
  for (int round = 0; round < 300; ++round) {
    std::vector<Model> models(1 + random.Below(4));
    std::vector<Set> sets;
    for (Model& model : models) {
      const int kind = static_cast<int>(random.Below(2));
      const uint64_t range = random.Below(2) ? 30 : 2000;
      for (uint64_t n = random.Below(range); n > 0; --n)
        model.insert(RandomMember(random, kind, range));
      sets.push_back(SetOf(model, thresholds));
    }
    std::vector<const Set*> span;
    std::vector<Model> given;
    for (size_t i = 0; i < sets.size(); ++i) {
      if (i > 0 && random.Below(8) == 0) {
        span.push_back(nullptr);
        given.emplace_back();
      }
      span.push_back(&sets[i]);
      given.push_back(models[i]);
    }
    // Some are named again: seldom the first, which makes every difference empty.
    if (random.Below(10) == 0) {
      span.push_back(span[0]);
      given.push_back(given[0]);
    }
    if (span.size() > 1 && random.Below(4) == 0) {
      for (uint64_t n = random.Below(30); n > 0; --n) {
        const size_t again = 1 + random.Below(span.size() - 1);
        span.push_back(span[again]);
        given.push_back(Model(given[again]));
      }
    }
    Model both = given[0], any, only = given[0];
    for (size_t i = 0; i < given.size(); ++i) {
      any.insert(given[i].begin(), given[i].end());
      std::erase_if(both, [&](const std::string& m) { return given[i].count(m) == 0; });
      if (i > 0) std::erase_if(only, [&](const std::string& m) { return given[i].count(m) != 0; });
    }
    RequireSame(IntersectionOf(span, thresholds), both);
    RequireSame(UnionOf(span, thresholds), any);
    RequireSame(DifferenceOf(span, thresholds), only);
    for (size_t limit : {size_t{1}, both.size(), both.size() + 1}) {
      if (limit == 0) continue;
      size_t visits = 0;
      REQUIRE(Intersect(span, limit, [&](const ListpackValue& m) {
                ++visits;
                REQUIRE(both.count(TextOf(m)) == 1);
              }) == std::min(limit, both.size()));
      REQUIRE(visits == std::min(limit, both.size()));
    }
    for (size_t limit : {size_t{0}, size_t{1}, only.size(), only.size() + 1}) {
      const size_t wanted = limit == 0 ? only.size() : std::min(limit, only.size());
      size_t visits = 0;
      REQUIRE(Subtract(span, limit, [&](const ListpackValue& m) {
                ++visits;
                REQUIRE(only.count(TextOf(m)) == 1);
              }) == wanted);
      REQUIRE(visits == wanted);
    }
    for (size_t limit : {size_t{0}, size_t{1}, any.size(), any.size() + 1})
      REQUIRE(CountUnion(span, limit, thresholds) ==
              (limit == 0 ? any.size() : std::min(limit, any.size())));
  }
  Set numbers = SetOf({"1", "2", "3"}, thresholds);
  Set mixed = SetOf({"1", "3", "x"}, thresholds);
  const Set* both[] = {&mixed, &numbers};
  REQUIRE(IntersectionOf(both, thresholds).encoding() == Encoding::kIntset);
}

TEST_CASE("a set loads only bytes that are one") {
  const Thresholds thresholds;
  Set set = SetOf({"1", "a", "b"}, thresholds);
  auto loaded = Set::LoadListpack(set.SmallBytes(), thresholds);
  REQUIRE(loaded.has_value());
  RequireSame(*loaded, {"1", "a", "b"});
  REQUIRE_FALSE(Set::LoadIntset(set.SmallBytes(), thresholds).has_value());
  REQUIRE_FALSE(Set::LoadListpack("", thresholds).has_value());
  REQUIRE_FALSE(Set::LoadListpack(Listpack().AsBytes(), thresholds).has_value());
  Listpack twice;
  twice.Append("5");
  twice.Append(ListpackEntry::RawString("5"));
  REQUIRE_FALSE(Set::LoadListpack(twice.AsBytes(), thresholds).has_value());
  Thresholds tight;
  tight.set_max_listpack_entries = 2;
  tight.set_max_intset_entries = 2;
  loaded = Set::LoadListpack(set.SmallBytes(), tight);
  REQUIRE(loaded->encoding() == Encoding::kHashtable);
  RequireSame(*loaded, {"1", "a", "b"});
  // How long members are does not matter here, as in Redis.
  tight.set_max_listpack_entries = 3;
  tight.set_max_listpack_value = 0;
  REQUIRE(Set::LoadListpack(set.SmallBytes(), tight)->encoding() == Encoding::kListpack);
  Set numbers = SetOf({"1", "2", "3"}, thresholds);
  REQUIRE(Set::LoadIntset(numbers.SmallBytes(), thresholds)->encoding() == Encoding::kIntset);
  REQUIRE(Set::LoadIntset(numbers.SmallBytes(), tight)->encoding() == Encoding::kHashtable);
}
