// SPDX-License-Identifier: BSD-3-Clause
//
// How commands came to be what they are, as COMMAND DOCS tells it: what each version of Redis
// added, what is deprecated and what to use instead. Apart from command.h, because only COMMAND
// DOCS reads it. Constant; any thread.
#pragma once

#include <span>
#include <string_view>

namespace cairn {

struct CommandChange {
  const char* name;
  const char* version;
  const char* change;
};
// What changed, oldest first, by full name in lower case; empty if nothing did. O(log n).
std::span<const CommandChange> FindCommandHistory(std::string_view full_name);

struct CommandStanding {
  const char* name;
  const char* deprecated_since;  // nullptr: it is not; it is the system's own ("syscmd")
  const char* replaced_by;       // nullptr: see above
};
// nullptr: a command like any other. O(log n).
const CommandStanding* FindCommandStanding(std::string_view full_name);

}  // namespace cairn
