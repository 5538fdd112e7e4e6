// SPDX-License-Identifier: BSD-3-Clause
//
// The families of commands, each a table of rows in a file of its own.
#pragma once

#include <span>

#include "spec/command.h"
#include "spec/registry.h"

namespace cairn {

std::span<const CommandSpec> ConnectionCommands();
std::span<const CommandSpec> TransactionCommands();
std::span<const CommandSpec> ClientCommands();
std::span<const CommandSpec> ClientTrackingCommands();
std::span<const CommandSpec> PubsubCommands();
std::span<const CommandSpec> MonitorCommands();
std::span<const CommandSpec> CommandCommands();
std::span<const CommandSpec> ConfigCommands();
std::span<const CommandSpec> AclCommands();
std::span<const CommandSpec> ServerCommands();
std::span<const CommandSpec> CommandLogCommands();
std::span<const CommandSpec> HotKeysCommands();
std::span<const CommandSpec> LatencyCommands();
std::span<const CommandSpec> ObjectCommands();
std::span<const CommandSpec> DebugCommands();
std::span<const CommandSpec> ClusterCommands();
std::span<const CommandSpec> ListCommands();
std::span<const CommandSpec> ListBlockingCommands();
std::span<const CommandSpec> KeyCommands();
std::span<const CommandSpec> ExpiryCommands();
std::span<const CommandSpec> ScanCommands();
std::span<const CommandSpec> DatabaseCommands();
std::span<const CommandSpec> SortedSetCommands();
std::span<const CommandSpec> SortedSetBlockingCommands();
std::span<const CommandSpec> SortedSetRangeCommands();
std::span<const CommandSpec> SortedSetAlgebraCommands();
std::span<const CommandSpec> WaitCommands();
std::span<const CommandSpec> ReplicationCommands();
std::span<const CommandSpec> StreamCommands();
std::span<const CommandSpec> StreamReadCommands();
std::span<const CommandSpec> StreamGroupCommands();
std::span<const CommandSpec> StreamClaimCommands();
std::span<const CommandSpec> StreamNackCommands();
std::span<const CommandSpec> StreamInfoCommands();
std::span<const CommandSpec> SortCommands();
std::span<const CommandSpec> StringCommands();
std::span<const CommandSpec> StringNumberCommands();
std::span<const CommandSpec> StringConditionalCommands();
std::span<const CommandSpec> BitmapCommands();
std::span<const CommandSpec> HyperLogLogCommands();
std::span<const CommandSpec> GeoCommands();
std::span<const CommandSpec> GeoSearchCommands();
std::span<const CommandSpec> DumpCommands();
std::span<const CommandSpec> MigrateCommands();
std::span<const CommandSpec> PersistenceCommands();
std::span<const CommandSpec> HashCommands();
std::span<const CommandSpec> HashExpiryCommands();
std::span<const CommandSpec> SetCommands();
std::span<const CommandSpec> SetAlgebraCommands();
std::span<const CommandSpec> ScriptingCommands();
std::span<const CommandSpec> FunctionCommands();

// All families, in one place: there is no static registration.
void RegisterAllCommands(Registry* registry);

}  // namespace cairn
