// SPDX-License-Identifier: BSD-3-Clause
#include "rdb/string_pieces.h"

#include <liblzf/lzf.h>

#include <algorithm>

#include "base/check.h"
#include "rdb/opcodes.h"
#include "rdb/writer.h"

namespace cairn {
namespace {

// Of LZF: a byte below 32 says that one more than it are literals.
constexpr size_t kLiteralsMax = 32;
// More than the two lengths in front of a compressed string take.
constexpr size_t kGainMin = 24;

// Appends the LZF of a piece: literals if it cannot be made shorter.
void AppendLzf(std::string_view piece, std::string* out) {
  const size_t at = out->size();
  out->resize(at + piece.size());
  const unsigned size =
      lzf_compress(piece.data(), static_cast<unsigned>(piece.size()), out->data() + at,
                   static_cast<unsigned>(piece.size() - 1));
  out->resize(at + size);
  if (size > 0) return;
  for (; !piece.empty(); piece.remove_prefix(std::min(piece.size(), kLiteralsMax))) {
    const std::string_view literals = piece.substr(0, kLiteralsMax);
    out->push_back(static_cast<char>(literals.size() - 1));
    out->append(literals);
  }
}

}  // namespace

RdbStringPieces::RdbStringPieces(std::string_view text, bool compress,
                                 const std::function<bool()>& stopped)
    : text_(text) {
  // Readers of LZF count in 32 bits.
  if (!compress || text.size() > UINT32_MAX) return;
  std::string piece;
  for (size_t at = 0; at < text.size(); at += kPieceBytes) {
    if (stopped != nullptr && stopped()) return;
    piece.clear();
    AppendLzf(text.substr(at, kPieceBytes), &piece);
    compressed_bytes_ += piece.size();
  }
  compressed_ = compressed_bytes_ + kGainMin < text.size();
}

bool RdbStringPieces::Next(std::string* out) {
  if (done_ == 0) {
    RdbWriter writer(out, false);
    if (compressed_) {
      const auto lzf = static_cast<uint8_t>(RdbStringEncoding::kLzf);
      writer.Byte(static_cast<uint8_t>(kRdbEncoded | lzf));
      writer.Length(compressed_bytes_);
    }
    writer.Length(text_.size());
  }
  const std::string_view piece = text_.substr(done_, kPieceBytes);
  done_ += piece.size();
  const bool more = done_ < text_.size();
  if (!compressed_) {
    out->append(piece);
    return more;
  }
  const size_t before = out->size();
  AppendLzf(piece, out);
  written_ += out->size() - before;
  // Else a reader would take for something else what follows. (liblzf clears no table, but what was
  // left in it never shows: three bytes that are the first of their kind have no match, and all
  // firsts are noted before others look for them.)
  CHECK(more ? written_ < compressed_bytes_ : written_ == compressed_bytes_);
  return more;
}

}  // namespace cairn
