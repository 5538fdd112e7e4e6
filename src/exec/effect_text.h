// SPDX-License-Identifier: BSD-3-Clause
//
// EffectText: the RESP of a unit's effects as it grows. What is big in them and came with the
// request that is running is not copied: it stays in the block that the request was received into,
// which is kept for it, and only its place in the text is noted.
//
//   text_:   *5 $3 SET $1 k $1048576 . CR LF $4 PXAT ...
//                                    |
//   lent_:                           at: 1,048,576 bytes in a StringBlock
//
// Thread rule: one thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/string_block.h"
#include "spec/command.h"

namespace cairn {

class EffectText {
 public:
  bool empty() const { return text_.empty() && lent_.empty(); }
  size_t bytes() const { return text_.size() + lent_bytes_; }

  // A request made of `parts`. Those that lie in `lender` (may be nullptr) and have
  // StringBlock::kLentBytesMin bytes or more are not copied.
  void Append(Arguments parts, StringBlock* lender = nullptr);
  // The same of a request in RESP.
  void AppendRaw(std::string_view resp, StringBlock* lender = nullptr);
  // Puts text around everything.
  void Wrap(std::string_view before, std::string_view after);
  void Clear();

  // The text where nothing of it is lent, else in pieces, once it is whole and Cut.
  bool whole() const { return lent_.empty(); }
  std::string_view text() const { return text_; }
  void Cut();
  const std::vector<std::string_view>& pieces() const { return pieces_; }

  // Where the text ends, to be cut off there again.
  struct Mark {
    size_t text_bytes = 0, lent_parts = 0;
  };
  Mark mark() const { return {text_.size(), lent_.size()}; }
  void CutTo(const Mark& mark);

 private:
  struct LentPart {
    size_t at;  // comes before this byte of `text_`
    std::string_view bytes;
    StringBlockRef block;  // that they lie in
  };
  void Put(std::string_view bytes, StringBlock* lender);

  std::string text_;
  std::vector<LentPart> lent_;
  size_t lent_bytes_ = 0;
  std::vector<std::string_view> pieces_;
};

// Appends a request in RESP.
void AppendResp(std::string* out, Arguments parts);

}  // namespace cairn
