// SPDX-License-Identifier: BSD-3-Clause
//
// INFO's section on replication. Thread rule: any thread, inside the gate.
#pragma once

#include <string>

namespace cairn {

struct Engine;

std::string ReplicationInfo(Engine& engine);

}  // namespace cairn
