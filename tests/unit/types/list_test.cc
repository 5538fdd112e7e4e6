// SPDX-License-Identifier: BSD-3-Clause
//
// List against std::deque through every conversion, chunk size and compress depth; conversions
// and bytes against what redis-server answers.
#include "types/list.h"

#include <algorithm>
#include <deque>
#include <string>
#include <vector>

#include "base/random.h"

namespace cairn {
namespace {

using Model = std::deque<std::string>;

std::string RandomElement(Random& random) {
  const uint64_t pick = random.Below(100);
  if (pick < 30) return ToString(static_cast<int64_t>(random.Next() >> random.Below(64)));
  if (pick < 50) return ToString(static_cast<int64_t>(random.Below(20)));
  size_t bytes = random.Below(40);
  if (pick > 90) bytes = random.Below(600);
  if (pick == 99) bytes = random.Below(12000);
  std::string element(bytes, 'a');
  for (size_t i = 0; i < bytes; ++i) element[i] = static_cast<char>('a' + random.Below(3));
  return element;
}

Model Content(const List& list) {
  Model content;
  list.Range(0, -1, [&](std::string_view text) { content.emplace_back(text); });
  return content;
}

void RequireSame(const List& list, const Model& model) {
  list.CheckInvariants();
  REQUIRE(list.Length() == model.size());
  REQUIRE(Content(list) == model);
  Model backward;
  for (ListIterator it = list.From(-1); it.Valid(); it.Prev()) backward.emplace_front(it.Value());
  REQUIRE(backward == model);
}

uint64_t RemoveFromModel(Model& model, int64_t count, const std::string& element) {
  uint64_t removed = 0;
  const uint64_t most = count == 0 ? UINT64_MAX : static_cast<uint64_t>(std::abs(count));
  if (count < 0) std::reverse(model.begin(), model.end());
  for (auto it = model.begin(); it != model.end() && removed < most;) {
    if (*it == element) {
      it = model.erase(it);
      ++removed;
    } else {
      ++it;
    }
  }
  if (count < 0) std::reverse(model.begin(), model.end());
  return removed;
}

void ChangeOnce(Random& random, List& list, Model& model, const Thresholds& t) {
  const uint64_t pick = random.Below(100);
  const std::string element = RandomElement(random);
  const ListEnd end = random.Below(2) == 0 ? ListEnd::kFront : ListEnd::kBack;
  const auto any_index = [&] { return random.Below(model.size()); };
  if (pick < 45 || model.empty()) {
    std::vector<std::string> elements{element};
    while (random.Below(3) == 0) elements.push_back(RandomElement(random));
    const std::vector<std::string_view> views(elements.begin(), elements.end());
    list.Push(end, views, t);
    for (const std::string& e : elements)
      end == ListEnd::kFront ? model.push_front(e) : model.push_back(e);
  } else if (pick < 60) {
    std::string popped;
    REQUIRE(list.Pop(end, &popped, t));
    REQUIRE(popped == (end == ListEnd::kFront ? model.front() : model.back()));
    end == ListEnd::kFront ? model.pop_front() : model.pop_back();
  } else if (pick < 70) {
    const size_t index = any_index();
    REQUIRE(list.Set(random.Below(2) == 0 ? static_cast<int64_t>(index)
                                          : static_cast<int64_t>(index) -
                                                static_cast<int64_t>(model.size()),
                     element, t));
    model[index] = element;
  } else if (pick < 85) {
    const std::string pivot = model[any_index()];
    const bool before = random.Below(2) == 0;
    REQUIRE(list.Insert(before, pivot, element, t));
    const auto at = std::find(model.begin(), model.end(), pivot);
    model.insert(before ? at : at + 1, element);
  } else if (pick < 95) {
    const std::string victim = model[any_index()];
    const int64_t count = static_cast<int64_t>(random.Below(7)) - 3;
    REQUIRE(list.Remove(count, victim, t) == RemoveFromModel(model, count, victim));
  } else if (pick < 97) {
    const uint64_t count = random.Below(30);
    std::vector<std::string> popped;
    list.PopEach(end, count, t, [&](std::string_view text) { popped.emplace_back(text); });
    REQUIRE(popped.size() == std::min<uint64_t>(count, model.size()));
    for (const std::string& e : popped) {
      REQUIRE(e == (end == ListEnd::kFront ? model.front() : model.back()));
      end == ListEnd::kFront ? model.pop_front() : model.pop_back();
    }
  } else if (pick < 98) {
    const size_t first = any_index();
    const size_t last = first + random.Below(model.size() - first);
    list.Trim(static_cast<int64_t>(first), static_cast<int64_t>(last), t);
    model = Model(model.begin() + static_cast<ptrdiff_t>(first),
                  model.begin() + static_cast<ptrdiff_t>(last) + 1);
  } else {
    const size_t first = any_index();
    const size_t count = random.Below(std::min<size_t>(model.size() - first, 50)) + 1;
    list.Erase(first, count, t);
    const auto from = model.begin() + static_cast<ptrdiff_t>(first);
    model.erase(from, from + static_cast<ptrdiff_t>(count));
  }
}

void RequireReads(Random& random, const List& list, const Model& model) {
  if (model.empty()) return;
  const std::string& wanted = model[random.Below(model.size())];
  std::vector<uint64_t> expected;
  for (size_t i = 0; i < model.size(); ++i)
    if (model[i] == wanted) expected.push_back(i);
  std::vector<uint64_t> found;
  list.Find(wanted, 1, 0, 0, [&](uint64_t i) { found.push_back(i); });
  REQUIRE(found == expected);
  found.clear();
  list.Find(wanted, -1, 0, 0, [&](uint64_t i) { found.insert(found.begin(), i); });
  REQUIRE(found == expected);
  const size_t at = random.Below(model.size());
  REQUIRE(list.From(static_cast<int64_t>(at)).Value() == model[at]);
  List loaded;
  List::ChunkReader reader(list);
  std::string_view bytes;
  bool plain;
  while (reader.Next(&bytes, &plain)) {
    if (!plain) REQUIRE(ListpackView::Validate(bytes));
    plain ? loaded.AppendPlain(bytes) : loaded.AppendListpack(bytes);
  }
  Thresholds t;
  t.list_compress_depth = static_cast<int64_t>(random.Below(3));
  loaded.FinishLoad(t);
  RequireSame(loaded, model);
}

std::vector<std::string> ChunksOf(const List& list) {
  std::vector<std::string> chunks;
  List::ChunkReader reader(list);
  std::string_view bytes;
  for (bool plain; reader.Next(&bytes, &plain);) chunks.emplace_back(bytes);
  return chunks;
}

}  // namespace

TEST_CASE("list: random changes against a deque") {
  const int64_t sizes[] = {-2, -1, -5, 1, 2, 3, 20, 128};
  const int64_t depths[] = {0, 1, 2, 5};
  for (const int64_t size : sizes) {
    for (const int64_t depth : depths) {
      Thresholds t;
      t.list_max_listpack_size = size;
      t.list_compress_depth = depth;
      Random random(static_cast<uint64_t>(size * 100 + depth + 1000));
      List list;
      Model model;
      for (int step = 0; step < 1500; ++step) {
        ChangeOnce(random, list, model, t);
        if (random.Below(200) == 0) t.list_compress_depth = depths[random.Below(4)];
        if (step % 50 == 0) {
          RequireSame(list, model);
          RequireReads(random, list, model);
          RequireSame(list.Clone(), model);
        }
      }
      RequireSame(list, model);
      List moved = List::Adopt(list.Release());
      REQUIRE(list.Length() == 0);
      RequireSame(moved, model);
      moved.Trim(1, 0, t);
      REQUIRE(moved.Length() == 0);
    }
  }
}

TEST_CASE("list: many chunks, pages split and vanish") {
  Thresholds t;
  t.list_max_listpack_size = 2;
  Random random(5);
  List list;
  Model model;
  for (int i = 0; i < 5000; ++i) {
    const std::string element = ToString(static_cast<int64_t>(i));
    const ListEnd end = i % 3 == 0 ? ListEnd::kFront : ListEnd::kBack;
    list.Push(end, element, t);
    end == ListEnd::kFront ? model.push_front(element) : model.push_back(element);
  }
  for (int i = 0; i < 3000; ++i) {
    const size_t at = random.Below(model.size());
    const std::string pivot = model[at];
    const std::string element = "x" + ToString(static_cast<int64_t>(i));
    REQUIRE(list.Insert(true, pivot, element, t));
    model.insert(model.begin() + static_cast<ptrdiff_t>(at), element);
  }
  RequireSame(list, model);
  while (model.size() > 10) {
    const size_t first = random.Below(model.size());
    const size_t count = random.Below(std::min<size_t>(model.size() - first, 1500)) + 1;
    list.Erase(first, count, t);
    const auto from = model.begin() + static_cast<ptrdiff_t>(first);
    model.erase(from, from + static_cast<ptrdiff_t>(count));
    RequireSame(list, model);
  }
}

TEST_CASE("list: encodings as Redis 7.4 changes them") {
  Thresholds t;
  t.list_max_listpack_size = 4;
  List list;
  REQUIRE(list.encoding() == Encoding::kListpack);
  for (int i = 0; i < 4; ++i) list.Push(ListEnd::kBack, "a", t);
  REQUIRE(list.encoding() == Encoding::kListpack);
  list.Push(ListEnd::kBack, "b", t);
  REQUIRE(list.encoding() == Encoding::kQuicklist);
  std::string popped;
  list.Pop(ListEnd::kBack, &popped, t);  // one chunk of four: more than half the limit
  REQUIRE(list.encoding() == Encoding::kQuicklist);
  list.Pop(ListEnd::kBack, &popped, t);
  REQUIRE(list.encoding() == Encoding::kQuicklist);
  list.Pop(ListEnd::kBack, &popped, t);
  REQUIRE(list.encoding() == Encoding::kListpack);

  // By bytes: the raw bytes of all elements of a command count, without their overhead.
  Thresholds by_bytes;
  List large;
  const std::string eight(8, 'x');
  const std::vector<std::string_view> many(1023, eight);
  large.Push(ListEnd::kBack, many, by_bytes);  // 7 + 8184 = 8191
  REQUIRE(large.encoding() == Encoding::kListpack);
  large.Push(ListEnd::kBack, eight, by_bytes);
  REQUIRE(large.encoding() == Encoding::kQuicklist);
  List plain;
  plain.Push(ListEnd::kBack, std::string(8193, 'y'), by_bytes);
  REQUIRE(plain.encoding() == Encoding::kQuicklist);
  REQUIRE(plain.Set(0, "small", by_bytes));
  REQUIRE(plain.encoding() == Encoding::kListpack);
}

// The listpacks inside DUMP payloads of redis-server 7.0.15.
TEST_CASE("list: bytes as redis-server dumps them") {
  using std::string_literals::operator""s;
  Thresholds t;
  List list;
  const std::string seventy(70, 'x');
  for (const std::string_view element :
       std::initializer_list<std::string_view>{
           "a", "1", "-5000", "127", "128", "4095", "4096", "32768", "8388608", "2147483648",
           "-9223372036854775808", "", "hello", "007", seventy})
    list.Push(ListEnd::kBack, element, t);
  const std::string expected =
      "\x92\x00\x00\x00\x0f\x00\x81"
      "a\x02\x01\x01\xf1x\xec\x03\x7f\x01\xc0\x80\x02\xcf\xff\x02\xf1\x00\x10\x03\xf2\x00\x80\x00"
      "\x04\xf3\x00\x00\x80\x00\x05\xf4\x00\x00\x00\x80\x00\x00\x00\x00\t\xf4\x00\x00\x00\x00\x00"
      "\x00\x00\x80\t\x80\x01\x85hello\x06\x83"
      "007\x04\xe0"
      "F"s +
      seventy + "H\xff"s;
  REQUIRE(ChunksOf(list) == std::vector<std::string>{expected});

  // Three to a chunk, one pushed in front, one inserted where it splits a chunk and two merge.
  t.list_max_listpack_size = 3;
  List chunked;
  const std::vector<std::string_view> digits{"1", "2", "3", "4", "5", "6", "7"};
  chunked.Push(ListEnd::kBack, digits, t);
  chunked.Push(ListEnd::kFront, "z", t);
  REQUIRE(chunked.Insert(true, "5", "q", t));
  REQUIRE(ChunksOf(chunked) == std::vector<std::string>{
                                   "\n\x00\x00\x00\x01\x00\x81z\x02\xff"s,
                                   "\r\x00\x00\x00\x03\x00\x01\x01\x02\x01\x03\x01\xff"s,
                                   "\x0c\x00\x00\x00\x02\x00\x04\x01\x81q\x02\xff"s,
                                   "\r\x00\x00\x00\x03\x00\x05\x01\x06\x01\a\x01\xff"s});
}

TEST_CASE("list: memory of small elements") {
  Thresholds t;
  List list;
  for (int i = 0; i < 100000; ++i) list.Push(ListEnd::kBack, "0123456789", t);
  REQUIRE(list.MemoryUsage(0) < 100000 * 12.2);
  List front;
  for (int i = 0; i < 100000; ++i) front.Push(ListEnd::kFront, "abcdefghij", t);
  REQUIRE(front.MemoryUsage(0) < 100000 * 12.2);
  t.list_compress_depth = 1;
  List packed;
  for (int i = 0; i < 100000; ++i) packed.Push(ListEnd::kFront, "abcdefghij", t);
  REQUIRE(packed.MemoryUsage(0) < 100000 * 2);
}

}  // namespace cairn
