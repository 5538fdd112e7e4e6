// SPDX-License-Identifier: BSD-3-Clause
//
// Entries of every form, with and without an expiry; values that move in and out of them.
#include <string>

#include "keyspace/entry.h"
#include "keyspace/value.h"
#include "types/list.h"

namespace cairn {
namespace {

std::string TextOf(const Entry& entry) {
  return entry.form() == Entry::Form::kInt ? std::to_string(entry.integer())
                                           : std::string(entry.text());
}

void RequireSame(const Entry& entry, const std::string& key, const std::string& text,
                 int64_t expiry) {
  REQUIRE(entry.key() == key);
  REQUIRE(TextOf(entry) == text);
  REQUIRE(entry.expiry_ms() == expiry);
  REQUIRE(entry.has_expiry() == (expiry != kNoExpiry));
}

}  // namespace

TEST_CASE("String entries of every form and length keep key, value and expiry", "[keyspace]") {
  const size_t kLengths[] = {0, 1, 44, 45, 127, 128, 16383, 16384, 70000};
  for (size_t key_length : {0, 1, 127, 128, 20000}) {
    const std::string key(key_length, 'k');
    for (size_t length : kLengths) {
      for (const bool integer : {false, true}) {
        const std::string text = integer ? std::to_string(length) : std::string(length, 'v');
        for (int64_t expiry : {kNoExpiry, int64_t{0}, int64_t{1} << 60}) {
          Entry* entry = Entry::NewString(key, text, expiry);
          RequireSame(*entry, key, text, expiry);
          entry->set_access(0xabcdef);
          entry->set_epoch(true);
          // Off, on, changed: everything else of the entry stays.
          for (int64_t next : {kNoExpiry, int64_t{5}, int64_t{6}, kNoExpiry}) {
            entry = entry->WithExpiry(next);
            RequireSame(*entry, key, text, next);
            REQUIRE((entry->access() == 0xabcdef && entry->epoch()));
          }
          Value value = entry->TakeValue();
          Entry::FreeShell(entry);
          Value moved = std::move(value);
          entry = Entry::New(key, std::move(moved), expiry);
          RequireSame(*entry, key, text, expiry);
          REQUIRE(entry->encoding() == (integer        ? Encoding::kInt
                                        : length <= 44 ? Encoding::kEmbstr
                                                       : Encoding::kRaw));
          Entry::Free(entry);
        }
      }
    }
  }
}

TEST_CASE("A raw string stays raw through moves, copies and expiries", "[keyspace]") {
  Entry* entry = Entry::New("k", Value::FromRawString("12"), kNoExpiry);
  entry = entry->WithExpiry(9);
  REQUIRE((entry->raw() && entry->encoding() == Encoding::kRaw));
  Entry* copy = Entry::New("c", entry->CopyValue(), kNoExpiry);
  REQUIRE((copy->raw() && copy->text() == "12"));
  Entry::Free(copy);
  Entry::Free(entry);
}

TEST_CASE("Copies of a large string share its block until the last goes", "[keyspace]") {
  Entry* entry = Entry::NewString("k", std::string(kBlockBytesMin, 'x'), kNoExpiry);
  REQUIRE_FALSE(entry->block()->shared());
  Entry* copy = Entry::New("c", entry->CopyValue(), 7);
  REQUIRE((copy->block() == entry->block() && entry->block()->shared()));
  Entry::Free(entry);
  REQUIRE_FALSE(copy->block()->shared());
  REQUIRE(copy->text() == std::string(kBlockBytesMin, 'x'));
  Value value = copy->TakeValue();
  Entry::FreeShell(copy);
  value = Value::FromInteger(1);  // frees the block
  REQUIRE(value.integer() == 1);
}

TEST_CASE("Objects: the handle moves with the entry, a copy is its own", "[keyspace]") {
  List list;
  list.Push(ListEnd::kBack, "a", {});
  Entry* entry = Entry::New("key", Value::FromObject(std::move(list)), kNoExpiry);
  REQUIRE((entry->type() == Type::kList && entry->key() == "key"));
  entry = entry->WithExpiry(3);
  REQUIRE((entry->key() == "key" && entry->expiry_ms() == 3));
  Entry* copy = Entry::New("copy", entry->CopyValue(), kNoExpiry);
  entry->object<List>().Push(ListEnd::kBack, "b", {});
  REQUIRE((entry->object<List>().Length() == 2 && copy->object<List>().Length() == 1));
  Entry::Free(copy);
  Value value = entry->TakeValue();
  Entry::FreeShell(entry);
  REQUIRE(value.object<List>().Length() == 2);
  REQUIRE_FALSE(value.EmptyContainer());
}

}  // namespace cairn
