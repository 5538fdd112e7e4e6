// SPDX-License-Identifier: BSD-3-Clause
#include "types/lcs.h"

#include <algorithm>
#include <bit>

namespace cairn {
namespace {

// For each byte value, the positions of `text` that hold it, one bit each. Rows exist only for
// bytes that occur; all others share the empty row 0.
class Positions {
 public:
  explicit Positions(std::string_view text) : words_((text.size() + 63) / 64) {
    for (char c : text) row_of_[static_cast<uint8_t>(c)] = 1;
    uint16_t rows = 1;
    for (uint16_t& row : row_of_) row = row ? rows++ : 0;
    bits_.resize(rows * words_);
    for (size_t i = 0; i < text.size(); ++i) {
      size_t row = row_of_[static_cast<uint8_t>(text[i])];
      bits_[row * words_ + i / 64] |= uint64_t{1} << (i % 64);
    }
  }
  size_t words() const { return words_; }
  const uint64_t* Of(char c) const { return &bits_[row_of_[static_cast<uint8_t>(c)] * words_]; }

 private:
  size_t words_;
  uint16_t row_of_[256] = {};
  std::vector<uint64_t> bits_;
};

// One row of the table from the one before. A zero bit j says that the subsequence of the prefixes
// grows by one from column j to j + 1.
void NextRow(const uint64_t* before, const uint64_t* matches, size_t words, uint64_t* row) {
  uint64_t carry = 0;
  for (size_t w = 0; w < words; ++w) {
    uint64_t v = before[w];
    uint64_t u = v & matches[w];
    uint64_t sum, sum_with_carry;
    uint64_t carry_out = __builtin_add_overflow(v, u, &sum);
    carry_out |= __builtin_add_overflow(sum, carry, &sum_with_carry);
    row[w] = sum_with_carry | (v & ~u);
    carry = carry_out;
  }
}

// Collects matches while the way back is walked from the end.
class Matches {
 public:
  Matches(uint64_t min_length, std::vector<LcsMatch>* out) : min_length_(min_length), out_(out) {}
  void Extend(uint32_t i, uint32_t j) {
    if (!open_) current_ = {i, i, j, j};
    open_ = true;
    current_.a_start = i;
    current_.b_start = j;
  }
  void Close() {
    if (open_ && current_.length() >= min_length_) out_->push_back(current_);
    open_ = false;
  }

 private:
  uint64_t min_length_;
  std::vector<LcsMatch>* out_;
  LcsMatch current_{};
  bool open_ = false;
};

}  // namespace

bool LcsFits(std::string_view a, std::string_view b, uint64_t bytes_max) {
  unsigned __int128 table = 4;
  table *= a.size() + 1;
  table *= b.size() + 1;
  return table <= bytes_max && a.size() < UINT32_MAX - 1 && b.size() < UINT32_MAX - 1;
}

uint64_t LcsLength(std::string_view a, std::string_view b) {
  if (b.size() > a.size()) std::swap(a, b);
  if (b.empty()) return 0;
  Positions positions(b);
  std::vector<uint64_t> row(positions.words(), ~uint64_t{0});
  for (char c : a) NextRow(row.data(), positions.Of(c), row.size(), row.data());
  // The bits behind the last column never turn zero: no byte of b is there.
  uint64_t length = 0;
  for (uint64_t word : row) length += std::popcount(~word);
  return length;
}

Result<LcsResult> Lcs(std::string_view a, std::string_view b, uint64_t min_match_length,
                      uint64_t bytes_max) {
  if (!LcsFits(a, b, bytes_max)) return Status::Limit("strings too long for LCS");
  LcsResult result;
  if (a.empty() || b.empty()) return result;
  Positions positions(b);
  const size_t words = positions.words();
  // Row i describes the prefixes of i bytes of a; row 0 is all ones.
  std::vector<uint64_t> rows((a.size() + 1) * words, ~uint64_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    NextRow(&rows[i * words], positions.Of(a[i]), words, &rows[(i + 1) * words]);
  }

  Matches matches(min_match_length, &result.matches);
  size_t i = a.size(), j = b.size();
  while (i > 0 && j > 0) {
    if (a[i - 1] == b[j - 1]) {
      --i;
      --j;
      result.text.push_back(a[i]);
      matches.Extend(static_cast<uint32_t>(i), static_cast<uint32_t>(j));
      continue;
    }
    matches.Close();
    // Redis goes up if the cell above is larger than the cell to the left, else left. With
    // different last bytes the cell is the larger of both, so "above is larger" is the same as
    // "the cell is larger than the one to its left": the bit of this row.
    bool grows = ((rows[i * words + (j - 1) / 64] >> ((j - 1) % 64)) & 1) == 0;
    if (grows) {
      --i;
    } else {
      --j;
    }
  }
  matches.Close();
  std::reverse(result.text.begin(), result.text.end());
  return result;
}

}  // namespace cairn
