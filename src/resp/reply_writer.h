// SPDX-License-Identifier: BSD-3-Clause
//
// Writes replies in RESP2 or RESP3 into an OutputBuffer. Where the versions differ the writer
// chooses, so that a handler says what it means (Map, Double, Null) and never asks.
//
//             RESP2                 RESP3
//   Null      $-1                   _
//   NullArray *-1                   _
//   Map(n)    *2n                   %n
//   Set(n)    *n                    ~n
//   Push(n)   *n                    >n
//   Double    $len text             ,text
//   Bool      :1 :0                 #t #f
//   BigNumber $len text             (text
//   Verbatim  $len text             =len+4 ext:text
//
// The texts of numbers are those of base/numbers.h. Thread rule: as the buffer's.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "base/output_buffer.h"

namespace cairn {

namespace reply_internal {
// "n\r\n" of small numbers: seven bytes of text, the last byte is the length.
constexpr size_t kSmallNumbers = 1024;
struct SmallNumber {
  char text[7];
  uint8_t length;
};
extern const std::array<SmallNumber, kSmallNumbers> kSmallNumberTable;
}  // namespace reply_internal

class ReplyWriter {
 public:
  // A value of this size or more should be offered to BulkBorrowed.
  static constexpr size_t kBorrowBytesMin = OutputBuffer::kBorrowBytesMin;

  ReplyWriter(OutputBuffer* out, int resp_version) : out_(out), resp3_(resp_version >= 3) {}

  OutputBuffer& out() { return *out_; }
  bool resp3() const { return resp3_; }
  int version() const { return resp3_ ? 3 : 2; }
  void set_version(int resp_version) { resp3_ = resp_version >= 3; }
  // Points the writer at another buffer (replies of a script, of a queued push).
  void set_out(OutputBuffer* out) { out_ = out; }

  void Ok() { Raw("+OK\r\n"); }
  void SimpleString(std::string_view text);
  // `text` starts with its code: "ERR no such key". Line ends at its end go, others become spaces.
  void Error(std::string_view text);

  void Integer(int64_t value) { Number(':', value); }
  void Bulk(std::string_view text) {
    if (text.size() > kInlineBulkBytes) [[unlikely]] return BulkLong(text);
    char* start = out_->Reserve(text.size() + kHeaderBytesMax + 2);
    char* p = start + Header(start, '$', text.size());
    if (!text.empty()) memcpy(p, text.data(), text.size());
    p += text.size();
    memcpy(p, "\r\n", 2);
    out_->Advance(static_cast<size_t>(p + 2 - start));
  }
  // A bulk of the decimal text of `value`.
  void BulkInteger(int64_t value);
  // A bulk whose payload is not copied; see OutputBuffer::AppendBorrowed.
  void BulkBorrowed(std::string_view text, OutputBuffer::Release release, void* owner);
  void Null() { resp3_ ? Raw("_\r\n") : Raw("$-1\r\n"); }
  void NullArray() { resp3_ ? Raw("_\r\n") : Raw("*-1\r\n"); }
  void EmptyArray() { Raw("*0\r\n"); }

  void Array(size_t items) { Length('*', items); }
  void Map(size_t pairs) { resp3_ ? Length('%', pairs) : Length('*', pairs * 2); }
  void Set(size_t items) { Length(resp3_ ? '~' : '*', items); }
  void Push(size_t items) { Length(resp3_ ? '>' : '*', items); }
  // Only for RESP3 clients: RESP2 has no attributes.
  void Attribute(size_t pairs) { Length('|', pairs); }

  void Double(double value);
  // A bulk in both versions, as INCRBYFLOAT answers.
  void LongDouble(long double value);
  void Bool(bool value) {
    resp3_ ? Raw(value ? "#t\r\n" : "#f\r\n") : Raw(value ? ":1\r\n" : ":0\r\n");
  }
  void BigNumber(std::string_view digits);
  // `extension` has three letters: "txt", "mkd".
  void Verbatim(std::string_view extension, std::string_view text);

  // Lengths not known yet: item = StartDeferred(); ...items...; FinishArray(item, n). They nest
  // and are finished in reverse order.
  OutputBuffer::Deferred StartDeferred() { return out_->StartDeferred(); }
  void FinishArray(OutputBuffer::Deferred gap, size_t items) { Finish(gap, '*', items); }
  void FinishMap(OutputBuffer::Deferred gap, size_t pairs) {
    resp3_ ? Finish(gap, '%', pairs) : Finish(gap, '*', pairs * 2);
  }
  void FinishSet(OutputBuffer::Deferred gap, size_t items) {
    Finish(gap, resp3_ ? '~' : '*', items);
  }
  void FinishPush(OutputBuffer::Deferred gap, size_t items) {
    Finish(gap, resp3_ ? '>' : '*', items);
  }

  // Bytes that are RESP already.
  void Raw(std::string_view bytes) { out_->Append(bytes); }

  // How many Error() calls this writer has seen, and the code (first word) of the last one: what
  // commandstats and errorstats count.
  uint64_t error_count() const { return error_count_; }
  std::string_view last_error_code() const { return {error_code_, error_code_length_}; }

 private:
  static constexpr size_t kHeaderBytesMax = 24;
  static constexpr size_t kInlineBulkBytes = 2048;

  // Writes "<kind>n\r\n" at p, which has kHeaderBytesMax bytes of room; returns the length.
  static size_t Header(char* p, char kind, uint64_t n) {
    p[0] = kind;
    if (n < reply_internal::kSmallNumbers) [[likely]] {
      const reply_internal::SmallNumber& small = reply_internal::kSmallNumberTable[n];
      memcpy(p + 1, &small, sizeof small);
      return 1 + size_t{small.length};
    }
    return HeaderSlow(p, n);
  }
  static size_t HeaderSlow(char* p, uint64_t n);
  void Length(char kind, uint64_t n) {
    char* p = out_->Reserve(kHeaderBytesMax);
    out_->Advance(Header(p, kind, n));
  }
  void Number(char kind, int64_t value) {
    if (value >= 0) [[likely]] return Length(kind, static_cast<uint64_t>(value));
    NegativeNumber(kind, value);
  }
  void NegativeNumber(char kind, int64_t value);
  void BulkLong(std::string_view text);
  void Finish(OutputBuffer::Deferred gap, char kind, uint64_t n);

  OutputBuffer* out_;
  bool resp3_;
  uint8_t error_code_length_ = 0;
  char error_code_[30];
  uint64_t error_count_ = 0;
};

}  // namespace cairn
