// SPDX-License-Identifier: BSD-3-Clause
//
// What the two files of ACL's handlers share.
#pragma once

#include <span>
#include <string>

namespace cairn {

class Context;

// Under All: closes the connections of these users, the caller's after its reply.
void CloseSessionsOf(Context& ctx, std::span<const std::string> users);
// Redis answers a subcommand with too many arguments like one that it does not know.
std::string UnknownAclSubcommand(Context& ctx);

void AclLoad(Context& ctx);
void AclLogCommand(Context& ctx);
void AclSave(Context& ctx);

}  // namespace cairn
