// SPDX-License-Identifier: BSD-3-Clause
#include "utils/bench/load/replies.h"

#include <algorithm>
#include <charconv>

namespace cairn::load {

bool ReplyReader::Feed(std::string_view bytes) {
  while (!bytes.empty()) {
    if (skip_ > 0) {
      const size_t taken = std::min<uint64_t>(skip_, bytes.size());
      bytes.remove_prefix(taken);
      skip_ -= taken;
      if (skip_ == 0) Finish();
      continue;
    }
    const size_t end = bytes.find('\n');
    const std::string_view part = bytes.substr(0, end);
    if (end == bytes.npos || !line_.empty()) line_ += part;
    if (line_.size() > kLineBytesMax) {
      error_ = "a line of more than " + std::to_string(kLineBytesMax) + " bytes";
      return false;
    }
    if (end == bytes.npos) return true;
    bytes.remove_prefix(end + 1);
    const bool taken = Take(line_.empty() ? part : line_);
    line_.clear();
    if (!taken) return false;
  }
  return true;
}

// One line without its LF.
bool ReplyReader::Take(std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  const char kind = line.empty() ? '\0' : line[0];
  int64_t length = 0;
  if (kind == '$' || kind == '*') {
    const auto [end, bad] = std::from_chars(line.data() + 1, line.data() + line.size(), length);
    if (bad != std::errc() || end != line.data() + line.size()) {
      error_ = "no length: " + std::string(line);
      return false;
    }
  } else if (kind != '+' && kind != ':') {
    error_ = line;
    return false;
  }
  if (elements_ == 0) elements_ = 1;
  if (length < 0) ++nils_;
  if (kind == '$' && length >= 0) {
    skip_ = static_cast<uint64_t>(length) + 2;
  } else if (kind == '*' && length > 0) {
    elements_ += static_cast<uint64_t>(length) - 1;
  } else {
    Finish();
  }
  return true;
}

void ReplyReader::Finish() {
  if (--elements_ == 0) ++replies_;
}

}  // namespace cairn::load
