// SPDX-License-Identifier: BSD-3-Clause
//
// The names of value types and of their encodings, as TYPE and OBJECT ENCODING print them.
#pragma once

#include <cstdint>

namespace cairn {

// Kept in three bits of an Entry; also the order of OBJECT and SCAN TYPE tests.
enum class Type : uint8_t { kString = 0, kList = 1, kSet = 2, kSortedSet = 3, kHash = 4, kStream = 5 };

enum class Encoding : uint8_t {
  kRaw,
  kInt,
  kEmbstr,
  kListpack,
  kListpackEx,  // hash with field expiry times
  kIntset,
  kHashtable,
  kSkiplist,  // what Redis calls a large sorted set; ours is a B+tree
  kQuicklist,
  kStream
};

class List;
class Set;
class SortedSet;
class Hash;
class Stream;

// The Type of each class of containers.
template <typename T>
inline constexpr Type kTypeOf = Type::kString;
template <>
inline constexpr Type kTypeOf<List> = Type::kList;
template <>
inline constexpr Type kTypeOf<Set> = Type::kSet;
template <>
inline constexpr Type kTypeOf<SortedSet> = Type::kSortedSet;
template <>
inline constexpr Type kTypeOf<Hash> = Type::kHash;
template <>
inline constexpr Type kTypeOf<Stream> = Type::kStream;

inline const char* TypeName(Type type) {
  constexpr const char* kNames[] = {"string", "list", "set", "zset", "hash", "stream"};
  return kNames[static_cast<int>(type)];
}

inline const char* EncodingName(Encoding encoding) {
  constexpr const char* kNames[] = {"raw",       "int",      "embstr",    "listpack", "listpackex",
                                    "intset",    "hashtable", "skiplist", "quicklist", "stream"};
  return kNames[static_cast<int>(encoding)];
}

}  // namespace cairn
