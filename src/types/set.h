// SPDX-License-Identifier: BSD-3-Clause
//
// Set: the value of the set commands. Eight bytes, movable by copying them: a pointer to one of
//
//   intset      only integers, up to set-max-intset-entries      iterated in ascending order
//   listpack    few and short members (set-max-listpack-*)       iterated in order of arrival
//   hashtable   all else: a table of one small block a member    no order
//
// chosen and converted as Redis 7.4 does (only an operation that stores a whole result can make a
// smaller encoding). No operation on a hashtable takes O(n) except those that visit all members,
// Clone and the destructor. Values handed to visitors point into the set: they hold until its next
// change, and a visitor must not change it. Not synchronised; may be destroyed on any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/function_ref.h"
#include "base/random.h"
#include "containers/listpack.h"
#include "types/thresholds.h"
#include "types/type.h"

namespace cairn {

struct SetTable;

class Set {
 public:
  using Visit = FunctionRef<void(const ListpackValue&)>;
  using VisitWhile = FunctionRef<bool(const ListpackValue&)>;  // false ends the walk

  Set() = default;  // empty; takes the encoding that its first member asks for
  Set(Set&& other) noexcept : rep_(std::exchange(other.rep_, 0)) {}
  Set& operator=(Set&& other) noexcept {
    std::swap(rep_, other.rep_);
    return *this;
  }
  ~Set();
  // For the keyspace, which keeps the word in an Entry.
  static Set Adopt(uint64_t rep) { return Set(rep); }
  uint64_t Release() { return std::exchange(rep_, 0); }

  // Empty, in the encoding that Redis chooses for a new key: `first` is the first member to come,
  // `size_hint` how many are announced (SADD: all its arguments).
  static Set ForMembers(std::string_view first, size_t size_hint, const Thresholds& thresholds);
  static Set Of(std::span<const std::string_view> members, const Thresholds& thresholds);
  // From the bytes of a DUMP or RDB file; nothing if they are no set or hold a member twice.
  static std::optional<Set> LoadListpack(std::string_view bytes, const Thresholds& thresholds);
  static std::optional<Set> LoadIntset(std::string_view bytes, const Thresholds& thresholds);

  Encoding encoding() const;
  size_t Size() const;
  bool empty() const { return Size() == 0; }
  bool Contains(std::string_view member) const;
  bool Contains(const ListpackValue& member) const;
  // found[i] = Contains(members[i]) for at most kProbeMax members; in a hashtable their cache
  // misses overlap.
  static constexpr size_t kProbeMax = 16;
  void Probe(std::span<const ListpackValue> members, bool* found) const;

  // True if the member was not there.
  bool Add(std::string_view member, const Thresholds& thresholds);
  bool Add(const ListpackValue& member, const Thresholds& thresholds);
  // True if the member was there. The last one leaves an empty set.
  bool Remove(std::string_view member);
  bool Remove(const ListpackValue& member);
  // Turns it into a hashtable with room for `size` members, for loaders.
  void Reserve(size_t size);
  // Gives back what ForMembers() made room for and did not come.
  void Settle();

  // True if the walk came to its end.
  bool ForEach(VisitWhile visit) const;
  // SSCAN: visits about `count` members and returns the cursor to go on with, 0 at the end. Small
  // encodings visit all at once. A member that stays from start to end is visited at least once.
  uint64_t Scan(uint64_t cursor, size_t count, Visit visit) const;

  // The set must not be empty. Uniform; nearly so in a hashtable.
  ListpackValue RandomMember(Random& random) const;
  // `count` members chosen independently (SRANDMEMBER with a negative count).
  void SampleRepeating(size_t count, Random& random, Visit visit) const;
  // min(count, Size()) distinct members, in no particular order.
  void Sample(size_t count, Random& random, Visit visit) const;
  // Removes random members (at most Size()) and hands over each as text, which holds during the
  // call of `visit` only.
  void Pop(size_t count, Random& random, FunctionRef<void(std::string_view)> visit);

  // The listpack or intset as RDB files store it; empty for a hashtable.
  std::string_view SmallBytes() const;
  // What it costs to free: 1, or the number of members of a hashtable.
  size_t FreeEffort() const;
  // Of a hashtable: asks for the memory of members with these hashes (HashBytes), waiting for none
  // of it at the end.
  void FetchAhead(std::span<const uint64_t> hashes) const;
  // Bytes, estimated from `samples` members (0: all).
  size_t MemoryUsage(size_t samples) const;
  Set Clone() const;
  void CheckInvariants() const;

 private:
  enum Tag : uint64_t { kListpackTag = 0, kIntsetTag = 1, kTableTag = 2, kTagMask = 7 };

  explicit Set(uint64_t rep) : rep_(rep) {}
  Set(const void* pointer, Tag tag) : rep_(reinterpret_cast<uint64_t>(pointer) | tag) {}
  Tag tag() const { return static_cast<Tag>(rep_ & kTagMask); }
  const void* pointer() const { return reinterpret_cast<const void*>(rep_ & ~uint64_t{kTagMask}); }
  SetTable* table() const { return static_cast<SetTable*>(const_cast<void*>(pointer())); }
  void Destroy();
  void ConvertToListpack();
  void ConvertToTable(size_t capacity);
  bool AddToIntset(const ListpackValue& member, const Thresholds& thresholds);
  bool AddToListpack(const ListpackValue& member, const Thresholds& thresholds);

  uint64_t rep_ = 0;  // pointer | tag; 0: empty without a block
};

static_assert(sizeof(Set) == 8);

}  // namespace cairn
