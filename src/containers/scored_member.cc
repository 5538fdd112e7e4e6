// SPDX-License-Identifier: BSD-3-Clause
#include "containers/scored_member.h"

#include <stdlib.h>
#include <string.h>

#include <algorithm>
#include <new>

#include "base/check.h"

namespace cairn {
namespace {

// Size classes of the allocator are multiples of this, from it on.
constexpr size_t kAllocationUnit = 16;
// The head and the eight bytes that score() reads.
constexpr size_t kAllocationMin = 9;

}  // namespace

ScoredMember* ScoredMember::Create(double score, std::string_view member) {
  size_t length_bytes = 0;
  if (member.size() >= kLengthLong)
    length_bytes = static_cast<size_t>(std::bit_width(member.size()) + 6) / 7;
  size_t score_bytes = ScoreBytesFor(score);
  size_t size = 1 + score_bytes + length_bytes + member.size();
  const size_t slack = (kAllocationUnit - size % kAllocationUnit) % kAllocationUnit;
  const size_t widened = std::min<size_t>(8, score_bytes + slack);
  size = std::max(size + widened - score_bytes, kAllocationMin);
  score_bytes = widened;

  void* memory = malloc(size);
  CHECK(memory != nullptr);
  auto* created = new (memory) ScoredMember();
  created->head_ = static_cast<uint8_t>((score_bytes - 1) | std::min(member.size(), kLengthLong)
                                                                << kLengthShift);
  created->set_score(score);
  uint8_t* p = created->tail_ + score_bytes;
  if (length_bytes > 0) {
    size_t rest = member.size();
    for (; rest >= 0x80; rest >>= 7) *p++ = static_cast<uint8_t>(rest | 0x80);
    *p++ = static_cast<uint8_t>(rest);
  }
  memcpy(p, member.data(), member.size());
  return created;
}

void ScoredMember::Destroy(ScoredMember* member) {
  free(member);
}

void ScoredMember::set_score(double score) {
  DCHECK(CanHold(score));
  const uint64_t high_bytes = std::bit_cast<uint64_t>(score) >> (64 - 8 * ScoreBytes());
  memcpy(tail_, &high_bytes, ScoreBytes());
}

std::string_view ScoredMember::LongBytes(const uint8_t* p) {
  size_t length = 0;
  int shift = 0;
  for (; *p >= 0x80; shift += 7) length |= static_cast<size_t>(*p++ & 0x7F) << shift;
  length |= static_cast<size_t>(*p++) << shift;
  return {reinterpret_cast<const char*>(p), length};
}

}  // namespace cairn
