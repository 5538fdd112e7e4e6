// SPDX-License-Identifier: BSD-3-Clause
#include "spec/command_docs.h"

#include <map>

namespace cairn {

std::optional<CommandDocs> FindCommandDocs(std::string_view full_name) {
  static const std::map<std::string_view, CommandDocs> kByName = [] {
    std::map<std::string_view, CommandDocs> by_name;
    for (auto groups : {DataCommandDocs(), ServerCommandDocs()})
      for (const CommandDocsGroup& group : groups)
        for (const CommandDocsRow& row : group.rows)
          by_name.emplace(row.name,
                          CommandDocs{group.group, row.since, row.complexity, row.summary});
    return by_name;
  }();
  const auto found = kByName.find(full_name);
  if (found == kByName.end()) return std::nullopt;
  return found->second;
}

}  // namespace cairn
