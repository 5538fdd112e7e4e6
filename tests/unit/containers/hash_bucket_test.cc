// SPDX-License-Identifier: BSD-3-Clause
#include "containers/hash_bucket.h"

#include <algorithm>
#include <map>
#include <vector>

#include "base/random.h"

using namespace cairn;

namespace {

struct Kept {
  uint8_t tag, kept;
  bool mark;
};
using Model = std::map<void*, Kept>;

void RequireEqual(const HashBucket& bucket, const Model& model, ptrdiff_t row_bytes) {
  REQUIRE(bucket.CheckInvariants() == static_cast<size_t>(row_bytes));
  REQUIRE(bucket.size() == model.size());
  REQUIRE(bucket.has_row() == (model.size() > HashBucket::kSlots));
  size_t seen = 0;
  bucket.VisitAll([&](const HashCell& cell) {
    const auto found = model.find(cell.item());
    REQUIRE(found != model.end());
    REQUIRE(found->second.tag == cell.tag);
    REQUIRE(found->second.kept == cell.kept);
    REQUIRE(found->second.mark == cell.mark());
    ++seen;
  });
  REQUIRE(seen == model.size());
  std::vector<void*> items;
  for (size_t i = 0; i < model.size(); ++i) items.push_back(bucket.ItemAt(i));
  std::sort(items.begin(), items.end());
  REQUIRE(std::equal(items.begin(), items.end(), model.begin(), model.end(),
                     [](void* item, const auto& pair) { return item == pair.first; }));
}

}  // namespace

TEST_CASE("a hash bucket behaves like a std::map, however many items it holds") {
  Random random(17);
  for (const size_t most : {8, 12, 24, 90}) {
    std::vector<uint64_t> items(200);
    HashBucket bucket;
    bucket.Wipe();
    Model model;
    ptrdiff_t row_bytes = 0;
    size_t target = 0;
    for (int step = 0; step < 8000; ++step) {
      if (step % 100 == 0) target = random.Below(most + 1);
      void* item = &items[random.Below(items.size())];
      // Few tags, so that several items share one.
      const auto tag = static_cast<uint8_t>(1 + random.Below(3) * 126);
      const HashCell cell = {reinterpret_cast<uint64_t>(item) | (step & 1), tag,
                             static_cast<uint8_t>(random.Below(256))};
      const auto found = model.find(item);
      const uint8_t known = found != model.end() ? found->second.tag : tag;
      const int place = bucket.Find(known, [item](void* other) { return other == item; });
      REQUIRE((place >= 0) == (found != model.end()));
      if (place < 0) {
        if (model.size() >= std::max<size_t>(target, 1)) continue;
        row_bytes += bucket.Add(cell);
        model[item] = {tag, cell.kept, cell.mark()};
      } else if (model.size() > target) {
        REQUIRE(bucket.At(place).item() == item);
        row_bytes += bucket.Remove(place);
        model.erase(found);
      } else {
        bucket.Set(place, cell);
        found->second = {tag, cell.kept, cell.mark()};
      }
      RequireEqual(bucket, model, row_bytes);
    }
    REQUIRE(bucket.FreeRow() == static_cast<size_t>(row_bytes));
  }
}

TEST_CASE("a hash bucket's visitors can stop anywhere") {
  std::vector<uint64_t> items(20);
  HashBucket bucket;
  bucket.Wipe();
  for (uint64_t& item : items) bucket.Add({reinterpret_cast<uint64_t>(&item), 7, 0});
  for (size_t stop = 1; stop <= items.size(); ++stop) {
    size_t seen = 0;
    REQUIRE_FALSE(bucket.VisitWhile([&](const HashCell&) { return ++seen < stop; }));
    REQUIRE(seen == stop);
  }
  bucket.FreeRow();
}

TEST_CASE("a tag is neither that of a free slot nor that of a row") {
  for (uint64_t byte = 0; byte < 256; ++byte) {
    const uint8_t tag = HashBucket::TagOf(byte << 40 | 0x0fff00ff00ffffff);
    REQUIRE(tag != 0);
    REQUIRE(tag != HashBucket::kRowTag);
    if (byte != 0 && byte != HashBucket::kRowTag) REQUIRE(tag == byte);
  }
}
