// SPDX-License-Identifier: BSD-3-Clause
#include "spec/command_docs.h"

#include <set>
#include <string>

using namespace cairn;

TEST_CASE("command docs: names are unique, sorted, and every cell says something") {
  std::set<std::string_view> names;
  for (auto groups : {DataCommandDocs(), ServerCommandDocs()}) {
    for (const CommandDocsGroup& group : groups) {
      std::string_view before;
      for (const CommandDocsRow& row : group.rows) {
        INFO(row.name);
        REQUIRE(before < row.name);
        before = row.name;
        REQUIRE(names.insert(row.name).second);
        for (const char* cell : {row.since, row.complexity, row.summary})
          REQUIRE_FALSE(std::string_view(cell).empty());
        // A subcommand without its container would have no place in the reply.
        const size_t bar = before.find('|');
        if (bar != std::string_view::npos)
          REQUIRE(FindCommandDocs(before.substr(0, bar)).has_value());
      }
    }
  }
  REQUIRE(names.size() > 380);
}

TEST_CASE("command docs are found by full name") {
  REQUIRE(std::string(FindCommandDocs("get")->group) == "string");
  REQUIRE(std::string(FindCommandDocs("config|get")->since) == "2.0.0");
  REQUIRE(std::string(FindCommandDocs("hexpire")->since) == "7.4.0");
  REQUIRE_FALSE(FindCommandDocs("GET").has_value());
  REQUIRE_FALSE(FindCommandDocs("nosuch").has_value());
}
