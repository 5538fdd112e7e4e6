// SPDX-License-Identifier: BSD-3-Clause
#include "server/server.h"

namespace cairn {

std::string Server::Info(const std::vector<std::string>&) { return {}; }

}  // namespace cairn
