// SPDX-License-Identifier: BSD-3-Clause
#include "base/glob.h"

#include <cstddef>

namespace cairn {
namespace {

unsigned char Fold(char c, bool ignore_case) {
  unsigned char u = static_cast<unsigned char>(c);
  if (ignore_case && u >= 'A' && u <= 'Z') u = static_cast<unsigned char>(u + 32);
  return u;
}

// Matches one text byte against the pattern element at `p` (not '*'); moves `p` past the element.
bool MatchOne(std::string_view pattern, size_t& p, char c, bool ignore_case) {
  const unsigned char byte = Fold(c, ignore_case);
  if (pattern[p] == '?') {
    ++p;
    return true;
  }
  if (pattern[p] != '[') {
    // A backslash at the very end stands for itself.
    if (pattern[p] == '\\' && p + 1 < pattern.size()) ++p;
    return Fold(pattern[p++], ignore_case) == byte;
  }
  ++p;
  bool negate = p < pattern.size() && pattern[p] == '^';
  if (negate) ++p;
  bool matched = false;
  // A class that is never closed ends with the pattern, as in Redis.
  while (p < pattern.size() && pattern[p] != ']') {
    if (pattern[p] == '\\' && p + 1 < pattern.size()) {
      ++p;
      if (Fold(pattern[p], ignore_case) == byte) matched = true;
      ++p;
    } else if (p + 2 < pattern.size() && pattern[p + 1] == '-') {
      unsigned char low = Fold(pattern[p], ignore_case);
      unsigned char high = Fold(pattern[p + 2], ignore_case);
      if (low > high) {
        unsigned char swap = low;
        low = high;
        high = swap;
      }
      if (byte >= low && byte <= high) matched = true;
      p += 3;
    } else {
      if (Fold(pattern[p], ignore_case) == byte) matched = true;
      ++p;
    }
  }
  if (p < pattern.size()) ++p;  // ']'
  return matched != negate;
}

}  // namespace

bool GlobMatch(std::string_view pattern, std::string_view text, bool ignore_case) {
  // As in Redis an empty text needs an empty pattern, or the lone '*' that stands for everything.
  if (text.empty()) return pattern.empty() || pattern == "*";
  size_t p = 0, t = 0;
  // Only the last '*' ever needs to be tried again: an earlier one took its shortest match, and
  // giving it more text could not help what follows the later one.
  size_t star_p = std::string_view::npos, star_t = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star_p = ++p;
      star_t = t;
      continue;
    }
    if (p < pattern.size()) {
      size_t next = p;
      if (MatchOne(pattern, next, text[t], ignore_case)) {
        p = next;
        ++t;
        continue;
      }
    }
    if (star_p == std::string_view::npos) return false;
    p = star_p;
    t = ++star_t;
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

bool GlobIsLiteral(std::string_view pattern) {
  return pattern.find_first_of("*?[\\") == std::string_view::npos;
}

}  // namespace cairn
