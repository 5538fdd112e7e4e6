// SPDX-License-Identifier: BSD-3-Clause
//
// Images of entries: what comes out of one is what went in, and neither loses or frees anything.
#include <string>

#include "keyspace/entry.h"
#include "keyspace/entry_image.h"
#include "keyspace/value.h"
#include "types/list.h"

namespace cairn {
namespace {

std::string TextOf(const Entry& entry) {
  return entry.form() == Entry::Form::kInt ? std::to_string(entry.integer())
                                           : std::string(entry.text());
}

}  // namespace

TEST_CASE("An image of a string is an entry like it", "[keyspace]") {
  for (size_t key_length : {0, 1, 127, 128, 20000}) {
    for (size_t length : {0, 1, 127, 128, 16383, 16384, 70000}) {
      for (const bool integer : {false, true}) {
        for (int64_t expiry : {kNoExpiry, int64_t{0}, int64_t{1} << 60}) {
          const std::string key(key_length, 'k');
          const std::string text = integer ? std::to_string(length) : std::string(length, 'v');
          Entry* entry = Entry::NewString(key, text, expiry);
          entry->set_access(0xabcdef);
          std::string bytes = "something before it";
          const size_t at = bytes.size();
          AppendImage(*entry, &bytes);
          bytes += "and behind";
          REQUIRE(ViewImage(bytes.data() + at)->key() == key);
          Entry::Free(entry);
          Entry* back = EntryOfImage(bytes.data() + at);
          REQUIRE(back->key() == key);
          REQUIRE(TextOf(*back) == text);
          REQUIRE(back->expiry_ms() == expiry);
          REQUIRE(back->access() == 0xabcdef);
          Entry::Free(back);
        }
      }
    }
  }
}

TEST_CASE("An image of an object holds a value of its own", "[keyspace]") {
  const Thresholds thresholds;
  List list;
  list.Push(ListEnd::kBack, "a", thresholds);
  Entry* entry = Entry::New("key", Value::FromObject(std::move(list)), 77);
  std::string bytes;
  AppendImage(*entry, &bytes);
  AppendImage(*entry, &bytes);
  entry->object<List>().Push(ListEnd::kBack, "b", thresholds);
  const char* second = bytes.data() + bytes.size() / 2;
  DropImage(bytes.data());
  Entry* back = EntryOfImage(second);
  REQUIRE(back->key() == "key");
  REQUIRE(back->expiry_ms() == 77);
  REQUIRE(back->object<List>().Length() == 1);
  REQUIRE(entry->object<List>().Length() == 2);
  Entry::Free(entry);
  Entry::Free(back);
}

}  // namespace cairn
