// SPDX-License-Identifier: BSD-3-Clause
//
// The lines of an audit log and the chain that runs through them, so that a line that was changed,
// taken out, put in or moved shows.
//
//   file   = line*                         the first line of a file has "prev"
//   line   = "{" "\"seq\":" NUMBER ["," "\"prev\":" "\"" HASH "\""] "," BODY
//            "," "\"hash\":" "\"" HASH "\"" "}" LF
//   HASH   = 64 hexadecimal digits: SHA-256 of the hash of the line before (64 zeros before the
//            very first) and of the line up to its last comma, exclusively
//
// "prev" is the hash of the line before, in the file before. seq counts lines by one, from 1, over
// all files. Cutting lines off the end shows in the file that follows, or against a hash kept
// elsewhere.
//
// Thread rule: none; a chain belongs to one thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace cairn {

inline constexpr size_t kAuditHashDigits = 64;

// Appends `text` as the inside of a JSON string. Bytes that are no printable ASCII become \u00XX,
// so that any key has one form.
void AppendJsonText(std::string* out, std::string_view text);

class AuditChain {
 public:
  AuditChain() : hash_(kAuditHashDigits, '0') {}
  // Goes on behind a line that was verified.
  AuditChain(uint64_t sequence, std::string hash) : sequence_(sequence), hash_(std::move(hash)) {}

  // The next line, its LF included. `body` is what stands between the braces: members of a JSON
  // object. `first`: of a file.
  std::string Seal(std::string_view body, bool first);

  // Reads the next line (without its LF). False: it is not what stood there; `why` says so.
  // The first line that a new chain reads may have any "prev" and seq.
  bool Verify(std::string_view line, std::string* why);
  // Whether a line of some audit log may begin so: else what stands there is no torn line, either.
  static bool MayBegin(std::string_view text);

  uint64_t sequence() const { return sequence_; }
  const std::string& hash() const { return hash_; }

 private:
  std::string HashBehind(std::string_view text) const;

  bool any_ = false;  // a line was verified
  uint64_t sequence_ = 0;
  std::string hash_;  // of the last line
};

}  // namespace cairn
