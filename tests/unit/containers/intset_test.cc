// SPDX-License-Identifier: BSD-3-Clause
#include "containers/intset.h"

#include <set>
#include <string>
#include <vector>

#include "base/random.h"

using namespace cairn;

namespace {

std::string Hex(std::string_view bytes) {
  std::string out;
  for (char c : bytes) {
    constexpr char kDigits[] = "0123456789abcdef";
    out.push_back(kDigits[static_cast<uint8_t>(c) >> 4]);
    out.push_back(kDigits[static_cast<uint8_t>(c) & 15]);
  }
  return out;
}

void RequireSame(const Intset& set, const std::set<int64_t>& model) {
  REQUIRE(set.Length() == model.size());
  size_t i = 0;
  for (int64_t value : model) REQUIRE(set.At(i++) == value);
  REQUIRE(IntsetView::Validate(set.AsBytes()) == !model.empty());
}

}  // namespace

TEST_CASE("intset writes the bytes of a DUMP payload") {
  const std::pair<std::vector<int64_t>, const char*> cases[] = {
      {{1, 2, 3, -5}, "0200000004000000fbff010002000300"},
      {{1, 70000, -3}, "0400000003000000fdffffff0100000070110100"},
      {{5000000000, 1, -1, 32767, -32768},
       "08000000050000000080ffffffffffffffffffffffffffff0100000000000000ff7f00000000000000f2052a01"
       "000000"}};
  for (const auto& [values, hex] : cases) {
    Intset set;
    for (int64_t value : values) REQUIRE(set.Add(value));
    REQUIRE(Hex(set.AsBytes()) == hex);
    REQUIRE(IntsetView::Validate(set.AsBytes()));
  }
}

TEST_CASE("intset against std::set") {
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    Random random(seed);
    Intset set;
    std::set<int64_t> model;
    const uint64_t shift_min = random.Below(56);
    for (int step = 0; step < 500; ++step) {
      int64_t value =
          static_cast<int64_t>(random.Next()) >> (shift_min + random.Below(64 - shift_min));
      if (step == 250) value = random.Below(2) ? INT64_MIN : INT64_MAX;
      if (!model.empty() && random.Below(3) == 0) value = *model.lower_bound(*model.begin());
      if (random.Below(3) == 0)
        REQUIRE(set.Remove(value) == (model.erase(value) != 0));
      else
        REQUIRE(set.Add(value) == model.insert(value).second);
      REQUIRE(set.Contains(value) == (model.count(value) != 0));
      if (step % 50 == 0) RequireSame(set, model);
    }
    RequireSame(set, model);
    RequireSame(Intset(IntsetView(set.data())), model);
  }
}

TEST_CASE("intset bytes that passed Validate are safe to read") {
  Random random(3);
  Intset base;
  for (int i = 0; i < 50; ++i) base.Add(static_cast<int64_t>(random.Below(60000)));
  int accepted = 0;
  for (int round = 0; round < 20000; ++round) {
    std::string bytes(base.AsBytes());
    for (size_t i = 0; i <= random.Below(2); ++i)
      bytes[random.Below(2) ? random.Below(8) : random.Below(bytes.size())] =
          static_cast<char>(random.Below(9));
    if (random.Below(4) == 0) bytes.resize(random.Below(bytes.size() + 1));
    std::vector<char> exact(bytes.begin(), bytes.end());
    if (!IntsetView::Validate({exact.data(), exact.size()})) continue;
    ++accepted;
    Intset copy = Intset::FromBytes({exact.data(), exact.size()});
    for (size_t i = 0; i < copy.Length(); ++i) REQUIRE(copy.Contains(copy.At(i)));
    copy.Add(int64_t{1} << 40);
    REQUIRE(IntsetView::Validate(copy.AsBytes()));
  }
  REQUIRE(accepted > 100);
}
