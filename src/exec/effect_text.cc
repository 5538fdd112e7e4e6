// SPDX-License-Identifier: BSD-3-Clause
#include "exec/effect_text.h"

#include <cstring>

#include "base/numbers.h"

namespace cairn {
namespace {

constexpr size_t kNumberLineBytesMax = 1 + kInt64CharsMax + 2;

// "<kind>n\r\n"; returns where it ends.
char* PutNumberLine(char* p, char kind, size_t n) {
  *p++ = kind;
  p += FormatUint64(p, n);
  memcpy(p, "\r\n", 2);
  return p + 2;
}

// put(part) appends it to `out`.
template <typename Put>
void AppendRequest(std::string* out, Arguments parts, const Put& put) {
  // Each line of a length goes in together with the end of the line before it.
  char line[2 + kNumberLineBytesMax] = {'\r', '\n'};
  out->append(line + 2, PutNumberLine(line + 2, '*', parts.size()));
  char* begin = line + 2;
  for (std::string_view part : parts) {
    out->append(begin, PutNumberLine(line + 2, '$', part.size()));
    put(part);
    begin = line;
  }
  if (!parts.empty()) out->append("\r\n", 2);
}

}  // namespace

void AppendResp(std::string* out, Arguments parts) {
  AppendRequest(out, parts, [out](std::string_view part) { out->append(part); });
}

void EffectText::Put(std::string_view bytes, StringBlock* lender) {
  if (lender == nullptr || bytes.size() < StringBlock::kLentBytesMin || !lender->Holds(bytes)) {
    text_.append(bytes);
    return;
  }
  lender->AddReference();
  lent_.push_back({text_.size(), bytes, StringBlockRef(lender)});
  lent_bytes_ += bytes.size();
}

void EffectText::Append(Arguments parts, StringBlock* lender) {
  if (lender == nullptr) [[likely]]
    return AppendResp(&text_, parts);
  AppendRequest(&text_, parts, [this, lender](std::string_view part) { Put(part, lender); });
}

void EffectText::AppendRaw(std::string_view resp, StringBlock* lender) { Put(resp, lender); }

void EffectText::Wrap(std::string_view before, std::string_view after) {
  text_.insert(0, before);
  for (LentPart& part : lent_) part.at += before.size();
  text_.append(after);
}

void EffectText::Clear() {
  constexpr size_t kKeptBytes = 1 << 20;
  text_.clear();
  if (text_.capacity() > kKeptBytes) text_.shrink_to_fit();
  if (lent_.empty()) [[likely]]
    return;
  lent_.clear();
  pieces_.clear();
  lent_bytes_ = 0;
}

void EffectText::Cut() {
  pieces_.clear();
  size_t from = 0;
  for (const LentPart& part : lent_) {
    pieces_.push_back(text().substr(from, part.at - from));
    pieces_.push_back(part.bytes);
    from = part.at;
  }
  pieces_.push_back(text().substr(from));
}

void EffectText::CutTo(const Mark& mark) {
  text_.resize(mark.text_bytes);
  while (lent_.size() > mark.lent_parts) {
    lent_bytes_ -= lent_.back().bytes.size();
    lent_.pop_back();
  }
}

}  // namespace cairn
