// SPDX-License-Identifier: BSD-3-Clause
//
// User: a name, what proves that one is that user, and what the user may do.
//
// The rules beyond those of a selector (acl/selector.h), which go to the root selector:
//
//   on off                  may log in
//   nopass resetpass        any password will do; none will, until one is added
//   >PASSWORD #HASH         adds a password, in clear or as 64 hex digits of its SHA-256
//   <PASSWORD !HASH         takes one away
//   sanitize-payload skip-sanitize-payload
//   (RULE RULE ...)         adds a selector; clearselectors removes them all but the root
//   reset                   back to a new user's state
//
// Only hashes of passwords are kept. Thread rule: as for Selector.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "acl/selector.h"

namespace cairn {

class User {
 public:
  // Off, without passwords, commands and keys; channels as `acl-pubsub-default` says.
  User(std::string name, const Registry* registry, bool all_channels);

  const std::string& name() const { return name_; }
  bool enabled() const { return enabled_; }
  bool nopass() const { return nopass_; }
  bool sanitize_payload() const { return sanitize_payload_; }
  // May do everything: nothing needs to be checked.
  bool unrestricted() const { return selectors_[0].unrestricted(); }

  // Applies the words of an ACL SETUSER or of a file's line: all of them, or none and an error
  // such as "Error in ACL SETUSER modifier '+@foo': ..." .
  Status Apply(std::span<const std::string_view> words);
  // Takes over all but the name, which others may read without a lock.
  void Become(const User& other);
  // May log in and do nothing any more: it is no user now, but sessions may still refer to it.
  void Disempower() { Reset(); }
  bool Accepts(std::string_view password) const;
  AclDenial Check(const AclCall& call, int* position) const;
  bool AllowsChannel(std::string_view channel, bool pattern) const;

  const std::vector<std::string>& passwords() const { return passwords_; }
  const std::vector<Selector>& selectors() const { return selectors_; }
  std::vector<std::string_view> Flags() const;
  // "user NAME on nopass ...": a line of ACL LIST and of files.
  std::string Describe() const;

 private:
  Status ApplyWord(std::string_view word);
  Status AddPassword(std::string_view word);
  Status RemovePassword(std::string_view word);
  Status AddSelector(std::string_view rules);
  void Reset();

  std::string name_;
  const Registry* registry_;
  bool all_channels_by_default_;
  bool enabled_ = false, nopass_ = false, sanitize_payload_ = true;
  std::vector<std::string> passwords_;  // SHA-256, 64 hex digits
  std::vector<Selector> selectors_;     // the root first
};

// 64 lower-case hex digits.
std::string Sha256Hex(std::string_view bytes);

}  // namespace cairn
