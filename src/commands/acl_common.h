// SPDX-License-Identifier: BSD-3-Clause
//
// What the two files of ACL's handlers share.
#pragma once

#include <string>

namespace cairn {

class Context;

// Redis answers a subcommand with too many arguments like one that it does not know.
std::string UnknownAclSubcommand(Context& ctx);

void AclLoad(Context& ctx);
void AclLogCommand(Context& ctx);
void AclSave(Context& ctx);

}  // namespace cairn
