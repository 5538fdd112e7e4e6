// SPDX-License-Identifier: BSD-3-Clause
#include "rdb/string_pieces.h"

#include <liblzf/lzf.h>

#include <algorithm>

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

size_t LzfBytes(std::string_view text) {
  size_t bytes = 0;
  std::string piece;
  for (size_t at = 0; at < text.size(); at += RdbStringPieces::kPieceBytes) {
    piece.clear();
    AppendLzf(text.substr(at, RdbStringPieces::kPieceBytes), &piece);
    bytes += piece.size();
  }
  return bytes;
}

}  // namespace

RdbStringPieces::RdbStringPieces(std::string_view text, bool compress) : text_(text) {
  // Readers of LZF count in 32 bits.
  if (!compress || text.size() > UINT32_MAX) return;
  compressed_bytes_ = LzfBytes(text);
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
  if (compressed_) {
    AppendLzf(piece, out);
  } else {
    out->append(piece);
  }
  done_ += piece.size();
  return done_ < text_.size();
}

}  // namespace cairn
