// SPDX-License-Identifier: BSD-3-Clause
//
// RdbReader: the RDB format's primitives, read from bytes in memory or from a stream. The bytes are
// hostile: nothing is believed before it is there. Memory is set aside only in proportion to bytes
// that were really read. The first error latches: from then on every read yields zero or nothing,
// so that callers may read a row of fields and ask ok() once. Not synchronised.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "rdb/opcodes.h"

namespace cairn {

class RdbReader {
 public:
  // Reads up to `size` bytes; fewer than asked for but more than 0 is fine, 0 is the end.
  using Source = std::function<size_t(char* into, size_t size)>;

  explicit RdbReader(std::string_view bytes)
      : begin_(bytes.data()), at_(begin_), end_(begin_ + bytes.size()), crc_from_(begin_) {}
  explicit RdbReader(Source source);
  RdbReader(const RdbReader&) = delete;
  RdbReader& operator=(const RdbReader&) = delete;

  bool ok() const { return error_.empty(); }
  // OK, or kCorrupt with the first error.
  Status status() const { return ok() ? Status() : Status::Corrupt(error_); }
  void Fail(std::string_view error);
  // True if no byte is left; reads ahead in a stream.
  bool AtEnd() { return at_ == end_ && !Refill(); }
  // Bytes consumed since the start.
  uint64_t position() const { return consumed_before_ + (at_ - begin_); }

  uint8_t Byte();
  bool Bytes(void* into, size_t size);
  uint64_t Length();
  // A string in any encoding, as text. The view holds until the next call of any read.
  std::string_view Text();
  // The same, kept.
  void Text(std::string* into) { into->assign(Text()); }
  // Exactly `size` bytes; the view holds until the next read.
  std::string_view Raw(uint64_t size);
  double BinaryDouble();
  double TextDouble();  // kZset's scores
  int64_t Int64();
  int32_t Int32();

  // How many elements to make room for when `count` are announced: what is set aside is no more
  // than the bytes left, and bounded for streams. The rest grows as it comes.
  size_t ReserveHint(uint64_t count) const;

  // Skips a module's data up to its end mark.
  void SkipModuleData();
  // "REDISnnnn" or "VALKEYnnn": the version, or 0 after an error. Whether we read that version is
  // the caller's question.
  int FileHeader();
  // What FileHeader() found; values that came without a file are of kRdbVersion. A few types mean
  // different things in files of Valkey.
  int version() const { return version_; }
  // Of records that stand without their header, and without what came before them in the file.
  void set_version(int version) { version_ = version; }

  // CRC-64 of all bytes consumed so far. Ask for it from the start on (EnableChecksum), then any
  // number of times.
  void EnableChecksum() { checksum_ = true; }
  uint64_t Checksum();

 private:
  // At least one more byte in [at_, end_); false at the end.
  bool Refill();
  // False after an error or for an encoded string (then *encoding tells).
  bool LengthOrEncoding(uint64_t* length, bool* encoded);
  std::string_view Integer(int64_t value);
  std::string_view Lzf();

  // [begin_, end_) is the whole memory or what the buffer holds.
  const char* begin_;
  const char* at_;
  const char* end_;
  const char* crc_from_;  // bytes before it are in crc_
  uint64_t consumed_before_ = 0;  // bytes before begin_
  Source source_;
  std::vector<char> buffer_;  // of a stream
  std::string scratch_;       // strings that do not lie in one piece
  std::string compressed_;
  char digits_[24];
  int version_ = kRdbVersion;
  bool checksum_ = false;
  uint64_t crc_ = 0;
  std::string error_;
};

}  // namespace cairn
