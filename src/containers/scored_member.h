// SPDX-License-Identifier: BSD-3-Clause
//
// ScoredMember: a member of a large sorted set with its score, in one allocation:
//
//   +------+--------------------+------------------+-------+
//   | head | score, 1..8 bytes  | [varint: length] | bytes |
//   +------+--------------------+------------------+-------+
//   head: bits 0..2  score bytes - 1
//         bits 3..7  length of the member if below 31, else 31 and the length as a varint
//                    (7 bits a byte, low bits first, high bit: more follow)
//
// The score is a double without its low bytes, as many as are zero: whole numbers up to a million
// take 4 bytes. What the allocator would round up to is given to the score, so that most later
// scores fit as well; one that does not needs a new allocation (CanHold).
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/bytes.h"

namespace cairn {

class ScoredMember {
 public:
  static ScoredMember* Create(double score, std::string_view member);
  static void Destroy(ScoredMember* member);

  double score() const {
    // Reads what follows the score, too, and shifts it out; an allocation is never too short.
    return std::bit_cast<double>(LoadLe<uint64_t>(tail_) << (64 - 8 * ScoreBytes()));
  }
  // Whether set_score can store it here.
  bool CanHold(double score) const { return ScoreBytesFor(score) <= ScoreBytes(); }
  // Only for a member that is in no tree; in a tree, use RankedBTree::Update.
  void set_score(double score);
  std::string_view bytes() const {
    const uint8_t* p = tail_ + ScoreBytes();
    const size_t length = head_ >> kLengthShift;
    if (length == kLengthLong) return LongBytes(p);
    return {reinterpret_cast<const char*>(p), length};
  }

 private:
  static constexpr int kLengthShift = 3;
  static constexpr size_t kLengthLong = 31;

  ScoredMember() = default;
  size_t ScoreBytes() const { return (head_ & 7u) + 1; }
  static size_t ScoreBytesFor(double score) {
    const uint64_t bits = std::bit_cast<uint64_t>(score);
    return bits == 0 ? 1 : 8 - static_cast<size_t>(std::countr_zero(bits)) / 8;
  }
  static std::string_view LongBytes(const uint8_t* p);

  uint8_t head_;
  uint8_t tail_[];
};

}  // namespace cairn
