// SPDX-License-Identifier: BSD-3-Clause
//
// May this session run this call? Takes a call apart into keys, channels and databases, asks the
// session's user (acl/), logs and words a refusal.
//
// Thread rule: on the executor's thread, inside the gate.
#pragma once

#include <string>
#include <string_view>

#include "acl/users.h"
#include "exec/engine.h"
#include "exec/session.h"

namespace cairn {

struct AccessAnswer {
  AclDenial denial = AclDenial::kNone;
  int position = 0;  // of the refused argument
  bool ok() const { return denial == AclDenial::kNone; }
};

// Asks only; nothing is logged.
AccessAnswer AskAccess(const User& user, const Command& command, Arguments arguments, int db);
// Whether the call may, besides, read keys that none of its arguments names (SORT BY, GET).
bool MayReadAnyKey(const Session& session, const Command& command, Arguments arguments);
// Asks for the session and logs a refusal; `context` is "toplevel", "multi" or "lua". `client` is
// whom the log shows, for sessions that act for another one.
AccessAnswer CheckAccess(Engine& engine, const Session& session, const ClientRecord& client,
                         const Command& command, Arguments arguments, std::string_view context);
inline bool IsRestricted(const Session& session) {
  return session.user != nullptr && !session.user->unrestricted();
}

// "User x has no permissions to run the 'get' command", "No permissions to access a key" (verbose:
// which user and key).
std::string DescribeDenial(const AccessAnswer& answer, std::string_view user,
                           const Command& command, Arguments arguments, bool verbose);
// Logs a refused AUTH.
void LogFailedAuth(Engine& engine, const ClientRecord& client, std::string_view user,
                   std::string_view context);

}  // namespace cairn
