// SPDX-License-Identifier: BSD-3-Clause
//
// The hashtable encoding of a set, for set*.cc only. A member is one block: varint length, bytes.
#pragma once

#include <stdlib.h>

#include <cstring>
#include <string_view>

#include "base/hash.h"
#include "containers/fetch_ahead.h"
#include "containers/hash_table.h"
#include "types/varint.h"

namespace cairn {

struct SetMember {
  static SetMember* New(std::string_view text) {
    void* block = malloc(VarintBytes(text.size()) + text.size());
    CHECK(block != nullptr);
    memcpy(PutVarint(static_cast<uint8_t*>(block), text.size()), text.data(), text.size());
    return static_cast<SetMember*>(block);
  }
  std::string_view text() const {
    uint64_t size;
    const uint8_t* bytes = GetVarint(reinterpret_cast<const uint8_t*>(this), &size);
    return {reinterpret_cast<const char*>(bytes), size};
  }
};

struct SetTable {
  struct Traits {
    using Item = SetMember;
    static constexpr size_t kPrefetchedLines = 1;
    static uint64_t Hash(const SetMember* member) { return HashBytes(member->text()); }
  };
  HashTable<Traits> members;

  ~SetTable() {
    members.Clear([](SetMember* member) { free(member); });
  }
  SetMember* Find(uint64_t hash, std::string_view text) const {
    return members.Find(hash, [text](const SetMember* member) { return member->text() == text; });
  }
  // True if it was not there.
  bool Add(std::string_view text) {
    const uint64_t hash = HashBytes(text);
    if (Find(hash, text) != nullptr) return false;
    members.InsertAndGrow(hash, SetMember::New(text));
    return true;
  }
  bool Remove(std::string_view text) {
    SetMember* removed = members.Remove(
        HashBytes(text), [text](const SetMember* member) { return member->text() == text; });
    if (removed == nullptr) return false;
    free(removed);
    members.Maintain();
    // Segments the table has left are given back now and then, not at each step over their edge.
    if ((members.size() & 255) == 0) members.Trim();
    return true;
  }
  // visit(member) -> bool for all, their blocks fetched ahead: they lie all over the heap.
  template <typename Visit>
  bool ForEach(const Visit& visit) const { return ForEachFetched(members, visit); }
};

}  // namespace cairn
