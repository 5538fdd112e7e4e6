// SPDX-License-Identifier: BSD-3-Clause
#include "containers/hash_table.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <map>
#include <memory>
#include <numeric>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/hash.h"
#include "tests/unit/allocation.h"

using namespace cairn;

namespace {

struct Word {
  std::string text;
};
struct WordTraits {
  using Item = Word;
  static constexpr size_t kPrefetchedLines = 1;
  static uint64_t Hash(const Word* word) { return HashBytes(word->text); }
};
using Table = HashTable<WordTraits>;

struct Placed {
  uint64_t hash;
};
struct PlacedTraits {
  using Item = Placed;
  static constexpr size_t kPrefetchedLines = 1;
  static uint64_t Hash(const Placed* item) { return item->hash; }
};

auto Is(const std::string& text) {
  return [&text](const Word* word) { return word->text == text; };
}

}  // namespace

TEST_CASE("a hash table behaves like a std::map through growth and shrinkage") {
  Random random(7);
  std::map<std::string, std::unique_ptr<Word>> model;
  Table table;
  size_t target = 0;
  for (int step = 0; step < 200000; ++step) {
    if (step % 20000 == 0) target = random.Below(20000);
    std::string text = "k" + std::to_string(random.Below(20000));
    auto found = model.find(text);
    Word* word = table.Find(HashBytes(text), Is(text));
    REQUIRE(word == (found == model.end() ? nullptr : found->second.get()));
    if (found == model.end() && model.size() <= target) {
      auto item = std::make_unique<Word>(Word{text});
      table.Insert(HashBytes(text), item.get());
      model.emplace(text, std::move(item));
    } else if (found != model.end() && model.size() > target) {
      REQUIRE(table.Remove(HashBytes(text), Is(text)) == word);
      model.erase(found);
    } else if (found != model.end()) {
      auto moved = std::make_unique<Word>(Word{text});
      table.Relocate(HashBytes(text), word, moved.get(), step % 2 == 0);
      found->second = std::move(moved);
    }
    table.Maintain();
    if (step % 64 == 0) table.Trim();
    REQUIRE(table.size() == model.size());
    if (step % 10000 == 0) table.CheckInvariants();
  }
  table.CheckInvariants();
  size_t seen = 0;
  table.ForEach([&](Word*) { return ++seen, true; });
  REQUIRE(seen == model.size());
}

TEST_CASE("Scan returns every item that stays, while the table grows and shrinks") {
  Random random(11);
  for (int round = 0; round < 30; ++round) {
    Table table;
    std::map<std::string, std::unique_ptr<Word>> others;
    std::map<std::string, std::unique_ptr<Word>> stay;
    for (int i = 0; i < 500; ++i) {
      auto word = std::make_unique<Word>(Word{"stay" + std::to_string(i)});
      table.InsertAndGrow(HashBytes(word->text), word.get());
      stay.emplace(word->text, std::move(word));
    }
    std::set<std::string> seen;
    uint64_t cursor = 0;
    bool grow = round % 2 == 0;
    do {
      cursor = table.Scan(cursor, [&](const Word* word) { seen.insert(word->text); });
      for (uint64_t n = random.Below(100); n > 0; --n) {
        std::string text = "other" + std::to_string(random.Below(3000));
        auto found = others.find(text);
        if (found == others.end() && (grow || random.Below(4) == 0)) {
          auto word = std::make_unique<Word>(Word{text});
          table.InsertAndGrow(HashBytes(text), word.get());
          others.emplace(text, std::move(word));
        } else if (found != others.end() && !grow) {
          table.Remove(HashBytes(text), Is(text));
          table.Maintain();
          others.erase(found);
        }
      }
      if (random.Below(50) == 0) grow = !grow;
    } while (cursor != 0);
    for (const auto& [text, word] : stay) REQUIRE(seen.count(text) == 1);
    table.Trim();
    table.CheckInvariants();
  }
}

TEST_CASE("what a hash table allocates stays within an eighth of what it uses") {
  std::vector<Word> words(100'000);
  Table table;
  const auto allocated = [] { return AllocatedByThisThread() - FreedByThisThread(); };
  for (size_t i = 0; i < words.size(); ++i) words[i].text = std::to_string(i);
  const uint64_t before = allocated();
  for (size_t i = 0; i < words.size(); ++i) {
    table.InsertAndGrow(HashBytes(words[i].text), &words[i]);
    if (i < 20'000 || i % 1000 != 0) continue;
    REQUIRE(allocated() - before <= table.MemoryBytes() + table.MemoryBytes() / 8);
    // Seven items a bucket, and the rows of those that are fuller. (For the address sanitizer both
    // are twice as large.)
    REQUIRE(table.MemoryBytes() < i * 12 * (sizeof(HashBucket) / 64));
  }
  for (size_t i = words.size() - 1; i > 20'000; --i) {
    table.Remove(HashBytes(words[i].text), Is(words[i].text));
    table.Maintain();
    table.Trim();
    if (i % 1000 != 0) continue;
    REQUIRE(allocated() - before <= table.MemoryBytes() + table.MemoryBytes() / 8);
  }
  table.CheckInvariants();
}

// What the thread sanitizer sees of it; without it, that nothing is read that was freed.
TEST_CASE("prefetches run without the lock while the table grows and shrinks") {
  std::vector<Word> words;
  for (int i = 0; i < 20'000; ++i) words.push_back({"k" + std::to_string(i)});
  Table table;
  std::atomic<bool> stop{false};
  std::vector<std::thread> readers;
  for (uint64_t seed : {1, 2}) {
    readers.emplace_back([&, seed] {
      Random random(seed);
      while (!stop.load(std::memory_order_relaxed)) {
        const uint64_t hash = HashBytes(words[random.Below(words.size())].text);
        table.PrefetchBucket(hash);
        table.PrefetchItem(hash);
      }
    });
  }
  for (int round = 0; round < 3; ++round) {
    for (Word& word : words) table.InsertAndGrow(HashBytes(word.text), &word);
    for (Word& word : words) {
      REQUIRE(table.Remove(HashBytes(word.text), Is(word.text)) == &word);
      table.Maintain();
    }
  }
  stop = true;
  for (std::thread& reader : readers) reader.join();
  table.CheckInvariants();
}

TEST_CASE("marks follow their items, and random items are spread evenly") {
  Random random(13);
  Table table;
  std::map<std::string, std::unique_ptr<Word>> model;
  for (int i = 0; i < 1000; ++i) {
    auto word = std::make_unique<Word>(Word{std::to_string(i)});
    table.InsertAndGrow(HashBytes(word->text), word.get(), i % 10 == 0);
    model.emplace(word->text, std::move(word));
  }
  std::set<std::string> marked;
  for (size_t index = 0; index < table.bucket_count(); ++index) {
    size_t before = marked.size();
    table.VisitMarked(index, [&](const Word* word) { marked.insert(word->text); });
    REQUIRE(table.BucketHasMark(index) == (marked.size() > before));
  }
  REQUIRE(marked.size() == 100);
  for (const std::string& text : marked) REQUIRE(std::stoi(text) % 10 == 0);

  std::map<const Word*, int> counts;
  for (int i = 0; i < 200000; ++i) ++counts[table.RandomItem(random)];
  REQUIRE(counts.size() == 1000);
  for (auto [word, count] : counts) {
    REQUIRE(count > 100);
    REQUIRE(count < 320);
  }
}

TEST_CASE("random items are as likely as others at every stage of growth and shrinkage") {
  constexpr size_t kSmall = 7 * 64, kDrawsEach = 150;
  Random random(29);
  HashTable<PlacedTraits> table;
  std::vector<Placed> items(2 * kSmall + 1);
  std::map<const Placed*, size_t> numbers;
  for (Placed& item : items) {
    item.hash = random.Next();
    numbers.emplace(&item, numbers.size());
  }
  // Pearson's chi-square of the counts, as standard deviations from its mean; and the least count.
  const auto draw = [&](size_t present) {
    REQUIRE(table.size() == present);
    std::vector<size_t> counts(present);
    for (size_t i = 0; i < present * kDrawsEach; ++i)
      ++counts[numbers.at(table.RandomItem(random))];
    double squares = 0;
    for (size_t count : counts) {
      const double off = static_cast<double>(count) - kDrawsEach;
      squares += off * off / kDrawsEach;
    }
    const auto free = static_cast<double>(present - 1);
    INFO(present << " items, " << table.bucket_count() << " buckets");
    REQUIRE(std::abs(squares - free) <= 6 * std::sqrt(2 * free));
    REQUIRE(*std::min_element(counts.begin(), counts.end()) > kDrawsEach / 2);
  };
  for (size_t i = 0; i < items.size(); ++i) {
    table.InsertAndGrow(items[i].hash, &items[i]);
    if (i == 0 || i == 4 || i == 60 || (i >= kSmall && i % (kSmall / 8) == 0)) draw(i + 1);
  }
  // In any order, so that those that stay stand anywhere in their buckets.
  std::vector<size_t> order(items.size());
  std::iota(order.begin(), order.end(), size_t{0});
  for (size_t i = order.size(); i-- > 1;) std::swap(order[i], order[random.Below(i + 1)]);
  for (size_t left = items.size(); left-- > 1;) {
    const Placed& gone = items[order[left]];
    numbers.erase(&gone);
    table.Remove(gone.hash, [&](const Placed* item) { return item == &gone; });
    table.Maintain();
    if (left % (kSmall / 8) != 0) continue;
    size_t number = 0;
    for (auto& [item, its] : numbers) its = number++;
    draw(left);
  }
}

TEST_CASE("random items are met wherever they stand in buckets that were full") {
  Random random(37);
  for (const size_t present : {21, 700, 7000}) {
    for (int round = 0; round < 40; ++round) {
      HashTable<PlacedTraits> table;
      std::vector<Placed> items(present);
      for (Placed& item : items) table.InsertAndGrow(item.hash = random.Next(), &item);
      // The first that came stand in the first places: they go.
      size_t left = present;
      for (; left > present / 7; --left) {
        const Placed& gone = items[present - left];
        table.Remove(gone.hash, [&](const Placed* item) { return item == &gone; });
      }
      std::set<const Placed*> met;
      for (size_t draws = 0; draws < 40 * left && met.size() < left; ++draws)
        met.insert(table.RandomItem(random));
      REQUIRE(met.size() == left);
      if (present == 7000) break;
    }
  }
}

TEST_CASE("random items of a bucket that holds far too many are all met") {
  Random random(31);
  HashTable<PlacedTraits> table;
  std::vector<Placed> items(300);
  std::set<const Placed*> met;
  // Every second one in the same bucket, whatever the table's size.
  for (size_t i = 0; i < items.size(); ++i) {
    items[i].hash = i % 2 == 0 ? 0x123456789abcdef0 : random.Next();
    table.InsertAndGrow(items[i].hash, &items[i]);
  }
  table.CheckInvariants();
  for (int i = 0; i < 100'000; ++i) met.insert(table.RandomItem(random));
  REQUIRE(met.size() == items.size());
}
