// SPDX-License-Identifier: BSD-3-Clause
#include "commands/families.h"

namespace cairn {

void RegisterAllCommands(Registry* registry) {
  registry->Add(ConnectionCommands());
  registry->Add(TransactionCommands());
  registry->Add(ClientCommands());
  registry->Add(ClientTrackingCommands());
  registry->Add(PubsubCommands());
  registry->Add(MonitorCommands());
  registry->Add(CommandCommands());
  registry->Add(ConfigCommands());
  registry->Add(AclCommands());
  registry->Add(ServerCommands());
  registry->Add(CommandLogCommands());
  registry->Add(HotKeysCommands());
  registry->Add(LatencyCommands());
  registry->Add(ObjectCommands());
  registry->Add(DebugCommands());
  registry->Add(ClusterCommands());
  registry->Add(ListCommands());
  registry->Add(ListBlockingCommands());
  registry->Add(KeyCommands());
  registry->Add(ExpiryCommands());
  registry->Add(ScanCommands());
  registry->Add(DatabaseCommands());
  registry->Add(SortedSetCommands());
  registry->Add(SortedSetBlockingCommands());
  registry->Add(SortedSetRangeCommands());
  registry->Add(SortedSetAlgebraCommands());
  registry->Add(WaitCommands());
  registry->Add(ReplicationCommands());
  registry->Add(StreamCommands());
  registry->Add(StreamReadCommands());
  registry->Add(StreamGroupCommands());
  registry->Add(StreamClaimCommands());
  registry->Add(StreamNackCommands());
  registry->Add(StreamInfoCommands());
  registry->Add(SortCommands());
  registry->Add(StringCommands());
  registry->Add(StringNumberCommands());
  registry->Add(StringConditionalCommands());
  registry->Add(BitmapCommands());
  registry->Add(HyperLogLogCommands());
  registry->Add(GeoCommands());
  registry->Add(GeoSearchCommands());
  registry->Add(DumpCommands());
  registry->Add(MigrateCommands());
  registry->Add(PersistenceCommands());
  registry->Add(HashCommands());
  registry->Add(HashExpiryCommands());
  registry->Add(SetCommands());
  registry->Add(SetAlgebraCommands());
  registry->Add(ScriptingCommands());
  registry->Add(FunctionCommands());
}

}  // namespace cairn
