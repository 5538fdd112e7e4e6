// SPDX-License-Identifier: BSD-3-Clause
//
// What COMMAND DOCS answers: group, first version, complexity and a sentence for every command of
// Redis 7.4 and the newer ones that Cairn has, whether or not this server implements it yet.
// Apart from command.h, because only COMMAND DOCS reads it. Constant; any thread.
#pragma once

#include <optional>
#include <span>
#include <string_view>

namespace cairn {

struct CommandDocs {
  const char* group;
  const char* since;
  const char* complexity;
  const char* summary;
};

// By full name in lower case, as "config|get". O(log n).
std::optional<CommandDocs> FindCommandDocs(std::string_view full_name);

// The tables behind it.
struct CommandDocsRow {
  const char* name;
  const char* since;
  const char* complexity;
  const char* summary;
};
struct CommandDocsGroup {
  const char* group;
  std::span<const CommandDocsRow> rows;
};
std::span<const CommandDocsGroup> DataCommandDocs();
std::span<const CommandDocsGroup> ServerCommandDocs();

}  // namespace cairn
