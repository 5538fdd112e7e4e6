// SPDX-License-Identifier: BSD-3-Clause
//
// The line that CLIENT LIST prints for a client, with every field tools parse.
#pragma once

#include <string>
#include <string_view>

#include "exec/session.h"

namespace cairn {

// `now_ms` is monotonic. `hide_names`: of the client and its user, for messages under hide-user-data-from-log.
std::string DescribeClient(const ClientRecord& record, const Registry& registry, int64_t now_ms,
                           bool hide_names = false);
// "normal", "replica", "pubsub" or "master".
std::string_view ClientType(const ClientRecord& record);

}  // namespace cairn
