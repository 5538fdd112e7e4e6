// SPDX-License-Identifier: BSD-3-Clause
//
// CommandSpec: one row of facts about a command: its name, arity, flags, where its keys stand, its
// ACL categories and its handler. Families list their rows as constexpr tables:
//
//   {"SADD", -3, kWrite | kDenyOom | kFast, Key(kRW | kInsert), kAclSet, &SAdd},
//   {"CONFIG|GET", -3, kAdmin | kNoScript | kLoading | kStale, {}, 0, &ConfigGet},
//
// A subcommand's name is "PARENT|SUB"; its parent is a row of its own, without a handler where it
// has no bare form. Facts agree with Redis's COMMAND; tests/facts.py compares them.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace cairn {

class Context;

// Names follow COMMAND INFO. The upper ones are ours.
enum CommandFlag : uint64_t {
  kWrite = 1 << 0,
  kReadonly = 1 << 1,
  kDenyOom = 1 << 2,
  kAdmin = 1 << 3,
  kPubsub = 1 << 4,
  kNoScript = 1 << 5,
  kBlocking = 1 << 6,
  kLoading = 1 << 7,
  kStale = 1 << 8,
  kSkipMonitor = 1 << 9,
  kSkipSlowlog = 1 << 10,
  kAsking = 1 << 11,
  kFast = 1 << 12,
  kNoAuth = 1 << 13,
  kMayReplicate = 1 << 14,
  kNoMandatoryKeys = 1 << 15,
  kNoAsyncLoading = 1 << 16,
  kNoMulti = 1 << 17,
  kAllowBusy = 1 << 18,
  kMovableKeys = 1 << 19,  // derived by the registry, never written in a row
  // Not reported:
  kScripting = 1 << 24,  // EVAL and friends: ACL category @scripting without @read/@write
  kBarrier = 1 << 25,    // requests behind it in the same read are parsed only after it ran
};

enum AclCategory : uint64_t {
  kAclKeyspace = 1 << 0,
  kAclRead = 1 << 1,
  kAclWrite = 1 << 2,
  kAclSet = 1 << 3,
  kAclSortedSet = 1 << 4,
  kAclList = 1 << 5,
  kAclHash = 1 << 6,
  kAclString = 1 << 7,
  kAclBitmap = 1 << 8,
  kAclHyperLogLog = 1 << 9,
  kAclGeo = 1 << 10,
  kAclStream = 1 << 11,
  kAclPubsub = 1 << 12,
  kAclAdmin = 1 << 13,
  kAclFast = 1 << 14,
  kAclSlow = 1 << 15,
  kAclBlocking = 1 << 16,
  kAclDangerous = 1 << 17,
  kAclConnection = 1 << 18,
  kAclTransaction = 1 << 19,
  kAclScripting = 1 << 20,
};
// In bit order, as ACL CAT prints them.
inline constexpr const char* kAclCategoryNames[] = {
    "keyspace", "read",   "write", "set",         "sortedset", "list",       "hash",
    "string",   "bitmap", "hyperloglog", "geo",   "stream",    "pubsub",     "admin",
    "fast",     "slow",   "blocking",    "dangerous", "connection", "transaction", "scripting"};

enum KeyFlag : uint16_t {
  kRO = 1 << 0,
  kRW = 1 << 1,
  kOW = 1 << 2,
  kRM = 1 << 3,
  kAccess = 1 << 4,
  kUpdate = 1 << 5,
  kInsert = 1 << 6,
  kDelete = 1 << 7,
  kNotKey = 1 << 8,
  kIncomplete = 1 << 9,
  kVariableFlags = 1 << 10,
  // Ours, COMMAND does not tell: what the key holds stays as it is or goes as a whole. So it does
  // where kOW or kRM stands.
  kWhole = 1 << 11,
};

// Where some keys of a command stand. Begin: at argument `index`, or behind `keyword` searched
// from argument `index` (negative: from the end backwards), or unknown. Then either a range (last
// is relative to the first key when positive, from the end when negative; `limit` n > 1: only the
// first 1/n of the rest) or a count at `keynum` (relative to the begin) and keys from `first_key`.
struct KeySpec {
  enum class Begin : uint8_t { kIndex, kKeyword, kUnknown };
  enum class Find : uint8_t { kRange, kKeyNum, kUnknown };
  uint16_t flags = 0;
  Begin begin = Begin::kIndex;
  Find find = Find::kRange;
  int index = 1;
  const char* keyword = nullptr;
  int last = 0;
  int step = 1;
  int limit = 0;
  int keynum = 0;
  int first_key = 0;
};

inline constexpr int kKeySpecsMax = 4;
struct KeySpecs {
  KeySpec specs[kKeySpecsMax];
  int count = 0;

  constexpr KeySpecs operator+(const KeySpecs& more) const {
    KeySpecs sum = *this;
    for (int i = 0; i < more.count; ++i) sum.specs[sum.count++] = more.specs[i];
    return sum;
  }
};

constexpr KeySpecs One(KeySpec spec) { return KeySpecs{{spec}, 1}; }
// The key at argument `index`.
constexpr KeySpecs Key(int flags, int index = 1) {
  return One({.flags = static_cast<uint16_t>(flags), .index = index});
}
// Keys from argument `first` to `last` (negative: from the end), every `step`-th.
constexpr KeySpecs KeyRange(int flags, int first, int last, int step = 1) {
  return One({.flags = static_cast<uint16_t>(flags),
              .index = first,
              .last = last > 0 ? last - first : last,
              .step = step});
}
// A count at argument `index`, then that many keys.
constexpr KeySpecs KeyNum(int flags, int index) {
  return One({.flags = static_cast<uint16_t>(flags),
              .find = KeySpec::Find::kKeyNum,
              .index = index,
              .keynum = 0,
              .first_key = 1});
}
// The key(s) behind a keyword.
constexpr KeySpecs KeyAfter(int flags, const char* keyword, int start, int last = 0,
                            int limit = 0) {
  return One({.flags = static_cast<uint16_t>(flags),
              .begin = KeySpec::Begin::kKeyword,
              .index = start,
              .keyword = keyword,
              .last = last,
              .limit = limit});
}
// Keys that no specification can describe (SORT BY/GET): reported, never extracted.
constexpr KeySpecs KeyUnknown(int flags) {
  return One({.flags = static_cast<uint16_t>(flags),
              .begin = KeySpec::Begin::kUnknown,
              .find = KeySpec::Find::kUnknown});
}

// What a command locks before it runs (architecture.md, idea 1).
enum class Scope : uint8_t {
  kKeys,  // the shards of its keys, none if it has no keys
  kNone,  // nothing, though it may name keys
  kWalk,  // one shard at a time, taken by the handler; All inside EXEC and scripts
  kAll    // everything
};

using Arguments = std::span<const std::string_view>;  // with the command name at 0
using Handler = void (*)(Context&);
// The scope of this very call, for commands where it depends on the arguments.
using ScopeFunction = Scope (*)(Arguments);

struct KeyReference {
  int position;    // index into the arguments
  uint16_t flags;  // KeyFlag
};
// Fills `keys` (a vector-like sink) for commands whose keys the specs do not give exactly.
// Returns false if the arguments make no sense; the handler then words the error.
class KeySink;
using KeysFunction = bool (*)(Arguments, KeySink&);

struct CommandSpec {
  const char* name;
  int arity;  // counts the name; negative: at least -arity
  uint64_t flags;
  KeySpecs keys;
  uint64_t acl;  // beyond those that the flags imply
  Handler handler;
  Scope scope = Scope::kKeys;
  ScopeFunction scope_of = nullptr;
  KeysFunction keys_of = nullptr;
};

}  // namespace cairn
