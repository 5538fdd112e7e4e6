// SPDX-License-Identifier: BSD-3-Clause
//
// Intervals of scores and of members, with the grammar in which clients write them
// (ZRANGEBYSCORE, ZRANGEBYLEX, ZCOUNT ...), and RankSpan, what every interval becomes once a
// sorted set has looked up its ends. Members in a LexRange are views into the client's arguments.
#pragma once

#include <cstdint>
#include <string_view>

namespace cairn {

// Consecutive ranks: first, first + 1 ... first + count - 1. count is 0 when empty.
struct RankSpan {
  uint64_t first = 0;
  uint64_t count = 0;

  bool operator==(const RankSpan&) const = default;
  // LIMIT offset count, counted from the end if `reverse`. A negative offset selects nothing, a
  // negative limit means no limit, as in Redis.
  RankSpan Limit(int64_t offset, int64_t limit, bool reverse) const;
  // The ranks start..stop of `size` elements, both inclusive, negative ones counted from the end;
  // if `reverse`, the given ranks count from the highest score.
  static RankSpan OfIndexes(int64_t start, int64_t stop, uint64_t size, bool reverse);
};

struct ScoreRange {
  double min = 0;
  double max = 0;
  bool min_exclusive = false;
  bool max_exclusive = false;

  // "1.5", "(1.5", "-inf", "(+inf". False: "min or max is not a float".
  static bool Parse(std::string_view min, std::string_view max, ScoreRange* range);
  bool AboveMin(double score) const { return min_exclusive ? score > min : score >= min; }
  bool BelowMax(double score) const { return max_exclusive ? score < max : score <= max; }
};

struct LexBound {
  enum class Kind : uint8_t { kLowest, kInclusive, kExclusive, kHighest };
  Kind kind = Kind::kLowest;
  std::string_view member;
};

struct LexRange {
  LexBound min;
  LexBound max;

  // "-", "+", "[member", "(member". False: "min or max not valid string range item".
  static bool Parse(std::string_view min, std::string_view max, LexRange* range);
  bool AboveMin(std::string_view member) const;
  bool BelowMax(std::string_view member) const;
};

}  // namespace cairn
