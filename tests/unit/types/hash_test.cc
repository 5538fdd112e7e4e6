// SPDX-License-Identifier: BSD-3-Clause
#include "types/hash.h"

#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/numbers.h"
#include "types/field_time.h"

using namespace cairn;

namespace {

constexpr int64_t kNow = 1'000'000;

struct ModelValue {
  std::string value;
  int64_t expiry_ms = Hash::kNoExpiry;
};
using Model = std::map<std::string, ModelValue>;

std::string TextOf(const ListpackValue& value) {
  char digits[kInt64CharsMax];
  return std::string(value.Text(digits));
}

// The fields alive at `now_ms`, as a model.
Model Contents(const Hash& hash, int64_t now_ms) {
  Model out;
  hash.ForEach(now_ms, [&](const HashField& entry) {
    const ModelValue value{TextOf(entry.value), entry.expiry_ms};
    REQUIRE(out.emplace(TextOf(entry.field), value).second);
    return true;
  });
  return out;
}

bool Alive(const ModelValue& value, int64_t now_ms) {
  return value.expiry_ms == 0 || value.expiry_ms >= now_ms;
}

void RequireSame(const Hash& hash, const Model& model, int64_t now_ms) {
  hash.CheckInvariants();
  REQUIRE(hash.Length() == model.size());
  Model alive;
  int64_t next = 0;
  for (const auto& [field, value] : model) {
    if (Alive(value, now_ms)) alive.emplace(field, value);
    if (value.expiry_ms != 0 && (next == 0 || value.expiry_ms < next)) next = value.expiry_ms;
  }
  const Model contents = Contents(hash, now_ms);
  REQUIRE(contents.size() == alive.size());
  for (const auto& [field, value] : contents) {
    REQUIRE(alive.count(field) == 1);
    REQUIRE(alive[field].value == value.value);
    REQUIRE(alive[field].expiry_ms == value.expiry_ms);
  }
  REQUIRE(Contents(hash, Hash::kNeverExpired).size() == model.size());
  REQUIRE(hash.NextExpiry() == next);
}

std::string RandomText(Random& random, bool large) {
  switch (random.Below(large ? 5 : 3)) {
    case 0:
      return std::to_string(random.Next() >> random.Below(64));
    case 1:
      return std::string(random.Below(20), 'v');
    case 2:
      return "value" + std::to_string(random.Below(100));
    case 3:
      return std::string(random.Below(200), 'w');
    default:
      return std::string(900 + random.Below(400), 'x');
  }
}

ExpiryResult ModelSetExpiry(Model* model, const std::string& field, int64_t expiry,
                            ExpiryCondition condition, int64_t now) {
  auto found = model->find(field);
  if (found == model->end() || !Alive(found->second, now)) return ExpiryResult::kNoField;
  const int64_t old = found->second.expiry_ms;
  const bool met = condition == ExpiryCondition::kAlways ||
                   (condition == ExpiryCondition::kIfNone && old == 0) ||
                   (condition == ExpiryCondition::kIfSome && old != 0) ||
                   (condition == ExpiryCondition::kIfGreater && old != 0 && expiry > old) ||
                   (condition == ExpiryCondition::kIfLess && (old == 0 || expiry < old));
  if (!met) return ExpiryResult::kConditionNotMet;
  if (expiry <= now) {
    model->erase(found);
    return ExpiryResult::kDeleted;
  }
  found->second.expiry_ms = expiry;
  return ExpiryResult::kSet;
}

}  // namespace

TEST_CASE("a hash takes the encodings of Redis 7.4") {
  const Thresholds thresholds;
  Hash hash;
  REQUIRE(hash.encoding() == Encoding::kListpack);
  for (int i = 0; i < 128; ++i)
    REQUIRE(hash.Set("f" + std::to_string(i), "v", kNow, thresholds) == HashSet::kCreated);
  REQUIRE(hash.Set("f3", std::string(64, 'v'), kNow, thresholds) == HashSet::kUpdated);
  REQUIRE(hash.encoding() == Encoding::kListpack);
  std::vector<std::string> order;
  hash.ForEach(kNow, [&](const HashField& f) { return order.push_back(TextOf(f.field)), true; });
  REQUIRE(order[0] == "f0");
  REQUIRE(order[127] == "f127");

  Hash timed = hash.Clone();
  REQUIRE(timed.SetExpiry("f5", kNow + 5, ExpiryCondition::kAlways, kNow) == ExpiryResult::kSet);
  REQUIRE(timed.SetExpiry("f9", kNow + 2, ExpiryCondition::kAlways, kNow) == ExpiryResult::kSet);
  REQUIRE(timed.encoding() == Encoding::kListpackEx);
  order.clear();
  timed.ForEach(kNow, [&](const HashField& f) { return order.push_back(TextOf(f.field)), true; });
  REQUIRE(order[0] == "f9");
  REQUIRE(order[1] == "f5");
  REQUIRE(order[2] == "f0");
  REQUIRE(timed.Persist("f9", kNow) == true);
  REQUIRE(timed.Persist("f5", kNow) == true);
  REQUIRE(timed.encoding() == Encoding::kListpackEx);  // never back

  Hash large = hash.Clone();
  large.Set("f128", "v", kNow, thresholds);
  REQUIRE(large.encoding() == Encoding::kHashtable);
  REQUIRE(large.Length() == 129);
  large = hash.Clone();
  large.Set("f0", std::string(65, 'v'), kNow, thresholds);
  REQUIRE(large.encoding() == Encoding::kHashtable);
  timed.Set(std::string(65, 'f'), "v", kNow, thresholds);
  REQUIRE(timed.encoding() == Encoding::kHashtable);
  Hash announced;
  announced.Prepare(129, 3, thresholds);
  REQUIRE(announced.encoding() == Encoding::kHashtable);
}

TEST_CASE("a hash against std::map through every conversion") {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    Random random(seed);
    Thresholds thresholds;
    thresholds.hash_max_listpack_entries = static_cast<int64_t>(random.Below(130));
    const bool with_expiry = seed % 3 != 0;
    Hash hash;
    Model model;
    int64_t now = kNow;
    for (int step = 0; step < 1500; ++step) {
      now += static_cast<int64_t>(random.Below(3));
      const std::string field = (seed % 2 ? "f" : "") + std::to_string(random.Below(200));
      auto found = model.find(field);
      const bool alive = found != model.end() && Alive(found->second, now);
      switch (random.Below(with_expiry ? 8 : 5)) {
        case 0:
        case 1:
        case 2: {
          const std::string value = RandomText(random, step > 500);
          const bool keep = random.Below(4) == 0;
          const HashSet result = hash.Set(field, value, now, thresholds, keep);
          REQUIRE((result == HashSet::kUpdated) == alive);
          model[field] = {value, keep && alive ? found->second.expiry_ms : 0};
          break;
        }
        case 3:
          REQUIRE(hash.Delete(field, now) == alive);
          model.erase(field);
          break;
        case 4: {
          const auto value = hash.Get(field, now);
          REQUIRE(value.has_value() == alive);
          if (alive) REQUIRE(*value == found->second.value);
          REQUIRE(hash.StrLen(field, now) == (alive ? found->second.value.size() : 0));
          const auto expiry = hash.GetExpiry(field, now);
          REQUIRE(expiry.has_value() == alive);
          if (alive) REQUIRE(*expiry == found->second.expiry_ms);
          break;
        }
        case 5:
        case 6: {
          const int64_t expiry = now - 10 + static_cast<int64_t>(random.Below(600));
          const auto condition = static_cast<ExpiryCondition>(random.Below(5));
          const ExpiryResult wanted = ModelSetExpiry(&model, field, expiry, condition, now);
          REQUIRE(hash.SetExpiry(field, expiry, condition, now) == wanted);
          break;
        }
        default:
          if (random.Below(2) == 0) {
            const auto persisted = hash.Persist(field, now);
            REQUIRE(persisted.has_value() == alive);
            if (alive) {
              REQUIRE(*persisted == (found->second.expiry_ms != 0));
              found->second.expiry_ms = 0;
            }
          } else {
            const size_t limit = random.Below(6);
            int64_t last = 0;
            const size_t removed = hash.ExpireDue(now, limit, [&](std::string_view name) {
              auto due = model.find(std::string(name));
              REQUIRE(due != model.end());
              REQUIRE_FALSE(Alive(due->second, now));
              REQUIRE(due->second.expiry_ms >= last);
              last = due->second.expiry_ms;
              model.erase(due);
            });
            REQUIRE(removed <= limit);
            if (removed < limit) {
              const int64_t next = hash.NextExpiry();
              REQUIRE((next == 0 || next >= now));
            }
          }
      }
      if (step % 100 == 0) RequireSame(hash, model, now);
    }
    RequireSame(hash, model, now);
    RequireSame(hash.Clone(), model, now);
    if (hash.encoding() != Encoding::kHashtable && !model.empty()) {
      const bool ex = hash.encoding() == Encoding::kListpackEx;
      auto loaded = Hash::LoadListpack(hash.SmallBytes(), ex, thresholds);
      REQUIRE(loaded.has_value());
      RequireSame(*loaded, model, now);
      REQUIRE_FALSE(Hash::LoadListpack(hash.SmallBytes().substr(1), ex, thresholds).has_value());
    }
    Hash moved = Hash::Adopt(hash.Release());
    REQUIRE(hash.empty());
    REQUIRE((model.empty() || moved.MemoryUsage(5) > 0));
    moved.Reserve(10);
    REQUIRE(moved.encoding() == Encoding::kHashtable);
    RequireSame(moved, model, now);
    REQUIRE(moved.FreeEffort() == std::max<size_t>(model.size(), 1));
  }
}

TEST_CASE("a hash's scan and samples hide expired fields") {
  Random random(5);
  const Thresholds thresholds;
  for (size_t size : {1, 5, 100, 1000}) {
    for (uint64_t expired_percent : {0, 30, 95, 100}) {
      Hash hash;
      Model alive;
      for (size_t i = 0; i < size; ++i) {
        const std::string field = "f" + std::to_string(i);
        hash.Set(field, field, kNow, thresholds);
        if (random.Below(100) < expired_percent)
          hash.SetExpiry(field, kNow + 1, ExpiryCondition::kAlways, kNow);
        else
          alive[field] = {field};
      }
      const int64_t now = kNow + 2;
      auto check = [&](const HashField& f) {
        REQUIRE(alive.count(TextOf(f.field)) == 1);
        REQUIRE(TextOf(f.value) == TextOf(f.field));
      };
      std::set<std::string> seen;
      uint64_t cursor = 0;
      do {
        cursor = hash.Scan(cursor, 10, now, [&](const HashField& f) {
          check(f);
          seen.insert(TextOf(f.field));
        });
        REQUIRE(cursor < uint64_t{1} << 53);
      } while (cursor != 0);
      REQUIRE(seen.size() == alive.size());
      for (int i = 0; i < 20; ++i) {
        const auto field = hash.RandomField(random, now);
        REQUIRE(field.has_value() == !alive.empty());
        if (field) check(*field);
      }
      for (size_t count : {size_t{1}, size / 10 + 1, size, size + 5}) {
        std::set<std::string> sample;
        size_t visits = 0;
        hash.Sample(count, random, now, [&](const HashField& f) {
          ++visits;
          check(f);
          sample.insert(TextOf(f.field));
        });
        REQUIRE(visits == std::min(count, alive.size()));
        REQUIRE(sample.size() == visits);
        visits = 0;
        hash.SampleRepeating(count, random, now, [&](const HashField& f) {
          ++visits;
          check(f);
        });
        REQUIRE(visits == (alive.empty() ? 0 : count));
      }
      const size_t due = size - alive.size();
      REQUIRE(hash.ExpireDue(now, size + 1, [](std::string_view) {}) == due);
      REQUIRE(hash.Length() == alive.size());
      REQUIRE(hash.NextExpiry() == Hash::kNoExpiry);
    }
  }
}

TEST_CASE("a hash loads only bytes that are one") {
  const Thresholds thresholds;
  auto loads = [&](std::vector<std::string> elements, bool with_expiry) {
    Listpack pack;
    for (const std::string& element : elements) pack.Append(element);
    auto hash = Hash::LoadListpack(pack.AsBytes(), with_expiry, thresholds);
    if (hash) hash->CheckInvariants();
    return hash.has_value();
  };
  REQUIRE(loads({"a", "1", "b", "2"}, false));
  REQUIRE_FALSE(loads({}, false));
  REQUIRE_FALSE(loads({"a", "1", "b"}, false));
  REQUIRE_FALSE(loads({"a", "1", "a", "2"}, false));
  REQUIRE(loads({"a", "1", "100", "b", "2", "100", "c", "3", "0"}, true));
  REQUIRE_FALSE(loads({"a", "1", "100", "b", "2", "50"}, true));
  REQUIRE_FALSE(loads({"a", "1", "0", "b", "2", "50"}, true));
  REQUIRE_FALSE(loads({"a", "1", "soon"}, true));
  REQUIRE_FALSE(loads({"a", "1", "-5"}, true));
  // Larger forms could not be saved with a later time.
  REQUIRE(loads({"a", "1", ToString(kFieldTimeMaxMs)}, true));
  REQUIRE_FALSE(loads({"a", "1", ToString(kFieldTimeMaxMs + 1)}, true));
  REQUIRE_FALSE(loads({"a", "1"}, true));
  Thresholds tight;
  tight.hash_max_listpack_entries = 1;
  Listpack pack;
  for (const char* element : {"a", "1", "9", "b", "2", "0"}) pack.Append(element);
  auto hash = Hash::LoadListpack(pack.AsBytes(), true, tight);
  REQUIRE(hash->encoding() == Encoding::kHashtable);
  REQUIRE(hash->GetExpiry("a", 5) == 9);
  REQUIRE(hash->GetExpiry("a", 9) == 9);
  REQUIRE_FALSE(hash->GetExpiry("a", 10).has_value());
  // How long fields and values are does not matter here, as in Redis.
  tight.hash_max_listpack_entries = 2;
  tight.hash_max_listpack_value = 0;
  REQUIRE(Hash::LoadListpack(pack.AsBytes(), true, tight)->encoding() == Encoding::kListpackEx);
}
