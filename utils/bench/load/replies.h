// SPDX-License-Identifier: BSD-3-Clause
//
// ReplyReader: counts the RESP2 replies in a stream of bytes, in whatever pieces they come, without
// keeping what they hold. An error reply anywhere, within an EXEC's array too, ends it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace cairn::load {

class ReplyReader {
 public:
  // False: an error reply came, or bytes that are none; error() says which.
  [[nodiscard]] bool Feed(std::string_view bytes);

  uint64_t replies() const { return replies_; }  // whole ones, since the beginning
  uint64_t nils() const { return nils_; }        // nulls, those within arrays too
  const std::string& error() const { return error_; }

 private:
  static constexpr size_t kLineBytesMax = 64 * 1024;

  bool Take(std::string_view line);
  void Finish();

  std::string line_;       // the part of a line that has come
  uint64_t skip_ = 0;      // bytes of a bulk string still to come, CR LF among them
  uint64_t elements_ = 0;  // of the reply that has begun: still to come; 0: none has begun
  uint64_t replies_ = 0, nils_ = 0;
  std::string error_;
};

}  // namespace cairn::load
