// SPDX-License-Identifier: BSD-3-Clause
#include "acl/user.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>

#include "base/numbers.h"

namespace cairn {
namespace {

constexpr size_t kHashChars = 64;

bool IsHash(std::string_view text) {
  return text.size() == kHashChars && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
  });
}

// "(~a* +get)" may come as one word or as several: joins them. The error names the open one.
Status JoinSelectors(std::span<const std::string_view> words, std::vector<std::string>* joined) {
  std::string open;
  for (std::string_view word : words) {
    if (open.empty()) {
      joined->emplace_back(word);
      if (!word.starts_with('(') || word.ends_with(')')) continue;
      open = word;
      joined->pop_back();
    } else {
      open.append(" ").append(word);
      if (!word.ends_with(')')) continue;
      joined->push_back(std::move(open));
      open.clear();
    }
  }
  if (open.empty()) return Status::Ok();
  return Status::Invalid("Unmatched parenthesis in acl selector starting at '" +
                         open.substr(0, open.find(' ')) + "'.");
}

}  // namespace

std::string Sha256Hex(std::string_view bytes) {
  unsigned char digest[32];
  unsigned int size = sizeof digest;
  CHECK(EVP_Digest(bytes.data(), bytes.size(), digest, &size, EVP_sha256(), nullptr) == 1);
  std::string text;
  for (unsigned char byte : digest) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

User::User(std::string name, const Registry* registry, bool all_channels)
    : name_(std::move(name)), registry_(registry), all_channels_by_default_(all_channels) {
  Reset();
}

void User::Reset() {
  enabled_ = nopass_ = false;
  sanitize_payload_ = true;
  passwords_.clear();
  selectors_.assign(1, Selector(registry_));
  if (all_channels_by_default_) CHECK(selectors_[0].Apply("allchannels").ok());
}

Status User::Apply(std::span<const std::string_view> words) {
  std::vector<std::string> joined;
  CAIRN_RETURN_IF_ERROR(JoinSelectors(words, &joined));
  User changed = *this;
  for (const std::string& word : joined) {
    const Status status = changed.ApplyWord(word);
    if (!status.ok())
      return Status::Invalid("Error in ACL SETUSER modifier '" + word +
                             "': " + status.message());
  }
  Become(changed);
  return Status::Ok();
}

void User::Become(const User& other) {
  enabled_ = other.enabled_;
  nopass_ = other.nopass_;
  sanitize_payload_ = other.sanitize_payload_;
  passwords_ = other.passwords_;
  selectors_ = other.selectors_;
}

Status User::ApplyWord(std::string_view word) {
  if (word.empty()) return Status::Ok();
  const auto is = [word](std::string_view name) { return EqualsIgnoreCase(word, name); };
  if (is("on") || is("off")) {
    enabled_ = is("on");
  } else if (is("nopass") || is("resetpass")) {
    nopass_ = is("nopass");
    passwords_.clear();
  } else if (is("sanitize-payload") || is("skip-sanitize-payload")) {
    sanitize_payload_ = is("sanitize-payload");
  } else if (is("reset")) {
    Reset();
  } else if (is("clearselectors")) {
    selectors_.erase(selectors_.begin() + 1, selectors_.end());
  } else if (word[0] == '>' || word[0] == '#') {
    return AddPassword(word);
  } else if (word[0] == '<' || word[0] == '!') {
    return RemovePassword(word);
  } else if (word[0] == '(' && word.back() == ')') {
    return AddSelector(word.substr(1, word.size() - 2));
  } else {
    return selectors_[0].Apply(word);
  }
  return Status::Ok();
}

Status User::AddPassword(std::string_view word) {
  std::string hash(word.substr(1));
  if (word[0] == '>') hash = Sha256Hex(hash);
  if (!IsHash(hash))
    return Status::Invalid(
        "The password hash must be exactly 64 characters and contain only lowercase hexadecimal "
        "characters");
  if (std::find(passwords_.begin(), passwords_.end(), hash) == passwords_.end())
    passwords_.push_back(std::move(hash));
  nopass_ = false;
  return Status::Ok();
}

Status User::RemovePassword(std::string_view word) {
  std::string hash(word.substr(1));
  if (word[0] == '<') hash = Sha256Hex(hash);
  if (!IsHash(hash))
    return Status::Invalid(
        "The password hash must be exactly 64 characters and contain only lowercase hexadecimal "
        "characters");
  if (std::erase(passwords_, hash) == 0)
    return Status::Invalid(
        "The password you are trying to remove from the user does not exist");
  return Status::Ok();
}

Status User::AddSelector(std::string_view rules) {
  Selector selector(registry_);
  if (all_channels_by_default_) CAIRN_RETURN_IF_ERROR(selector.Apply("allchannels"));
  while (!rules.empty()) {
    const size_t end = std::min(rules.find(' '), rules.size());
    const std::string_view rule = rules.substr(0, end);
    // Where the text is read again the selector would end here; Redis takes it.
    if (rule.ends_with(')')) return Status::Invalid("Syntax error");
    if (end > 0) CAIRN_RETURN_IF_ERROR(selector.Apply(rule));
    rules.remove_prefix(std::min(end + 1, rules.size()));
  }
  selectors_.push_back(std::move(selector));
  return Status::Ok();
}

bool User::Accepts(std::string_view password) const {
  if (nopass_) return true;
  const std::string hash = Sha256Hex(password);
  bool match = false;
  // Every hash is compared whole, so the time tells nothing.
  for (const std::string& known : passwords_)
    match |= CRYPTO_memcmp(known.data(), hash.data(), kHashChars) == 0;
  return match;
}

AclDenial User::Check(const AclCall& call, int* position) const {
  AclDenial closest = AclDenial::kNone;
  int closest_position = 0;
  for (const Selector& selector : selectors_) {
    const AclDenial denial = selector.Check(call, position);
    if (denial == AclDenial::kNone) return denial;
    // The miss that came furthest is the one worth reporting.
    if (denial > closest || (denial == closest && *position > closest_position)) {
      closest = denial;
      closest_position = *position;
    }
  }
  *position = closest_position;
  return closest;
}

bool User::AllowsChannel(std::string_view channel, bool pattern) const {
  return std::any_of(selectors_.begin(), selectors_.end(), [&](const Selector& selector) {
    return selector.AllowsChannel(channel, pattern);
  });
}

std::vector<std::string_view> User::Flags() const {
  std::vector<std::string_view> flags{enabled_ ? "on" : "off"};
  if (nopass_) flags.push_back("nopass");
  flags.push_back(sanitize_payload_ ? "sanitize-payload" : "skip-sanitize-payload");
  return flags;
}

std::string User::Describe() const {
  std::string line = "user " + name_;
  for (std::string_view flag : Flags()) line.append(" ").append(flag);
  for (const std::string& hash : passwords_) line += " #" + hash;
  line += " " + selectors_[0].Describe();
  for (size_t i = 1; i < selectors_.size(); ++i) line += " (" + selectors_[i].Describe() + ")";
  return line;
}

}  // namespace cairn
