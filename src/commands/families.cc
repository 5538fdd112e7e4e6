// SPDX-License-Identifier: BSD-3-Clause
#include "commands/families.h"

namespace cairn {

void RegisterAllCommands(Registry* registry) {
  registry->Add(ConnectionCommands());
  registry->Add(TransactionCommands());
}

}  // namespace cairn
