// SPDX-License-Identifier: BSD-3-Clause
#include "base/audit_chain.h"

#include <openssl/evp.h>

#include <algorithm>

#include "base/check.h"
#include "base/numbers.h"

namespace cairn {
namespace {

constexpr std::string_view kHashKey = ",\"hash\":\"";
constexpr std::string_view kPrevKey = ",\"prev\":\"";
constexpr std::string_view kSequenceKey = "{\"seq\":";
constexpr std::string_view kEnd = "\"}";
constexpr char kHex[] = "0123456789abcdef";

}  // namespace

void AppendJsonText(std::string* out, std::string_view text) {
  for (char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out->push_back('\\');
      out->push_back(c);
    } else if (byte >= 0x20 && byte < 0x7f) {
      out->push_back(c);
    } else {
      out->append("\\u00");
      out->push_back(kHex[byte >> 4]);
      out->push_back(kHex[byte & 15]);
    }
  }
}

std::string AuditChain::HashBehind(std::string_view text) const {
  const std::string input = hash_ + std::string(text);
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  CHECK(EVP_Digest(input.data(), input.size(), digest, &size, EVP_sha256(), nullptr) == 1);
  std::string hex;
  for (unsigned int i = 0; i < size; ++i) {
    hex.push_back(kHex[digest[i] >> 4]);
    hex.push_back(kHex[digest[i] & 15]);
  }
  return hex;
}

std::string AuditChain::Seal(std::string_view body, bool first) {
  std::string line(kSequenceKey);
  line += std::to_string(++sequence_);
  if (first) {
    line.append(kPrevKey).append(hash_);
    line.push_back('"');
  }
  line.push_back(',');
  line.append(body);
  hash_ = HashBehind(line);
  line.append(kHashKey).append(hash_).append(kEnd);
  line.push_back('\n');
  return line;
}

bool AuditChain::Verify(std::string_view line, std::string* why) {
  const size_t tail = kHashKey.size() + kAuditHashDigits + kEnd.size();
  if (line.size() < tail + kSequenceKey.size() || !line.starts_with(kSequenceKey) ||
      !line.ends_with(kEnd) || line.substr(line.size() - tail, kHashKey.size()) != kHashKey) {
    *why = "it is not a line of an audit log";
    return false;
  }
  const std::string_view text = line.substr(0, line.size() - tail);
  const std::string_view rest = text.substr(kSequenceKey.size());
  const std::string_view number = rest.substr(0, rest.find(','));
  int64_t sequence = 0;
  if (!ParseInt64(number, &sequence)) {
    *why = "it has no seq";
    return false;
  }
  const std::string_view behind = rest.substr(number.size());
  if (behind.starts_with(kPrevKey) && behind.size() >= kPrevKey.size() + kAuditHashDigits) {
    const std::string_view prev = behind.substr(kPrevKey.size(), kAuditHashDigits);
    if (any_ && prev != hash_) {
      *why = "its prev is not the hash of the line before";
      return false;
    }
    hash_ = prev;
  }
  if (any_ && static_cast<uint64_t>(sequence) != sequence_ + 1) {
    *why = "its seq does not follow " + std::to_string(sequence_);
    return false;
  }
  const std::string hash = HashBehind(text);
  if (line.substr(text.size() + kHashKey.size(), kAuditHashDigits) != hash) {
    *why = "its hash is another one: it was changed, or what stood before it";
    return false;
  }
  any_ = true;
  sequence_ = static_cast<uint64_t>(sequence);
  hash_ = hash;
  return true;
}

bool AuditChain::MayBegin(std::string_view text) {
  const size_t common = std::min(text.size(), kSequenceKey.size());
  return text.substr(0, common) == kSequenceKey.substr(0, common);
}

}  // namespace cairn
