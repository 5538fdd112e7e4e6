// SPDX-License-Identifier: BSD-3-Clause
//
// SortedSet: members, each with a score (a double, never NaN), in the order of (score, bytes).
//
// Two encodings, with the names Redis gives them:
//   listpack   member, score, member, score ... in order, in Redis's bytes: a score that is an
//              integer of at most 2^62 in size as an integer, any other as its shortest text
//   skiplist   one allocation a member {score, length, bytes}, shared by a RankedBTree, which
//              orders them, and a HashTable, which finds them by name
// An insert that passes the thresholds converts to skiplist; nothing converts back.
//
// The object is one word, pointer | tag, so that the keyspace keeps it inside an entry and may
// move it bytewise; 0 is the empty listpack, without memory. Not synchronised: the lock of the
// key's shard guards it. Only the destructor may run on any thread, once the value is unlinked.
//
// Every range (ranks, scores, members) first becomes a RankSpan; iterating, counting and erasing
// take spans. Iterators and views end with the next change.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "base/function_ref.h"
#include "containers/listpack.h"
#include "containers/ranked_btree.h"
#include "types/sorted_set_range.h"
#include "types/thresholds.h"
#include "types/type.h"

namespace cairn {

class Random;
struct SortedSetTable;

class SortedSet {
 public:
  // What is visited holds during the call; it must not change the set.
  using Visit = FunctionRef<void(std::string_view member, double score)>;
  struct AddFlags {
    bool nx = false;    // add only
    bool xx = false;    // change only
    bool gt = false;    // change only to a greater score
    bool lt = false;    // change only to a smaller score
    bool incr = false;  // the score is added to the present one
  };
  struct AddResult {
    bool added = false;
    bool updated = false;
    bool nop = false;  // a flag forbade it (what makes ZADD INCR answer nil)
    bool nan = false;  // the sum is not a number; nothing changed
    double score = 0;  // of the member now, unless nop or nan
  };

  // Walks a span upward or downward. member() is valid until Next().
  class Iterator {
   public:
    bool Valid() const { return left_ > 0; }
    std::string_view member() const {
      return tree_ ? cursor_.member()->bytes() : listpack_.Get(pos_).Text(digits_);
    }
    double score() const { return tree_ ? cursor_.score() : ListpackScore(); }
    void Next();

   private:
    friend class SortedSet;
    Iterator() : listpack_(nullptr) {}
    double ListpackScore() const;

    uint64_t left_ = 0;
    RankedBTree::Cursor cursor_;
    ListpackView listpack_;
    ListpackView::Pos pos_ = 0;
    bool tree_ = false;
    bool reverse_ = false;
    mutable char digits_[kInt64CharsMax];
  };

  SortedSet() = default;
  // An empty one in the encoding that suits `count` members of up to `member_bytes_max` bytes.
  SortedSet(uint64_t count, size_t member_bytes_max, const Thresholds& thresholds);
  // From the bytes of a DUMP or RDB file (a skiplist if they pass the thresholds); nothing unless
  // they are pairs in order, with scores that parse and no member twice.
  static std::optional<SortedSet> LoadListpack(std::string_view bytes,
                                               const Thresholds& thresholds);
  SortedSet(SortedSet&& other) noexcept : rep_(std::exchange(other.rep_, 0)) {}
  SortedSet& operator=(SortedSet&& other) noexcept {
    std::swap(rep_, other.rep_);
    return *this;
  }
  ~SortedSet() {
    if (rep_ != 0) Free();
  }

  // The word that the keyspace stores; it owns the memory until it is adopted again.
  static SortedSet Adopt(uint64_t rep) {
    SortedSet set;
    set.rep_ = rep;
    return set;
  }
  uint64_t Release() { return std::exchange(rep_, 0); }

  Encoding encoding() const { return IsLarge() ? Encoding::kSkiplist : Encoding::kListpack; }
  uint64_t Size() const;
  bool empty() const { return Size() == 0; }

  // `score` is no NaN; gt and lt exclude each other and nx. O(log n).
  AddResult Add(double score, std::string_view member, AddFlags flags,
                const Thresholds& thresholds);
  // Gives back what the constructor made room for and did not come.
  void Settle();
  bool Remove(std::string_view member);  // false: not there; O(log n)
  // Takes out the span's members; O(log n + count). Returns how many.
  uint64_t RemoveSpan(RankSpan span);
  bool Score(std::string_view member, double* score) const;  // O(1)
  // Rank from the lowest score, or from the highest if `reverse`. O(log n).
  bool Rank(std::string_view member, bool reverse, uint64_t* rank, double* score = nullptr) const;

  // Ranks inside an interval, O(log n). A LexRange has a meaning only if all scores are equal.
  RankSpan SpanOf(const ScoreRange& range) const;
  RankSpan SpanOf(const LexRange& range) const;
  RankSpan All() const { return {0, Size()}; }
  // From the span's lowest member upward, or from its highest downward; O(log n) to start.
  Iterator Iterate(RankSpan span, bool reverse = false) const;
  Iterator Iterate() const { return Iterate(All()); }
  // Takes out the `count` lowest (or highest) members after visit(member, score) for each.
  uint64_t Pop(bool highest, uint64_t count, Visit visit);

  // A uniformly random member; the set is not empty.
  Iterator RandomMember(Random& random) const;
  // The ranks of `count` different random members (count <= Size()), ascending.
  std::vector<uint64_t> RandomRanks(Random& random, uint64_t count) const;

  // SCAN: visit(member, score) for about `count` members from `cursor` on; returns the
  // next cursor, 0 at the end. A listpack is answered whole.
  uint64_t Scan(uint64_t cursor, uint64_t count, Visit visit) const;

  // How many allocations freeing it takes, about: what lazy freeing decides on.
  size_t FreeEffort() const;
  // Of a skiplist: asks for the memory of members with these hashes (HashBytes), waiting for none
  // of it at the end.
  void FetchAhead(std::span<const uint64_t> hashes) const;
  // Bytes behind the word; members of a skiplist are estimated from `samples` (0: all).
  size_t MemoryUsage(size_t samples) const;
  SortedSet Clone() const;
  void ConvertToSkiplist();
  void CheckInvariants() const;

  // The bytes of a listpack encoding, for DUMP and RDB.
  ListpackView listpack() const;

 private:
  friend class SortedSetBuilder;
  static constexpr uint64_t kLargeTag = 1;

  bool IsLarge() const { return (rep_ & kLargeTag) != 0; }
  SortedSetTable* table() const { return reinterpret_cast<SortedSetTable*>(rep_ & ~kLargeTag); }
  void Free();
  AddResult AddSmall(double score, std::string_view member, AddFlags flags,
                     const Thresholds& thresholds);

  uint64_t rep_ = 0;
};

static_assert(sizeof(SortedSet) == 8);

}  // namespace cairn
