// SPDX-License-Identifier: BSD-3-Clause
//
// The small encoding of a sorted set: member, score, member, score ... in one listpack, ordered
// by (score, member bytes). Linear walks all over; sorted_set.cc sees to it that it stays small.
#pragma once

#include <cstdint>
#include <string_view>

#include "containers/listpack.h"

namespace cairn {

struct SortedListpack {
  using Pos = ListpackView::Pos;
  // Upper bound of what a pair takes besides its member: heads, backlens, score.
  static constexpr size_t kPairOverheadMax = 64;

  static uint64_t Size(ListpackView listpack) { return listpack.Length() / 2; }
  // The score behind the member at `member`.
  static double ScoreOf(ListpackView listpack, Pos member);
  // Position of the member; kNone if absent.
  static Pos Find(ListpackView listpack, std::string_view member) {
    return listpack.Find(listpack.First(), member, 1);
  }
  static uint64_t RankOf(ListpackView listpack, Pos member);
  static Pos Seek(ListpackView listpack, uint64_t rank) {
    return listpack.Seek(static_cast<int64_t>(2 * rank));
  }
  // Puts an absent member in its place.
  static void Insert(Listpack* listpack, double score, std::string_view member);
  // Gives the member at `pos`, whose bytes are `member`, another score.
  static void Update(Listpack* listpack, Pos pos, double score, std::string_view member);
  static bool Validate(std::string_view bytes);
};

}  // namespace cairn
