// SPDX-License-Identifier: BSD-3-Clause
//
// Hash: the value of the hash commands. Eight bytes, movable by copying them: a pointer to one of
//
//   listpack     field, value, ...            few and short ones (hash-max-listpack-*), by arrival
//   listpackex   field, value, expiry, ...    the same with field expiry, earliest expiry first
//   hashtable    a table of one block a field (with its value unless that is large, and its
//                expiry if it has one), and a heap by expiry once a field has one
//
// converted as Redis 7.4 does and never back. Times are Unix milliseconds; a field has expired when
// now_ms > expiry. Look-ups hide expired fields; they stay until ExpireDue(), a write to the field
// or the end of the hash removes them, and Length() counts them, as in Redis. kNeverExpired as
// now_ms turns hiding off (replay, followers). No operation on a hashtable takes O(n) except those
// that visit all fields, Clone and the destructor. Values handed out point into the hash: they hold
// until its next change. Not synchronised; may be destroyed on any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "base/function_ref.h"
#include "base/random.h"
#include "containers/listpack.h"
#include "types/thresholds.h"
#include "types/type.h"

namespace cairn {

class HashBig;

// One field as visitors see it.
struct HashField {
  ListpackValue field;
  ListpackValue value;
  int64_t expiry_ms;  // Hash::kNoExpiry: none
};

enum class HashSet { kCreated, kUpdated };
// HEXPIRE's NX, XX, GT, LT.
enum class ExpiryCondition { kAlways, kIfNone, kIfSome, kIfGreater, kIfLess };
// The values are the replies of HEXPIRE.
enum class ExpiryResult { kNoField = -2, kConditionNotMet = 0, kSet = 1, kDeleted = 2 };

class Hash {
 public:
  static constexpr int64_t kNoExpiry = 0;
  static constexpr int64_t kNeverExpired = INT64_MIN;
  using Visit = FunctionRef<void(const HashField&)>;
  using VisitWhile = FunctionRef<bool(const HashField&)>;  // false ends the walk

  Hash() = default;  // empty listpack
  Hash(Hash&& other) noexcept : rep_(std::exchange(other.rep_, 0)) {}
  Hash& operator=(Hash&& other) noexcept {
    std::swap(rep_, other.rep_);
    return *this;
  }
  ~Hash();
  // For the keyspace, which keeps the word in an Entry.
  static Hash Adopt(uint64_t rep) { return Hash(rep); }
  uint64_t Release() { return std::exchange(rep_, 0); }

  // From the bytes of a DUMP or RDB file (with_expiry: triples with an expiry, 0 for none); nothing
  // if they are no hash or hold a field twice.
  static std::optional<Hash> LoadListpack(std::string_view bytes, bool with_expiry,
                                          const Thresholds& thresholds);

  Encoding encoding() const;
  size_t Length() const;  // expired fields that are still there included
  bool empty() const { return Length() == 0; }
  std::optional<ListpackValue> Get(std::string_view field, int64_t now_ms) const;
  bool Exists(std::string_view field, int64_t now_ms) const {
    return Get(field, now_ms).has_value();
  }
  // Length of the value as text; 0 if there is no such field.
  size_t StrLen(std::string_view field, int64_t now_ms) const;

  // Sets the value. An expiry that the field had is removed unless `keep_expiry` (HINCRBY keeps
  // it). An expired field counts as absent.
  HashSet Set(std::string_view field, std::string_view value, int64_t now_ms,
              const Thresholds& thresholds, bool keep_expiry = false);
  // True if the field was there. The last one leaves an empty hash.
  bool Delete(std::string_view field, int64_t now_ms);
  // Announces `fields` fields, of which the longest text has `longest` bytes: converts now instead
  // of halfway. HSET and HMSET call it with all their arguments.
  void Prepare(size_t fields, size_t longest, const Thresholds& thresholds);
  // Turns it into a hashtable with room for `fields`, for loaders.
  void Reserve(size_t fields);
  // Gives back what Prepare() made room for and did not come.
  void Settle();

  // Visits the fields that have not expired; true if the walk came to its end.
  bool ForEach(int64_t now_ms, VisitWhile visit) const;
  // HSCAN: visits about `count` fields and returns the cursor to go on with, 0 at the end. Small
  // encodings visit all at once. A field that stays from start to end is visited at least once.
  uint64_t Scan(uint64_t cursor, size_t count, int64_t now_ms, Visit visit) const;

  // A field chosen at random (nearly uniform in a hashtable); nothing if all have expired.
  std::optional<HashField> RandomField(Random& random, int64_t now_ms) const;
  // `count` fields chosen independently (HRANDFIELD with a negative count).
  void SampleRepeating(size_t count, Random& random, int64_t now_ms, Visit visit) const;
  // min(count, number of fields alive) distinct fields, in no particular order.
  void Sample(size_t count, Random& random, int64_t now_ms, Visit visit) const;

  // Sets the expiry of a field; a time not after now_ms, or not after 0, deletes it (kDeleted).
  ExpiryResult SetExpiry(std::string_view field, int64_t expiry_ms, ExpiryCondition condition,
                         int64_t now_ms);
  // kNoExpiry if it has none; nothing if there is no such field.
  std::optional<int64_t> GetExpiry(std::string_view field, int64_t now_ms) const;
  // Removes the expiry and returns true if it had one; nothing if there is no such field.
  std::optional<bool> Persist(std::string_view field, int64_t now_ms);
  // The earliest expiry; kNoExpiry if no field has one.
  int64_t NextExpiry() const;
  // Removes at most `limit` expired fields, calling expired(field) before each; returns how many.
  size_t ExpireDue(int64_t now_ms, size_t limit, FunctionRef<void(std::string_view)> expired);

  // The listpack as RDB files store it; empty for a hashtable.
  std::string_view SmallBytes() const;
  // What it costs to free: 1, or the number of fields of a hashtable.
  size_t FreeEffort() const;
  // Of a hashtable: asks for the memory of fields with these hashes (HashBytes), waiting for none
  // of it at the end.
  void FetchAhead(std::span<const uint64_t> hashes) const;
  // Bytes, estimated from `samples` fields (0: all).
  size_t MemoryUsage(size_t samples) const;
  Hash Clone() const;
  void CheckInvariants() const;

 private:
  enum Tag : uint64_t { kListpackTag = 0, kListpackExTag = 1, kBigTag = 2, kTagMask = 7 };

  explicit Hash(uint64_t rep) : rep_(rep) {}
  Tag tag() const { return static_cast<Tag>(rep_ & kTagMask); }
  void* pointer() const { return reinterpret_cast<void*>(rep_ & ~uint64_t{kTagMask}); }
  HashBig* big() const { return static_cast<HashBig*>(pointer()); }
  ListpackView pack() const { return ListpackView(pointer()); }
  // Elements an entry of the listpack takes.
  size_t stride() const { return tag() == kListpackExTag ? 3 : 2; }
  size_t LengthAlive(int64_t now_ms) const;
  void ConvertToListpackEx();
  void ConvertToBig(size_t capacity);

  uint64_t rep_ = 0;  // pointer | tag; 0: empty without a block
};

static_assert(sizeof(Hash) == 8);

}  // namespace cairn
