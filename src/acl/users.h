// SPDX-License-Identifier: BSD-3-Clause
//
// All users by name, and the log of what was refused them.
//
// Thread rule: users change only while no command runs (scope All, or before the first client);
// a command reads them without a lock. Who has to ask outside the gate (a server that is busy with
// a script, a handshake) takes KeepStill. What new connections ask (default_open, default_nopass)
// is atomic, because they come at any time. Sessions hold their user by shared_ptr: a deleted one
// lives until its last session is closed, and may do nothing any more.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "acl/user.h"

namespace cairn {

class Users {
 public:
  explicit Users(const Registry* registry);

  // acl-pubsub-default: whether new users may use all channels.
  void set_all_channels_by_default(bool on) { all_channels_by_default_ = on; }

  const std::shared_ptr<User>& default_user() const { return default_user_; }
  // A new connection is the default user without a password.
  bool default_open() const { return default_open_.load(std::memory_order_relaxed); }
  bool default_nopass() const { return default_nopass_.load(std::memory_order_relaxed); }

  // As long as it lives nothing changes. To be let go before anything is waited for.
  std::unique_lock<std::mutex> KeepStill() const { return std::unique_lock(changes_); }
  // For who writes the file of users, outside the gate: one at a time, so that the file ends as the
  // last of them found the users. Comes before KeepStill.
  std::unique_lock<std::mutex> OwnFile() const { return std::unique_lock(file_); }

  std::shared_ptr<User> Find(std::string_view name) const;
  // The user, if it is enabled and the password is right.
  std::shared_ptr<User> Authenticate(std::string_view name, std::string_view password) const;

  // Makes or changes a user: all words or none.
  Status Set(std::string_view name, std::span<const std::string_view> words);
  // False if there is none. The default user cannot be removed.
  bool Remove(std::string_view name);
  // requirepass: the only password of the default user; none if empty.
  void SetDefaultPassword(std::string_view password);

  // By name.
  std::vector<std::shared_ptr<User>> All() const;

  // The lines of `text`, a file of users, replace all users; on an error nothing changes. `gone`
  // gets the names of users that are no more: their sessions have to be closed.
  Status Load(std::string_view file, std::string_view text, std::vector<std::string>* gone);
  // The text that Load reads.
  std::string Text() const;

 private:
  using Map = std::map<std::string, std::shared_ptr<User>, std::less<>>;
  void PublishDefault();
  Status ParseLine(std::string_view line, Map* users) const;

  const Registry* registry_;
  mutable std::mutex changes_;  // held by whoever changes users, under All
  mutable std::mutex file_;
  bool all_channels_by_default_ = false;
  std::shared_ptr<User> default_user_;
  Map users_;
  std::atomic<bool> default_open_{true}, default_nopass_{true};
};

// Splits at blanks; words hold no quotes.
std::vector<std::string_view> SplitAclWords(std::string_view line);

}  // namespace cairn
