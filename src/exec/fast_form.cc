// SPDX-License-Identifier: BSD-3-Clause
//
// Scripts under the locks of the keys that they declared (src/script/README.md says how it is
// decided): what the pipeline asks before each command of such a script, and of a transaction that
// holds one. Whoever is told no gives up: the unit is rolled back and run again under All.
#include <string_view>

#include "exec/executor.h"

namespace cairn {

bool Executor::FitsUnit(const Session& session, const Command& command, Arguments arguments) {
  if (unit_.all()) return true;
  const Scope scope =
      command.spec.scope_of != nullptr ? command.spec.scope_of(arguments) : command.spec.scope;
  if (scope == Scope::kNone) return true;
  if (scope != Scope::kKeys) return false;
  const bool writes = command.Is(kWrite);
  const auto fits = [&](std::string_view key) {
    const uint64_t hash = HashBytes(key);
    if (!unit_.Holds(ShardOf(hash))) return false;
    // A read deletes a key that is due.
    return (!writes && !unit_.IsDue(session.db, key, hash)) ||
           unit_.MayRemember(session.db, key, hash);
  };
  // Most commands have one key.
  const auto single = static_cast<size_t>(command.single_key);
  if (single != 0 && single < arguments.size()) return fits(arguments[single]);
  keys_.Clear();
  // Where the keys cannot be told the handler takes none; it words the error.
  if (!ExtractKeys(command, arguments, keys_)) return true;
  for (const KeyReference& reference : keys_.keys()) {
    if ((reference.flags & kNotKey) != 0) continue;
    if (!fits(arguments[static_cast<size_t>(reference.position)])) return false;
  }
  return true;
}

bool Executor::CanRetreat(const Session& session) const {
  // What the transaction itself changes would end its own watches.
  if (!session.watched.empty() || session.internal) return false;
  bool by_name = false;
  for (const QueuedCommand& queued : session.transaction.queue) {
    // EVAL makes a script known, which the EVALSHA before it would find the second time.
    const std::string_view name = queued.command->full_name;
    by_name |= name.starts_with("evalsha");
    if (by_name && (name == "eval" || name == "eval_ro")) return false;
    // Commands that scripts may not call change more than keys.
    if (!RunsScripts(*queued.command) && queued.command->Is(kNoScript | kAdmin)) return false;
  }
  return true;
}

}  // namespace cairn
