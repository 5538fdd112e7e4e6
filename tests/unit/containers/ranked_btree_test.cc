// SPDX-License-Identifier: BSD-3-Clause
//
// RankedBTree against a sorted std::vector as its model.
#include "containers/ranked_btree.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"

namespace cairn {
namespace {

using Item = std::pair<double, std::string>;

// The tree and its model, changed together.
class Pair {
 public:
  ~Pair() {
    tree_.EraseRange(0, tree_.size(), &ScoredMember::Destroy);
    tree_.CheckInvariants();
  }

  void Insert(double score, const std::string& member) {
    auto at = std::lower_bound(items_.begin(), items_.end(), Item(score, member));
    const size_t rank = static_cast<size_t>(at - items_.begin());
    items_.insert(at, {score, member});
    REQUIRE(tree_.Rank(score, member) == rank);
    tree_.Insert(ScoredMember::Create(score, member));
    REQUIRE(tree_.Seek(rank).member()->bytes() == member);
  }
  void EraseAt(size_t rank) {
    ScoredMember* member = tree_.Seek(rank).member();
    tree_.Erase(member);
    ScoredMember::Destroy(member);
    items_.erase(items_.begin() + static_cast<long>(rank));
  }
  void EraseRange(size_t rank, size_t count) {
    erased_.clear();
    tree_.EraseRange(rank, count, [&](ScoredMember* member) {
      erased_.emplace_back(member->bytes());
      ScoredMember::Destroy(member);
    });
    for (size_t i = 0; i < count; ++i) REQUIRE(erased_[i] == items_[rank + i].second);
    REQUIRE(erased_.size() == count);
    auto first = items_.begin() + static_cast<long>(rank);
    items_.erase(first, first + static_cast<long>(count));
  }
  void Update(size_t rank, double score) {
    ScoredMember* member = tree_.Seek(rank).member();
    if (member->CanHold(score)) {
      tree_.Update(member, score);
    } else {
      tree_.Erase(member);
      tree_.Insert(ScoredMember::Create(score, member->bytes()));
      ScoredMember::Destroy(member);
    }
    Item item = items_[rank];
    items_.erase(items_.begin() + static_cast<long>(rank));
    item.first = score;
    items_.insert(std::lower_bound(items_.begin(), items_.end(), item), item);
  }
  void CheckAll() const {
    tree_.CheckInvariants();
    REQUIRE(tree_.size() == items_.size());
    auto cursor = tree_.First();
    for (const Item& item : items_) {
      REQUIRE(cursor.Valid());
      REQUIRE(cursor.score() == item.first);
      REQUIRE(cursor.member()->bytes() == item.second);
      cursor.Next();
    }
    REQUIRE_FALSE(cursor.Valid());
    cursor = tree_.Last();
    for (auto item = items_.rbegin(); item != items_.rend(); ++item, cursor.Prev())
      REQUIRE(cursor.member()->bytes() == item->second);
    REQUIRE_FALSE(cursor.Valid());
  }
  void CheckSearch(double score) const {
    auto low = std::lower_bound(items_.begin(), items_.end(), Item(score, ""));
    auto high = std::upper_bound(items_.begin(), items_.end(), score,
                                 [](double s, const Item& item) { return s < item.first; });
    REQUIRE(tree_.CountBelow(score, false) == static_cast<uint64_t>(low - items_.begin()));
    REQUIRE(tree_.CountBelow(score, true) == static_cast<uint64_t>(high - items_.begin()));
  }

  RankedBTree tree_;
  std::vector<Item> items_;

 private:
  std::vector<std::string> erased_;
};

std::string Name(uint64_t i) {
  return "member:" + std::to_string(i);
}

TEST_CASE("RankedBTree agrees with a sorted vector under random changes") {
  for (uint64_t seed = 1; seed <= 6; ++seed) {
    Random random(seed);
    Pair pair;
    uint64_t serial = 0;
    // Few distinct scores in odd seeds, so that members decide the order.
    const uint64_t scores = seed % 2 ? 5 : 100000;
    for (int step = 0; step < 8000; ++step) {
      // Waves: grow, then shrink, so that merges and root changes happen.
      const bool shrink = step / 2000 % 2 == 1;
      const uint64_t dice = random.Below(100);
      const size_t n = pair.items_.size();
      if (n == 0 || dice < (shrink ? 25u : 70u)) {
        pair.Insert(static_cast<double>(random.Below(scores)) / 4 - 3, Name(serial * 7919 % 10007));
        ++serial;
      } else if (dice < 85) {
        pair.EraseAt(random.Below(n));
      } else if (dice < 99) {
        const double score = dice < 92 ? pair.items_[random.Below(n)].first
                                       : static_cast<double>(random.Below(scores)) / 4;
        pair.Update(random.Below(n), score);
      } else {
        const size_t rank = random.Below(n);
        pair.EraseRange(rank, random.Below(std::min<size_t>(n - rank, 150) + 1));
      }
      pair.CheckSearch(static_cast<double>(random.Below(scores)) / 4 - 3);
      if (step % 400 == 0) pair.CheckAll();
    }
    pair.CheckAll();
    while (!pair.items_.empty()) pair.EraseAt(random.Below(pair.items_.size()));
    pair.CheckAll();
  }
}

TEST_CASE("RankedBTree updates to near scores keep the order") {
  Random random(9);
  Pair pair;
  for (int i = 0; i < 700; ++i) pair.Insert(i, Name(static_cast<uint64_t>(i)));
  for (int i = 0; i < 6000; ++i) {
    const size_t rank = random.Below(700);
    pair.Update(rank, pair.items_[rank].first + static_cast<double>(random.Below(41)) - 20);
    if (i % 500 == 0) pair.CheckAll();
  }
  pair.CheckAll();
}

TEST_CASE("RankedBTree counts by member among equal scores") {
  Pair pair;
  for (char c = 'b'; c <= 'y'; ++c)
    for (char d = 'a'; d <= 'z'; ++d) pair.Insert(0, std::string{c, d});
  REQUIRE(pair.tree_.CountBelowMember("", false) == 0);
  REQUIRE(pair.tree_.CountBelowMember("ba", false) == 0);
  REQUIRE(pair.tree_.CountBelowMember("ba", true) == 1);
  REQUIRE(pair.tree_.CountBelowMember("c", true) == 26);
  REQUIRE(pair.tree_.CountBelowMember("yz", false) == 24 * 26 - 1);
  REQUIRE(pair.tree_.CountBelowMember("z", false) == 24 * 26);
}

TEST_CASE("RankedBTree takes infinities and both zeros") {
  Pair pair;
  const double inf = std::numeric_limits<double>::infinity();
  pair.Insert(inf, "a");
  pair.Insert(-inf, "b");
  pair.Insert(0.0, "c");
  pair.Insert(-0.0, "d");
  pair.CheckAll();
  REQUIRE(pair.tree_.CountBelow(0.0, false) == 1);
  REQUIRE(pair.tree_.CountBelow(-0.0, true) == 3);
  REQUIRE(pair.tree_.CountBelow(inf, true) == 4);
}

TEST_CASE("RankedBTree erases large ranges and everything") {
  Pair pair;
  for (uint64_t i = 0; i < 20000; ++i) pair.Insert(static_cast<double>(i), Name(i));
  pair.EraseRange(30, 15000);
  pair.CheckAll();
  pair.EraseRange(0, 31);
  pair.EraseRange(pair.items_.size() - 64, 64);
  pair.CheckAll();
  pair.EraseRange(0, pair.items_.size());
  pair.CheckAll();
  pair.Insert(1, "again");
  pair.CheckAll();
}

double FillAfter(const std::vector<double>& scores) {
  RankedBTree tree;
  for (size_t i = 0; i < scores.size(); ++i) tree.Insert(ScoredMember::Create(scores[i], Name(i)));
  tree.CheckInvariants();
  const double fill = tree.LeafFill();
  tree.EraseRange(0, tree.size(), &ScoredMember::Destroy);
  return fill;
}

TEST_CASE("RankedBTree fills its leaves") {
  Random random(3);
  std::vector<double> ascending, descending, shuffled, runs;
  for (int i = 0; i < 50000; ++i) {
    ascending.push_back(i);
    descending.push_back(-i);
    shuffled.push_back(random.Unit());
    runs.push_back(i % 10 * 1e6 + i);  // ten interleaved sequences
  }
  REQUIRE(FillAfter(ascending) > 0.95);
  REQUIRE(FillAfter(descending) > 0.95);
  REQUIRE(FillAfter(shuffled) > 0.75);
  REQUIRE(FillAfter(runs) > 0.85);
}

}  // namespace
}  // namespace cairn
