// SPDX-License-Identifier: BSD-3-Clause
//
// RdbStringPieces: a string as RDB files hold it, in pieces: for one so large that nobody should
// hold it twice. Each piece is one of kPieceBytes of the string; only the first holds the lengths.
//
// Compressed, it is one LZF string all the same. LZF has no header and no end mark, and refers only
// to what came before it, so the LZF of pieces one after the other is an LZF of the whole. Its
// length comes first: all is compressed once to learn it, and again piece by piece.
//
// The text is the caller's, unchanged until the last piece. One thread at a time, without a lock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace cairn {

class RdbStringPieces {
 public:
  static constexpr size_t kPieceBytes = 1 << 20;

  // With `compress` the text is read twice; it stays plain if nothing is gained, or if `stopped`,
  // asked between pieces and possibly empty, says that nobody wants it any more.
  RdbStringPieces(std::string_view text, bool compress,
                  const std::function<bool()>& stopped = nullptr);

  // Appends the next piece. False: that was the last.
  bool Next(std::string* out);
  bool compressed() const { return compressed_; }

 private:
  const std::string_view text_;
  bool compressed_ = false;
  size_t compressed_bytes_ = 0;
  size_t done_ = 0;     // of text_
  size_t written_ = 0;  // of compressed_bytes_
};

}  // namespace cairn
