// SPDX-License-Identifier: BSD-3-Clause
//
// The large encoding of a sorted set: members by name and in order. It owns them. Between the
// first Name() and the last Order() of a bulk load a member may be in the table alone.
#pragma once

#include <string_view>

#include "base/hash.h"
#include "containers/hash_table.h"
#include "containers/ranked_btree.h"

namespace cairn {

struct SortedSetTable {
  struct Traits {
    using Item = ScoredMember;
    static constexpr size_t kPrefetchedLines = 1;
    static uint64_t Hash(const ScoredMember* member) { return HashBytes(member->bytes()); }
  };

  HashTable<Traits> members;
  RankedBTree tree;

  SortedSetTable() = default;
  ~SortedSetTable() {
    members.Clear([](ScoredMember* member) { ScoredMember::Destroy(member); });
  }

  ScoredMember* Find(std::string_view member) const { return Find(HashBytes(member), member); }
  ScoredMember* Find(uint64_t hash, std::string_view member) const {
    return members.Find(hash, [&](const ScoredMember* item) { return item->bytes() == member; });
  }
  // A new member, which is absent so far, in the table but not yet in the order.
  ScoredMember* Name(uint64_t hash, double score, std::string_view member) {
    ScoredMember* added = ScoredMember::Create(score, member);
    members.InsertAndGrow(hash, added);
    return added;
  }
  void Add(double score, std::string_view member) {
    tree.Insert(Name(HashBytes(member), score, member));
  }
  // Gives a member that is in no order yet another score; it may move.
  ScoredMember* SetScore(ScoredMember* member, double score) {
    if (member->CanHold(score)) {
      member->set_score(score);
      return member;
    }
    ScoredMember* moved = ScoredMember::Create(score, member->bytes());
    members.Relocate(HashBytes(member->bytes()), member, moved);
    ScoredMember::Destroy(member);
    return moved;
  }
  // The same for a member in its order.
  void Rescore(ScoredMember* member, double score) {
    if (member->CanHold(score)) return tree.Update(member, score);
    tree.Erase(member);
    tree.Insert(SetScore(member, score));
  }
  // Takes the member out of the table; it is still in the order. nullptr if absent.
  ScoredMember* Unname(std::string_view member) {
    ScoredMember* removed = members.Remove(
        HashBytes(member), [&](const ScoredMember* item) { return item->bytes() == member; });
    if (removed != nullptr) members.Maintain();
    return removed;
  }
};

}  // namespace cairn
