// SPDX-License-Identifier: BSD-3-Clause
//
// The first line of a script or library:
//
//   "#!" engine *( SP option ) LF        option = "flags=" flag *( "," flag ) | "name=" name
//
// A script without one runs in compatibility mode: it may do what scripts before Redis 7 could.
// The line feed stays with the code, so that line numbers in errors count from the shebang.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace cairn {

enum ScriptFlag : uint64_t {
  kScriptNoWrites = 1 << 0,
  kScriptAllowOom = 1 << 1,
  kScriptAllowStale = 1 << 2,
  kScriptNoCluster = 1 << 3,
  kScriptCrossSlotKeys = 1 << 4,
  kScriptCompat = 1 << 5,  // no shebang
};

// The bit of a flag's name; 0 if there is no such flag.
uint64_t ScriptFlagOf(std::string_view name);
// In the order in which Redis lists them. nullptr ends it.
struct ScriptFlagName {
  const char* name;
  uint64_t flag;
};
extern const ScriptFlagName kScriptFlagNames[];

struct Shebang {
  uint64_t flags = kScriptCompat;
  size_t code_offset = 0;  // where the code begins: at the line feed, or at 0
};
// Reads a script's shebang. False: *error says why, in Redis's words, with its code.
bool ReadShebang(std::string_view body, Shebang* shebang, std::string* error);

}  // namespace cairn
