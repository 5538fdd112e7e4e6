// SPDX-License-Identifier: BSD-3-Clause
#include "types/sorted_set_range.h"

#include <stdlib.h>
#include <string.h>

#include <cmath>
#include <string>

namespace cairn {
namespace {

// strtod over the whole text. Redis leaves out the checks it makes elsewhere: leading space, an
// empty number (0) and overflow (an infinity) pass here.
bool ParseBound(std::string_view text, double* bound, bool* exclusive) {
  *exclusive = !text.empty() && text[0] == '(';
  if (*exclusive) text.remove_prefix(1);
  char small[64];
  std::string large;
  const char* begin = small;
  if (text.size() < sizeof small) {
    memcpy(small, text.data(), text.size());
    small[text.size()] = '\0';
  } else {
    large = text;
    begin = large.c_str();
  }
  char* end;
  *bound = strtod(begin, &end);
  return *end == '\0' && !std::isnan(*bound);
}

bool ParseLexBound(std::string_view text, LexBound* bound) {
  if (text.empty()) return false;
  const char first = text[0];
  text.remove_prefix(1);
  *bound = LexBound();
  switch (first) {
    case '-':
      return text.empty();
    case '+':
      bound->kind = LexBound::Kind::kHighest;
      return text.empty();
    case '[':
      bound->kind = LexBound::Kind::kInclusive;
      break;
    case '(':
      bound->kind = LexBound::Kind::kExclusive;
      break;
    default:
      return false;
  }
  bound->member = text;
  return true;
}

}  // namespace

RankSpan RankSpan::Limit(int64_t offset, int64_t limit, bool reverse) const {
  if (offset < 0 || static_cast<uint64_t>(offset) >= count) return {first, 0};
  const uint64_t skipped = static_cast<uint64_t>(offset);
  uint64_t kept = count - skipped;
  if (limit >= 0 && static_cast<uint64_t>(limit) < kept) kept = static_cast<uint64_t>(limit);
  return {reverse ? first + (count - skipped - kept) : first + skipped, kept};
}

RankSpan RankSpan::OfIndexes(int64_t start, int64_t stop, uint64_t size, bool reverse) {
  const int64_t n = static_cast<int64_t>(size);
  if (start < 0) start = start < -n ? 0 : start + n;
  if (stop < 0) stop += n;  // stays negative when before the first
  if (start > stop || start >= n) return {};
  if (stop >= n) stop = n - 1;
  const uint64_t count = static_cast<uint64_t>(stop - start + 1);
  return {static_cast<uint64_t>(reverse ? n - 1 - stop : start), count};
}

bool ScoreRange::Parse(std::string_view min, std::string_view max, ScoreRange* range) {
  return ParseBound(min, &range->min, &range->min_exclusive) &&
         ParseBound(max, &range->max, &range->max_exclusive);
}

bool LexRange::Parse(std::string_view min, std::string_view max, LexRange* range) {
  return ParseLexBound(min, &range->min) && ParseLexBound(max, &range->max);
}

bool LexRange::AboveMin(std::string_view member) const {
  switch (min.kind) {
    case LexBound::Kind::kLowest:
      return true;
    case LexBound::Kind::kInclusive:
      return member >= min.member;
    case LexBound::Kind::kExclusive:
      return member > min.member;
    default:
      return false;
  }
}

bool LexRange::BelowMax(std::string_view member) const {
  switch (max.kind) {
    case LexBound::Kind::kHighest:
      return true;
    case LexBound::Kind::kInclusive:
      return member <= max.member;
    case LexBound::Kind::kExclusive:
      return member < max.member;
    default:
      return false;
  }
}

}  // namespace cairn
