// SPDX-License-Identifier: BSD-3-Clause
#include "acl/users.h"

#include <algorithm>

namespace cairn {
namespace {

constexpr std::string_view kDefault = "default";

// Redis takes the empty name too, but its file then names another user.
bool IsUserName(std::string_view name) {
  return !name.empty() && std::none_of(name.begin(), name.end(), [](unsigned char c) {
    return isspace(c) || c == 0;
  });
}

std::shared_ptr<User> MakeDefaultUser(const Registry* registry, bool all_channels) {
  auto user = std::make_shared<User>(std::string(kDefault), registry, all_channels);
  static constexpr std::string_view kWords[] = {"+@all", "~*", "&*", "on", "nopass"};
  CHECK(user->Apply(kWords).ok());
  return user;
}

}  // namespace

std::vector<std::string_view> SplitAclWords(std::string_view line) {
  std::vector<std::string_view> words;
  constexpr std::string_view kBlanks = " \t\r";
  size_t at = 0;
  while ((at = line.find_first_not_of(kBlanks, at)) != std::string_view::npos) {
    const size_t end = std::min(line.find_first_of(kBlanks, at), line.size());
    words.push_back(line.substr(at, end - at));
    at = end;
  }
  return words;
}

Users::Users(const Registry* registry)
    : registry_(registry), default_user_(MakeDefaultUser(registry, false)) {
  users_.emplace(kDefault, default_user_);
}

std::shared_ptr<User> Users::Find(std::string_view name) const {
  const auto found = users_.find(name);
  return found == users_.end() ? nullptr : found->second;
}

std::shared_ptr<User> Users::Authenticate(std::string_view name,
                                          std::string_view password) const {
  std::shared_ptr<User> user = Find(name);
  // The hash is computed for unknown users too: the time must not tell who exists.
  if (user == nullptr || !user->enabled()) {
    (void)Sha256Hex(password);
    return nullptr;
  }
  return user->Accepts(password) ? user : nullptr;
}

Status Users::Set(std::string_view name, std::span<const std::string_view> words) {
  if (!IsUserName(name))
    return Status::Invalid("Usernames can't contain spaces or null characters");
  std::shared_ptr<User> user = Find(name);
  if (user == nullptr)
    user = std::make_shared<User>(std::string(name), registry_, all_channels_by_default_);
  const auto guard = KeepStill();
  CAIRN_RETURN_IF_ERROR(user->Apply(words));
  users_.emplace(name, user);
  PublishDefault();
  return Status::Ok();
}

bool Users::Remove(std::string_view name) {
  CHECK(name != kDefault);
  const auto found = users_.find(name);
  if (found == users_.end()) return false;
  const auto guard = KeepStill();
  found->second->Disempower();
  users_.erase(found);
  return true;
}

void Users::SetDefaultPassword(std::string_view password) {
  const std::string word = password.empty() ? "nopass" : ">" + std::string(password);
  const std::string_view words[] = {"resetpass", word};
  const auto guard = KeepStill();
  CHECK(default_user_->Apply(words).ok());
  PublishDefault();
}

void Users::PublishDefault() {
  default_nopass_.store(default_user_->nopass(), std::memory_order_relaxed);
  default_open_.store(default_user_->nopass() && default_user_->enabled(),
                      std::memory_order_relaxed);
}

std::vector<std::shared_ptr<User>> Users::All() const {
  std::vector<std::shared_ptr<User>> all;
  for (const auto& [name, user] : users_) all.push_back(user);
  return all;
}

Status Users::ParseLine(std::string_view line, Map* users) const {
  const std::vector<std::string_view> words = SplitAclWords(line);
  if (words.empty() || words[0].starts_with('#')) return Status::Ok();
  if (words[0] != "user" || words.size() < 2)
    return Status::Invalid("should start with user keyword followed by the username");
  if (!IsUserName(words[1]))
    return Status::Invalid("username contains invalid characters");
  if (users->contains(words[1]))
    return Status::Invalid("Duplicate user '" + std::string(words[1]) + "' found");
  auto user = words[1] == kDefault
                  ? MakeDefaultUser(registry_, all_channels_by_default_)
                  : std::make_shared<User>(std::string(words[1]), registry_,
                                           all_channels_by_default_);
  // A line says all about its user: nothing of the built-in default user remains.
  static constexpr std::string_view kReset[] = {"reset"};
  CAIRN_RETURN_IF_ERROR(user->Apply(kReset));
  CAIRN_RETURN_IF_ERROR(user->Apply(std::span(words).subspan(2)));
  users->emplace(words[1], std::move(user));
  return Status::Ok();
}

Status Users::Load(std::string_view file, std::string_view text, std::vector<std::string>* gone) {
  Map loaded;
  for (int number = 1; !text.empty(); ++number) {
    const size_t end = std::min(text.find('\n'), text.size());
    const Status status = ParseLine(text.substr(0, end), &loaded);
    if (!status.ok())
      return Status::Invalid(std::string(file) + ":" + std::to_string(number) + ": " +
                             status.message());
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  loaded.emplace(kDefault, MakeDefaultUser(registry_, all_channels_by_default_));
  const auto guard = KeepStill();
  for (const auto& [name, user] : users_) {
    const auto now = loaded.find(name);
    if (now == loaded.end()) {
      user->Disempower();
      gone->push_back(name);
      continue;
    }
    // The same object goes on: sessions and new connections refer to it.
    user->Become(*now->second);
    now->second = user;
  }
  users_ = std::move(loaded);
  PublishDefault();
  return Status::Ok();
}

std::string Users::Text() const {
  std::string text;
  for (const auto& [name, user] : users_) text += user->Describe() + "\n";
  return text;
}

}  // namespace cairn
