// SPDX-License-Identifier: BSD-3-Clause
#include "resp/reply_writer.h"

#include <algorithm>

#include "base/numbers.h"

namespace cairn {

namespace reply_internal {

static constexpr std::array<SmallNumber, kSmallNumbers> MakeSmallNumbers() {
  std::array<SmallNumber, kSmallNumbers> table{};
  for (size_t n = 0; n < kSmallNumbers; n++) {
    uint8_t digits = n >= 1000 ? 4 : n >= 100 ? 3 : n >= 10 ? 2 : 1;
    size_t rest = n;
    for (size_t i = digits; i-- > 0; rest /= 10) {
      table[n].text[i] = static_cast<char>('0' + rest % 10);
    }
    table[n].text[digits] = '\r';
    table[n].text[digits + 1] = '\n';
    table[n].length = static_cast<uint8_t>(digits + 2);
  }
  return table;
}
constinit const std::array<SmallNumber, kSmallNumbers> kSmallNumberTable = MakeSmallNumbers();

}  // namespace reply_internal

size_t ReplyWriter::HeaderSlow(char* p, uint64_t n) {
  size_t length = 1 + FormatUint64(p + 1, n);
  memcpy(p + length, "\r\n", 2);
  return length + 2;
}

void ReplyWriter::NegativeNumber(char kind, int64_t value) {
  char* p = out_->Reserve(kHeaderBytesMax);
  p[0] = kind;
  size_t length = 1 + FormatInt64(p + 1, value);
  memcpy(p + length, "\r\n", 2);
  out_->Advance(length + 2);
}

void ReplyWriter::SimpleString(std::string_view text) {
  char* p = out_->Reserve(text.size() + 3);
  p[0] = '+';
  if (!text.empty()) memcpy(p + 1, text.data(), text.size());
  memcpy(p + 1 + text.size(), "\r\n", 2);
  out_->Advance(text.size() + 3);
}

void ReplyWriter::Error(std::string_view text) {
  // As in Redis: line ends that a quoted argument brings go at the end and become spaces elsewhere.
  while (!text.empty() && (text.back() == '\r' || text.back() == '\n')) text.remove_suffix(1);
  char* p = out_->Reserve(text.size() + 3);
  p[0] = '-';
  for (size_t i = 0; i < text.size(); i++) {
    p[1 + i] = text[i] == '\r' || text[i] == '\n' ? ' ' : text[i];
  }
  memcpy(p + 1 + text.size(), "\r\n", 2);
  out_->Advance(text.size() + 3);
  error_count_++;
  size_t code = std::min({text.find(' '), text.size(), sizeof error_code_});
  memcpy(error_code_, text.data(), code);
  error_code_length_ = static_cast<uint8_t>(code);
}

void ReplyWriter::BulkLong(std::string_view text) {
  Length('$', text.size());
  out_->Append(text);
  out_->Append("\r\n");
}

void ReplyWriter::BulkInteger(int64_t value) {
  char text[kInt64CharsMax];
  Bulk({text, FormatInt64(text, value)});
}

void ReplyWriter::BulkBorrowed(std::string_view text, OutputBuffer::Release release, void* owner) {
  Length('$', text.size());
  out_->AppendBorrowed(text, release, owner);
  out_->Append("\r\n");
}

void ReplyWriter::Double(double value) {
  char text[kDoubleCharsMax + 3];
  if (!resp3_) return Bulk({text, FormatDouble(text, value)});
  text[0] = ',';
  size_t length = 1 + FormatDouble(text + 1, value);
  memcpy(text + length, "\r\n", 2);
  Raw({text, length + 2});
}

void ReplyWriter::LongDouble(long double value) {
  char text[kLongDoubleCharsMax];
  Bulk({text, FormatLongDouble(text, value)});
}

void ReplyWriter::BigNumber(std::string_view digits) {
  if (!resp3_) return Bulk(digits);
  Raw("(");
  Raw(digits);
  Raw("\r\n");
}

void ReplyWriter::Verbatim(std::string_view extension, std::string_view text) {
  if (!resp3_) return Bulk(text);
  DCHECK(extension.size() == 3);
  Length('=', text.size() + 4);
  Raw(extension);
  Raw(":");
  Raw(text);
  Raw("\r\n");
}

void ReplyWriter::Finish(OutputBuffer::Deferred gap, char kind, uint64_t n) {
  char header[kHeaderBytesMax];
  out_->FinishDeferred(gap, {header, Header(header, kind, n)});
}

}  // namespace cairn
