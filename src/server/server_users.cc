// SPDX-License-Identifier: BSD-3-Clause
//
// The part of Server that brings users from the configuration and their file, and back.
#include "server/server.h"

#include <algorithm>

#include "config/file_parser.h"

namespace cairn {

Status Server::LoadUsers() {
  Users& users = engine_->users;
  users.set_all_channels_by_default(config_.acl_pubsub_default() ==
                                    AclPubsubDefault::kAllChannels);
  if (!config_.requirepass().empty()) users.SetDefaultPassword(config_.requirepass());
  if (config_.aclfile().empty()) return LoadConfiguredUsers();
  if (!store_.user_directives().empty())
    return Status::Invalid(
        "Configuring Cairn with users defined in the configuration file and at the same setting an "
        "ACL file path is invalid. This setup is very likely to lead to configuration errors and "
        "security holes, please define either an ACL file or declare users directly in the "
        "configuration file, but not both.");
  auto text = RealFileSystem()->ReadFile(config_.aclfile());
  if (!text.ok())
    return Status::Io("Error loading ACLs, opening file '" + config_.aclfile() +
                      "': " + text.status().message());
  std::vector<std::string> gone;
  return users.Load(config_.aclfile(), *text, &gone);
}

Status Server::LoadConfiguredUsers() {
  Users& users = engine_->users;
  std::vector<std::string> seen;
  for (const Directive& directive : store_.user_directives()) {
    const Words& words = directive.words;
    if (std::find(seen.begin(), seen.end(), words[1]) != seen.end())
      return directive.Error("Duplicate user found. A user can only be defined once in config files");
    seen.push_back(words[1]);
    // A line says all about its user, also about the default one.
    std::vector<std::string_view> rules{"reset"};
    rules.insert(rules.end(), words.begin() + 2, words.end());
    const Status status = users.Set(words[1], rules);
    if (!status.ok()) return directive.Error(status.message());
  }
  return Status::Ok();
}

}  // namespace cairn
