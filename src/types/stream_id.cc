// SPDX-License-Identifier: BSD-3-Clause
#include "types/stream_id.h"

#include <algorithm>

#include "base/numbers.h"

namespace cairn {
namespace {

// Redis reads these with strtoull, so "007", "+7" and " 7" are numbers.
bool ParsePart(std::string_view text, uint64_t* value) {
  text.remove_prefix(std::min(text.find_first_not_of(" \t\n\v\f\r"), text.size()));
  if (text.starts_with('+')) text.remove_prefix(1);
  if (text.empty()) return false;
  while (text.size() > 1 && text[0] == '0') text.remove_prefix(1);
  return ParseUint64(text, value);
}

}  // namespace

bool StreamId::Increment() {
  if (*this == Max()) return false;
  if (++seq == 0) ++ms;
  return true;
}

bool StreamId::Decrement() {
  if (IsZero()) return false;
  if (seq-- == 0) --ms;
  return true;
}

bool ParseStreamId(std::string_view text, uint64_t missing_seq, StreamId* id) {
  const size_t dash = text.find('-');
  if (dash != std::string_view::npos) return ParseStreamIdStrict(text, id);
  id->seq = missing_seq;
  return ParsePart(text, &id->ms);
}

bool ParseStreamIdStrict(std::string_view text, StreamId* id) {
  const size_t dash = text.find('-');
  return dash != std::string_view::npos && ParsePart(text.substr(0, dash), &id->ms) &&
         ParsePart(text.substr(dash + 1), &id->seq);
}

bool ParseStreamIdForAdd(std::string_view text, StreamId* id, bool* any_seq) {
  *any_seq = text.ends_with("-*");
  if (!*any_seq) return ParseStreamId(text, 0, id);
  id->seq = 0;
  return ParsePart(text.substr(0, text.size() - 2), &id->ms);
}

size_t FormatStreamId(char* buffer, StreamId id) {
  size_t size = FormatUint64(buffer, id.ms);
  buffer[size++] = '-';
  return size + FormatUint64(buffer + size, id.seq);
}

std::string ToString(StreamId id) {
  char buffer[kStreamIdCharsMax];
  return std::string(buffer, FormatStreamId(buffer, id));
}

}  // namespace cairn
