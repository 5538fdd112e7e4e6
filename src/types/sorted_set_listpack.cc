// SPDX-License-Identifier: BSD-3-Clause
#include "types/sorted_set_listpack.h"

#include <charconv>
#include <cmath>
#include <string>
#include <unordered_set>

#include "base/numbers.h"

namespace cairn {
namespace {

// A score as Redis puts it into a listpack. The entry may point into `text`.
ListpackEntry ScoreEntry(double score, char (&text)[kDoubleCharsMax]) {
  constexpr double kIntegerMax = 0x1p62;  // Redis's double2ll; -0 becomes 0 here
  if (score >= -kIntegerMax && score <= kIntegerMax && score == std::trunc(score))
    return ListpackEntry(static_cast<int64_t>(score));
  return ListpackEntry(std::string_view(text, FormatDouble(text, score)));
}

bool ParseScore(ListpackValue value, double* score) {
  if (value.is_int()) {
    *score = static_cast<double>(value.integer());
    return true;
  }
  const std::string_view text = value.text();
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *score);
  if (error == std::errc() && end == text.data() + text.size()) return !std::isnan(*score);
  // What strtod takes beyond that ("+inf", denormals): other writers may have used it.
  return ParseDouble(text, score);
}

// Whether the member at `pos` sorts behind (score, member).
bool SortsBehind(ListpackView listpack, ListpackView::Pos pos, double score,
                 std::string_view member) {
  const double other = SortedListpack::ScoreOf(listpack, pos);
  if (other != score) return other > score;
  char digits[kInt64CharsMax];
  return listpack.Get(pos).Text(digits) > member;
}

// The first member from `pos` on that sorts behind (score, member): kNone for the end.
ListpackView::Pos PlaceFrom(ListpackView listpack, ListpackView::Pos pos, double score,
                            std::string_view member) {
  while (pos != ListpackView::kNone && !SortsBehind(listpack, pos, score, member))
    pos = listpack.Next(listpack.Next(pos));
  return pos;
}

void InsertAt(Listpack* listpack, ListpackView::Pos place, double score, std::string_view member) {
  char text[kDoubleCharsMax];
  const ListpackEntry entry = ScoreEntry(score, text);
  if (place == ListpackView::kNone) {
    listpack->Append(member);
    listpack->Append(entry);
  } else {
    listpack->InsertAfter(listpack->InsertBefore(place, member), entry);
  }
}

}  // namespace

double SortedListpack::ScoreOf(ListpackView listpack, Pos member) {
  double score = 0;
  const bool parsed = ParseScore(listpack.Get(listpack.Next(member)), &score);
  DCHECK(parsed);
  (void)parsed;
  return score;
}

uint64_t SortedListpack::RankOf(ListpackView listpack, Pos member) {
  uint64_t entries = 0;
  for (Pos pos = listpack.First(); pos != member; pos = listpack.Next(pos)) ++entries;
  return entries / 2;
}

void SortedListpack::Insert(Listpack* listpack, double score, std::string_view member) {
  const Pos last_score = listpack->Last();
  // Appending is common and would otherwise be the longest walk.
  const bool append = last_score == ListpackView::kNone ||
                      !SortsBehind(*listpack, listpack->Prev(last_score), score, member);
  const Pos place =
      append ? ListpackView::kNone : PlaceFrom(*listpack, listpack->First(), score, member);
  InsertAt(listpack, place, score, member);
}

void SortedListpack::Update(Listpack* listpack, Pos pos, double score, std::string_view member) {
  const Pos score_pos = listpack->Next(pos);
  const Pos next = listpack->Next(score_pos);
  const Pos previous_score = listpack->Prev(pos);
  const bool down = previous_score != ListpackView::kNone &&
                    SortsBehind(*listpack, listpack->Prev(previous_score), score, member);
  const bool up = next != ListpackView::kNone && !SortsBehind(*listpack, next, score, member);
  if (!down && !up) {
    char text[kDoubleCharsMax];
    listpack->Replace(score_pos, ScoreEntry(score, text));
    return;
  }
  const Pos behind = listpack->Delete(pos, 2);
  const Pos from = down ? listpack->First() : behind;
  InsertAt(listpack, PlaceFrom(*listpack, from, score, member), score, member);
}

bool SortedListpack::Validate(std::string_view bytes) {
  if (!ListpackView::Validate(bytes)) return false;
  const ListpackView listpack(bytes.data());
  if (listpack.Length() % 2 != 0) return false;
  std::unordered_set<std::string> seen;
  std::string previous_member;
  double previous_score = 0;
  for (Pos pos = listpack.First(); pos != ListpackView::kNone;) {
    char digits[kInt64CharsMax];
    std::string member(listpack.Get(pos).Text(digits));
    pos = listpack.Next(pos);
    double score;
    if (!ParseScore(listpack.Get(pos), &score)) return false;
    pos = listpack.Next(pos);
    if (!seen.empty() &&
        (score < previous_score || (score == previous_score && member <= previous_member)))
      return false;
    if (!seen.insert(member).second) return false;
    previous_member = std::move(member);
    previous_score = score;
  }
  return true;
}

}  // namespace cairn
